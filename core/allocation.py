"""How the C library shares out memory: one heap for all threads.

glibc gives every thread one of its own, and what a thread has freed there no other uses again: after 14,000 requests
of the soak that is 2.7 MiB of 67 (2026-11). Other C libraries are left as they are.
"""

import ctypes
import sys

_M_ARENA_MAX = -8


def share_one_heap() -> None:
    """From here on; threads that have a heap already keep it."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # musl has none
        mallopt(_M_ARENA_MAX, 1)
