"""A chat with the agent app at AGENT_APP_URL, for whoever looks at it; a file can be sent along as text."""

import json
import os
from collections.abc import Iterator

import requests
import streamlit as st

ABOUT_THE_USER = ("x-forwarded-access-token", "x-forwarded-email")


def told(messages: list[dict[str, str]]) -> Iterator[str]:
    """The agent's words, as they arrive."""
    seen = {name.lower(): value for name, value in st.context.headers.items()}
    headers = {name: seen[name] for name in ABOUT_THE_USER if name in seen}
    answer = requests.post(
        f"{os.environ['AGENT_APP_URL']}/invocations",
        json={"input": messages, "stream": True},
        headers=headers,
        stream=True,
        timeout=120,
    )
    if not answer.ok:
        yield f"{answer.status_code}: {answer.text}"
    for line in answer.iter_lines(chunk_size=1):
        if line.startswith(b"data: {"):
            yield json.loads(line[6:]).get("delta") or ""


st.title("Chat")
said = st.session_state.setdefault("said", [])
for message in said:
    st.chat_message(message["role"]).write(message["content"])

file = st.file_uploader("A text to ask about")
if file is not None:
    st.caption(f"{file.name} is here: {file.size} bytes")
if question := st.chat_input("Question"):
    if file is not None:
        question += f"\n{len(file.getvalue())} bytes came along"
    st.chat_message("user").write(question)
    said.append({"role": "user", "content": question})
    said.append({"role": "assistant", "content": st.chat_message("assistant").write_stream(told(said))})
