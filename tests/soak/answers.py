"""What is wrong with an answer, as the program that asked sees it."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.raw import Reply

Dialect = Literal["messages", "chat", "responses", "json"]
ENDS: Mapping[str, tuple[bytes, ...]] = {
    "messages": (b"event: message_stop\n", b"event: error\n"),
    "chat": (b"data: [DONE]\n", b'"error"'),
    "responses": (b"event: response.completed\n", b"event: response.failed\n", b"event: error\n"),
}
"""The last event of a stream says that it is whole, or that it failed. A client takes anything else for success."""
LAST = 4_096
"""Bytes in which the last event begins."""
TOLD = frozenset({200, 400, 401, 403, 408, 429, 500, 502, 503, 504, 529})
OURS = b"its log says why"
"""Tidegate's own words for an exception inside it."""


@dataclass(frozen=True)
class Verdict:
    """`served` whole, `refused` with an error, `cut` so that it shows; or a `fault`, in words."""

    end: Literal["served", "refused", "cut", "fault"]
    text: str = ""


def judged(dialect: Dialect, reply: Reply) -> Verdict:
    """What became of one request."""
    body = _decoded(reply)
    if OURS in body or reply.status not in TOLD:
        return Verdict("fault", f"status {reply.status}: {body[:200]!r}")
    if not reply.whole:
        return Verdict("cut")
    if reply.status != 200:
        return Verdict("refused") if _is_error(body) else Verdict("fault", f"{reply.status} says {body[:200]!r}")
    if reply.headers.get("content-type", "").startswith("text/event-stream"):
        if not any(end in body[-LAST:] for end in ENDS[dialect]):
            return Verdict("fault", f"a stream ended cleanly in the middle: {body[-200:]!r}")
        return Verdict("served" if ENDS[dialect][0] in body[-LAST:] else "cut")
    return Verdict("served") if _is_object(body) else Verdict("fault", f"no JSON: {body[-200:]!r}")


def _decoded(reply: Reply) -> bytes:
    if reply.headers.get("content-encoding") != "gzip":
        return reply.body
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(reply.body)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def _is_error(body: bytes) -> bool:
    """In a shape that a program shows to its person; the edge of a provider answers with a page."""
    return (_is_object(body) and b'"error"' in body) or b"<html" in body.lower()
