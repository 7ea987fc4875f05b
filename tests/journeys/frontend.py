"""A frontend that `sidecar run` starts in tests: it tells what it was given, and does what its arguments say.

python frontend.py [host=A] [port=N] [first] [ignore-term] [say=TEXT] [end=CODE] [daemon]
"""

import json
import os
import signal
import sys
import time
import urllib.request
from base64 import b64encode
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ASKED = dict(word.partition("=")[::2] for word in sys.argv[1:])
SLOWLY = {"input": [{"role": "user", "content": "slow 2 hello"}], "stream": False}
AT_ONCE = {"input": [{"role": "user", "content": "hello"}], "stream": False}


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/given":
            self.whole({"env": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd(), "path": sys.path})
        elif self.path == "/ask":
            self.whole(agent(SLOWLY))
        elif self.path == "/stream":
            with asked({"input": "silent mid-stream", "stream": True}) as answer:
                self.streamed(iter(answer.readline, b""))
        elif self.path == "/ticks":
            self.streamed(ticks())
        elif self.path == "/socket":
            self.socket()
        else:
            self.whole({"path": self.path})

    def whole(self, told):
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def streamed(self, chunks):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def socket(self):
        """A WebSocket that says nothing, and tells with which code it was closed."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", b64encode(sha1(key.encode()).digest()).decode())
        self.end_headers()
        _, size = self.rfile.read(2)
        mask = self.rfile.read(4) if size & 0x80 else bytes(4)
        code = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(size & 0x7F)))[:2]
        os.write(1, b"the socket was closed with %d\n" % int.from_bytes(code, "big"))
        self.close_connection = True

    def log_message(self, *_):
        pass


def ticks():
    while True:
        yield b'data: {"type":"tick"}\n\n'
        time.sleep(0.05)


def asked(body):
    """What the agent answers when the app's own server asks it."""
    url = os.environ["AGENT_APP_URL"].rstrip("/") + "/invocations"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=20)


def agent(body):
    with asked(body) as answer:
        return json.load(answer)


def daemon():
    """Somebody whose parent goes, and who then ends."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.2)
        os._exit(0)
    os.wait()


if "ignore-term" in ASKED:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "first" in ASKED:
    agent(AT_ONCE)
if "say" in ASKED:
    os.write(1, ASKED["say"].encode() + b"\n")
if "end" in ASKED:
    sys.exit(int(ASKED["end"]))
if "daemon" in ASKED:
    daemon()
App.server = ThreadingHTTPServer(
    (ASKED.get("host") or "127.0.0.1", int(ASKED.get("port") or os.environ["PORT"])), App
)
App.server.daemon_threads = True
App.server.serve_forever()
