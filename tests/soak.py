"""50,000 questions of 200 users at once, through one sidecar: each call is exactly its own user's. Case H17.

`make soak` runs it; `make soak ARGS="5000 17"` asks so many questions with this seed. What the sidecar logs
goes to stdout, what comes of it to stderr. Exit 1 where an identity strayed, or an agent worked twice.
"""

import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop
from journeys.crowd import USERS, crowd

ROUND = 5_000


async def soak(questions: int, seed: int) -> int:
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
                    say("\n".join(wrong[:20]), f"{len(wrong)} in all; seed {seed}")
                    return 1
                one.forget()
                rate = ROUND / (time.monotonic() - began)
                say(f"{asked:7} asked, {rate:.0f} a second, {resident():.0f} MiB at most")
    say(", ".join(f"{what} {often}" for what, often in happened.most_common()))
    say("each call was its own user's, and no question was worked on twice")
    return 0


def resident() -> float:
    """The most memory so far; agents and callers live in this process too."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def say(*lines: str) -> None:
    sys.stderr.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:3]]
    sys.exit(uvloop.run(soak(*(given + [50_000, random.randrange(10**6)][len(given) :]))))
