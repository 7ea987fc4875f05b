"""MCP behind a prefix: whose a session is, which sessions a path names, where an endpoint leads."""

from urllib.parse import quote, urljoin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.agent import Caller
from policies.mcp import endpoint, owner, queried, relative
from policies.refusal import Refusal
from policies.secret import Secret

AGENT = "http://127.0.0.1:9000"


def test_a_session_belongs_to_the_user_whatever_token_came_with_the_call() -> None:
    ann = Caller(email="Ann@example.org", token=Secret("first"))
    assert (
        owner(ann) == owner(ann._replace(token=Secret("renewed"))) == owner(Caller(email="ann@example.org"))
    )
    assert len({owner(ann), owner(Caller(email="bob@example.org")), owner(Caller())}) == 3


def test_a_nameless_caller_is_known_by_its_token_which_is_not_kept() -> None:
    one, other = (owner(Caller(token=Secret(text))) for text in ("first-token", "other-token"))
    assert one != other
    assert "first-token" not in repr(one)
    assert one == owner(Caller(token=Secret("first-token")))
    assert owner(Caller(bearer=Secret("shown"))) not in (one, other, owner(Caller()))


@pytest.mark.parametrize(
    ("target", "idents"),
    [
        ("/messages/?session_id=abc", ("abc",)),
        ("/messages?sessionId=abc&x=1", ("abc",)),
        ("/messages/?session%5Fid=abc", ("abc",)),
        ("/messages/?session_id=a&session_id=b", ("a", "b")),
        ("/messages/?session_id=", ("",)),
        ("/mcp", ()),
        ("/session_id=abc", ()),
        ("/mcp?session=abc", ()),
    ],
)
def test_every_session_that_a_path_names_is_found(target: str, idents: tuple[str, ...]) -> None:
    assert queried(target) == idents


@pytest.mark.parametrize(
    ("data", "agent", "asked", "target", "told"),
    [
        ("/messages/?session_id=1", AGENT, "/sse", "/messages/?session_id=1", "./messages/?session_id=1"),
        ("/mcp/messages/?s=1", AGENT, "/mcp/sse", "/mcp/messages/?s=1", "../mcp/messages/?s=1"),
        ("/p/messages/?s=1", f"{AGENT}/p", "/sse", "/messages/?s=1", "./messages/?s=1"),
        ("/p/messages/?s=1", AGENT, "/p/sse", "/p/messages/?s=1", "../p/messages/?s=1"),
        ("messages/?s=1", AGENT, "/mcp/sse?x=/", "/mcp/messages/?s=1", "../mcp/messages/?s=1"),
        (f"{AGENT}/messages?s=1", AGENT, "/sse", "/messages?s=1", "./messages?s=1"),
        ("//127.0.0.1:9000/m?s=1", AGENT, "/sse", "/m?s=1", "./m?s=1"),
    ],
)
def test_an_endpoint_leads_back_through_whatever_was_taken_off(
    data: str, agent: str, asked: str, target: str, told: str
) -> None:
    assert endpoint(data, agent, asked) == target
    assert relative(target, asked) == told
    for prefix in ("/agents/tools", "/~0123/agents/tools", "/app/rewritten"):
        ours = f"http://127.0.0.1:9800{prefix}"
        assert urljoin(ours + asked, told) == ours + target


@pytest.mark.parametrize(
    "data",
    [
        "http://evil.example.org/messages",
        "//evil.example.org/messages",
        "https://127.0.0.1:9000/messages",
        "http://127.0.0.1:9000@evil.example.org/m",
        "/other/messages",
        "/p/../other",
        "/p/%2e%2e/other",
        "/p\\..\\other",
        "/p/m\r\nevent: x",
        "http://[",
        "",
    ],
)
def test_an_endpoint_that_leads_elsewhere_is_refused(data: str) -> None:
    with pytest.raises(Refusal) as refused:
        endpoint(data, f"{AGENT}/p", "/sse")
    assert (refused.value.status, refused.value.code) == (502, "agent_protocol_error")
    assert "evil" not in str(refused.value.detail)


SEGMENT = st.text(st.sampled_from("ab-._~%2eé:;@"), max_size=5)


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(SEGMENT, max_size=4), st.sampled_from(["", "/p", "/p/q"]), st.sampled_from(["/sse", "/mcp/sse"])
)
@example(path=["..;"], base="", asked="/sse")
@example(path=["%2e%2e;x"], base="/p", asked="/mcp/sse")
def test_wherever_it_leads_it_stays_inside_the_agent(path: list[str], base: str, asked: str) -> None:
    try:
        target = endpoint("/".join(["", *path]), AGENT + base, asked)
    except Refusal:
        return
    assert target.startswith("/")
    there = urljoin(f"http://ours/agents/tools{asked}", relative(target, asked))
    assert there.startswith("http://ours/agents/tools/")
    assert urljoin(AGENT + base + "/x", AGENT + base + target).startswith(AGENT + base + "/")


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["session_id", "sessionId", "x"]), st.text(max_size=5)), max_size=4)
)
def test_no_way_of_writing_a_query_hides_a_session(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{''.join(f'%{ord(c):02X}' for c in name)}={quote(value)}" for name, value in pairs)
    assert queried(f"/messages/?{query}") == tuple(value for name, value in pairs if name != "x")
