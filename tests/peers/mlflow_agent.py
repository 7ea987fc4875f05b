"""A real mlflow AgentServer, run by the environment in .peers/: `mlflow_agent.py responses|plain`.

Written with mlflow's own constructors, as an author would, so that what is recorded from it is what an
author's agent says. Words in the last message choose what happens; `headers` tells all that was received, and
`until left: <text>` answers when somebody has left a stream that was asked for with that text.
Prints `ready <url>` when it listens, and ends when its stdin does, so that it never outlives the tests.
"""

import asyncio
import json
import re
import socket
import sys
import threading
from collections import defaultdict

import mlflow
import uvicorn
from mlflow.genai.agent_server import AgentServer, get_request_headers, invoke, stream
from mlflow.types.responses import (
    ResponsesAgentResponse,
    ResponsesAgentStreamEvent,
    create_function_call_item,
    create_function_call_output_item,
    create_text_delta,
    create_text_output_item,
)

MODES = {"responses": "ResponsesAgent", "plain": None}
FAILURE = "The model endpoint did not answer."
LEFT = defaultdict(asyncio.Event)  # by the text of the question


def said(body):
    """The last message's text. The plain server hands over the body as it came, in either shape."""
    turns = body["messages"] if "messages" in body else body["input"]
    content = turns if isinstance(turns, str) else turns[-1]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def answer(text):
    if "tool" in text:
        question, found = {"city": "Zürich"}, {"celsius": 21}
        yield create_function_call_item("fc_1", "call_1", "weather", json.dumps(question, ensure_ascii=False))
        yield create_function_call_output_item("call_1", json.dumps(found))
    if "headers" in text:
        yield create_text_output_item(json.dumps(get_request_headers()), "msg_1")
    elif "nothing" not in text:
        yield create_text_output_item(f"You said: {text}", "msg_1")


def events(text):
    if "fail" in text and "mid-stream" not in text:
        raise RuntimeError(FAILURE)
    for item in answer(text):
        if item["type"] == "message":
            for nth, piece in enumerate(re.findall(r"\S+\s*", item["content"][0]["text"])):
                if nth == 2 and "fail mid-stream" in text:
                    raise RuntimeError(FAILURE)
                yield create_text_delta(piece, item["id"])
        yield {"type": "response.output_item.done", "item": item}


def chunk(delta, why=None):
    choice = {"index": 0, "delta": delta, "finish_reason": why}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "sim",
        "choices": [choice],
    }


def chunks(text):
    """The same answer as an author tells it who speaks chat completions."""
    for event in events(text):
        if "delta" in event:
            yield chunk({"role": "assistant", "content": event["delta"]})
    yield chunk({}, "stop")


def completion(text):
    spoken = "".join(item["content"][0]["text"] for item in answer(text) if item["type"] == "message")
    choice = {"index": 0, "message": {"role": "assistant", "content": spoken}, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "sim",
        "choices": [choice],
    }


def author(mode):
    """Registers the two handlers, as mlflow wants it: once per process."""

    @invoke()
    async def whole(request):
        body = request if mode == "plain" else request.model_dump(exclude_none=True)
        text = said(body)
        if text.startswith("until left: "):
            await LEFT[text.removeprefix("until left: ")].wait()
        if "fail" in text:
            raise RuntimeError(FAILURE)
        if "messages" in body:
            return completion(text)
        return ResponsesAgentResponse(output=list(answer(text)))

    @stream()
    async def streamed(request):
        body = request if mode == "plain" else request.model_dump(exclude_none=True)
        text, speaks_chat = said(body), "messages" in body
        again = chunk({"content": "again "}) if speaks_chat else create_text_delta("again ", "msg_1")
        try:
            for event in chunks(text) if speaks_chat else events(text):
                yield event if speaks_chat else ResponsesAgentStreamEvent(**event)
                while "forever" in text:
                    await asyncio.sleep(0.05)
                    yield again if speaks_chat else ResponsesAgentStreamEvent(**again)
        except (asyncio.CancelledError, GeneratorExit):
            LEFT[text].set()
            raise


async def main(mode):
    author(mode)
    with mlflow.start_span(
        "first"
    ):  # makes the database of traces; nobody's first answer shall wait for that
        pass
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(AgentServer(MODES[mode]).app, log_level="warning"))

    def watch():
        sys.stdin.read()
        server.should_exit = server.force_exit = True

    threading.Thread(target=watch, daemon=True).start()
    sys.stdout.write(f"ready http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve(sockets=[listener])


asyncio.run(main(sys.argv[1]))
