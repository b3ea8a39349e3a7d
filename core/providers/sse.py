"""A look at an answer while its bytes go by: has it begun, is it complete, did it break, what did it cost.

The tap reads a copy and changes nothing. It is wrong in no cutting of the stream: lines end in LF, CRLF or CR as the
EventSource standard says, and are never taken apart as text, so a cut inside a character does not matter. What it
cannot read it says nothing about.
"""

from collections.abc import Callable
from enum import Enum

from core.model import ProviderName, Usage
from core.providers.coding import Decoder, Undecodable, decoded, decoder
from core.providers.usage import CHAT, MESSAGE, MESSAGE_START, RESPONSE, RESPONSE_EVENT, TYPED, read

EVENT_BYTES = 1024 * 1024
"""Most that is held of one event. The large ones repeat a request's settings and have some 10 KiB."""
_ANSWER_BYTES = 16 * 1024 * 1024
"""Most that a whole JSON answer may unpack to."""

_BOM = b"\xef\xbb\xbf"
_LINE_ENDS = b"\r\n"


class Dialect(Enum):
    """How a stream says that it began, ended or failed."""

    MESSAGES = "messages"
    """Anthropic: named events, `message_stop` at the end."""
    CHAT = "chat"
    """OpenAI chat completions: nameless events, `[DONE]` at the end."""
    RESPONSES = "responses"
    """OpenAI responses: named events, `response.completed` at the end."""
    OTHER = "other"
    """Any other stream. Its end cannot be told from a cut, so it counts as complete as soon as it says anything."""


_DIALECT_OF_PATH = {b"messages": Dialect.MESSAGES, b"completions": Dialect.CHAT, b"responses": Dialect.RESPONSES}


def dialect_of(provider: ProviderName, path: bytes) -> Dialect:
    """The dialect of the answers to a request target, a query or not."""
    name = path.partition(b"?")[0].rpartition(b"/")[2]
    dialect = _DIALECT_OF_PATH.get(name, Dialect.OTHER)
    speaks_openai = provider is ProviderName.OPENCODE_GO
    return dialect if dialect is Dialect.MESSAGES or speaks_openai else Dialect.OTHER


def usage_of(body: bytes, content_encoding: bytes | None, dialect: Dialect) -> Usage:
    """The tokens of a whole JSON answer; nothing when it tells none, is too large or cannot be read."""
    content = decoded(body, content_encoding, _ANSWER_BYTES) or b""
    if dialect is Dialect.MESSAGES:
        message = read(MESSAGE, content)
        return message.usage.onto(Usage()) if message else Usage()
    if dialect is Dialect.OTHER:
        return Usage()
    answer = read(RESPONSE, content)  # `usage` is in the same place in both of OpenAI's
    return answer.usage.total() if answer and answer.usage else Usage()


_CONTENT = frozenset({b"content_block_start", b"content_block_delta", b"content_block_stop"})
_UNREAD = _CONTENT | {b"ping"}
_NONE: frozenset[bytes] = frozenset()
_DELTA_EVENT = b"event: content_block_delta\n"
_DELTA_LINES = 3  # name, data, the empty line
_RESPONSE_ENDS = frozenset({b"response.completed", b"response.incomplete", b"response.failed"})


class Tap:
    """What is known of one streamed answer so far. Feed it the body's bytes as they come, in any pieces."""

    __slots__ = (
        "_after_cr",
        "_data",
        "_decoder",
        "_dialect",
        "_first_line",
        "_held_bytes",
        "_in_event",
        "_name",
        "_partial",
        "_unread",
        "at_boundary",
        "complete",
        "error",
        "overheard",
        "readable",
        "started",
        "usage",
    )

    started: bool
    """Content has begun (or the answer is over without any): from here on it is this answer and no other."""
    complete: bool
    """The answer said that it is over. A stream that ends before it was cut."""
    error: bytes | None
    """The data of the first error in the stream."""
    usage: Usage
    """The tokens counted so far."""
    at_boundary: bool
    """The bytes so far end between two events, so that one of ours (a ping) may follow. Never so when compressed."""
    readable: bool
    """False once the stream cannot be looked into; then the rest says what was known until there."""
    overheard: Callable[[bytes], None] | None
    """Gets each piece of a compressed stream as it is without the coding."""

    def __init__(self, dialect: Dialect, content_encoding: bytes | None = None) -> None:
        self._dialect = dialect
        self._unread = _UNREAD if dialect is Dialect.MESSAGES else _NONE
        self._decoder: Decoder | None = None
        self.started = self.complete = False
        self.error = None
        self.usage = Usage()
        self.overheard = None
        self.readable = True
        try:
            self._decoder = decoder(content_encoding)
        except Undecodable:
            self.readable = False
        self.at_boundary = self.readable and self._decoder is None
        self._partial = bytearray()
        self._after_cr = False
        self._first_line = True
        self._in_event = False
        self._name = b""
        self._data: list[bytes] = []
        self._held_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the body, as they are on the wire."""
        # Most chunks are one delta and nothing else. Three line ends, and the last two of them together, leave
        # no room for anything but the name, one more line and the end of the event.
        if (
            self.at_boundary
            and self.started
            and chunk.startswith(_DELTA_EVENT)
            and chunk.endswith(b"\n\n")
            and chunk.count(b"\n") == _DELTA_LINES
            and b"\r" not in chunk
            and self._unread
        ):
            return
        if not self.readable:
            return
        if self._decoder is None:
            self._read(chunk)
            self.at_boundary = self.readable and not (self._in_event or self._partial or self._after_cr)
            return
        try:
            for piece in self._decoder.feed(chunk):
                if self.overheard:
                    self.overheard(piece)
                self._read(piece)
                if not self.readable:
                    return
        except Undecodable:
            self._give_up()

    def _read(self, text: bytes) -> None:
        """Take the text apart into lines; the last one may be incomplete and waits for more."""
        if self._after_cr and text:
            self._after_cr = False
            text = text.removeprefix(b"\n")  # of a CRLF that was cut in the middle
        if not text:
            return
        lines = text.splitlines()  # of bytes: at LF, CRLF and CR and nowhere else, U+2028 is not among them
        rest = lines.pop() if text[-1] not in _LINE_ENDS else b""
        self._after_cr = text.endswith(b"\r")
        if lines and self._partial:
            lines[0] = bytes(self._partial) + lines[0]
            self._partial.clear()
        if lines and self._first_line:
            self._first_line = False
            lines[0] = lines[0].removeprefix(_BOM)
        for line in lines:
            if not line:
                self._end_of_event()
            elif len(line) + self._held_bytes <= EVENT_BYTES:
                self._field(line)
            else:
                self._give_up()
                return
        self._partial += rest
        if len(self._partial) + self._held_bytes > EVENT_BYTES:
            self._give_up()

    def _field(self, line: bytes) -> None:
        """One line of an event: only `event` and `data` matter, comments and the others do not."""
        name, _, value = line.partition(b":")
        if name == b"data":
            self._in_event = True
            if self._name not in self._unread:
                self._data.append(value.removeprefix(b" "))
                self._held_bytes += len(line)
        elif name == b"event":
            self._in_event = True
            self._name = value.removeprefix(b" ")
        elif name:
            self._in_event = True

    def _end_of_event(self) -> None:
        if self._name in self._unread:
            self.started = self.started or self._name in _CONTENT
        if self._data:
            self._take(self._name, b"\n".join(self._data))
            self._data.clear()
            self._held_bytes = 0
        self._name = b""
        self._in_event = False

    def _take(self, name: bytes, data: bytes) -> None:
        match self._dialect:
            case Dialect.MESSAGES:
                self._take_message(name or _type_of(data), data)
            case Dialect.CHAT:
                self._take_chat(name, data)
            case Dialect.RESPONSES:
                self._take_response(name or _type_of(data), data)
            case Dialect.OTHER:
                self.started = self.complete = True

    def _take_message(self, name: bytes, data: bytes) -> None:
        match name:
            case b"message_start":
                if start := read(MESSAGE_START, data):
                    self.usage = start.message.usage.onto(Usage())
            case b"message_delta":
                self.started = True
                if delta := read(MESSAGE, data):
                    self.usage = delta.usage.onto(self.usage)
            case b"message_stop":
                self.started = self.complete = True
            case b"error":
                self._fail(data)
            case _ if name in _CONTENT:  # nameless, known by its type
                self.started = True

    def _take_chat(self, name: bytes, data: bytes) -> None:
        chunk = read(CHAT, data)
        if name == b"error" or (chunk and chunk.error is not None):
            self._fail(data)
            return
        self.started = True
        if data == b"[DONE]" or (chunk and any(choice.finish_reason for choice in chunk.choices or ())):
            self.complete = True
        if chunk and chunk.usage:
            self.usage = chunk.usage.total()

    def _take_response(self, name: bytes, data: bytes) -> None:
        if name == b"error":
            self._fail(data)
            return
        self.started = True
        if name in _RESPONSE_ENDS:
            self.complete = True
            end = read(RESPONSE_EVENT, data)
            if end and end.response.usage:
                self.usage = end.response.usage.total()

    def _fail(self, data: bytes) -> None:
        if self.error is None:
            self.error = data

    def _give_up(self) -> None:
        self.readable = self.at_boundary = False
        self._partial.clear()
        self._data.clear()
        self._decoder = None


def _type_of(data: bytes) -> bytes:
    """The type that an event's data repeats, for events without a name."""
    typed = read(TYPED, data)
    return typed.type.encode() if typed else b""
