"""One table: the sidecar with everything on, a bare aiohttp proxy, Express + fetch. `python -m bench [--seconds N]`.

All targets are measured in turn, several rounds, and ratios are taken inside each round; the median of the
ratios is printed. The proxy has one core to itself where `taskset` and a second core are there.
"""

import argparse
import asyncio
import json
import statistics
import sys
from pathlib import Path

import uvloop

from bench import load, targets

ROWS = {
    "requests": ("requests/s, 1 KiB JSON, 64 connections", "{:,.0f}"),
    "cpu_request": ("CPU per request, µs", "{:.0f}"),
    "p50_64": ("p50 at 64 connections, ms", "{:.2f}"),
    "p99_64": ("p99 at 64 connections, ms", "{:.2f}"),
    "p50_1": ("p50 at 1 connection, ms", "{:.3f}"),
    "p99_1": ("p99 at 1 connection, ms", "{:.3f}"),
    "first": ("time to first event, p50, ms", "{:.2f}"),
    "cpu_event": ("CPU per event at 10,000 events/s, µs", "{:.1f}"),
    "events": ("events/s flat out, 8 streams", "{:,.0f}"),
    "memory": ("memory with 1,000 open streams, MiB", "{:.0f}"),
    "idle": ("memory at start, MiB", "{:.0f}"),
    "ready": ("exec to accepting, s", "{:.2f}"),
}


async def measured(target: targets.Target, seconds: float, last: bool) -> dict[str, float]:
    got: dict[str, float] = {"ready": target.ready, "idle": target.memory()}
    await load.unary(target.port, 8, 0.3)  # warm
    before = target.cpu()
    many = await load.unary(target.port, 64, seconds)
    got |= {"requests": many.rate, "p50_64": many.p50 * 1e3, "p99_64": many.p99 * 1e3}
    got["cpu_request"] = (target.cpu() - before) / (many.rate * seconds) * 1e6
    one = await load.unary(target.port, 1, seconds / 2)
    got |= {"p50_1": one.p50 * 1e3, "p99_1": one.p99 * 1e3}
    before = target.cpu()
    count, _, first = await load.streams(target.port, 100, int(100 * seconds), 0.01)
    got |= {"cpu_event": (target.cpu() - before) / count * 1e6, "first": first[len(first) // 2] * 1e3}
    count, took, _ = await load.streams(target.port, 8, 40_000, 0)
    got["events"] = count / took
    if last:
        open_streams = asyncio.create_task(load.streams(target.port, 1000, 4, 1.0))
        await asyncio.sleep(2.5)
        got["memory"] = target.memory()
        await open_streams
    return got


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("--seconds", type=float, default=3.0, help="of load per measurement (3)")
    options.add_argument("--rounds", type=int, default=3, help="rounds over all targets (3)")
    options.add_argument(
        "--only", default="bare,sidecar,express", help="which targets, the first is the measure"
    )
    options.add_argument("--json", type=Path, help="also write all figures there")
    chosen = options.parse_args()
    names = []
    for name in chosen.only.split(","):
        if why := targets.available(name):
            print(f"without {name}: {why}", file=sys.stderr)
        else:
            names.append(name)
    rounds: list[dict[str, dict[str, float]]] = []
    with targets.stub() as agent:
        for number in range(chosen.rounds):
            row = {}
            for name in names:
                print(f"round {number + 1} of {chosen.rounds}: {name} …", file=sys.stderr, flush=True)
                with targets.target(name, agent) as target:
                    row[name] = uvloop.run(measured(target, chosen.seconds, number == chosen.rounds - 1))
            rounds.append(row)
    table(names, rounds)
    if chosen.json:
        chosen.json.write_text(json.dumps(rounds, indent=1))


def table(names: list[str], rounds: list[dict[str, dict[str, float]]]) -> None:
    measure = names[0]
    heads = [*names, *(f"{name} / {measure}" for name in names[1:])]
    print("| |" + "|".join(heads) + "|\n|---|" + "---:|" * len(heads))
    for key, (label, form) in ROWS.items():
        cells = []
        for name in names:
            values = [row[name][key] for row in rounds if key in row[name]]
            cells.append(form.format(statistics.median(values)) if values else "")
        for name in names[1:]:
            ratios = [
                row[name][key] / row[measure][key]
                for row in rounds
                if key in row[name] and row[measure].get(key)
            ]
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "")
        print(f"| {label} |" + "|".join(cells) + "|")


if __name__ == "__main__":
    main()
