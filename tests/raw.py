"""Bytes on sockets: a client and an upstream that a test plays byte by byte, and transports without a socket."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from ssl import SSLContext
from typing import Any

from core.link import Link
from core.upstream import Origin, Upstream, origin_of

WAIT_S = 5.0
"""Nothing in these tests takes that long; it ends a test that waits for what never comes."""


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds. Raises TimeoutError."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - most of what tests wait for sets no event
            await asyncio.sleep(0.001)


async def a_few_turns() -> None:
    """Let everything run that is ready to run."""
    for _ in range(20):
        await asyncio.sleep(0)


def leftovers(loop: asyncio.AbstractEventLoop) -> tuple[set[Any], set[Any]]:
    """The tasks and the timers of a loop."""
    timers = {timer for timer in loop._scheduled if not timer.cancelled()}  # type: ignore[attr-defined]
    return asyncio.all_tasks(loop), timers


@dataclass
class Reply:
    """An answer as a client sees it. `whole`: the framing says that it is complete."""

    status: int
    headers: dict[str, str]
    lines: list[bytes]
    body: bytes
    whole: bool


class Client:
    """One connection to a server on loopback."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int, host: str = "127.0.0.1") -> AsyncIterator["Client"]:
        reader, writer = await asyncio.open_connection(host, port)
        client = cls(reader, writer)
        try:
            yield client
        finally:
            await client.leave()

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            with suppress(ConnectionError):
                await self._writer.drain()

    async def leave(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def reset(self) -> None:
        reset(self._writer)

    async def reply(self, *, head_only: bool = False, within_s: float = WAIT_S) -> Reply:
        """Read one answer. Raises EOFError when none comes."""
        async with asyncio.timeout(within_s):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError) as exc:
                raise EOFError from exc
            status_line, *lines = head[:-4].split(b"\r\n")
            headers = {n.decode().lower(): v.decode() for n, _, v in (line.partition(b": ") for line in lines)}
            status = int(status_line.split()[1])
            if head_only or status < 200 or status in {204, 304}:
                return Reply(status, headers, lines, b"", whole=True)
            body, whole = await self._body(headers)
            return Reply(status, headers, lines, body, whole)

    async def _body(self, headers: dict[str, str]) -> tuple[bytes, bool]:
        got = bytearray()
        try:
            if "content-length" in headers:
                got += await self._reader.readexactly(int(headers["content-length"]))
            elif headers.get("transfer-encoding") == "chunked":
                while size := int(await self._reader.readuntil(b"\r\n"), 16):
                    got += await self._reader.readexactly(size)
                    assert await self._reader.readexactly(2) == b"\r\n"
                assert await self._reader.readexactly(2) == b"\r\n"
            else:
                while data := await self._reader.read(65536):
                    got += data
        except asyncio.IncompleteReadError as exc:
            return bytes(got + exc.partial), False
        except ConnectionError:
            return bytes(got), False
        return bytes(got), True

    async def rest_of_head(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            return await self._reader.readuntil(b"\r\n\r\n")

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()

    def read_on(self) -> None:
        self._writer.transport.resume_reading()

    async def some(self, size: int) -> bytes:
        async with asyncio.timeout(WAIT_S):
            return await self._reader.readexactly(size)

    async def rest(self) -> bytes:
        """All that comes until the server closes, one way or the other."""
        got = bytearray()
        async with asyncio.timeout(WAIT_S):
            with suppress(ConnectionError):
                while data := await self._reader.read(65536):
                    got += data
        return bytes(got)


async def reply_in(raw: bytes) -> Reply:
    """The answer in what was written to a client before its connection ended."""
    reader = asyncio.StreamReader()
    reader.feed_data(raw)
    reader.feed_eof()
    return await Client(reader, None).reply()  # type: ignore[arg-type]


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of an end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass
class Got:
    """One request as an upstream received it."""

    head: bytes
    body: bytes

    @property
    def lines(self) -> list[bytes]:
        return self.head[:-4].split(b"\r\n")


class Peer:
    """The upstream's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: "Played") -> None:
        self._reader = reader
        self._writer = writer
        self._server = server

    async def request(self) -> Got:
        """Read one request. Raises IncompleteReadError when the client closes instead."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        sizes = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await self._reader.readexactly(int(sizes[0])) if sizes else b""
        got = Got(head, body)
        self._server.requests.append(got)
        return got

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        reset(self._writer)

    async def gone(self) -> None:
        """Wait until the client closes."""
        while await self._reader.read(65536):
            pass


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class Played:
    """An upstream that plays `script` on every connection."""

    script: Script
    port: int = 0
    host: str = "127.0.0.1"
    scheme: str = "http"
    accepted: int = 0
    open: int = 0
    requests: list[Got] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        try:
            await self.script(Peer(reader, writer, self))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left
        except Exception as exc:  # noqa: BLE001 - raised again in the test
            self.failures.append(exc)
        finally:
            self.open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def played(
    script: Script, host: str = "127.0.0.1", tls: SSLContext | None = None, port: int = 0
) -> AsyncIterator[Played]:
    """Run an upstream until the block ends."""
    upstream = Played(script, host=host, scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(upstream._serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, host, port, ssl=tls, backlog=1024)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if upstream.failures:
        raise upstream.failures[0]


def answer(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer with content-length."""
    head = [b"HTTP/1.1 " + status, *lines, b"content-length: %d" % len(body), b"", b""]
    return b"\r\n".join(head) + body


def chunked(body: bytes, size: int = 1000) -> bytes:
    """A body in chunks, with its end."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Line(asyncio.Transport):
    """A transport without a socket: what was written, and what was asked of it. Bytes come in where a test says."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.written = bytearray()
        self.reading = True
        self.ended = False
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close


class Wire:
    """A client's connection, as an answer sees it, that keeps what is written."""

    def __init__(self, *, http_1_0: bool = False) -> None:
        self.http_1_0 = http_1_0
        self.keep_alive = not http_1_0
        self.room = True
        self.writes: list[bytes] = []
        self.resets = False
        self.ends = (("127.0.0.1", 40_000), ("127.0.0.1", 8433))

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def reset_on_close(self) -> None:
        self.resets = True

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)


def link_of(upstream: Upstream, origin: Origin) -> Link:
    """A connection as `upstream` makes them, without a socket."""
    whole, lost = partial(upstream._give_back, origin), partial(upstream._forget, origin)
    return Link(upstream.loop, upstream.patience, upstream._buffer, whole=whole, lost=lost)


def linked(upstream: Upstream, url: str) -> tuple[Link, Line]:
    """A connection to an origin that a test plays by hand; the next request to there goes out on it."""
    link = link_of(upstream, origin_of(url))
    line = Line(link)
    upstream._give_back(origin_of(url), link, reusable=True)
    return link, line
