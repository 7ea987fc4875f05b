"""A chat page and the one route behind it: the question goes to the agent app at AGENT_APP_URL, for its user."""

import os

import requests
from flask import Flask, Response, request, send_file

ABOUT_THE_USER = ("x-forwarded-access-token", "x-forwarded-email")

app = Flask(__name__)


@app.get("/")
def page() -> Response:
    return send_file("index.html")


@app.post("/api/chat")
def chat() -> Response:
    headers = {name: request.headers[name] for name in ABOUT_THE_USER if name in request.headers}
    answer = requests.post(
        f"{os.environ['AGENT_APP_URL']}/invocations",
        json=request.json,
        headers=headers,
        stream=True,
        timeout=120,
    )
    told = answer.raw.stream(decode_content=True)  # as it arrives, not in blocks
    return Response(told, answer.status_code, content_type=answer.headers.get("content-type"))
