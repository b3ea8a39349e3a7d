"""Content codings of the simulated answers, flushed after every event so that a stream stays a stream."""

import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

import brotli
from backports import zstd


class Coder(Protocol):
    """A content coding whose every piece can be read as soon as it arrives."""

    def feed(self, data: bytes) -> bytes:
        """Code `data` and flush."""

    def finish(self) -> bytes:
        """End the coded body."""


class _Gzip:
    def __init__(self) -> None:
        self._coder = zlib.compressobj(wbits=31)

    def feed(self, data: bytes) -> bytes:
        return self._coder.compress(data) + self._coder.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._coder.flush()


class _Brotli:
    def __init__(self) -> None:
        self._coder = brotli.Compressor(quality=4)

    def feed(self, data: bytes) -> bytes:
        return bytes(self._coder.process(data) + self._coder.flush())

    def finish(self) -> bytes:
        return bytes(self._coder.finish())


class _Zstd:
    def __init__(self) -> None:
        self._coder = zstd.ZstdCompressor()

    def feed(self, data: bytes) -> bytes:
        return self._coder.compress(data, self._coder.FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._coder.flush()


class Identity:
    """No coding at all."""

    def feed(self, data: bytes) -> bytes:
        """Return the data as they are."""
        return data

    def finish(self) -> bytes:
        """Add nothing."""
        return b""


CODERS: Mapping[str, Callable[[], Coder]] = {"gzip": _Gzip, "br": _Brotli, "zstd": _Zstd}
"""By the name in `content-encoding`."""
