"""One table: the sidecar with everything on, and what people run instead. `python -m bench --help`.

All targets are up at once on the first core, agent and load on the last one. Short slices alternate, each peer
between two slices of the sidecar; a ratio is taken inside such a pair, and medians are printed with quartiles.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import instructions, rows, table
from bench.programs import language
from bench.running import Running, apart
from bench.slices import Slice, alternated, measured
from bench.targets import agent, missing, target

Slices = dict[str, list[tuple[str, Slice]]]
Lives = dict[str, list[dict[str, float]]]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.7, help="of load in a slice (0.7)")
    parser.add_argument("--rounds", type=int, default=8, help="slices of each peer (8)")
    parser.add_argument("--starts", type=int, default=3, help="fresh starts of each (3)")
    parser.add_argument("--only", help="which targets; the first is set beside each of the others")
    parser.add_argument("--scenarios", help="which: many,one,first,paced,translated,flood; pages,download,…")
    parser.add_argument("--front", action="store_true", help="the front door before an app, instead of chats")
    parser.add_argument(
        "--instructions", type=int, nargs="?", const=1600, metavar="N",
        help="instead: count instructions by valgrind, for N requests (1600)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write all figures there")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    default = "sidecar,source,bare,nginx" if chosen.front else "sidecar,source,bare,express,nginx,envoy"
    if chosen.instructions:
        wanted = (chosen.only or ",".join(instructions.COUNTED)).split(",")
        print(instructions.table(wanted, chosen.instructions, say))
        return
    names = present((chosen.only or default).split(","))
    every = rows.FRONT if chosen.front else rows.SCENARIOS
    loads = chosen.scenarios.split(",") if chosen.scenarios else [one.name for one in every]
    scenarios = [one for one in every if one.name in loads]
    pinned = apart()
    where = machine(pinned)
    say(f"agent and load in {language()}" + ("" if pinned else "; all on the same cores, so expect noise"))
    with agent() as port:
        lives = started(names, port, chosen.front, 0 if chosen.front or chosen.scenarios else chosen.starts)
        with ExitStack() as stack:
            up = [stack.enter_context(target(name, port, front=chosen.front)) for name in names]
            slices = loaded(up, scenarios, chosen.rounds, chosen.seconds)
    figures = {
        "machine": where,
        "front": chosen.front,
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "targets": names,
        "rows": table.figures(names, scenarios, slices, lives),
    }
    print(table.markdown(figures))
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n")


def present(names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        if why := missing(name):
            say(f"without {name}: {why}")
        else:
            found.append(name)
    return found


def started(names: Sequence[str], port: int, front: bool, starts: int) -> Lives:
    """What a fresh start of each shows: how long it takes, and what it holds."""
    lives: Lives = {name: [] for name in names}
    for number in range(starts):
        for name in names:
            say(f"start {number + 1} of {starts}: {name}")
            with target(name, port, front=front) as one:
                life = {"ready": one.ready, "memory": one.memory()}
                measured(one, rows.WAKE, 0.3)
                before = one.memory()
                held = measured(one, rows.HELD, 0.5).peak
                lives[name].append(life | {"memory_1000": before + held, "kib_stream": held * 1024 / 1000})
    return lives


def loaded(up: Sequence[Running], scenarios: Sequence[rows.Scenario], rounds: int, seconds: float) -> Slices:
    for one in up:  # compilers, caches, pools
        measured(one, scenarios[0].load, 1.5)
    slices: Slices = {}
    for scenario in scenarios:
        say(f"{scenario.name} …")
        these = [one for one in up if not scenario.only or one.name in scenario.only]
        for one in these if not scenario.load.watched else ():
            measured(one, scenario.load, 0.3)
        turns = [(one.name, one, scenario.load) for one in these]
        if scenario.over:
            turns.append((table.OVER, these[0], scenario.over))
        slices[scenario.name] = [
            (name, measured(one, load, seconds)) for name, one, load in alternated(turns, rounds)
        ]
    return slices


def machine(pinned: bool) -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "pinned": pinned,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": language(),
        "busy": round(os.getloadavg()[0], 1),
    }


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
