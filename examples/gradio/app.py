"""A chat with the agent app at AGENT_APP_URL, for whoever looks at it; files can be sent along."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx

ABOUT_THE_USER = ("x-forwarded-access-token", "x-forwarded-email")


def told(message: dict[str, Any], history: list[dict[str, Any]], request: gr.Request) -> Iterator[str]:
    """The agent's words so far, each time there are more."""
    headers = {name: request.headers[name] for name in ABOUT_THE_USER if name in request.headers}
    text = message["text"] + "".join(
        f"\n{Path(file).stat().st_size} bytes came along" for file in message["files"]
    )
    asked = {"input": [{"role": "user", "content": text}], "stream": True}
    url = f"{os.environ['AGENT_APP_URL']}/invocations"
    with httpx.stream("POST", url, json=asked, headers=headers, timeout=120) as answer:
        if answer.is_error:
            yield f"{answer.status_code}: {answer.read().decode()}"
        words = ""
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                words += json.loads(line[6:]).get("delta") or ""
                yield words


gr.ChatInterface(told, multimodal=True, title="Chat").launch()
