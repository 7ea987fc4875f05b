"""The one list of middleware: what `default` stands for in it, and what such a list must hold."""

from collections.abc import Iterator, Sequence
from typing import Final

DEFAULT: Final = ("access", "contract", "streaming", "outbound", "retry", "credentials")  # outermost first
REQUIRED: Final = {
    "access": "anybody may call any agent",
    "contract": "bodies go on unjudged",
    "outbound": "plain chat is not told in the agent's tongue",
    "credentials": "calls leave without a bearer and without the user's identity",
}
RELAYS: Final = frozenset({"access", "outbound", "retry", "credentials"})  # act on relays too


def order(asked: Sequence[str], without: Sequence[str] = ()) -> tuple[str, ...]:
    """The names in the order in which they stand, outermost first.

    `default` becomes the members that are neither named elsewhere in the list nor given up by `without`.
    """
    left = [name for name in DEFAULT if name not in asked and name not in without]
    return tuple(name for member in asked for name in (left if member == "default" else [member]))


def objections(asked: Sequence[str], without: Sequence[str] = ()) -> list[str]:
    """What is wrong with the list, a sentence each; empty is good."""
    return [*_twice(asked), *_given_up(asked, without), *_behind_credentials(order(asked, without))]


def _twice(asked: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys(asked):
        if (times := asked.count(name)) > 1:
            yield f"SIDECAR_MIDDLEWARE names {name!r} {times} times; once is enough."


def _given_up(asked: Sequence[str], without: Sequence[str]) -> Iterator[str]:
    standing = order(asked, without)
    for name, consequence in REQUIRED.items():
        if name not in standing and name not in without:
            yield (
                f"SIDECAR_MIDDLEWARE holds no {name!r}, without which {consequence}: "
                f"add it (or `default`), or say SIDECAR_WITHOUT={name}."
            )
    for name in without:
        if name not in DEFAULT:
            yield f"SIDECAR_WITHOUT names {name!r}; it may name {', '.join(DEFAULT)}."
        elif name in asked:
            yield f"SIDECAR_WITHOUT gives up {name!r}, and SIDECAR_MIDDLEWARE names it: drop one."


def _behind_credentials(standing: Sequence[str]) -> Iterator[str]:
    if "credentials" not in standing:
        return
    for name in standing[standing.index("credentials") + 1 :]:
        if name not in DEFAULT:
            yield (
                f"SIDECAR_MIDDLEWARE puts {name!r} behind `credentials`, where it would read every bearer: "
                f"put it before."
            )
