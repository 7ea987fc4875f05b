"""What the recipe's chat hook makes of an answer: its reading rules one for one, and nothing more lenient."""

import codecs
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

PREFIX = "data: "


def asks(*texts: str) -> dict[str, Any]:
    """What it posts: the whole history as `messages`, the last one the user's; it never says `stream`."""
    roles = ("user", "assistant")
    at = len(texts) - 1
    return {"messages": [{"role": roles[(at - i) % 2], "content": text} for i, text in enumerate(texts)]}


async def shows(answer: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The text that it appends to its page, piece by piece, as it arrives."""
    assert answer.ok, f"HTTP {answer.status}"
    decoder, buffer = codecs.getincrementaldecoder("utf-8")("replace"), ""
    async for chunk in answer.content.iter_any():
        buffer += decoder.decode(chunk)
        *blocks, buffer = buffer.split("\n\n")
        for block in blocks:
            line = next((line for line in block.split("\n") if line.startswith(PREFIX)), None)
            if line is not None and (text := delta(line.removeprefix(PREFIX))):
                yield text


def delta(payload: str) -> str:
    """`[DONE]`, what is no JSON, and every event but the two that it knows are nothing to it."""
    try:
        chunk = json.loads(payload)
        if chunk.get("type") == "response.output_text.delta":
            return chunk.get("delta") or ""
        return chunk["choices"][0]["delta"]["content"] or ""
    except (ValueError, AttributeError, KeyError, IndexError, TypeError):
        return ""


async def shown(answer: aiohttp.ClientResponse) -> list[str]:
    """All that it showed by the end."""
    return [text async for text in shows(answer)]
