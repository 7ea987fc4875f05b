"""Long runs, by `make soak`: 200 users at once whose calls must stay their own, then minutes on the wire.

50,000 questions (H17), and ten minutes of whole answers, streams, uploads, callers who leave or stall, and
connections that are spoilt on the way. `make soak ARGS="--calls 0 --minutes 1"` is shorter; `--seed` repeats a run.
What the sidecar logs goes to stdout, what comes of it to stderr. Exit 1 where an identity strayed, an agent worked
twice, memory or descriptors grew, or something was said to be unclosed.
"""

import argparse
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop
from journeys.crowd import USERS, crowd
from wire import soaking

ROUND = 5_000


async def users(questions: int, seed: int) -> list[str]:
    """What went wrong among so many questions."""
    say(f"{questions} questions of {USERS} users, seed {seed}")
    happened: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        async with crowd(Path(folder), seed) as one:
            one.app.telemetry.listen()
            for asked in range(ROUND, questions + ROUND, ROUND):
                began = time.monotonic()
                await one.asks(ROUND)
                happened += one.happened()
                if wrong := [*one.strays(), *one.twice()]:
                    return [*wrong[:20], f"{len(wrong)} in all; seed {seed}"]
                one.forget()
                rate = ROUND / (time.monotonic() - began)
                say(f"{asked:7} asked, {rate:.0f} a second, {resident():.0f} MiB at most")
    say(", ".join(f"{what} {often}" for what, often in happened.most_common()))
    say("each call was its own user's, and no question was worked on twice")
    return []


async def wire(minutes: float, rate: float, seed: int) -> list[str]:
    say(f"{minutes:g} minutes on the wire, {rate:g} calls a second, seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        return await soaking.soak(Path(folder), minutes, rate, seed, say)


def resident() -> float:
    """The most memory so far; agents and callers live in this process too."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    options.add_argument(
        "--calls", type=int, default=50_000, help="questions of the users (50000), 0 for none"
    )
    options.add_argument("--minutes", type=float, default=10, help="on the wire (10), 0 for none")
    options.add_argument("--rate", type=float, default=100, help="calls a second on the wire (100)")
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    chosen = options.parse_args()
    wrong = uvloop.run(users(chosen.calls, chosen.seed)) if chosen.calls else []
    if chosen.minutes and not wrong:
        wrong = uvloop.run(wire(chosen.minutes, chosen.rate, chosen.seed))
    say("\n".join(wrong) or "well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
