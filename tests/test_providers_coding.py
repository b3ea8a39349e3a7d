"""Content codings: undone in any pieces, within bounds, and honest about what they cannot do."""

import gzip
import itertools
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.providers.coding import PIECE_BYTES, Undecodable, decoded, decoder

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def raw_deflate(content: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(content) + deflate.flush()


CODINGS: dict[str, tuple[bytes | None, Callable[[bytes], bytes]]] = {
    "none": (None, bytes),
    "identity": (b"Identity", bytes),
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b"x-gzip", gzip.compress),
    "two gzip members": (b"gzip", lambda c: gzip.compress(c[:7]) + gzip.compress(c[7:])),
    "deflate": (b"deflate", zlib.compress),
    "deflate without its wrapper": (b"deflate", raw_deflate),
    "br": (b"br", brotli.compress),
    "zstd": (b"zstd", zstd.compress),
    "two zstd frames": (b" ZSTD ", lambda c: zstd.compress(c[:7]) + zstd.compress(c[7:])),
}
CODED = [name for name, (_, encode) in CODINGS.items() if encode is not bytes]


@pytest.mark.parametrize("name", CODINGS)
def test_a_whole_body_comes_back(name: str) -> None:
    coding, encode = CODINGS[name]
    assert decoded(encode(b"Hello, hello, hello."), coding, limit_bytes=100) == b"Hello, hello, hello."


@pytest.mark.parametrize("name", CODED)
@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 200), max_size=5))
def test_any_cutting_gives_the_same_bytes(name: str, cuts: list[int]) -> None:
    content = b"event: ping\ndata: {}\n\n" * 20
    coding, encode = CODINGS[name]
    body = encode(content)
    undo = decoder(coding)
    assert undo is not None
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(edges)]
    assert b"".join(out for piece in pieces for out in undo.feed(piece)) == content


@pytest.mark.parametrize("name", CODED)
def test_a_body_that_unpacks_to_too_much_is_left_alone_and_comes_in_small_pieces(name: str) -> None:
    coding, encode = CODINGS[name]
    body = encode(bytes(3 * 1024 * 1024))
    assert decoded(body, coding, limit_bytes=1024 * 1024) is None
    undo = decoder(coding)
    assert undo is not None
    sizes = [len(piece) for piece in undo.feed(body)]
    assert sum(sizes) == 3 * 1024 * 1024
    assert max(sizes) <= 2 * PIECE_BYTES


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_bytes_in_another_coding_are_refused(coding: bytes) -> None:
    undo = decoder(coding)
    assert undo is not None
    with pytest.raises(Undecodable):
        list(undo.feed(b"event: message_start\ndata: {}\n\n" * 4))
    assert decoded(b"event: message_start\n" * 4, coding, limit_bytes=1000) is None


@pytest.mark.parametrize("coding", [b"gzip, br", b"lzma", b"*"])
def test_an_unknown_coding_is_refused(coding: bytes) -> None:
    with pytest.raises(Undecodable):
        decoder(coding)
