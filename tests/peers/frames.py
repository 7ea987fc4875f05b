"""What stands in the frames of a stream."""

import json
from typing import Any


def events(raw: bytes) -> list[Any]:
    """The JSON of each frame's data, `[DONE]` left out."""
    lines = [line.removeprefix(b"data: ") for line in raw.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]
