"""What the process has told the collector and the C library about its memory, seen from outside."""

import json
import platform
import subprocess
import sys
from typing import Any

import pytest

SIZES, READS = range(60_000, 131_000, 5_000), 1000
# What lies on the heap decides from which size on glibc gives its end back to the system and takes it again, page by
# page: so pieces of many sizes are taken, two at a time, up to those that it would map by themselves.
PROGRAM = f"""
import gc, json, resource
from sidecar import memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

memory.settle()
before = faults()
for size in {SIZES!r}:
    for _ in range({READS}):
        one, other = bytearray(size), bytearray(size)
        del one, other
print(json.dumps({{"faults": faults() - before, "frozen": gc.get_freeze_count(), "threshold": gc.get_threshold()}}))
"""


@pytest.fixture(scope="module")
def settled() -> dict[str, Any]:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
    return json.loads(ran.stdout)


def test_what_stands_after_the_start_is_never_looked_through_again(settled):
    assert settled["frozen"] > 1_000
    assert settled["threshold"][0] == 20_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library is told nothing")
def test_a_read_asks_the_system_for_no_memory(settled):
    assert settled["faults"] < READS
