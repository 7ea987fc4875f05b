"""What a plug-in is handed at start."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from middleware.exchange import Headers
from middleware.observe import Recorder
from policies.agent import Agent


class Agents(Protocol):
    """The agents that are known now."""

    def get(self, name: str) -> Agent | None: ...

    def __iter__(self) -> Iterator[Agent]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Kit:
    """Given once to a plug-in's constructor.

    `env`       this plug-in's own variables: `SIDECAR_PLUGIN_<NAME>__URL` is `env["URL"]`
    `agents`    the agents that are known
    `recorder`  to note a fact about a call
    `headers`   the headers with which a call to this agent would leave; never a secret
    `stack`     enter what has to be closed when the process ends
    """

    env: Mapping[str, str]
    agents: Agents
    recorder: Recorder
    headers: Callable[[Agent], Headers]
    stack: AsyncExitStack
