"""An answer read out of its bytes: what came, and whether its framing says that it is whole. Pure; the judge's eyes.

It is not llhttp and knows nothing of Tidegate: what both read alike is right.
"""

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How much of an answer is there."""

    NONE = "none"
    """Not a byte."""
    GARBAGE = "garbage"
    """What came is no answer."""
    HEAD_CUT = "head cut"
    CUT = "cut"
    """The head is there and a part of the body."""
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `rest` is what came behind it."""

    state: State
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    rest: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for known, value in self.headers if known == name), None)


def answer_in(raw: bytes, *, ended: bool = False) -> Answer:
    """The first final answer in `raw`. `ended`: the connection had an orderly end behind it."""
    if not raw:
        return Answer(State.NONE)
    while True:
        if not raw.startswith(b"HTTP/1.1 "[: len(raw)]):
            return Answer(State.GARBAGE)
        head, gap, rest = raw.partition(b"\r\n\r\n")
        if not gap:
            return Answer(State.HEAD_CUT)
        first, *lines = head.decode("latin-1").split("\r\n")
        number = first.split(" ")[1]
        if not number.isdigit() or not all(":" in line for line in lines):
            return Answer(State.GARBAGE)
        status = int(number)
        if status >= 200:  # what comes before is informational
            break
        raw = rest
        if not raw:
            return Answer(State.HEAD_CUT)
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    known = dict(headers)
    if status in {204, 304}:
        return Answer(State.WHOLE, status, headers, rest=rest)
    if known.get("transfer-encoding") == "chunked":
        body, state, after = _chunks(rest)
        return Answer(state, status, headers, body, after)
    if "content-length" in known:
        size = int(known["content-length"])
        state = State.WHOLE if len(rest) >= size else State.CUT
        return Answer(state, status, headers, rest[:size], rest[size:])
    return Answer(State.WHOLE if ended else State.CUT, status, headers, rest)


def _chunks(raw: bytes) -> tuple[bytes, State, bytes]:
    body = bytearray()
    while True:
        line, gap, rest = raw.partition(b"\r\n")
        if not gap:
            return bytes(body), State.CUT, b""
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return bytes(body), State.CUT, b""
        if size == 0:
            whole = rest.startswith(b"\r\n")
            return bytes(body), State.WHOLE if whole else State.CUT, rest[2:] if whole else b""
        body += rest[:size]
        if len(rest) < size + 2 or rest[size : size + 2] != b"\r\n":
            return bytes(body), State.CUT, b""
        raw = rest[size + 2 :]


@dataclass(frozen=True, slots=True)
class Stream:
    """What an event stream says of itself."""

    names: tuple[str, ...]
    """Of its whole events, in order."""
    data: tuple[bytes, ...]
    clean: bool
    """It ends between two events."""

    @property
    def stopped(self) -> bool:
        """It says that it is over."""
        return "message_stop" in self.names

    @property
    def error(self) -> bytes | None:
        """The data of its first error."""
        return next((data for name, data in zip(self.names, self.data, strict=True) if name == "error"), None)

    @property
    def error_first(self) -> bool:
        """The error comes before any content."""
        return next((name for name in self.names if name not in {"ping", "message_start"}), "") == "error"

    @property
    def has_content(self) -> bool:
        """Content has begun."""
        return any(name.startswith("content_block") for name in self.names)


def stream_in(body: bytes) -> Stream:
    """The events of a body."""
    *events, rest = body.replace(b"\r\n", b"\n").split(b"\n\n")
    names, data = [], []
    for event in events:
        fields = [line.partition(b":")[::2] for line in event.split(b"\n")]
        names.append(next((value.strip().decode() for name, value in fields if name == b"event"), ""))
        data.append(b"\n".join(value.strip() for name, value in fields if name == b"data"))
    return Stream(tuple(names), tuple(data), clean=not rest)
