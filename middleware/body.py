"""A body that is whole: bytes and their JSON value."""

from typing import Any

import orjson


class Body:
    """Bytes and their JSON value, each made from the other at most once. Never edited: make another."""

    __slots__ = ("_raw", "_value")

    def __init__(self, raw: bytes | None = None, *, value: Any = ...) -> None:
        self._raw = raw
        self._value = value

    @property
    def raw(self) -> bytes:
        if self._raw is None:
            self._raw = orjson.dumps(self._value)
        return self._raw

    @property
    def value(self) -> Any:
        """The JSON value; ValueError where the bytes are not JSON."""
        if self._value is ...:
            self._value = orjson.loads(self._raw or b"")
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Body) and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Body({len(self.raw)} bytes)"  # never the text: it is somebody's words


EMPTY = Body(b"")
