"""A real agent made with apx-agent 0.7, with one tool, before a model that is made up here: it says what it heard.

A question with the word `weather` has the tool called; what the tool gives back is told.
"""

import json
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Model(BaseHTTPRequestHandler):
    """As much of a model endpoint as the agent asks for."""

    def do_GET(self):
        self.told(b"{}", "application/json")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        delta, why = answer(asked)
        if asked.get("stream"):
            words = (delta["content"] or "").split()
            deltas = [{"role": "assistant", "content": f"{word} "} for word in words] or [delta]
            frames = [*(chunk(one) for one in deltas), chunk({}, why), "[DONE]"]
            self.told("".join(f"data: {frame}\n\n" for frame in frames).encode(), "text/event-stream")
        else:
            choice = {"index": 0, "message": delta, "finish_reason": why}
            whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
            self.told(json.dumps(whole).encode(), "application/json")

    def told(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing is worth a line."""


def answer(asked):
    last = [{"role": "user", "content": ""}, *asked["messages"]][-1]
    if last["role"] == "tool":
        return {"role": "assistant", "content": f"It is {last['content']}"}, "stop"
    if "weather" in last["content"] and asked.get("tools"):
        made = {"name": "weather", "arguments": '{"city":"Zürich"}'}
        call = {"index": 0, "id": "call_1", "type": "function", "function": made}
        return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    return {"role": "assistant", "content": f"You said: {last['content']}"}, "stop"


def chunk(delta, why=None):
    choice = {"index": 0, "delta": delta, "finish_reason": why}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return json.dumps(head | {"choices": [choice]})


def weather(city: str) -> str:
    """The weather in a city."""
    return f"21 degrees in {city}"


def main():
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    os.environ |= {
        "DATABRICKS_HOST": f"http://127.0.0.1:{model.server_port}",
        "DATABRICKS_TOKEN": "nobodys",
        "APX_AGENT_MLFLOW_AUTOLOG": "0",
    }
    import uvicorn
    from apx_agent import LlmAgent, create_app
    from apx_agent._models import AgentConfig

    config = AgentConfig(name="weather", description="Tells the weather.", model="made-up")
    app = create_app(LlmAgent(tools=[weather]), config=config)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))

    def watch():
        sys.stdin.read()
        server.should_exit = server.force_exit = True

    threading.Thread(target=watch, daemon=True).start()
    sys.stdout.write(f"ready http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


main()
