"""Content codings of HTTP (gzip, deflate, br, zstd), undone piece by piece and with a bound on every piece.

For looking into a copy: what clients get is never decoded.
"""

import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

PIECE_BYTES = 64 * 1024
"""Most that one step hands out, so that a small body that unpacks to a huge one costs no memory."""

_GZIP_WBITS = 31
_ZLIB_WBITS = 15
_RAW_DEFLATE_WBITS = -15


class Undecodable(Exception):
    """The bytes are not in the coding that they claim, or the coding is unknown."""


class Decoder(Protocol):
    """Undoes one content coding, incrementally."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode what `data` completes, in pieces of bounded size. Raises Undecodable. Run it to its end."""


def decoder(content_encoding: bytes | None) -> Decoder | None:
    """The decoder for a content-encoding header, None when there is nothing to undo.

    Raises Undecodable for a coding we do not know, or several on top of each other.
    """
    match (content_encoding or b"").strip().lower():
        case b"" | b"identity":
            return None
        case b"gzip" | b"x-gzip":
            return _Zlib(_GZIP_WBITS)
        case b"deflate":
            return _Zlib(None)
        case b"br":
            return _Brotli()
        case b"zstd":
            return _Zstandard()
    raise Undecodable


def decoded(body: bytes, content_encoding: bytes | None, limit_bytes: int) -> bytes | None:
    """A whole body without its coding; None when that cannot be undone or is larger than `limit_bytes`."""
    pieces: list[bytes] = []
    size = 0
    try:
        undo = decoder(content_encoding)
        for piece in (body,) if undo is None else undo.feed(body):
            size += len(piece)
            if size > limit_bytes:
                return None
            pieces.append(piece)
    except Undecodable:
        return None
    return b"".join(pieces)


class _Zlib:
    """gzip, also of several members, and deflate."""

    def __init__(self, wbits: int | None) -> None:
        self._wbits = wbits
        self._head = b""
        self._inner = None if wbits is None else zlib.decompressobj(wbits)

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inner is None:
            self._head += data
            if len(self._head) < 2:  # noqa: PLR2004 - a zlib header has two bytes
                return
            data, self._head = self._head, b""
            self._wbits = _ZLIB_WBITS if _is_zlib_header(data) else _RAW_DEFLATE_WBITS
            self._inner = zlib.decompressobj(self._wbits)
        piece = b""
        # A full piece means that more may be waiting inside, even when all of the input is taken.
        while data or len(piece) == PIECE_BYTES:
            if self._inner.eof:
                if not data:
                    return
                self._inner = zlib.decompressobj(self._wbits or _ZLIB_WBITS)
            try:
                piece = self._inner.decompress(data, PIECE_BYTES)
            except zlib.error as exc:
                raise Undecodable from exc
            yield piece
            data = self._inner.unconsumed_tail or self._inner.unused_data


def _is_zlib_header(data: bytes) -> bool:
    """RFC 1950 2.2. Servers mean zlib by `deflate` (RFC 9110 8.4.1.2), some send it without the wrapper."""
    return data[0] & 0x0F == 8 and (data[0] * 256 + data[1]) % 31 == 0  # noqa: PLR2004 - the RFC's numbers


class _Brotli:
    def __init__(self) -> None:
        import brotli  # noqa: PLC0415 - only for answers that need it

        self._inner = brotli.Decompressor()
        self._error: type[Exception] = brotli.error

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            piece = self._inner.process(data, output_buffer_limit=PIECE_BYTES)
            # `can_accept_more_data` is true while output still waits (brotli 1.2.1), so ask until there is none.
            while piece or not self._inner.can_accept_more_data():
                yield piece
                piece = b"" if self._inner.is_finished() else self._inner.process(b"", output_buffer_limit=PIECE_BYTES)
        except self._error as exc:
            raise Undecodable from exc


class _Zstandard:
    """zstd, also of several frames."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 - only for answers that need it
        else:
            from backports import zstd  # noqa: PLC0415

        self._make = zstd.ZstdDecompressor
        self._inner = self._make()
        self._error: type[Exception] = zstd.ZstdError

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data or not (self._inner.needs_input or self._inner.eof):
                if self._inner.eof:
                    self._inner = self._make()
                yield self._inner.decompress(data, PIECE_BYTES)
                data = self._inner.unused_data if self._inner.eof else b""
        except self._error as exc:
            raise Undecodable from exc
