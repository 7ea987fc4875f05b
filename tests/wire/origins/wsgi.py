"""An agent on gunicorn with threads, a process of its own: prints `ready <url>`."""

import json
import sys
import time
from collections import Counter
from threading import Event

from gunicorn.app.base import BaseApplication

JSON = ("Content-Type", "application/json")
runs: Counter[str] = Counter()
gates: dict[str, Event] = {}


def app(environ, start):
    path, method, query = environ["PATH_INFO"], environ["REQUEST_METHOD"], environ["QUERY_STRING"]
    gate = gates.setdefault(query, Event())
    if path == "/gated":
        gate.wait()
    size = 0
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
    runs[query] += 1
    match path:
        case "/early":
            environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
            return whole(start, {"length": size, "method": method})
        case "/echo" | "/gated":
            return whole(start, {"length": size, "method": method})
        case "/large":
            return whole(start, "x" * 2000)
        case "/chunked":
            start("200 OK", [JSON])
            return [b"[1", b", 2]"]
        case "/stream":
            start("200 OK", [("Content-Type", "text/event-stream")])
            return events()
        case "/nothing":
            start("204 No Content", [])
            return []
        case "/unchanged":
            start("304 Not Modified", [("ETag", '"1"')])
            return []
        case "/open":
            gate.set()
            start("204 No Content", [])
            return []
        case "/runs":
            return whole(start, runs)
    return whole(start, {}, "404 Not Found")


def events():
    for n in range(20):
        yield b"data: %d\n\n" % n
        time.sleep(0.001)


def whole(start, value, status="200 OK"):
    body = json.dumps(value).encode()
    start(status, [JSON, ("Content-Length", str(len(body)))])
    return [body]


class Server(BaseApplication):
    def load_config(self) -> None:
        given = {"bind": "127.0.0.1:0", "worker_class": "gthread", "threads": 16, "keepalive": 1}
        for name, value in (given | {"loglevel": "warning", "when_ready": ready}).items():
            self.cfg.set(name, value)

    def load(self):
        return app


def ready(arbiter) -> None:
    host, port = arbiter.LISTENERS[0].getsockname()
    sys.stdout.write(f"ready http://{host}:{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.argv[1:] = []
    Server().run()
