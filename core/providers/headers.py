"""Header lines of one request or answer, and which of them go on to the other side.

Both filters only leave lines out: what goes on keeps its order, its duplicates and the spelling it came with.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from typing import Final

HeaderLine = tuple[bytes, bytes]

# RFC 9110 7.6.1 and RFC 9112: they describe one connection, and ours to the other side is another one.
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"})
_NOT_FOR_UPSTREAM = _HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"authorization",  # the local key, or a credential that is not ours to pass on
    b"x-api-key",
    b"cookie",
    b"expect",  # the listener has met it: the whole body is here
    b"origin",  # with it the provider answers 401 "CORS requests are not allowed"
    b"referer",
}
_NOT_FOR_UPSTREAM_STARTS = (b"proxy-", b"sec-fetch-", b"x-tidegate-")
_NOT_FOR_CLIENT = _HOP_BY_HOP | {b"content-length", b"set-cookie"}
_NOT_FOR_CLIENT_STARTS = (
    b"proxy-",
    b"anthropic-ratelimit-",  # they describe one account, not the pool
    b"access-control-",  # no web page may read what Tidegate answers, whatever an upstream thinks of it
    b"x-tidegate-",  # ours to say
)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # all but the tab, which RFC 9110 5.5 allows in a value


class Headers:
    """Header lines as received, with look-up by lower-case name. Immutable; `repr` shows no values.

    On the path of every request: the lower-case names are made once, here.
    """

    __slots__ = ("_index", "get", "names", "raw")

    raw: Final[tuple[HeaderLine, ...]]
    names: Final[tuple[bytes, ...]]
    """The lower-case name of each line of `raw`."""
    get: Final[Callable[[bytes], bytes | None]]
    """The value of a header by its lower-case name; several lines are joined by ", "."""

    def __init__(self, raw: Iterable[HeaderLine]) -> None:
        self.raw = tuple(raw)
        given, values = zip(*self.raw, strict=True) if self.raw else ((), ())
        self.names = tuple(map(bytes.lower, given))
        index = dict(zip(self.names, values, strict=True))
        if len(index) < len(self.names):
            index = _joined(self.names, self.raw)
        self._index: Final = index
        self.get = index.get  # itself: a request asks thirty times

    def __contains__(self, name: bytes) -> bool:
        return name in self._index

    def __iter__(self) -> Iterator[bytes]:
        """Each lower-case name once."""
        return iter(self._index)

    def __repr__(self) -> str:
        return f"<Headers {b' '.join(self._index).decode('latin-1')}>"


def for_upstream(headers: Headers, drop: Collection[bytes] = ()) -> list[HeaderLine]:
    """The client's lines that go to the provider; `drop` names more (lower-case) that the caller sets itself.

    Left out are what belongs to the client's connection, what `upstream.py` writes anew (host, content-length), the
    client's credentials, cookies, what a browser adds, and Tidegate's own. All the rest goes on as it came.
    """
    raw = headers.raw
    lines = [raw[place] for place in _go_upstream(headers.names)]
    drop = [*drop, *_named_by_connection(headers)]
    return [line for line in lines if line[0].lower() not in drop] if drop else lines


def for_client(headers: Headers) -> list[HeaderLine]:
    """The provider's lines that go to the client.

    Left out are what belongs to the provider's connection, its cookies, its rate limits, CORS permissions, and any line
    with a control character. content-length and transfer-encoding are left out too: the listener frames the body anew,
    and it puts content-length back when the proxy hands it an answer of known length. The body's bytes are not
    touched, so content-encoding stays.
    """
    raw = headers.raw
    lines = [raw[place] for place in _go_to_client(headers.names)]
    if named := _named_by_connection(headers):
        lines = [line for line in lines if line[0].lower() not in named]
    # One search over all of them is what nearly every answer costs.
    if _CONTROL.search(b"".join([part for line in lines for part in line])):
        return [line for line in lines if not any(map(_CONTROL.search, line))]
    return lines


# Remembered, because a program's requests and a provider's answers come with the same names again and again.
@lru_cache(maxsize=256)
def _go_upstream(names: tuple[bytes, ...]) -> tuple[int, ...]:
    """The places of the lines that do, among lines of these names."""
    stop, starts = _NOT_FOR_UPSTREAM, _NOT_FOR_UPSTREAM_STARTS
    return tuple(place for place, name in enumerate(names) if name not in stop and not name.startswith(starts))


@lru_cache(maxsize=256)
def _go_to_client(names: tuple[bytes, ...]) -> tuple[int, ...]:
    stop, starts = _NOT_FOR_CLIENT, _NOT_FOR_CLIENT_STARTS
    return tuple(place for place, name in enumerate(names) if name not in stop and not name.startswith(starts))


def _named_by_connection(headers: Headers) -> Collection[bytes]:
    """The headers that `connection` declares to be hop-by-hop, other than those that are so anyway."""
    value = headers.get(b"connection")
    if value is None or value == b"keep-alive":
        return ()
    tokens = [token.strip() for token in value.lower().split(b",")]
    return [token for token in tokens if token != b"close" and token not in _HOP_BY_HOP]


def _joined(names: Iterable[bytes], raw: Iterable[HeaderLine]) -> dict[bytes, bytes]:
    """The values by name where a name comes on several lines (RFC 9110 5.3)."""
    index: dict[bytes, bytes] = {}
    for name, (_, value) in zip(names, raw, strict=True):
        index[name] = index[name] + b", " + value if name in index else value
    return index
