"""The exchanges of which a recording of the real server exists, and how two answers are compared."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

RECORDED = Path(__file__).resolve().parent / "recorded"


class Exchange(NamedTuple):
    name: str
    kind: str  # responses | plain
    body: str = ""
    method: str = "POST"
    target: str = "/invocations"
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def file(self) -> Path:
        return RECORDED / f"{self.kind}-{self.name}.json"


def asked(text: str, *, shape: str = "input", **more: Any) -> str:
    return json.dumps({shape: [{"role": "user", "content": text}], **more}, ensure_ascii=False)


TRACED = {"x-mlflow-return-trace-id": "true"}

EXCHANGES = (
    Exchange("streamed", "responses", asked("Grüße 👋", stream=True)),
    Exchange("whole", "responses", asked("Grüße 👋")),
    Exchange("at-responses", "responses", asked("hello", stream=True), target="/responses"),
    Exchange("traced-streamed", "responses", asked("hello", stream=True), headers=TRACED),
    Exchange("traced-whole", "responses", asked("hello"), headers=TRACED),
    Exchange("tool-streamed", "responses", asked("tool", stream=True)),
    Exchange("tool-whole", "responses", asked("tool")),
    Exchange("nothing-streamed", "responses", asked("nothing", stream=True)),
    Exchange("nothing-whole", "responses", asked("nothing")),
    Exchange("fail-streamed", "responses", asked("fail", stream=True)),
    Exchange("fail-midstream", "responses", asked("fail mid-stream", stream=True), headers=TRACED),
    Exchange("fail-whole", "responses", asked("fail")),
    Exchange("stream-is-a-word", "responses", asked("hello", stream="false")),
    Exchange("stream-is-zero", "responses", asked("hello", stream=0)),
    Exchange("both-keys", "responses", asked("hello", messages=[{"role": "user", "content": "no"}])),
    Exchange(
        "parts", "responses", '{"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]}'
    ),
    Exchange(
        "history", "responses", '{"input":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}'
    ),
    Exchange("string-input", "responses", '{"input":"hello"}'),
    Exchange("messages", "responses", asked("hello", shape="messages", stream=True)),
    Exchange("no-body", "responses"),
    Exchange("broken-json", "responses", '{"input": ['),
    Exchange("array", "responses", "[]"),
    Exchange("health", "responses", method="GET", target="/health"),
    Exchange("info", "responses", method="GET", target="/agent/info"),
    Exchange("unknown-path", "responses", method="GET", target="/v1/models"),
    Exchange("post-to-health", "responses", target="/health"),
    Exchange("get-invocations", "responses", method="GET"),
    Exchange("slash", "responses", asked("hello"), target="/invocations/"),
    Exchange("streamed", "plain", asked("hello", stream=True), headers=TRACED),
    Exchange("whole", "plain", asked("hello"), headers=TRACED),
    Exchange("string-input", "plain", '{"input":"hello","stream":true}'),
    Exchange("messages-streamed", "plain", asked("hello", shape="messages", stream=True)),
    Exchange("messages-whole", "plain", asked("hello", shape="messages")),
    Exchange("messages-fail-midstream", "plain", asked("fail mid-stream", shape="messages", stream=True)),
    Exchange("neither-key-streamed", "plain", '{"stream":true}'),
    Exchange("neither-key-whole", "plain", "{}"),
    Exchange("at-responses", "plain", asked("hello"), target="/responses"),
    Exchange("info", "plain", method="GET", target="/agent/info"),
)


async def answer(url: str, exchange: Exchange) -> dict[str, Any]:
    """Makes the exchange: status, headers by lower-case name, and the body in the HTTP chunks it came in."""
    async with (
        aiohttp.ClientSession(skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent")) as session,
        session.request(
            exchange.method,
            URL(url + exchange.target, encoded=True),
            data=exchange.body.encode() or None,
            headers={"Content-Type": "application/json"} | dict(exchange.headers),
            allow_redirects=False,
        ) as response,
    ):
        chunks, part = [], b""
        async for piece, ends in response.content.iter_chunks():
            part += piece
            if ends:
                chunks, part = [*chunks, part.decode()], b""
        headers = {name.lower(): value for name, value in response.headers.items()}
        return neutral(
            {"status": response.status, "headers": headers, "chunks": [*chunks, part.decode()]}, url
        )


def neutral(answer: dict[str, Any], url: str) -> dict[str, Any]:
    """Without what no two answers share: the date, ids, the port."""
    headers = {
        name: value.replace(url, "") for name, value in sorted(answer["headers"].items()) if name != "date"
    }
    chunks = [re.sub(r"tr-[0-9a-f]{32}", "tr-" + "0" * 32, chunk) for chunk in answer["chunks"]]
    return {"status": answer["status"], "headers": headers, "chunks": [chunk for chunk in chunks if chunk]}


def recorded(exchange: Exchange) -> dict[str, Any]:
    return json.loads(exchange.file.read_text())["answer"]
