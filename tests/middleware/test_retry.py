"""What is called again, how often, and for how long an agent that sleeps is waited for."""

import asyncio
import logging

import pytest

from middleware.exchange import Body, Call, Reply, headers
from middleware.retry import retry
from policies.agent import Agent, Caller
from policies.refusal import Refusal

AGENT = Agent("default", "https://agent-1.aws.databricksapps.com", auth="app", trusted=True)
PAGE = b"<title>App Not Available</title>"


class Time:
    """Passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds
        self.slept.append(seconds)


class Notes:
    def __init__(self) -> None:
        self.told: dict[str, object] = {}

    def note(self, call: Call, what: str, value: object) -> None:
        self.told[what] = value


class Asleep:
    """The next handler: an agent that is up from `at` seconds on; what it says until then, and afterwards."""

    def __init__(
        self, time: Time, at: float = 0.0, before: object = "agent_unreachable", after: object = None
    ):
        self.time, self.at = time, at
        self.before, self.after = before, after or (200, "application/json", b"{}")
        self.calls: list[Call] = []
        self.runs = 0

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        await asyncio.sleep(0)
        up = self.time.now >= self.at
        says = self.after if up else self.before
        if isinstance(says, str):
            raise Refusal(502, says, sent="none", detail="There is nobody.", hint="Start it.")
        if isinstance(says, Refusal):
            raise says
        self.runs += up and call.method == "POST"
        status, kind, body, *named = says
        return Reply(status, headers(("Content-Type", kind), *named), Body(body))

    def asked(self, method: str) -> list[str]:
        return [call.target for call in self.calls if call.method == method]


class Uploading:
    length = 4

    async def chunks(self):
        yield b"once"


def call(
    agent: Agent = AGENT, body=None, wants_stream: bool | None = True, method: str = "POST", **named
) -> Call:
    pairs = [(name.replace("_", "-"), value) for name, value in named.items()]
    return Call(
        agent,
        Caller(),
        "chat",
        method,
        "/invocations",
        headers(*pairs),
        body or Body(b"{}"),
        wants_stream,
        "id",
    )


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def again(time: Time, notes: Notes):
    def made(**given):
        return retry(notes, clock=time.clock, sleep=time.sleep, spread=lambda: 0.5, **given)

    return made


class TestNothingWasSent:
    async def test_a_post_that_never_left_is_sent_again_after_a_short_pause_R01(self, again, time, notes):
        agent, one = Asleep(time, at=1.0), call()
        reply = await again()(one, agent)
        assert (reply.status, agent.runs, len(agent.calls)) == (200, 1, 3)
        assert all(0.1 <= pause <= 2 for pause in time.slept)
        assert all(made is one for made in agent.calls)
        assert notes.told == {}

    @pytest.mark.parametrize("code", ["agent_tls_error", "agent_broke_off"])
    async def test_three_tries_are_all_and_the_last_failure_is_told_as_it_is_R01(self, again, time, code):
        agent = Asleep(time, at=99, before=code)
        with pytest.raises(Refusal) as refused:
            await again()(call(), agent)
        assert (refused.value.code, len(agent.calls)) == (code, 3)

    @pytest.mark.parametrize("sent", ["partial", "full"])
    @pytest.mark.parametrize("code", ["agent_unreachable", "agent_broke_off", "agent_first_byte_timeout"])
    async def test_what_may_have_left_is_not_sent_again_R02(self, again, time, code, sent):
        agent = Asleep(time, at=99, before=Refusal(502, code, sent=sent))
        with pytest.raises(Refusal):
            await again()(call(), agent)
        assert len(agent.calls) == 1

    async def test_a_refusal_of_our_own_is_not_tried_again(self, again, time):
        agent = Asleep(time, at=99, before=Refusal(503, "credential_unavailable", sent="none"))
        with pytest.raises(Refusal, match="credential_unavailable"):
            await again()(call(), agent)
        assert len(agent.calls) == 1

    async def test_no_budget_means_one_try(self, again, time):
        agent = Asleep(time, at=99)
        with pytest.raises(Refusal, match="agent_unreachable"):
            await again(budget=0)(call(), agent)
        assert len(agent.calls) == 1

    async def test_replay_never_means_one_call_though_nothing_was_sent(self, again, time):
        agent = Asleep(time, at=1)
        with pytest.raises(Refusal, match="agent_unreachable"):
            await again()(call(agent=AGENT._replace(replay="never")), agent)
        assert len(agent.calls) == 1

    async def test_replay_never_means_one_call_though_the_platform_answered(self, again, time):
        agent = Asleep(time, at=1, before=(503, "text/html", PAGE))
        reply = await again()(call(agent=AGENT._replace(replay="never")), agent)
        assert (reply.status, len(agent.calls)) == (503, 1)


class TestColdStart:
    async def test_an_agent_that_comes_up_after_20_seconds_runs_the_call_once_R08(self, again, time, notes):
        agent = Asleep(time, at=20)
        reply = await again()(call(), agent)
        assert (reply.status, agent.runs) == (200, 1)
        assert (
            len(agent.asked("POST")) == 4
        )  # three in quick succession, none of which left, and the one that ran
        assert 9 <= len(agent.asked("GET")) <= 11
        assert time.now <= 22
        assert notes.told["cold_start"] == "agent_unreachable"
        assert 18 <= notes.told["waited"] <= 22

    async def test_a_connect_timeout_is_long_enough_to_ask_at_once_R08(self, again, time):
        agent = Asleep(time, at=4, before="agent_connect_timeout")
        await again()(call(), agent)
        assert len(agent.asked("POST")) == 2

    async def test_a_platforms_page_counts_as_not_run_and_the_run_is_sent_once_more_R08(self, again, time):
        agent = Asleep(time, at=20, before=(503, "text/html", PAGE))
        reply = await again()(call(), agent)
        assert (reply.status, agent.runs) == (200, 1)
        assert len(agent.asked("POST")) == 2
        assert len(agent.asked("GET")) == 11

    async def test_a_second_page_goes_on_as_the_answer_R05(self, again, time):
        class Flapping(Asleep):
            async def __call__(self, call: Call) -> Reply:
                reply = await super().__call__(call)
                page = (503, headers(("Content-Type", "text/html")), Body(PAGE))
                return Reply(*page) if call.method == "POST" else reply

        agent = Flapping(time)
        reply = await again()(call(), agent)
        assert (reply.status, len(agent.asked("POST"))) == (503, 2)

    @pytest.mark.parametrize(
        "says",
        [
            (503, "application/json", b'{"detail": "overloaded"}'),
            (502, "text/html", b'{"detail": "app is starting"}'),
            (500, "text/html", PAGE),
        ],
    )
    async def test_an_agents_own_failure_is_never_called_again_R05(self, again, time, says):
        agent = Asleep(time, at=99, before=says)
        reply = await again()(call(), agent)
        assert (reply.status, len(agent.calls)) == (says[0], 1)

    async def test_a_503_with_retry_after_and_an_idempotency_key_is_no_exception_R05(self, again, time):
        busy = (503, "application/json", b'{"detail": "busy"}', ("Retry-After", "1"))
        agent = Asleep(time, at=99, before=busy)
        reply = await again()(call(idempotency_key="k"), agent)
        assert (reply.status, len(agent.calls)) == (503, 1)

    async def test_a_page_with_a_header_of_the_agents_own_is_the_agents_R05(self, again, time):
        middleware = again()
        own = (200, "application/json", b"{}", ("X-Mlflow-Trace-Id", "tr-1"))
        await middleware(call(), Asleep(time, after=own))
        time.now += 400
        agent = Asleep(time, at=9999, before=(503, "text/html", PAGE, ("x-mlflow-trace-id", "tr-2")))
        assert (await middleware(call(), agent)).status == 503
        assert len(agent.calls) == 1

    async def test_an_unknown_page_counts_only_after_5_silent_minutes(self, again, time):
        middleware = again()
        await middleware(call(), Asleep(time))
        unknown = (502, "text/html", b"<h1>Bad Gateway</h1>")
        time.now += 299
        agent = Asleep(time, at=time.now + 9, before=unknown)
        assert (await middleware(call(), agent)).status == 502
        time.now += 1
        agent = Asleep(time, at=time.now + 9, before=unknown)
        assert (await middleware(call(), agent)).status == 200
        assert agent.runs == 1

    async def test_health_is_asked_where_there_is_no_agent_info(self, again, time):
        class Plain(Asleep):
            async def __call__(self, call: Call) -> Reply:
                reply = await super().__call__(call)
                return reply._replace(status=404) if call.target == "/agent/info" else reply

        agent = Plain(time, at=3, before=(503, "text/html", PAGE))
        assert (await again()(call(), agent)).status == 200
        assert agent.asked("GET")[-2:] == ["/agent/info", "/health"]

    async def test_an_agent_that_knows_neither_path_is_there_all_the_same(self, again, time):
        class Bare(Asleep):
            async def __call__(self, call: Call) -> Reply:
                reply = await super().__call__(call)
                return reply._replace(status=404) if call.method == "GET" and reply.status == 200 else reply

        agent = Bare(time, at=3, before=(503, "text/html", PAGE))
        assert (await again()(call(), agent)).status == 200
        assert agent.runs == 1

    async def test_the_question_carries_no_body_and_nothing_that_names_the_run(self, again, time):
        agent = Asleep(time, at=3)
        named = {"content_type": "application/json", "idempotency_key": "k", "x_request_id": "id"}
        await again()(call(**named), agent)
        question = next(made for made in agent.calls if made.method == "GET")
        assert dict(question.headers) == {"accept": "application/json", "x-request-id": "id"}
        assert (question.body.raw, question.wants_stream) == (b"", None)

    async def test_a_credential_that_is_missing_ends_the_wait_at_once(self, again, time):
        class Locked(Asleep):
            async def __call__(self, call: Call) -> Reply:
                if call.method == "GET":
                    raise Refusal(503, "credential_unavailable", sent="none", retry_after=9)
                return await super().__call__(call)

        with pytest.raises(Refusal, match="credential_unavailable"):
            await again()(call(), Locked(time, at=99))
        assert time.now < 5

    async def test_an_agent_that_answers_questions_but_refuses_runs_is_not_hammered(self, again, time):
        class Halfway(Asleep):
            async def __call__(self, call: Call) -> Reply:
                self.at = 999 if call.method == "POST" else 0
                return await super().__call__(call)

        agent = Halfway(time)
        with pytest.raises(Refusal, match="agent_unavailable"):
            await again()(call(), agent)
        assert 55 <= time.now <= 62
        assert len(agent.calls) < 200


class TestGivingUp:
    async def test_a_stopped_agent_is_given_up_after_the_budget_with_the_next_step_R09(self, again, time):
        agent = Asleep(time, at=9999)
        with pytest.raises(Refusal) as refused:
            await again()(call(), agent)
        told = refused.value
        assert (told.status, told.code, told.sent) == (503, "agent_unavailable", "none")
        assert told.retry_after
        assert told.detail == "There is nobody. It was waited for 60 s."
        assert told.hint == "Start it."
        assert 55 <= time.now <= 60
        assert agent.runs == 0

    async def test_behind_a_platforms_page_the_hint_says_how_to_start_the_app_R09(self, again, time):
        agent = Asleep(time, at=9999, before=(503, "text/html", PAGE))
        with pytest.raises(Refusal) as refused:
            await again()(call(), agent)
        assert refused.value.code == "agent_unavailable"
        assert "databricks apps start agent" in refused.value.hint
        assert len(agent.asked("POST")) == 1

    async def test_a_budget_that_is_spent_while_a_question_hangs_is_spent(self, notes):
        class Hanging(Asleep):
            async def __call__(self, call: Call) -> Reply:
                return await (asyncio.Future() if call.method == "GET" else super().__call__(call))

        middleware = retry(notes, budget=0.05)
        with pytest.raises(Refusal, match="agent_unavailable"):
            await middleware(call(), Hanging(Time(), at=99))


class TestWaitingTogether:
    async def test_callers_of_one_agent_share_one_question_R08(self, again, time):
        agent, middleware = Asleep(time, at=20), again()
        replies = await asyncio.gather(*(middleware(call(), agent) for _ in range(50)))
        assert {reply.status for reply in replies} == {200}
        assert agent.runs == 50
        assert len(agent.asked("GET")) <= 11

    async def test_the_operator_sees_one_line_for_all_of_them(self, again, time, caplog):
        agent, middleware = Asleep(time, at=20), again()
        with caplog.at_level(logging.WARNING):
            await asyncio.gather(*(middleware(call(), agent) for _ in range(10)))
        assert [record.getMessage() for record in caplog.records] == [
            "agent default does not answer (agent_unreachable): waiting up to 60 s for it"
        ]

    async def test_one_more_than_may_wait_is_told_so_at_once(self, again, time):
        agent, middleware = Asleep(time, at=20), again(waiting=8)
        told = await asyncio.gather(*(middleware(call(), agent) for _ in range(9)), return_exceptions=True)
        refused = [one for one in told if isinstance(one, Refusal)]
        assert [(one.status, one.code) for one in refused] == [(503, "overloaded")]
        assert refused[0].retry_after
        assert agent.runs == 8
        assert (await middleware(call(), agent)).status == 200  # the room is free again

    async def test_another_agent_is_not_waited_for(self, again, time):
        middleware = again()
        stuck = asyncio.create_task(middleware(call(), Asleep(time, at=1e9)))
        other = call(agent=AGENT._replace(name="other"))
        assert (await middleware(other, Asleep(time))).status == 200
        with pytest.raises(Refusal, match="agent_unavailable"):
            await stuck

    async def test_when_the_one_who_asks_leaves_another_goes_on_asking(self, again, time):
        class Counting(Asleep):
            async def __call__(self, call: Call) -> Reply:
                if len(self.asked("GET")) == 3:
                    third.set()
                return await super().__call__(call)

        third, agent, middleware = asyncio.Event(), Counting(time, at=1e9), again()
        first = asyncio.create_task(middleware(call(x_request_id="first"), agent))
        second = asyncio.create_task(middleware(call(x_request_id="second"), agent))
        await third.wait()
        first.cancel()
        agent.at = time.now + 6
        assert (await second).status == 200
        with pytest.raises(asyncio.CancelledError):
            await first
        asking = [made.headers["x-request-id"] for made in agent.calls if made.method == "GET"]
        assert (asking[0], asking[-1]) == ("first", "second")
        assert agent.runs == 1


class TestRelays:
    async def test_a_relay_is_sent_again_only_where_nothing_was_sent(self, again, time):
        agent = Asleep(time, at=1)
        reply = await again()(call(wants_stream=None, method="GET"), agent)
        assert (reply.status, len(agent.calls)) == (200, 3)
        page = Asleep(time, at=99, before=(503, "text/html", PAGE))
        assert (await again()(call(wants_stream=None), page)).status == 503
        assert len(page.calls) == 1

    async def test_an_upload_that_nobody_has_read_can_still_be_sent(self, again, time):
        class Reading(Asleep):
            async def __call__(self, call: Call) -> Reply:
                reply = await super().__call__(call)
                self.read = [chunk async for chunk in call.body.chunks()]
                return reply

        agent = Reading(time, at=1)
        reply = await again()(call(wants_stream=None, body=Uploading()), agent)
        assert (reply.status, agent.runs, agent.read) == (200, 1, [b"once"])

    async def test_an_upload_whose_reading_has_begun_is_not(self, again, time):
        class Reading(Asleep):
            async def __call__(self, call: Call) -> Reply:
                async for _ in call.body.chunks():
                    break
                return await super().__call__(call)

        agent = Reading(time, at=1)
        with pytest.raises(Refusal, match="agent_unreachable"):
            await again()(call(wants_stream=None, body=Uploading()), agent)
        assert len(agent.calls) == 1

    async def test_relays_pass_here(self, again):
        assert again().relays
