"""What a job frees stays with it, and is used again.

The allocator of Linux's C library gives large blocks back to the kernel when they are freed, which then clears every
page of the next one. Training asks for the same blocks in every step: without this, that is up to a third of its time.
"""

import contextlib
import ctypes
import sys

OPTIONS = {  # of mallopt, by their numbers in malloc.h, in bytes
    -3: 32 * 2**20,  # M_MMAP_THRESHOLD: only larger blocks are mapped on their own; the most that glibc accepts
    -1: 2**30,  # M_TRIM_THRESHOLD: how much may lie unused at the end of the heap
    -2: 64 * 2**20,  # M_TOP_PAD: how much the heap grows at a time
}


def keep_freed_memory() -> None:
    """Tell the allocator of this process; where it is not that of glibc, nothing happens."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(AttributeError):  # musl has no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        for option, size in OPTIONS.items():
            mallopt(option, size)
