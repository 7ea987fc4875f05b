"""How the text of a variable becomes a value: what all kinds share."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import BeforeValidator


class Accepts(NamedTuple):
    """What a person reads of a kind: in an error, and in docs/settings.md."""

    text: str
    unit: str = ""


def reads(parse: Callable[[str], Any]) -> BeforeValidator:
    """Parses what came as text; a value that code gave is left to the type."""
    return BeforeValidator(lambda given: parse(given.strip()) if isinstance(given, str) else given)


def each(parse: Callable[[str], Any]) -> BeforeValidator:
    """The members of a comma list, in order; an empty text is an empty list."""
    return reads(lambda text: tuple(parse(item) for part in text.split(",") if (item := part.strip())))


def grammar(pattern: str, what: str, *, fold: bool = False) -> Callable[[str], str]:
    """A parser for texts of one form; `fold` reads them in lower case."""
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        text = text.lower() if fold else text
        if compiled.fullmatch(text) is None:
            raise ValueError(f"{shown(text)} is no {what}")
        return text

    return parse


def shown(text: str) -> str:
    """A wrong value of a harmless kind, short enough for one line."""
    if not text.isprintable():
        return "its value"
    return f"`{text}`" if len(text) <= 40 else f"`{text[:40]}…`"


Lower = reads(str.lower)
"""Stands in front of a Literal: `ON` is `on`."""
