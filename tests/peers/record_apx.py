"""Records what a real agent made with apx answers: `PYTHONPATH=tests .venv/bin/python -m peers.record_apx`.

One file per question, in `recorded_apx/`: status, kind of answer, and the body as it came.
"""

import json
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from peers.running import HERE, end, ready, start

PYTHON: Final = HERE.parents[1] / ".peers-apx/bin/python"
RECORDED: Final = HERE / "recorded_apx"
HELLO: Final = [{"role": "user", "content": "hello there"}]
QUESTIONS: Final[dict[str, dict[str, Any]]] = {
    "streamed": {"input": HELLO, "stream": True},
    "tool-streamed": {"input": [{"role": "user", "content": "weather, please"}], "stream": True},
    "whole": {"input": HELLO},
    "string-input": {"input": "hello there"},
    "messages": {"messages": HELLO},
}


def asked(url: str, question: dict[str, Any]) -> dict[str, Any]:
    body, kind = json.dumps(question).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/responses", body, kind)
    try:
        answer = urllib.request.urlopen(request, timeout=120)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        told = {
            "status": answer.status,
            "type": answer.headers["Content-Type"],
            "body": answer.read().decode(),
        }
    return {"peer": "apx-agent 0.7.1", "question": question, "answer": told}


def main() -> None:
    RECORDED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        process = start(PYTHON, HERE / "made_with_apx.py", folder=Path(folder))
        try:
            url = ready(process, Path(folder))
            for name, question in QUESTIONS.items():
                told = json.dumps(asked(url, question), indent=1, ensure_ascii=False)
                (RECORDED / f"{name}.json").write_text(told + "\n")
        finally:
            end(process)


if __name__ == "__main__":
    main()
