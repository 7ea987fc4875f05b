"""One chat, from a page or from an app's own server, to an agent and back (B01-B05)."""

import asyncio
import json
from urllib.parse import urlsplit

import orjson
import pytest
from journeys.conftest import HELLO, Start, said

from sidecar import sim

INVALID = {"error": "invalid_body_shape", "accepted": ["input", "messages"]}


async def test_b01_input_passes_with_every_byte_that_is_not_ours(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    raw = b'{ "input" : [{"role":"user","content":"h\\u00e9llo"}],\t"custom_inputs":{"n":12345678901234567890123} }'
    await sidecar.chat(raw)
    sent = agent.last.body
    assert sent.replace(b',"stream":true', b"") == raw
    assert json.loads(sent)["stream"] is True


async def test_b01_messages_pass_as_they_came(start: Start, plain: sim.Agent) -> None:
    sidecar = await start(plain.url)
    answer = await sidecar.chat(
        {"messages": [{"role": "user", "content": "hi"}], "context": {"user_id": "u"}}
    )
    assert answer.status == 200
    assert plain.last.value["messages"] == [{"role": "user", "content": "hi"}]
    assert plain.last.value["context"] == {"user_id": "u"}


@pytest.mark.parametrize(
    "body", [b"{}", b'{"prompt":"x"}', b'{"messages":"x"}', b"[]", b"null", b'"text"', b"1"]
)
async def test_b02_what_is_no_chat_is_refused_in_exactly_these_words(
    start: Start, agent: sim.Agent, body: bytes
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(body)
    assert answer.status == 400
    assert await answer.json() == INVALID
    assert len(agent.visits) == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"", "invalid_json"),
        (b'{"input": NaN}', "invalid_json"),
        (b'{"input": "\\ud800"}', "invalid_json"),
        (b'{"input":1,"input":2}', "duplicate_key"),
        (b'{"input":1,"\\u0069nput":2}', "duplicate_key"),
        (b'{"input":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "too_deep"),
        (b'{"input":{' + b",".join(b'"%d":0' % n for n in range(100_001)) + b"}}", "too_many_keys"),
    ],
)
async def test_d08_each_way_to_be_wrong_has_its_own_code(
    start: Start, agent: sim.Agent, body: bytes, code: str
) -> None:
    sidecar = await start(agent.url)
    for door in (sidecar.chat, sidecar.call):
        if body:
            answer = await door(body)
            assert answer.status == 400
            assert (await answer.json())["error"] == code
    assert len(agent.visits) == 0


@pytest.mark.parametrize("door", ["front", "egress"])
async def test_a_method_that_is_no_post_is_told_which_one_is_taken(
    start: Start, agent: sim.Agent, door: str
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.http.get(f"{getattr(sidecar, door)}/api/chat")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert len(agent.visits) == 0


async def test_d07_a_body_over_the_limit_is_413_and_never_reaches_the_agent(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, MAX_BODY="1KiB")
    answer = await sidecar.chat(said("x" * 2000))
    assert answer.status == 413
    assert (await answer.json())["error"] == "body_too_large"
    assert len(agent.visits) == 0


async def test_d07_a_body_in_chunks_that_comes_with_its_head_is_held_to_the_same_limit(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, MAX_BODY="1KiB")
    body = orjson.dumps(said("x" * 2000))
    door = urlsplit(sidecar.front)
    reader, writer = await asyncio.open_connection(door.hostname, door.port)
    writer.write(
        b"POST /api/chat HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n" % door.netloc.encode()
        + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    )
    told = await reader.read()
    writer.close()
    assert (told[:12], b'"body_too_large"' in told) == (b"HTTP/1.1 413", True)
    assert len(agent.visits) == 0


@pytest.mark.parametrize("body", [{"input": None}, {"input": ""}, {"messages": []}])
async def test_b04_the_recipes_predicate_lets_empty_things_pass(
    start: Start, plain: sim.Agent, body: object
) -> None:
    sidecar = await start(plain.url)
    await sidecar.chat(body)
    assert len(plain.visits) == 1


BOTH = b'{"messages":[{"role":"user","content":"old"}],"input":[{"role":"user","content":"new"}],"seed":1.10}'


@pytest.mark.parametrize("kind", ["ResponsesAgent", "plain"])
async def test_b03_input_wins_in_a_chat_whatever_the_agent_would_have_read(start: Start, kind: str) -> None:
    async with sim.agent(kind) as agent:
        sidecar = await start(agent.url)
        assert (await sidecar.chat(BOTH)).status == 200
        assert agent.last.body == b'{"input":[{"role":"user","content":"new"}],"seed":1.10,"stream":true}'
        assert await sidecar.metric("sidecar_ambiguous_bodies_total", result="input") == 1


async def test_b03_an_agents_own_path_hands_on_what_came(start: Start, plain: sim.Agent) -> None:
    sidecar = await start(plain.url)
    assert (await sidecar.call(BOTH)).status == 200
    assert plain.last.body == BOTH
    assert await sidecar.metric("sidecar_ambiguous_bodies_total", result="both") == 1


async def test_b03_a_strict_sidecar_refuses_both_at_every_door(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, BOTH_SHAPES="refuse")
    for door in (sidecar.chat, sidecar.call):
        answer = await door(BOTH)
        assert (answer.status, (await answer.json())["error"]) == (400, "ambiguous_body")
    assert len(agent.visits) == 0
    assert await sidecar.metric("sidecar_ambiguous_bodies_total", result="refused") == 2


async def test_a_string_input_is_wrapped_for_an_agent_that_refuses_it(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat({"input": "hello there"})
    assert answer.status == 200
    assert agent.last.value["input"] == [{"role": "user", "content": "hello there"}]
    assert agent.runs == 1
    await sidecar.chat({"input": "again"})  # remembered: nothing is refused a second time
    assert len(agent.visits) == 3


async def test_messages_are_translated_once_for_an_agent_that_refuses_them(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat({"messages": [{"role": "user", "content": "hello"}], "temperature": 1.0})
    assert answer.status == 200
    assert agent.last.value["input"][0]["content"] in ("hello", [{"type": "input_text", "text": "hello"}])
    assert b'"temperature": 1.0' in agent.last.body


@pytest.mark.parametrize(
    "path",
    ["/agents/default/invocations", "/agents/default/responses", "/invocations", "/responses", "/api/chat"],
)
async def test_every_chat_path_of_the_egress_door_reaches_the_agent(
    start: Start, agent: sim.Agent, path: str
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.call(HELLO, path)
    assert answer.status == 200
    assert agent.last.target == ("/responses" if path.endswith("responses") else "/invocations")
    streamed = answer.headers["Content-Type"].startswith("text/event-stream")
    assert streamed == (path == "/api/chat")


async def test_the_agents_address_in_an_apps_code_is_the_egress_door(start: Start, agent: sim.Agent) -> None:
    """`fetch(AGENT_APP_URL + "/invocations")`, where AGENT_APP_URL is the door's `/agents/default`."""
    sidecar = await start(agent.url)
    agent_app_url = f"{sidecar.egress}/agents/default"
    answer = await sidecar.http.post(f"{agent_app_url}/invocations", json=HELLO)
    direct = await sidecar.http.post(f"{agent.url}/invocations", json=HELLO)
    assert await answer.read() == await direct.read()


async def test_an_agent_path_with_neither_key_goes_to_the_agent_as_it_came(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.call(b'{"prompt": 1}')
    assert agent.last.body == b'{"prompt": 1}'
    assert answer.status == 400
    assert "Invalid parameters" in (await answer.json())["detail"]


async def test_an_agents_own_error_passes_on_agent_paths(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    for status in (401, 403, 418, 500, 503):
        answer = await sidecar.call(said(f"status {status}"))
        assert answer.status == status
        assert "detail" in await answer.json()


async def test_a_stream_default_of_sse_streams_what_does_not_say(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, AGENTS__DEFAULT__STREAM_DEFAULT="sse")
    assert (await sidecar.call(HELLO)).headers["Content-Type"].startswith("text/event-stream")
    assert (await sidecar.call(HELLO | {"stream": False})).headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("stream", [True, False, None])
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
@pytest.mark.parametrize("path", ["/api/chat", "/agents/default/invocations"])
async def test_b05_whether_a_stream_is_wanted(
    start: Start, agent: sim.Agent, stream: bool | None, accept: str, path: str
) -> None:
    sidecar = await start(agent.url)
    body = HELLO if stream is None else HELLO | {"stream": stream}
    answer = await sidecar.call(body, path, Accept=accept)
    wanted = stream if stream is not None else (path == "/api/chat" and accept == "*/*")
    assert answer.headers["Content-Type"].startswith("text/event-stream" if wanted else "application/json")


async def test_several_agents_are_told_apart_by_path_and_by_body(start: Start, agent: sim.Agent) -> None:
    async with sim.agent() as other:
        sidecar = await start(agent.url, AGENTS__OTHER_ONE__URL=other.url)
        await sidecar.chat(HELLO, "/api/chat/other-one")
        await sidecar.chat(HELLO | {"agent": "other-one"})
        assert [len(agent.visits), len(other.visits)] == [0, 2]
        assert "agent" not in other.last.value
        await sidecar.chat(HELLO)
        assert len(agent.visits) == 1
        unknown = await sidecar.chat(HELLO, "/api/chat/nobody")
        assert unknown.status == 404
        assert (await unknown.json())["error"] == "unknown_agent"


async def test_with_one_agent_a_members_name_is_the_agents_own(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    await sidecar.chat(HELLO | {"agent": "whoever"})
    assert agent.last.value["agent"] == "whoever"


async def test_without_an_agent_the_chat_says_which_variable_is_missing(start: Start) -> None:
    sidecar = await start()
    answer = await sidecar.chat(HELLO)
    assert answer.status == 500
    assert await answer.json() == {"error": "AGENT_APP_URL is not configured"}


async def test_a_users_identity_reaches_a_trusted_agent_and_only_where_it_is_believed(
    start: Start, agent: sim.Agent
) -> None:
    named = {"x-forwarded-email": "ada@example.com", "x-forwarded-access-token": "user-token"}
    believing = await start(agent.url, TRUST="127.0.0.1")
    await believing._post(believing.front + "/api/chat", HELLO, named)
    assert agent.last.headers["x-app-user-email"] == "ada@example.com"
    assert agent.last.headers["x-forwarded-access-token"] == "user-token"
    nobody = await start(agent.url)
    await nobody._post(nobody.front + "/api/chat", HELLO, named)
    assert "x-app-user-email" not in agent.last.headers
    assert "x-forwarded-access-token" not in agent.last.headers


async def test_a_trace_goes_on_and_the_agents_request_id_is_a_uuid(start: Start, agent: sim.Agent) -> None:
    import uuid

    sidecar = await start(agent.url)
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    answer = await sidecar.chat(HELLO, traceparent=parent, x_request_id="my.id-1")
    assert answer.headers["x-request-id"] == "my.id-1"
    told = agent.last.headers
    uuid.UUID(told["x-request-id"])
    assert told["traceparent"].startswith(f"00-{'a' * 32}-")
    assert told["traceparent"] != parent
    await sidecar.chat(HELLO)
    assert len(agent.last.headers["traceparent"]) == 55
