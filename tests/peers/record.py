"""Records what the real mlflow AgentServer answers: `PYTHONPATH=tests .venv/bin/python -m peers.record`.

One file per exchange of `exchanges.EXCHANGES`, in `recorded/`. Needs the environment that `make peers` makes.
"""

import asyncio
import json
import tempfile
from pathlib import Path

from peers import running
from peers.exchanges import EXCHANGES, RECORDED, answer

PYTHON = Path(__file__).resolve().parents[2] / ".peers/bin/python"
PEER = {
    "responses": 'mlflow 3.17.2, AgentServer("ResponsesAgent")',
    "plain": "mlflow 3.17.2, AgentServer(None)",
}


async def record(urls: dict[str, str]) -> None:
    for exchange in EXCHANGES:
        request = {"method": exchange.method, "target": exchange.target, "headers": dict(exchange.headers)}
        told = {
            "peer": PEER[exchange.kind],
            "request": request | {"body": exchange.body},
            "answer": await answer(urls[exchange.kind], exchange),
        }
        exchange.file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    RECORDED.mkdir(exist_ok=True)
    for stale in RECORDED.glob("*.json"):
        stale.unlink()
    with tempfile.TemporaryDirectory() as folder, running.mlflow(PYTHON, Path(folder)) as urls:
        asyncio.run(record(urls))


if __name__ == "__main__":
    main()
