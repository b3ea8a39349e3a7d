"""The content codings that a provider may choose."""

import gzip
import sys
import zlib
from collections.abc import Callable

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def raw_deflate(stream: bytes) -> bytes:
    """As some servers have `deflate`: without the two bytes before and the four behind it."""
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(stream) + deflate.flush()


CODINGS: dict[bytes | None, Callable[[bytes], bytes]] = {
    None: bytes,
    b"gzip": gzip.compress,
    b"deflate": raw_deflate,
    b"br": brotli.compress,
    b"zstd": zstd.compress,
}
