"""HTTP/1.1 to providers: a pool of connections that knows what was delivered.

The difference between "no byte of the request left us" and "no answer came" decides whether a request may be sent
again, and the exceptions of the usual clients cannot tell it; so this is our own, on llhttp (httptools). Redirects
are never followed: a credential goes to the configured host or nowhere.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

import httptools

from core.dial import dial
from core.providers.headers import Headers

MAX_HEAD_BYTES = 64 * 1024
MAX_IDLE = 100
"""Kept connections per origin: above it a burst of agents pays a handshake again."""
READ_AHEAD_BYTES = 256 * 1024
"""Of an answer that nobody takes yet."""
_INFORMATIONAL = range(100, 200)
_NO_BODY = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each phase may take, in seconds."""

    connect_s: float = 10.0
    head_s: float = 600.0
    """Providers think before the first byte; the clients themselves wait 600 s."""
    idle_s: float = 300.0
    """Without a byte in the middle of an answer. Claude Code gives up at 300 s."""
    keep_s: float = 30.0
    """An idle connection older than this may be dead already."""


@dataclass(frozen=True, slots=True)
class Origin:
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


class Failure(Exception):
    """No whole answer. `delivered`: bytes of the request left us. `begun`: bytes of an answer came."""

    def __init__(self, text: str, *, delivered: bool, begun: bool = False, hopeless: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.delivered = delivered
        self.begun = begun
        self.hopeless = hopeless
        """Trying again cannot help: the certificate is wrong, the request cannot be written."""


class Response:
    """An answer: its head, and its body as it comes."""

    __slots__ = (
        "_done",
        "_failure",
        "_held",
        "_held_bytes",
        "_link",
        "_paused",
        "_sink",
        "_whole",
        "headers",
        "status",
    )

    def __init__(self, link: "_Link", status: int, headers: Headers) -> None:
        self._link = link
        self.status = status
        self.headers = headers
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._sink: Callable[[bytes], None] | None = None
        self._paused = False
        self._whole = False
        self._failure: Failure | None = None
        self._done: asyncio.Future[None] | None = None

    @property
    def ahead(self) -> bool:
        """Whether the next piece of the body is here already."""
        return bool(self._held)

    async def chunk(self) -> bytes:
        """The next piece of the body, empty at its end. Raises Failure when the answer is cut."""
        while not self._held and not self._whole:
            await self._something()
        if self._held:
            data = self._held.popleft()
            self._held_bytes -= len(data)
            if self._held_bytes < READ_AHEAD_BYTES:
                self._read_on()
            return data
        return b""

    async def read(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes of it; a longer one is cut off. Raises Failure."""
        pieces: list[bytes] = []
        size = 0
        while size < limit and (data := await self.chunk()):
            pieces.append(data)
            size += len(data)
        return b"".join(pieces)[:limit]

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """Give every further piece straight to `sink`, without a task switch each. Raises Failure when cut.

        Use `pause` and `resume` for back-pressure.
        """
        while self._held:
            sink(self._held.popleft())
        self._held_bytes = 0
        self._sink = sink
        self._read_on()
        while not self._whole:
            await self._something()

    async def _something(self) -> None:
        if self._failure:
            raise self._failure
        self._done = asyncio.get_running_loop().create_future()
        try:
            await self._done
        finally:
            self._done = None

    # An answer that is whole has let go of its connection: somebody else's may come on it by now.

    def pause(self) -> None:
        """Read no more for now."""
        self._paused = True
        if not self._whole:
            self._link.hold()

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        self._read_on()

    def _read_on(self) -> None:
        if not self._paused and not self._whole:
            self._link.read_on()

    def close(self) -> None:
        """Nobody wants the rest: the connection ends now unless the answer is whole."""
        if not self._whole:
            self._link.abort()

    # --- from the connection ---

    def feed(self, data: bytes) -> None:
        """A piece of the body came."""
        if self._sink:
            self._sink(data)
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= READ_AHEAD_BYTES:
            self._link.hold()
        self._wake()

    def end(self, failure: Failure | None) -> None:
        """The body is whole, or it failed."""
        if failure:
            self._failure = failure
        else:
            self._whole = True
        self._wake()

    def _wake(self) -> None:
        if self._done and not self._done.done():
            self._done.set_result(None)


class _Link(asyncio.Protocol):
    """One connection to an origin, serving one request at a time."""

    def __init__(self, pool: "Upstream", origin: Origin) -> None:
        self._pool = pool
        self.origin = origin
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Response] | None = None
        self._response: Response | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._framing_bytes = 0
        self._sent_bytes = 0
        self._head_request = False
        self._until_eof = False
        self._complete = False
        self._keep = False
        self._paused = False
        self.deadline: float | None = None
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - tells the type
        self._transport = transport

    @property
    def usable(self) -> bool:
        """Whether another request may go out on it."""
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, head: bytes, body: bytes, *, head_request: bool) -> Response:
        """Send a request and wait for the head of its answer. Raises Failure."""
        transport = self._transport
        if transport is None:
            raise Failure("the connection closed", delivered=False)
        self._head_request = head_request
        self._complete = False
        self._keep = False
        self._framing_bytes = 0
        self._sent_bytes = len(head) + len(body)
        self.deadline = self._pool.loop.time() + self._pool.patience.head_s
        together = len(body) <= READ_AHEAD_BYTES
        transport.write(head + body if together else head)
        if transport.is_closing():  # closed meanwhile, or the write failed: nothing left us
            raise Failure("the connection closed", delivered=False)
        if not together:
            transport.write(body)
        waiter: asyncio.Future[Response] = self._pool.loop.create_future()
        self._waiter = waiter
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self.abort()
            elif waiter.exception() is None:  # it was answered in this moment, and may serve somebody else already
                waiter.result().close()
            raise

    # --- transport ---

    def data_received(self, data: bytes) -> None:
        if self._waiter is None and self._response is None:
            self.abort()  # an answer that nobody asked for
            return
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._complete:
                self._fail("the provider's answer is not HTTP/1.1")
                return
            self._keep = False  # what follows a whole answer is nobody's
        if self._chunks:
            self._framing_bytes = 0
        elif self._framing_bytes > MAX_HEAD_BYTES and not self._complete:  # a head, chunk extensions, trailers
            self._fail("the provider's answer has too large a head")
            return
        if self.deadline is not None:
            patience = self._pool.patience
            self.deadline = self._pool.loop.time() + (patience.idle_s if self._response else patience.head_s)
        self._flush()

    def _flush(self) -> None:
        """Hand over what one read brought, in one piece."""
        response = self._response
        if response and self._chunks:
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks = []
            response.feed(data)
        if response and self._complete:
            self._response = None
            self.read_on()
            self.deadline = None
            self._pool.give_back(self, reusable=self._reusable())
            response.end(None)

    def _reusable(self) -> bool:
        """Another request may follow: the answer ended by itself, and all of the request was taken."""
        taken = self._transport is not None and self._transport.get_write_buffer_size() == 0
        return self._keep and taken and self.usable

    def connection_lost(self, exc: Exception | None) -> None:
        if self._until_eof and exc is None and self._response:
            self._complete = True
            self._flush()
        else:
            self._fail("the provider closed the connection" if exc is None else "the connection broke")
        self._transport = None
        self._pool.forget(self)

    # --- parser ---

    def on_message_begin(self) -> None:
        self._headers = []
        self._keep = False  # should a second answer begin behind the one that was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._response is None:  # later ones are trailers, which nobody needs
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status in _INFORMATIONAL or self._waiter is None or self._waiter.done():
            return
        headers = Headers(self._headers)
        self._until_eof = (
            b"content-length" not in headers and b"transfer-encoding" not in headers and status not in _NO_BODY
        ) and not self._head_request
        self._response = Response(self, status, headers)
        self._waiter.set_result(self._response)
        self._waiter = None
        if self._head_request:
            self._complete = True  # llhttp would wait for the body that content-length announces

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._response is not None and not self._complete:
            self._complete = True
            self._keep = self._parser.should_keep_alive()  # the parser knows it only here

    # --- ends ---

    def _fail(self, text: str) -> None:
        waiter, response = self._waiter, self._response
        self._waiter = self._response = None
        self.deadline = None
        begun = response is not None or self._framing_bytes > 0
        failure = Failure(text, delivered=begun or self._left_us(), begun=begun)
        if response:
            if self._chunks:
                response.feed(b"".join(self._chunks))
                self._chunks = []
            response.end(failure)
        elif waiter and not waiter.done():
            waiter.set_exception(failure)
        self.abort()

    def _left_us(self) -> bool:
        """Whether any byte of the request reached the kernel."""
        return self._transport is None or self._transport.get_write_buffer_size() < self._sent_bytes

    def late(self) -> None:
        """The deadline passed."""
        self._fail("the provider did not answer in time" if self._response is None else "the provider fell silent")

    def abort(self) -> None:
        """Close at once."""
        self.deadline = None
        if self._transport is not None:
            self._transport.abort()

    def hold(self) -> None:
        """Stop reading."""
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self.deadline = None  # the silence is ours
            self._transport.pause_reading()

    def read_on(self) -> None:
        """Read again."""
        if self._transport is not None and self._paused and not self._transport.is_closing():
            self._paused = False
            self.deadline = self._pool.loop.time() + self._pool.patience.idle_s
            self._transport.resume_reading()


@dataclass(slots=True)
class _Origins:
    idle: dict[Origin, list[_Link]] = field(default_factory=dict)
    busy: set[_Link] = field(default_factory=set)


class Upstream:
    """Connections to all providers. Belongs to one event loop."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], patience: Patience | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.patience = patience or Patience()
        self._tls = tls
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

    def _idle_link(self, origin: Origin) -> _Link | None:
        idle = self._links.idle.get(origin)
        while idle:
            link = idle.pop()
            if link.usable:
                return link
        return None

    async def _connect(self, origin: Origin) -> _Link:
        context = self._tls() if origin.scheme == "https" else None
        try:
            async with asyncio.timeout(self.patience.connect_s):
                sock = await dial(origin.host, origin.port)
                _, link = await self.loop.create_connection(
                    lambda: _Link(self, origin),
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

    def give_back(self, link: _Link, *, reusable: bool) -> None:
        """A whole answer came on `link`."""
        self._links.busy.discard(link)
        idle = self._links.idle.setdefault(link.origin, [])
        if reusable and len(idle) < MAX_IDLE:
            link.idle_since = self.loop.time()
            idle.append(link)
            self._sweep_later()
        else:
            link.abort()

    def forget(self, link: _Link) -> None:
        """`link` is closed."""
        self._links.busy.discard(link)
        idle = self._links.idle.get(link.origin)
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
    lines += [b"%s: %s\r\n" % header for header in headers]
    if body or method in {b"POST", b"PUT", b"PATCH"}:
        lines.append(b"content-length: %d\r\n" % len(body))
    head = b"%s %s HTTP/1.1\r\n%s\r\n" % (method, target, b"".join(lines))
    if not head.count(b"\r") == head.count(b"\n") == len(lines) + 2:  # a key that was pasted with its line end, say
        raise Failure("a header of the request has a line break in it", delivered=False, hopeless=True)
    return head
