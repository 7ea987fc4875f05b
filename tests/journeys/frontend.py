"""A frontend that `sidecar run` starts in tests: it tells what it was given, and does what its arguments say.

python frontend.py [port=N] [first] [ignore-term] [say=TEXT] [end=CODE] [daemon]
"""

import json
import os
import signal
import sys
import time
import urllib.request
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
        elif self.path in ("/ticks", "/bytes"):
            self.endless("text/event-stream" if self.path == "/ticks" else "application/octet-stream")
        else:
            self.whole({"path": self.path})

    def whole(self, told):
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def endless(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            frame = b'data: {"type":"tick"}\n\n'
            self.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))
            time.sleep(0.05)

    def log_message(self, *_):
        pass


def agent(body):
    """What the agent says when the app's own server asks it."""
    url = os.environ["AGENT_APP_URL"].rstrip("/") + "/invocations"
    asked = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
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
App.server = ThreadingHTTPServer(("127.0.0.1", int(ASKED.get("port") or os.environ["PORT"])), App)
App.server.daemon_threads = True
App.server.serve_forever()
