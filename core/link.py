"""One connection to a provider, and the answer that comes on it.

It knows how much of a request left us and whether an answer began: that decides whether a request may be sent again.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import httptools
import msgspec

from core.providers.headers import Headers
from core.reading import Reader

MAX_HEAD_BYTES = 64 * 1024
READ_AHEAD_BYTES = 256 * 1024
"""Of an answer that nobody takes yet."""
_INFORMATIONAL = range(100, 200)
_NO_BODY = frozenset({204, 304})


class Patience(msgspec.Struct, frozen=True):
    """How long each phase may take, in seconds."""

    connect_s: float = 10.0
    head_s: float = 600.0
    """Providers think before the first byte; the clients themselves wait 600 s."""
    idle_s: float = 300.0
    """Without a byte in the middle of an answer. Claude Code gives up at 300 s."""
    keep_s: float = 30.0
    """An idle connection older than this may be dead already."""


class Failure(Exception):
    """No whole answer. `delivered`: bytes of the request left us. `begun`: bytes of an answer came."""

    def __init__(self, text: str, *, delivered: bool, begun: bool = False, hopeless: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.delivered = delivered
        self.begun = begun
        self.hopeless = hopeless
        """Trying again cannot help: the certificate is wrong, the request cannot be written."""

    def again(self) -> "Failure":
        """Another one that says the same: who keeps a failure and raises it is kept by its traceback."""
        return Failure(self.text, delivered=self.delivered, begun=self.begun, hopeless=self.hopeless)


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

    def __init__(self, link: "Link", status: int, headers: Headers) -> None:
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
        try:
            while not self._whole:
                await self._something()
        finally:
            self._sink = None  # who takes the pieces has this answer

    async def _something(self) -> None:
        if self._failure:
            raise self._failure.again()
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


class Link(Reader):
    """One connection to an origin, serving one request at a time."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        patience: Patience,
        buffer: memoryview,
        *,
        whole: "Callable[[Link, bool], None]",
        lost: "Callable[[Link], None]",
    ) -> None:
        """`buffer` is what it reads into, as the others do.

        `whole` is told of every whole answer, and whether another request may follow; `lost` of the end.
        """
        super().__init__(buffer)
        self._loop = loop
        self._patience = patience
        self._whole = whole
        self._lost = lost
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
        self.deadline = self._loop.time() + self._patience.head_s
        together = len(body) <= READ_AHEAD_BYTES
        transport.write(head + body if together else head)
        if transport.is_closing():  # closed meanwhile, or the write failed: nothing left us
            raise Failure("the connection closed", delivered=False)
        if not together:
            transport.write(body)
        waiter: asyncio.Future[Response] = self._loop.create_future()
        self._waiter = waiter
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self.abort()
            elif waiter.exception() is None:  # it was answered in this moment, and may serve somebody else already
                waiter.result().close()
            raise
        finally:
            # A failure's traceback has this frame, which has the failure, and the body until somebody collects garbage.
            del waiter

    # --- transport ---

    def data_received(self, data: bytes | memoryview) -> None:
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
            patience = self._patience
            self.deadline = self._loop.time() + (patience.idle_s if self._response else patience.head_s)
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
            self._whole(self, self._reusable())
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
        del self._parser  # it has our methods: in that cycle, all would wait for the garbage collector
        self._lost(self)

    # --- parser ---

    def on_message_begin(self) -> None:
        self._headers = []
        self._keep = False  # should a second answer begin behind the one that was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status in _INFORMATIONAL or self._waiter is None or self._waiter.done():
            return
        if status < _INFORMATIONAL.start or self._head_is_too_large():
            raise ValueError  # llhttp takes both; `data_received` hears of it as of any other mistake
        headers, self._headers = Headers(self._headers), []  # what follows are trailers, which nobody needs
        self._until_eof = (
            b"content-length" not in headers and b"transfer-encoding" not in headers and status not in _NO_BODY
        ) and not self._head_request
        self._response = Response(self, status, headers)
        self._waiter.set_result(self._response)
        self._waiter = None
        if self._head_request:
            self._complete = True  # llhttp would wait for the body that content-length announces

    def _head_is_too_large(self) -> bool:
        """Whether more came than a head may have, and not all of it is the body that came in the same read."""
        if self._framing_bytes <= MAX_HEAD_BYTES:
            return False
        return sum(len(name) + len(value) + len(": \r\n") for name, value in self._headers) > MAX_HEAD_BYTES

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
            self.deadline = self._loop.time() + self._patience.idle_s
            self._transport.resume_reading()
