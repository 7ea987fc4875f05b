"""What Python and the C library do about memory, told once how a proxy uses it."""

import ctypes
import gc
import sys
from typing import Final

# glibc's numbers (malloc.h), and bytes: of the heap's end that are kept when what lay there is given back, and from
# which on a piece is mapped by itself. To set one of them is to end what glibc adapts by itself, so both are set.
KEPT: Final = {-2: 4 << 20, -3: 8 << 20}  # M_TOP_PAD, M_MMAP_THRESHOLD


def settle() -> None:
    """Behind the start: what stands now stands to the end, and every read of a stream takes its bytes anew.

    glibc may give the end of the heap back to the system with each read, and take it again with the next: whether it
    does depends on what happens to lie there, and costs a third of a stream that is flat out.
    """
    gc.collect()
    gc.set_threshold(20_000, 10, 10)  # a request leaves no cycles worth a look after every seventh of it
    gc.freeze()  # nobody has to look through it again
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):  # musl has none
        for number, size in KEPT.items():
            mallopt(number, size)
