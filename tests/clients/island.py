"""A thread with an event loop and, where the system allows it, a network of its own: loopback and nothing else.

What runs in it, and every program started from it, can reach what else runs in it and nobody outside.
"""

import ctypes
import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

_CLONE_NEWNET = 0x40000000  # linux/sched.h; os.unshare comes with Python 3.12
_SIOCSIFFLAGS = 0x8914  # linux/sockios.h
_IFF_UP = 1


@contextmanager
def island() -> Iterator[BlockingPortal]:
    """Start the thread; it ends with the block."""
    with start_blocking_portal("asyncio", name="island") as portal:
        portal.call(leave_the_network)
        yield portal


def leave_the_network() -> bool:
    """Give the calling thread a network with nothing but loopback. False where that is not allowed (it needs root)."""
    if ctypes.CDLL(None).unshare(_CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH", b"lo", _IFF_UP).ljust(40, b"\0"))
    return True
