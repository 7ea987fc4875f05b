"""When an agent is asked for a stream."""


def ask(wanted: bool, permitted: str) -> bool:
    """Whether to ask: where the caller wants one, and the agent is not said to have none.

    `permitted` is the agent's STREAMING: `auto` and `on` ask, `off` never does.
    """
    return wanted and permitted != "off"
