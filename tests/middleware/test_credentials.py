"""What a call carries for its agent, and what happens when the agent does not accept it."""

import asyncio

import pytest

from middleware.credentials import credentials
from middleware.exchange import Body, Call, Reply, headers
from policies.agent import Agent, Caller
from policies.refusal import Refusal
from policies.secret import Secret

AGENT = Agent("default", "http://127.0.0.1:1", auth="app", trusted=True)
ANA = Caller(believed=True, email="ana@example.com", token=Secret("users-own"))


class Bearers:
    """A `TokenSource` that hands out its bearers one by one, the next after each refusal."""

    def __init__(self, *values: str) -> None:
        self.values = [f"Bearer {value}" for value in values]
        self.refusals: list[str] = []
        self.at_hand = True

    def ready(self, agent: Agent) -> str | None:
        return self.values[0] if self.at_hand and self.values else None

    async def bearer(self, agent: Agent) -> str:
        if not self.values:
            raise Refusal(503, "credential_unavailable", sent="none", retry_after=4)
        return self.values[0]

    async def refused(self, agent: Agent, bearer: str) -> str | None:
        self.refusals.append(bearer)
        del self.values[0]
        return self.values[0] if self.values else None


class Notes:
    """The recorder, as far as it is told something here."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def carried(self, call: Call, credential: str, identity: tuple[str, ...]) -> None:
        self.told += [("credential", credential), ("identity_sent", identity)]


class Agents:
    """The next handler: keeps the calls, and answers with these statuses, the last of them for ever."""

    def __init__(self, *statuses: int, body: bytes = b"{}", **named: str) -> None:
        self.statuses, self.body, self.named = list(statuses), body, named
        self.calls: list[Call] = []
        self.closed: list[str] = []

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        pairs = [(name.replace("_", "-"), value) for name, value in self.named.items()]

        async def close(ending: str) -> None:
            self.closed.append(ending)

        return Reply(status, headers(*pairs), Body(self.body), close)

    @property
    def carried(self) -> list[str | None]:
        return [call.headers.get("Authorization") for call in self.calls]


class Uploading:
    length = None

    async def chunks(self):
        yield b"once"


def call(agent: Agent = AGENT, caller: Caller = ANA, body=None) -> Call:
    base = headers(("content-type", "application/json"), ("via", "1.1 agent-sidecar"))
    return Call(agent, caller, "chat", "POST", "/invocations", base, body or Body(b"{}"), True, "id")


def asked(forward, tokens=None, notes=None, **given):
    return credentials(tokens or Bearers("first", "second"), notes or Notes())(call(**given), forward)


class TestWhatIsAdded:
    async def test_the_apps_own_bearer_goes_to_an_agent_of_mode_app(self):
        forward = Agents(200)
        await asked(forward)
        assert forward.carried == ["Bearer first"]

    async def test_a_bearer_that_is_not_at_hand_is_waited_for(self):
        forward, tokens = Agents(200), Bearers("first")
        tokens.at_hand = False
        await asked(forward, tokens)
        assert forward.carried == ["Bearer first"]

    async def test_a_static_token_is_added_likewise(self):
        forward = Agents(200)
        await asked(forward, agent=AGENT._replace(auth="static"))
        assert forward.carried == ["Bearer first"]

    async def test_a_trusted_agent_is_told_who_the_user_is(self):
        forward = Agents(200)
        await asked(forward)
        assert forward.calls[0].headers["x-forwarded-access-token"] == "users-own"
        assert forward.calls[0].headers["x-app-user-email"] == "ana@example.com"

    async def test_an_agent_that_is_not_trusted_is_not(self):
        forward = Agents(200)
        await asked(forward, agent=AGENT._replace(trusted=False))
        assert forward.carried == ["Bearer first"]
        assert "x-forwarded-access-token" not in forward.calls[0].headers
        assert "x-app-user-email" not in forward.calls[0].headers

    async def test_a_user_without_token_or_email_leaves_no_empty_header(self):
        forward = Agents(200)
        await asked(forward, caller=Caller())
        assert set(forward.calls[0].headers) == {"content-type", "via", "Authorization"}

    async def test_mode_none_adds_nothing_and_copies_nothing(self):
        forward, one = Agents(200), call(agent=AGENT._replace(auth="none", trusted=False))
        await credentials(Bearers(), Notes())(one, forward)
        assert forward.calls[0] is one

    async def test_everything_else_stays_in_order_and_the_call_itself_is_not_touched(self):
        forward, one = Agents(200), call()
        await credentials(Bearers("first"), Notes())(one, forward)
        assert list(forward.calls[0].headers.items())[:2] == list(one.headers.items())
        assert len(one.headers) == 2

    async def test_relays_get_their_credentials_too(self):
        assert credentials(Bearers(), Notes()).relays

    async def test_notes_tell_modes_and_names_and_never_a_secret(self):
        notes = Notes()
        await asked(Agents(401, 200), notes=notes)
        assert ("credential", "app") in notes.told
        assert ("credential", "app, refreshed") in notes.told
        assert ("identity_sent", ("x-forwarded-access-token", "x-app-user-email")) in notes.told
        assert not [one for one in notes.told if "first" in str(one) or "users-own" in str(one)]

    async def test_of_a_credential_that_could_not_be_had_nothing_is_noted(self):
        notes = Notes()
        with pytest.raises(Refusal):
            await asked(Agents(200), Bearers(), notes=notes)
        assert notes.told == []


class TestUsers:
    @pytest.mark.parametrize(
        "token",
        ["eyJhbGciOiJub25lIn0.eyJleHAiOjF9.", "eyJ.not-a-jwt", "opaque-0123"],
        ids=["expired", "malformed", "opaque"],
    )
    async def test_the_users_token_passes_untouched_whatever_it_is_T15(self, token):
        forward = Agents(200)
        await asked(forward, agent=AGENT._replace(auth="user"), caller=Caller(token=Secret(token)))
        assert forward.carried == [f"Bearer {token}"]
        assert forward.calls[0].headers["x-forwarded-access-token"] == token

    async def test_without_one_there_is_no_other_to_fall_back_to(self):
        forward = Agents(200)
        with pytest.raises(Refusal) as refused:
            await asked(forward, agent=AGENT._replace(auth="user"), caller=Caller(email="ana@example.com"))
        assert (refused.value.status, refused.value.code) == (401, "user_token_required")
        assert forward.calls == []

    async def test_it_does_not_go_to_an_agent_that_is_not_trusted(self):
        forward = Agents(200)
        with pytest.raises(Refusal) as refused:
            await asked(forward, agent=AGENT._replace(auth="user", trusted=False))
        assert refused.value.code == "credential_unavailable"
        assert forward.calls == []

    async def test_a_401_to_the_users_token_is_not_tried_again(self):
        forward, tokens = Agents(401), Bearers("first")
        reply = await asked(forward, tokens, agent=AGENT._replace(auth="user"))
        assert (reply.status, len(forward.calls), tokens.refusals) == (401, 1, [])


class TestNoFallback:
    async def test_where_the_apps_bearer_is_missing_the_users_is_not_taken(self):
        forward = Agents(200)
        with pytest.raises(Refusal) as refused:
            await asked(forward, Bearers())
        assert (refused.value.code, refused.value.retry_after) == ("credential_unavailable", 4)
        assert forward.calls == []

    @pytest.mark.parametrize("mode", ["auto", ""])
    async def test_a_mode_that_is_not_offered_is_refused(self, mode):
        forward = Agents(200)
        with pytest.raises(Refusal) as refused:
            await asked(forward, agent=AGENT._replace(auth=mode))
        assert refused.value.code == "credential_unavailable"
        assert "app, user, static, oauth or none" in refused.value.hint
        assert forward.calls == []


class TestNotAccepted:
    @pytest.mark.parametrize("mode", ["app", "static"])
    async def test_a_401_means_one_refresh_and_the_call_once_more_T08(self, mode):
        forward, tokens = Agents(401, 200), Bearers("first", "second")
        reply = await asked(forward, tokens, agent=AGENT._replace(auth=mode))
        assert reply.status == 200
        assert forward.carried == ["Bearer first", "Bearer second"]
        assert tokens.refusals == ["Bearer first"]
        assert forward.closed == ["agent_refused"]
        assert forward.calls[0].body is forward.calls[1].body

    async def test_a_second_401_goes_on_as_the_answer_T08(self):
        forward, tokens = Agents(401), Bearers("first", "second", "third")
        reply = await asked(forward, tokens)
        assert reply.status == 401
        assert (len(forward.calls), tokens.refusals, forward.closed) == (
            2,
            ["Bearer first"],
            ["agent_refused"],
        )

    async def test_a_403_that_speaks_of_expiry_is_treated_likewise_T10(self):
        forward = Agents(403, 200, body=b'{"message": "Access token expired"}')
        assert (await asked(forward)).status == 200
        assert forward.carried == ["Bearer first", "Bearer second"]

    async def test_so_is_one_whose_challenge_does_T10(self):
        forward = Agents(403, 200, WWW_Authenticate='Bearer error="invalid_token"')
        assert (await asked(forward)).status == 200

    async def test_any_other_403_stands(self):
        forward, tokens = Agents(403, body=b"App not authorized"), Bearers("first", "second")
        assert (await asked(forward, tokens)).status == 403
        assert (len(forward.calls), tokens.refusals) == (1, [])

    async def test_where_there_is_no_other_bearer_the_answer_stands_and_stays_open(self):
        forward = Agents(401)
        reply = await asked(forward, Bearers("first"))
        assert (reply.status, len(forward.calls), forward.closed) == (401, 1, [])

    async def test_a_body_that_is_read_once_is_not_sent_twice_but_the_bearer_is_renewed(self):
        forward, tokens = Agents(401), Bearers("first", "second")
        reply = await asked(forward, tokens, body=Uploading())
        assert (reply.status, len(forward.calls), tokens.refusals) == (401, 1, ["Bearer first"])

    async def test_an_agent_of_replay_never_is_not_called_twice_but_the_bearer_is_renewed(self):
        forward, tokens = Agents(401), Bearers("first", "second")
        reply = await asked(forward, tokens, agent=AGENT._replace(replay="never"))
        assert (reply.status, len(forward.calls), tokens.refusals) == (401, 1, ["Bearer first"])

    async def test_a_caller_who_leaves_during_the_refresh_closes_the_first_answer(self):
        class Endless(Bearers):
            async def refused(self, agent: Agent, bearer: str) -> str | None:
                asking.set()
                return await asyncio.Future()

        asking, forward = asyncio.Event(), Agents(401)
        waiting = asyncio.create_task(asked(forward, Endless("first")))
        await asking.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert forward.closed == ["caller_left"]
