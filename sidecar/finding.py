"""Puts together what finds agents: the settings' snapshot, the workspace's apps, Unity Catalog."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from middleware.chain import compose
from middleware.credentials import credentials
from middleware.exchange import Call, Handler, Reply
from middleware.observe import Recorder
from policies.agent import Agent
from policies.connections import Registered
from sidecar.agents import Snapshot, at
from sidecar.control import Control
from sidecar.registry import Registry
from sidecar.settings import Settings
from sidecar.settling import Settling
from sidecar.tokens.configured import APP, carried
from sidecar.tokens.source import Tokens
from sidecar.unity import Catalog
from sidecar.unity.answers import Answers
from sidecar.unity.questions import Questions


def registry(
    settings: Settings,
    snapshot: Snapshot,
    tokens: Tokens,
    wire: Handler,
    recorder: Recorder,
    warn: Callable[[str], None],
    stack: AsyncExitStack,
) -> Registry:
    """The registry of one process, with all it asks; what it opens is closed by `stack`."""
    control = Control()
    stack.push_async_callback(control.aclose)
    settle = Settling(
        settings.workspace,
        control,
        compose([credentials(tokens, recorder)], wire),
        partial(tokens.bearer, Agent("", "", auth="app", credential=APP)),
        partial(at, settings),
    )
    shelf = None
    if settings.uc_discovery and settings.workspace_host:
        answers = Answers()
        stack.push_async_callback(answers.aclose)
        questions = Questions(settings.workspace_host, control, answers)
        shelf = Catalog(questions, settings.uc_suffix, frozenset(settings.uc_origins), settings.workspace)
    one = Registry(snapshot, settle=settle, shelf=shelf, adopt=partial(adopted, tokens), warn=warn)
    stack.push_async_callback(one.aclose)
    return one


def adopted(tokens: Tokens, registered: Registered) -> Agent:
    """The agent, and the name under which its credential is kept: never that of an agent of the settings."""
    credential = carried(registered)
    return registered.agent._replace(credential=APP if credential is None else tokens.learn(credential))


def by_reach(wire: Handler, outside: Handler) -> Handler:
    """Agents that somebody else named are reached at public addresses only."""

    def handler(call: Call) -> Awaitable[Reply]:
        return (outside if call.agent.public else wire)(call)

    return handler
