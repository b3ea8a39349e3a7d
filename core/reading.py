"""What connections read into: one buffer for all of the listener's, and one for all of the upstream's.

asyncio by itself makes room of 256 KiB for every read and gives most of it back, which leaves holes in the heap.
"""

import asyncio
import mmap

READ_BYTES = 256 * 1024
"""At most in one read, as asyncio has it."""


def read_buffer() -> memoryview:
    """For many connections of one loop; each is done with what it read before the next one reads.

    Memory is taken page by page, as far as reads come to fill it.
    """
    return memoryview(mmap.mmap(-1, READ_BYTES))


class Reader(asyncio.BufferedProtocol):
    """A connection that gets what it has read in `data_received`, and must have copied what it keeps by its return."""

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the signature of asyncio
        """Where the next read goes."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read."""
        self.data_received(self._buffer[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Take what was read."""
        raise NotImplementedError
