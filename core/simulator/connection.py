"""The simulated server's side of one TCP connection: requests in, answers (or what a fault leaves of them) out.

It knows when the client leaves, at the moment it leaves, and stops the work for it. It is deliberately another
implementation than `core/listener.py`, because it tests that one.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import responses
from typing import Protocol

import httptools

from core.simulator.answers import Answer, HeaderLines
from core.simulator.codings import CODERS, Coder, Identity

MAX_BODY_BYTES = 32 * 1024 * 1024  # api.anthropic.com's own limit for messages: 413 above
_MAX_PIPELINED = 32  # more requests that wait on one connection than this is no client
_LINGER_NONE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Received:
    """One request as it arrived, and what became of it."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = field(repr=False)
    at: float
    account: str | None = None
    """The label of the account whose credential it carried; None when that is nobody's."""
    status: int | None = None
    """None until a status line was sent."""
    answered: bool = False
    """The whole answer went out, with its regular end."""
    left_at: float | None = None
    """When the client closed the connection before the answer was over."""
    dropped_bytes: int = 0
    """How much of a body above the limit was not kept."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query, as received."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str:
        """A header's value; several lines joined as RFC 9110 (5.3) allows, empty when there is none."""
        wanted = name.lower().encode()
        return ", ".join(value.decode("latin-1") for key, value in self.headers if key.lower() == wanted)


class Exchange:
    """One request and the means to answer it well or badly."""

    def __init__(self, received: Received, connection: "Connection", *, keep_alive: bool) -> None:
        self.received = received
        self.keep_alive = keep_alive
        self._connection = connection
        self._coder: Coder = Identity()

    async def send(self, answer: Answer, encode: str | None) -> None:
        """Send a whole answer."""
        coding = self._choose_coder(encode if answer.body else None)
        body = self._coder.feed(answer.body) + self._coder.finish()
        await self._head(answer.status, (*answer.headers, *coding, ("content-length", str(len(body)))))
        if self.received.method != "HEAD":
            await self._connection.write(body)
        self.received.answered = True

    async def send_part(self, answer: Answer) -> None:
        """Send the head and the first half of the body of an answer that will not be finished."""
        await self._head(answer.status, (*answer.headers, ("content-length", str(len(answer.body)))))
        await self._connection.write(answer.body[: len(answer.body) // 2])

    async def begin(self, headers: HeaderLines, encode: str | None) -> None:
        """Send the head of a stream."""
        coding = self._choose_coder(encode)
        await self._head(HTTPStatus.OK, (*headers, *coding, ("transfer-encoding", "chunked")))

    async def event(self, data: bytes) -> None:
        """Send one event as one chunk."""
        await self._chunk(self._coder.feed(data))

    async def end(self, *, whole: bool = True) -> None:
        """End a stream in the regular way; `whole` is False when its last event was kept back."""
        await self._chunk(self._coder.finish())
        await self._connection.write(b"0\r\n\r\n")
        self.received.answered = whole

    async def garbage(self, data: bytes) -> None:
        """Send bytes that are no answer, and close."""
        await self._connection.write(data)
        self.close()

    def close(self) -> None:
        """Close the connection (FIN)."""
        self._connection.close()

    def reset(self) -> None:
        """Reset the connection (RST)."""
        self._connection.reset()

    def _choose_coder(self, encode: str | None) -> HeaderLines:
        accepted = {part.partition(";")[0].strip() for part in self.received.header("accept-encoding").split(",")}
        if encode is None or encode not in accepted:
            return ()
        self._coder = CODERS[encode]()
        return (("content-encoding", encode), ("vary", "Accept-Encoding"))

    async def _head(self, status: int, headers: HeaderLines) -> None:
        self.received.status = status
        reason = responses.get(status, "")  # 529 has none
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
        lines.append("connection: keep-alive" if self.keep_alive else "connection: close")
        await self._connection.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        self._connection.host.changed()

    async def _chunk(self, data: bytes) -> None:
        if data:
            await self._connection.write(b"%x\r\n%b\r\n" % (len(data), data))


class Host(Protocol):
    """Who answers what comes in on a connection."""

    def clock(self) -> float:
        """The time of the simulation."""

    def opened(self, connection: "Connection") -> None:
        """Told when a connection begins."""

    def closed(self, connection: "Connection") -> None:
        """Told when a connection is over."""

    def arrived(self, received: Received) -> None:
        """Told when a whole request is there."""

    def changed(self) -> None:
        """Told when a head was sent, and when nothing more will become of a request."""

    async def answer(self, exchange: Exchange) -> None:
        """Answer one request."""

    def start(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Run a connection's work in a task that the host owns."""


class Connection(asyncio.Protocol):
    """One connection: requests are answered one after another; when the client leaves, the work is cancelled."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._parser = httptools.HttpRequestParser(self)
        self._pending: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._closing = False
        self._transport: asyncio.Transport
        self._begin()

    @property
    def idle(self) -> bool:
        """It waits for a request."""
        return self._current is None and not self._pending

    # --- asyncio.Protocol --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server gives; for the type checker
        self._transport = transport
        self.host.opened(self)

    def data_received(self, data: bytes) -> None:
        """Parse."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.close()

    def pause_writing(self) -> None:
        """Let the answer wait until the client has read some of it."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let the answer go on."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note who left, and stop working for them."""
        del exc
        if self._current is not None and not self._closing:
            self._current.received.left_at = self.host.clock()
        if self._task is not None:
            self._task.cancel()
        self._writable.set()
        self.host.closed(self)

    # --- httptools ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """Collect the target, which may come in pieces."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header line."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Collect the body up to the limit, count the rest."""
        if len(self._body) + len(body) > MAX_BODY_BYTES:
            self._dropped_bytes += len(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Queue the request for its answer."""
        received = Received(
            self._parser.get_method().decode(),
            self._target.decode("latin-1"),
            tuple(self._headers),
            bytes(self._body),
            self.host.clock(),
            dropped_bytes=self._dropped_bytes,
        )
        self._body.clear()
        self._pending.append(Exchange(received, self, keep_alive=self._parser.should_keep_alive()))
        self.host.arrived(received)
        if len(self._pending) > _MAX_PIPELINED:
            self.reset()
        elif self._task is None:
            self._task = self.host.start(self._work())

    # --- for the exchange and the host -------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Send, and wait while the client does not read."""
        self._transport.write(data)
        await self._writable.wait()

    def close(self) -> None:
        """End with FIN, after what was written."""
        self._closing = True
        self._transport.close()

    def reset(self) -> None:
        """End with RST. What the kernel already has still reaches a client that reads."""
        self._closing = True
        handle = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._transport.abort()

    async def _work(self) -> None:
        while self._pending and not self._closing:
            exchange = self._current = self._pending.popleft()
            try:
                await self.host.answer(exchange)
            except Exception:
                self.reset()  # the host keeps the error; a client must not wait for what will not come
                raise
            finally:
                self._current = None
                self.host.changed()
            if not exchange.keep_alive:
                self.close()
        self._task = None

    def _begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._dropped_bytes = 0
