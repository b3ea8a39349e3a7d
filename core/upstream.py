"""HTTP/1.1 to providers: a pool of connections that knows what was delivered.

The difference between "no byte of the request left us" and "no answer came" decides whether a request may be sent
again, and the exceptions of the usual clients cannot tell it; so this is our own, on llhttp (httptools). Redirects
are never followed: a credential goes to the configured host or nowhere.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from urllib.parse import urlsplit

import msgspec

from core.dial import dial
from core.link import Failure, Link, Patience, Response
from core.reading import read_buffer

MAX_IDLE = 100
"""Kept connections per origin: above it a burst of agents pays a handshake again."""


class Origin(msgspec.Struct, frozen=True):
    """Where a provider listens, and the path its API begins with."""

    scheme: str
    host: str
    port: int
    base_path: bytes

    @property
    def authority(self) -> bytes:
        """The `Host` header's value."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host.encode() if self.port == default else f"{host}:{self.port}".encode()


@lru_cache(maxsize=64)
def origin_of(url: str) -> Origin:
    """Take a base URL apart. Raises ValueError when it is none."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Origin(parts.scheme, parts.hostname, port, parts.path.rstrip("/").encode())


class _Origins(msgspec.Struct):
    idle: dict[Origin, list[Link]] = msgspec.field(default_factory=dict)
    busy: set[Link] = msgspec.field(default_factory=set)


class Upstream:
    """Connections to all providers. Belongs to one event loop."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], patience: Patience | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.patience = patience or Patience()
        self._tls = tls
        self._buffer = read_buffer()
        self._links = _Origins()
        self._sweeper: asyncio.TimerHandle | None = None

    async def send(
        self, origin: Origin, method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Response:
        """Send one request. Returns when the answer's head is there; raises Failure when none comes.

        `headers` are without host and content-length, which are added here. Cancelling closes the connection.
        """
        head = _head(origin, method, target, headers, body)
        link = self._idle_link(origin) or await self._connect(origin)
        self._links.busy.add(link)
        self._sweep_later()
        return await link.send(head, body, head_request=method == b"HEAD")

    def _idle_link(self, origin: Origin) -> Link | None:
        idle = self._links.idle.get(origin)
        while idle:
            link = idle.pop()
            if link.usable:
                return link
        return None

    async def _connect(self, origin: Origin) -> Link:
        context = self._tls() if origin.scheme == "https" else None
        whole, lost = partial(self._give_back, origin), partial(self._forget, origin)
        try:
            async with asyncio.timeout(self.patience.connect_s):
                sock = await dial(origin.host, origin.port)
                _, link = await self.loop.create_connection(
                    lambda: Link(self.loop, self.patience, self._buffer, whole=whole, lost=lost),
                    sock=sock,
                    ssl=context,
                    server_hostname=origin.host if context else None,
                )
        except ssl.SSLCertVerificationError as exc:
            raise Failure(f"the certificate of {origin.host} is not valid", delivered=False, hopeless=True) from exc
        except TimeoutError as exc:
            raise Failure(f"{origin.host} did not take the connection in time", delivered=False) from exc
        except OSError as exc:
            raise Failure(f"{origin.host} cannot be reached", delivered=False) from exc
        return link

    def _give_back(self, origin: Origin, link: Link, reusable: bool) -> None:
        """Keep a connection on which a whole answer came, if another request may follow."""
        self._links.busy.discard(link)
        idle = self._links.idle.setdefault(origin, [])
        if reusable and len(idle) < MAX_IDLE:
            link.idle_since = self.loop.time()
            idle.append(link)
            self._sweep_later()
        else:
            link.abort()

    def _forget(self, origin: Origin, link: Link) -> None:
        """Drop a connection that is closed."""
        self._links.busy.discard(link)
        idle = self._links.idle.get(origin)
        if idle and link in idle:
            idle.remove(link)

    def drop_idle(self) -> None:
        """Close the connections that nobody uses: after a sleep or a change of network they may be dead."""
        for idle in self._links.idle.values():
            for link in tuple(idle):
                link.abort()
            idle.clear()

    def close(self) -> None:
        """Close everything."""
        self.drop_idle()
        for link in tuple(self._links.busy):
            link.abort()
        if self._sweeper:
            self._sweeper.cancel()
            self._sweeper = None

    # One timer looks after all connections and exists only while there are any: an idle Tidegate does not wake.

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(_sweep_interval(self.patience), self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self.loop.time()
        for link in tuple(self._links.busy):
            if link.deadline is not None and link.deadline <= now:
                link.late()
        for idle in self._links.idle.values():
            for link in [link for link in idle if now - link.idle_since > self.patience.keep_s]:
                idle.remove(link)
                link.abort()
        if self._links.busy or any(self._links.idle.values()):
            self._sweep_later()


def _sweep_interval(patience: Patience) -> float:
    return min(1.0, patience.head_s / 4, patience.idle_s / 4, patience.keep_s / 4)


def _head(origin: Origin, method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    lines = [b"host: %s\r\n" % origin.authority]
    lines += [name + b": " + value + b"\r\n" for name, value in headers]  # half of what `%` takes
    if body or method in {b"POST", b"PUT", b"PATCH"}:
        lines.append(b"content-length: %d\r\n" % len(body))
    head = b"%s %s HTTP/1.1\r\n%s\r\n" % (method, target, b"".join(lines))
    if not head.count(b"\r") == head.count(b"\n") == len(lines) + 2:  # a key that was pasted with its line end, say
        raise Failure("a header of the request has a line break in it", delivered=False, hopeless=True)
    return head
