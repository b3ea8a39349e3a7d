"""One request and the way back for its answer: what the listener and those who serve share."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

from core.providers.headers import Headers


class Incoming(msgspec.Struct):
    """One request. `note` and `program` are what `admit` made of the head: who asks, and with whose key."""

    method: bytes
    target: bytes
    headers: Headers
    http_1_0: bool = False
    keep_alive: bool = True
    body: bytes = b""
    note: Any = None
    program: str = ""

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]


class Simple(msgspec.Struct, frozen=True):
    """A whole answer made by us."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)


class Handler(Protocol):
    """What the listener serves."""

    def admit(self, request: Incoming) -> Simple | None:
        """Look at the head: None lets the body in (set `request.note`), an answer refuses it and closes."""

    async def serve(self, request: Incoming, answer: "Answer") -> None:
        """Answer a whole request. Cancelled when the client hangs up."""

    def malformed(self, status: int, message: str) -> Simple:
        """The answer to something that is no acceptable request."""


Address = tuple[str, int]


class Wire(Protocol):
    """What an answer needs of its connection."""

    keep_alive: bool
    http_1_0: bool
    room: bool

    @property
    def ends(self) -> tuple[Address, Address] | None:
        """Host and port of the client and of ours; None when it is gone."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def reset_on_close(self) -> None:
        """Make the coming close a reset."""


class Answer:
    """The way back to the client for one request."""

    __slots__ = ("_chunked", "_connection", "_head", "_head_only", "_left", "finished", "on_room", "started")

    def __init__(self, connection: "Wire", *, head_only: bool) -> None:
        self._connection = connection
        self._head_only = head_only
        self._chunked = False
        self._head = b""
        self._left: int | None = None
        self.started = False
        self.finished = False
        self.on_room: Callable[[bool], None] | None = None
        """Called with False when the client takes no more, with True when it does again."""

    def start(self, status: int, headers: Iterable[tuple[bytes, bytes]], length: int | None) -> None:
        """Begin. `length` is the body's size in bytes; None frames it in chunks.

        The head goes out with the first piece of the body, one packet less; `flush` it when that may be long in coming.
        """
        connection = self._connection
        self.started = True
        self._left = length
        lines = [b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, b"Unknown"))]
        lines += [name + b": " + value + b"\r\n" for name, value in headers]
        if status in _WITHOUT_BODY:
            self._head_only = True
        elif length is not None:
            lines.append(b"content-length: %d\r\n" % length)
        elif not connection.http_1_0:  # there the end of the connection is the end of the body
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if not connection.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def write(self, data: bytes) -> None:
        """Write a piece of the body. Ask `room` or set `on_room` before writing much."""
        if self._head_only or not data:
            return
        if self._left is not None:
            self._left -= len(data)
        if self._chunked:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        if self._head:
            data = self._head + data
            self._head = b""
        self._connection.write(data)

    def flush(self) -> None:
        """Send the head if it still waits for the body."""
        if self._head:
            self._connection.write(self._head)
            self._head = b""

    @property
    def room(self) -> bool:
        """Whether the client keeps up."""
        return self._connection.room

    @property
    def ends(self) -> tuple[Address, Address] | None:
        """Host and port of the client and of ours; None when the client is gone."""
        return self._connection.ends

    def finish(self) -> None:
        """The answer is whole."""
        if self._left and not self._head_only:
            self.abort()  # fewer bytes than promised: never let it look whole
            return
        self.flush()
        if self._chunked and not self._head_only:
            self._connection.write(b"0\r\n\r\n")
        self._finished()

    def abort(self) -> None:
        """The answer is not whole and the client must see it: what was written is sent, the end is not."""
        connection = self._connection
        connection.keep_alive = False
        self.flush()
        if not self._chunked and self._left is None:
            connection.reset_on_close()  # here an orderly close would mean a whole answer
        self._finished()

    def send(self, simple: Simple) -> None:
        """Write a whole answer of ours."""
        self.start(simple.status, simple.headers, len(simple.body))
        self.write(simple.body)
        self.finish()

    def _finished(self) -> None:
        self.finished = True
        self.on_room = None


_WITHOUT_BODY = frozenset(
    {*range(HTTPStatus.CONTINUE, HTTPStatus.OK), HTTPStatus.NO_CONTENT.value, HTTPStatus.NOT_MODIFIED.value}
)
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus} | {529: b"Overloaded"}
