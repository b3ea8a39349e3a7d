"""The recorded answers of tests/wire: where each comes from stands in its README."""

from dataclasses import dataclass
from pathlib import Path

from core.providers.headers import Headers
from core.providers.sse import Dialect

_WIRE = Path(__file__).parent / "wire"
STREAMS = {
    "anthropic-stream-tool-use.sse": Dialect.MESSAGES,
    "anthropic-stream-overloaded.sse": Dialect.MESSAGES,
    "openai-chat.sse": Dialect.CHAT,
    "openai-responses.sse": Dialect.RESPONSES,
}
"""The streams, each in its dialect."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


def content(name: str) -> bytes:
    """A stream or a JSON body, byte for byte."""
    return (_WIRE / name).read_bytes()


def answer(name: str) -> Answer:
    """A whole answer: status line, header lines, an empty line, the body."""
    head, _, body = content(name).partition(b"\n\n")
    status_line, *lines = head.split(b"\n")
    fields = [line.partition(b": ") for line in lines]
    return Answer(int(status_line.split()[1]), Headers((name, value) for name, _, value in fields), body)
