"""Client credentials at somebody's identity provider: asked for as it wants, believed only where it makes sense."""

import asyncio
import base64
from collections.abc import AsyncIterator
from types import SimpleNamespace
from urllib.parse import parse_qs

import aiohttp
import pytest
from aioresponses import aioresponses
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.agent import Agent
from policies.credentials import Grant
from policies.faults import FAULTS, Fault
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar import sim
from sidecar.control import Told
from sidecar.sim.workspace import TOKEN
from sidecar.tokens import oauth
from sidecar.tokens.credential import Credential
from sidecar.tokens.fetching import Fetching
from sidecar.tokens.keeper import Clock
from sidecar.tokens.source import LEARNT, UNUSED, Tokens

AGENT = Agent("default", "http://127.0.0.1:1", auth="oauth")


class SentResponse(aiohttp.ClientResponse):
    """aioresponses does not name the request's writer, from which aiohttp reads the size that was sent."""

    def __init__(self, *args, **named):
        super().__init__(*args, stream_writer=SimpleNamespace(output_size=0), **named)


@pytest.fixture
def elsewhere(monkeypatch):
    monkeypatch.setattr("aioresponses.core.ClientResponse", SentResponse)
    with aioresponses(passthrough=["http://127.0.0.1"]) as answers:
        yield answers


@pytest.fixture
async def workspace() -> AsyncIterator[sim.Workspace]:
    async with sim.workspace() as one:
        yield one


@pytest.fixture
async def fetch():
    fetching = Fetching(2.0)
    yield fetching
    await fetching.aclose()


def credential(workspace: sim.Workspace, **more) -> Credential:
    """A client of this stand-in, which wants to be asked by `Authorization: Basic`."""
    given = {
        "client_id": workspace.client_id,
        "client_secret": Secret(workspace.client_secret),
        "basic": True,
    }
    return Credential("agent default", endpoint=workspace.url + TOKEN, **(given | more))


class TestAsking:
    async def test_a_client_may_say_who_it_is_in_authorization(self, workspace, fetch):
        granted = await fetch(credential(workspace, scope="a b"))
        assert isinstance(granted, Grant)
        assert granted.authorization.reveal() == f"Bearer {workspace.tokens[-1]}"
        assert granted.life == 3600
        form = parse_qs(workspace.requests[0].body.decode())
        assert form == {"grant_type": ["client_credentials"], "scope": ["a b"]}

    async def test_or_in_the_form_and_never_in_both(self, elsewhere, fetch):
        elsewhere.post("https://idp.example.org/t", payload={"access_token": "t1", "expires_in": 60})
        asked = Credential(
            "a", endpoint="https://idp.example.org/t", client_id="id", client_secret=Secret("s3")
        )
        assert await fetch(asked) == Grant(Secret("Bearer t1"), 60.0)
        ((_, [call]),) = elsewhere.requests.items()
        assert call.kwargs["data"] == {
            "grant_type": "client_credentials",
            "client_id": "id",
            "client_secret": "s3",
        }
        assert "Authorization" not in call.kwargs["headers"]
        assert call.kwargs["allow_redirects"] is False

    async def test_both_halves_are_form_encoded_before_they_are_joined(self, elsewhere, fetch):
        elsewhere.post("https://idp.example.org/t", payload={"access_token": "t1", "expires_in": 60})
        asked = Credential(
            "a",
            endpoint="https://idp.example.org/t",
            client_id="i:d",
            client_secret=Secret("s/3 %"),
            basic=True,
        )
        await fetch(asked)
        ((_, [call]),) = elsewhere.requests.items()
        pair = base64.b64decode(call.kwargs["headers"]["Authorization"].removeprefix("Basic ")).decode()
        assert pair == "i%3Ad:s%2F3%20%25"

    async def test_a_secret_in_a_file_is_read_again_each_time_T12(self, workspace, fetch, tmp_path):
        file = tmp_path / "secret"
        file.write_text("wrong\n")
        asked = credential(workspace, client_secret=None, client_secret_file=str(file))
        assert await fetch(asked) == Fault("invalid_client")
        file.write_text(f"{workspace.client_secret}\n")
        assert isinstance(await fetch(asked), Grant)
        file.unlink()
        assert await fetch(asked) == Fault("unreadable")


class TestBelieving:
    @pytest.mark.parametrize(
        ("order", "fault"),
        [
            ("html", "garbage"),
            ("empty", "garbage"),
            ("no expires_in", "garbage"),
            ("negative", "garbage"),
            ("string", "garbage"),
            ("invalid_client", "invalid_client"),
            ("revoked", "invalid_client"),
            ("failing", "failed"),
            ("throttled 7", "throttled"),
        ],
    )
    async def test_what_is_no_token_is_a_fault_T04_T06_T07(self, workspace, fetch, order, fault):
        workspace.then(order)
        told = await fetch(credential(workspace))
        assert isinstance(told, Fault)
        assert told.code == fault
        if fault == "throttled":
            assert told.retry_after == 7

    async def test_a_provider_that_hangs_is_left_after_the_deadline_T05(self, workspace):
        fetching = Fetching(0.2)
        workspace.then("hang")
        assert await fetching(credential(workspace)) == Fault("timeout")
        await fetching.aclose()

    async def test_one_that_redirects_is_not_followed_with_a_secret(self, elsewhere, fetch):
        elsewhere.post(
            "https://idp.example.org/t", status=302, headers={"Location": "https://evil.example.org"}
        )
        asked = Credential(
            "a", endpoint="https://idp.example.org/t", client_id="id", client_secret=Secret("s")
        )
        assert await fetch(asked) == Fault("garbage")
        assert len(elsewhere.requests) == 1

    def test_seconds_may_be_told_as_text(self):
        assert oauth.read(Told(200, {"access_token": "t", "expires_in": "3599"})) == Grant(
            Secret("Bearer t"), 3599.0
        )

    @settings(max_examples=1000, deadline=None)
    @given(
        st.integers(100, 599),
        st.none()
        | st.text(max_size=5)
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(
            st.sampled_from(["access_token", "expires_in", "error", "token_type"]),
            st.none()
            | st.text(max_size=5)
            | st.floats()
            | st.integers()
            | st.booleans()
            | st.just("invalid_client"),
        ),
    )
    def test_whatever_it_says_is_a_grant_or_a_fault(self, status, value):
        told = oauth.read(Told(status, value))
        if isinstance(told, Grant):
            assert told.life is not None
            assert told.life > 0
        else:
            assert told.code in FAULTS


class TestKeeping:
    async def test_500_first_calls_make_one_request_T01(self, workspace):
        tokens = Tokens({AGENT.name: credential(workspace)})
        bearers = await asyncio.gather(*(tokens.bearer(AGENT) for _ in range(500)))
        assert len(set(bearers)) == len(workspace.requests) == 1
        await tokens.aclose()

    async def test_what_is_expired_is_never_sent_and_the_caller_hears_when_to_come_again_T03(self, workspace):
        workspace.always = "failing"
        tokens = Tokens({AGENT.name: credential(workspace)})
        with pytest.raises(Refusal) as refusal:
            await tokens.bearer(AGENT)
        assert (refusal.value.status, refusal.value.code) == (503, "credential_unavailable")
        assert refusal.value.retry_after
        assert workspace.client_secret not in f"{refusal.value.detail}{refusal.value.hint}"
        await tokens.aclose()

    async def test_a_token_with_a_line_break_is_refused_and_never_shown_T14(self, workspace):
        workspace.always = "line break"
        tokens = Tokens({AGENT.name: credential(workspace)})
        with pytest.raises(Refusal) as refusal:
            await tokens.bearer(AGENT)
        assert "X-Injected" not in f"{refusal.value.detail}{refusal.value.hint}"
        await tokens.aclose()

    async def test_an_agents_401_makes_one_refresh_in_5_seconds_T08_T09(self, workspace):
        tokens = Tokens({AGENT.name: credential(workspace)})
        first = await tokens.bearer(AGENT)
        others = await asyncio.gather(*(tokens.refused(AGENT, first) for _ in range(200)))
        assert len(set(others)) == 1
        assert others[0] not in (None, first)
        assert await tokens.refused(AGENT, str(others[0])) is None
        assert len(workspace.requests) == 2
        await tokens.aclose()

    async def test_two_providers_never_meet_T13(self, workspace):
        async with sim.workspace("other-client", "other-secret", workspace_id="2") as other:
            tokens = Tokens({"a": credential(workspace), "b": credential(other)})
            bearers = [await tokens.bearer(AGENT._replace(name=name)) for name in ("a", "b")]
            assert bearers == [f"Bearer {one.tokens[-1]}" for one in (workspace, other)]
            assert all(visit.headers["Authorization"] for visit in (workspace.requests[0], other.requests[0]))
            await tokens.aclose()

    @pytest.mark.parametrize("jumps", [{"wall": 400.0}, {"mono": 400.0}, {"wall": -400.0, "mono": 400.0}])
    async def test_whichever_clock_says_that_it_is_over_it_is_over_T11(self, workspace, jumps):
        at = {"mono": 1_000.0, "wall": 1_800_000_000.0}

        async def forever(seconds):
            await asyncio.Event().wait()

        workspace.expires_in = 300
        clock = Clock(lambda: at["mono"], lambda: at["wall"], forever)
        tokens = Tokens({AGENT.name: credential(workspace)}, clock=clock)
        await tokens.bearer(AGENT)
        assert tokens.ready(AGENT)
        for name, seconds in jumps.items():
            at[name] += seconds
        assert tokens.ready(AGENT) is None
        await tokens.aclose()


class TestLearning:
    async def test_what_came_with_an_agent_is_kept_under_a_name_of_its_own(self, workspace):
        tokens = Tokens({})
        known = tokens.learn(credential(workspace))
        assert tokens.learn(credential(workspace)) == known
        other = tokens.learn(Credential("connection b", token=Secret("t")))
        agent = AGENT._replace(name="default")
        assert await tokens.bearer(agent._replace(credential=other)) == "Bearer t"
        assert await tokens.bearer(agent._replace(credential=known)) == f"Bearer {workspace.tokens[-1]}"
        with pytest.raises(Refusal):
            await tokens.bearer(agent)  # an agent of the same name in the settings is another
        await tokens.aclose()

    async def test_of_too_many_the_oldest_is_forgotten_and_its_name_is_never_anothers(self):
        tokens = Tokens({})
        names = [tokens.learn(Credential(f"{at}", token=Secret(f"{at}"))) for at in range(LEARNT + 5)]
        assert len(set(names)) == LEARNT + 5
        for at in (0, 4):
            with pytest.raises(Refusal):
                await tokens.bearer(AGENT._replace(credential=names[at]))
        assert await tokens.bearer(AGENT._replace(credential=names[5])) == "Bearer 5"
        await tokens.aclose()

    async def test_what_nobody_uses_for_an_hour_is_forgotten(self):
        now = 0.0
        tokens = Tokens({}, clock=Clock(mono=lambda: now))
        old = tokens.learn(Credential("old", token=Secret("old")))
        now += UNUSED + 1
        tokens.learn(Credential("new", token=Secret("new")))
        with pytest.raises(Refusal):
            await tokens.bearer(AGENT._replace(credential=old))
        await tokens.aclose()
