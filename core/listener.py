"""HTTP/1.1 from clients: parsing, limits, time-outs, back-pressure.

One `asyncio` protocol per connection around llhttp (httptools) in its strict mode. A request's head is shown to the
handler's `admit` before its body is read; a whole request is given to `serve`, which writes the answer through
`Answer`. When the client hangs up, `serve` is cancelled at once.
"""

import asyncio
import contextlib
import logging
import math
import socket
import struct
from collections import deque
from collections.abc import Callable
from itertools import chain

import httptools
import msgspec
from msgspec.structs import replace

from core.errors import PortTaken
from core.exchange import Address, Answer, Handler, Incoming, Simple
from core.ports import owner_of
from core.providers.headers import Headers
from core.reading import Reader, read_buffer

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 128
"""Real clients send about 30 headers in 3 KiB."""
MAX_BODY_BYTES = 64 * 1024 * 1024
"""The largest request a provider takes is 32 MB."""
MAX_CONNECTIONS = 2_048
MAX_QUEUED = 16
"""Requests that wait behind another on one connection. Above it we stop reading, and a hang-up goes unnoticed."""
LINGER_S = 1.0
"""After a refusal we read on for a moment, else the reset that follows unread bytes can destroy our answer."""
RESTART_S = 2
"""From the end of one Tidegate to the first answer of the next."""


class Limits(msgspec.Struct, frozen=True):
    """How long a client may take, in seconds, and how much it may send."""

    head_s: float = 10.0
    body_s: float = 30.0
    """Without a byte of the body."""
    idle_s: float = 120.0
    """Between two requests."""
    stall_s: float = 300.0
    """Without taking as much of the answer as makes room for more."""
    body_bytes: int = MAX_BODY_BYTES
    connections: int = MAX_CONNECTIONS


class _Shared(msgspec.Struct):
    """What the connections of one listener share."""

    handler: Handler
    limits: Limits
    loop: asyncio.AbstractEventLoop
    connections: set["_Connection"] = msgspec.field(default_factory=set)
    closing: bool = False
    closed_at: float = 0.0
    """By when the listener will have closed, on the loop's clock."""
    one_less: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    buffer: memoryview = msgspec.field(default_factory=read_buffer)

    def stopping(self) -> Simple:
        """What a request gets that comes while the listener closes: clients come back after `retry-after`."""
        refusal = self.handler.malformed(503, "Stopping. Where it is being restarted, it serves again in a moment.")
        wait_s = math.ceil(max(0.0, self.closed_at - self.loop.time())) + RESTART_S
        return replace(refusal, headers=(*refusal.headers, (b"retry-after", b"%d" % wait_s)))


class _Connection(Reader):
    """One client connection. Requests on it are served one after the other, in order."""

    def __init__(self, shared: _Shared) -> None:
        super().__init__(shared.buffer)
        self._shared = shared
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Incoming | Simple] = deque()
        self._task: asyncio.Task[None] | None = None
        self._answer: Answer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._discarding = False
        self._request: Incoming | None = None
        self._head_done = True
        self._advanced = False
        self._framing_bytes = 0
        self._raw_headers: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self.keep_alive = True
        self.http_1_0 = False
        self.room = True

    # --- transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - tells the type; a TCP server makes no other
        self._transport = transport
        shared = self._shared
        shared.connections.add(self)
        if len(shared.connections) > shared.limits.connections:
            self._refuse(shared.handler.malformed(503, "Too many connections."))
        else:
            self._expect(shared.limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # how it ended makes no difference
        self._expect(None)
        if self._timer:
            self._timer.cancel()
        self._transport = None
        del self._parser  # it has our methods: in that cycle, requests would wait for the garbage collector
        if self._task:
            self._task.cancel("the client hung up")
        else:
            self._gone()

    def _gone(self) -> None:
        """Neither connection nor task is left."""
        self._shared.connections.discard(self)
        self._shared.one_less.set()

    def pause_writing(self) -> None:
        self.room = False
        self._expect(self._shared.limits.stall_s)
        if self._answer and self._answer.on_room:
            self._answer.on_room(False)

    def resume_writing(self) -> None:
        self.room = True
        if self._answer is None:
            if self.keep_alive:
                self._go_on()
            return
        self._expect(None)
        if self._answer.on_room:
            self._answer.on_room(True)

    def data_received(self, data: bytes | memoryview) -> None:
        if self._discarding:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            log.exception("a request's head failed inside Tidegate")
            self._refuse(self._shared.handler.malformed(500, "Tidegate failed; its log says why."))
        except httptools.HttpParserUpgrade:
            pass  # refused with its head
        except httptools.HttpParserError:
            self._refuse(self._shared.handler.malformed(400, "This is not HTTP/1.1 as RFC 9112 has it."))
        else:
            if self._request is not None or not self._head_done:
                self._part_came(len(data))
            if len(self._queue) > MAX_QUEUED and self._transport:
                self._transport.pause_reading()

    def _part_came(self, size: int) -> None:
        """A read ended inside a request. What is neither head nor body (chunk sizes, trailers) is bounded as well."""
        if self._advanced:
            self._advanced = False
            self._framing_bytes = 0
            if self._task is None and self.room:
                self._expect(self._patience_s())
            return
        self._framing_bytes += size
        if self._framing_bytes > MAX_HEAD_BYTES:
            self._refuse(self._shared.handler.malformed(431, "The request's head is too large."))

    def _patience_s(self) -> float:
        """How long the client may take for what we wait for."""
        limits = self._shared.limits
        if not self._head_done:
            return limits.head_s
        return limits.idle_s if self._request is None else limits.body_s

    # --- parser ---

    def on_message_begin(self) -> None:
        self._head_done = False
        self._advanced = True
        self._raw_headers = []
        self._target = b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._raw_headers.append((name, value))  # trailers too: the head was taken before them

    def on_headers_complete(self) -> None:
        self._head_done = True
        if self._discarding:  # what follows a refused request in the same read
            return
        self._advanced = True
        version = self._parser.get_http_version()
        headers = Headers(self._raw_headers)
        request = Incoming(self._parser.get_method(), self._target, headers, http_1_0=version == "1.0")
        shared = self._shared
        refused = self._unacceptable(version, headers) or (shared.stopping() if shared.closing else None)
        answer = refused or shared.handler.admit(request)
        if answer:
            self._refuse(answer if request.method != b"HEAD" else replace(answer, body=b""))
            return
        self._request = request
        self._body = []
        self._body_bytes = 0
        expect = headers.get(b"expect")
        if expect is not None and expect.lower() == b"100-continue" and version == "1.1" and self._answer is None:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _unacceptable(self, version: str, headers: Headers) -> Simple | None:
        malformed = self._shared.handler.malformed
        if version not in {"1.0", "1.1"}:
            return malformed(505, "Tidegate speaks HTTP/1.1.")
        if self._parser.should_upgrade():
            return malformed(405, "Tidegate does not speak other protocols.")
        head_bytes = len(self._target) + sum(map(len, chain.from_iterable(self._raw_headers)))
        if len(self._raw_headers) > MAX_HEADERS or head_bytes > MAX_HEAD_BYTES:
            return malformed(431, "The request's head is too large.")
        coding = headers.get(b"transfer-encoding")
        if coding is not None and (coding.strip().lower() != b"chunked" or version == "1.0"):
            return malformed(501, "The only transfer coding is chunked.")
        length = headers.get(b"content-length")
        if length is not None and (not length.strip().isdigit() or int(length) > self._shared.limits.body_bytes):
            return malformed(413, f"A request may have {self._shared.limits.body_bytes >> 20} MiB.")
        return None

    def on_body(self, body: bytes) -> None:
        if self._request is None:
            return
        self._advanced = True
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > self._shared.limits.body_bytes:
            message = f"A request may have {self._shared.limits.body_bytes >> 20} MiB."
            self._refuse(self._shared.handler.malformed(413, message))

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        if request is None:
            return
        request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        request.keep_alive = not request.http_1_0 and self._parser.should_keep_alive()
        self._queue.append(request)
        if self._task is None:
            self._next()

    # --- serving ---

    def _next(self) -> None:
        if not self._queue or self._transport is None or not self.room:
            return
        item = self._queue.popleft()
        if isinstance(item, Simple):
            self._close_after(item)
            return
        self._expect(None)
        self.http_1_0 = item.http_1_0
        self.keep_alive = item.keep_alive and not self._shared.closing
        self._answer = Answer(self, head_only=item.method == b"HEAD")
        self._task = self._shared.loop.create_task(self._serve(item, self._answer))

    async def _serve(self, request: Incoming, answer: Answer) -> None:
        try:
            await self._shared.handler.serve(request, answer)
        except Exception:
            log.exception("a request failed inside Tidegate")
            if not answer.started:
                self.keep_alive = False
                answer.send(self._shared.handler.malformed(500, "Tidegate failed; its log says why."))
        finally:
            if not answer.started and self._shared.closing:
                self.keep_alive = False
                answer.send(self._shared.stopping())
            elif not answer.finished:
                answer.abort()
            self._task = None
            self._answer = None
            self._served()

    def _served(self) -> None:
        if self._transport is None:
            self._gone()
        elif not self.keep_alive or self._shared.closing:
            self._end()
        elif self.room:
            self._go_on()

    def _go_on(self) -> None:
        """The client has taken the answer before: serve what waits, or wait for more."""
        self._expect(self._patience_s())
        self._next()
        if self._transport is not None and len(self._queue) <= MAX_QUEUED:
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _refuse(self, answer: Simple) -> None:
        """Answer in turn, then close: what follows on this connection cannot be trusted."""
        if self._discarding:
            return
        self._discarding = True
        self._request = None
        self._queue.append(answer)
        if self._task is None:
            self._next()

    def _close_after(self, simple: Simple) -> None:
        self.keep_alive = False
        Answer(self, head_only=False).send(simple)
        if self._transport is not None:
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._expect(LINGER_S)

    @property
    def ends(self) -> tuple[Address, Address] | None:
        """Host and port of the client and of ours."""
        if self._transport is None:
            return None
        client, ours = map(self._transport.get_extra_info, ("peername", "sockname"))
        return (client[:2], ours[:2]) if client and ours else None  # it may have left before it was taken

    def reset_on_close(self) -> None:
        """Make the coming close a reset."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def stop(self) -> None:
        """Close now if idle, else after the answer in progress; a request that is still coming is refused."""
        if self._request is not None:
            self._refuse(self._shared.stopping())
        elif self._task is None and self._head_done and not self._discarding:
            self._end()

    def _end(self) -> None:
        """Close as soon as the client has taken what was written; one that does not take it is dropped."""
        self.keep_alive = False
        if self._transport is not None:
            self._expect(self._shared.limits.stall_s)
            self._transport.close()

    def drop(self) -> None:
        """Close now, whatever the client has not taken yet."""
        if self._transport is not None:
            self._transport.abort()

    def cut(self) -> None:
        """End the answer in progress."""
        if self._task is not None:
            self._task.cancel("Tidegate stops")

    # --- time ---

    def _expect(self, seconds: float | None) -> None:
        """Something must happen within `seconds`; None waits for ever. An earlier timer is kept: it will look again."""
        loop = self._shared.loop
        self._deadline = deadline = None if seconds is None else loop.time() + seconds
        if deadline is None or (self._timer and self._timer.when() <= deadline):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._deadline is None or self._transport is None:
            return
        if self._deadline > self._shared.loop.time():
            self._timer = self._shared.loop.call_at(self._deadline, self._ring)
        elif not self.room or self._discarding or self._transport.is_closing():
            self.drop()
        elif self._request is not None or not self._head_done:
            self._refuse(self._shared.handler.malformed(408, "The request did not arrive in time."))
        else:
            self._end()


class Listener:
    """The listening sockets: 127.0.0.1 and, where it exists, ::1. Never any other address."""

    def __init__(self, handler: Handler, limits: Limits | None = None) -> None:
        self._shared = _Shared(handler, limits or Limits(), asyncio.get_running_loop())
        self._servers: list[asyncio.Server] = []
        self.port = 0

    async def start(self, port: int) -> None:
        """Listen on `port` (0: any free one; `port` tells which). Raises PortTaken."""
        try:
            server = await self._listen("127.0.0.1", port)
        except OSError as exc:
            raise PortTaken(
                f"Port {port} is taken{owner_of(port)}",
                "Stop that program, or choose another port: `tidegate serve --port N` or `tidegate config set port N`.",
            ) from exc
        self._servers.append(server)
        self.port = server.sockets[0].getsockname()[1]
        with contextlib.suppress(OSError):  # no IPv6 here, or that one is somebody else's
            self._servers.append(await self._listen("::1", self.port))

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        # A queue that is full costs a client a second: agents that start together come by the hundred.
        backlog = self._shared.limits.connections
        return await self._shared.loop.create_server(self._connection, host, port, backlog=backlog)

    def _connection(self) -> _Connection:
        return _Connection(self._shared)

    async def close(self, grace_s: float = 15.0) -> None:
        """Answers in progress get `grace_s` to end, then they are cut. Requests that come meanwhile are refused.

        They are told when to come back: a client that finds nobody listening gives up sooner than it could.
        """
        shared = self._shared
        shared.closing = True
        shared.closed_at = shared.loop.time() + grace_s
        before = frozenset(shared.connections)
        for connection in before:
            connection.stop()
        await self._until(lambda: shared.connections.isdisjoint(before), grace_s)
        for server in self._servers:
            server.close()
        for connection in tuple(shared.connections):
            connection.cut()
        await self._until(lambda: not shared.connections, LINGER_S)
        for connection in tuple(shared.connections):
            connection.drop()
        await self._until(lambda: not shared.connections, LINGER_S)

    async def _until(self, so: Callable[[], bool], seconds: float) -> None:
        """Wait for connections to end until it is so."""
        one_less = self._shared.one_less
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not so():
                    one_less.clear()
                    await one_less.wait()
