"""What a provider puts on the wire, as bytes that a script can cut anywhere."""

import json

Header = tuple[str, str]

PIECES = ("The ", "tide ", "comes ", "in.")
TEXT = "".join(PIECES)


def event(name: str, **fields: object) -> bytes:
    """One named event of a stream."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 1},
}
PING = event("ping")
STARTED = event("message_start", message=_MESSAGE)
"""All that comes before the first content."""
_BLOCK = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
_DELTAS = tuple(event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in PIECES)
HALF = STARTED + _BLOCK + _DELTAS[0] + _DELTAS[1]
"""A stream with content and without its end."""
_STOP = event("message_stop")
WITHOUT_STOP = (
    HALF
    + _DELTAS[2]
    + _DELTAS[3]
    + event("content_block_stop", index=0)
    + event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 4})
)
WHOLE = WITHOUT_STOP + _STOP


def error_event(kind: str = "overloaded_error", text: str = "Overloaded") -> bytes:
    """An error in the middle of a stream."""
    return event("error", error={"type": kind, "message": text})


def head(status: int, *headers: Header, reason: str = "Said") -> bytes:
    """A status line and header lines."""
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


_STREAM: Header = ("content-type", "text/event-stream; charset=utf-8")
_ID: Header = ("request-id", "req_1")
CHUNKED = head(200, _STREAM, _ID, ("transfer-encoding", "chunked"))
UNTIL_CLOSE = head(200, _STREAM, _ID, ("connection", "close"))
"""The head of a stream whose end is the connection's."""
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """A piece of a body in chunks."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def streamed(body: bytes = WHOLE) -> bytes:
    """An event stream in chunks, properly ended whatever it says."""
    return CHUNKED + (chunk(body) if body else b"") + END


def measured(body: bytes, length: int | None = None) -> bytes:
    """An event stream with a length, which may be a lie."""
    return head(200, _STREAM, _ID, ("content-length", str(len(body) if length is None else length))) + body


def said(status: int, body: bytes, *headers: Header, kind: str = "application/json") -> bytes:
    """A whole answer with its length."""
    return head(status, ("content-type", kind), _ID, *headers, ("content-length", str(len(body)))) + body


MESSAGE = said(
    200,
    json.dumps(
        {
            **_MESSAGE,
            "content": [{"type": "text", "text": TEXT}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 12, "output_tokens": 4},
        }
    ).encode(),
)
"""A whole answer that is not streamed."""


def refused(status: int, kind: str, text: str, *headers: Header) -> bytes:
    """A whole answer in the provider's error shape."""
    error = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_1"}
    return said(status, json.dumps(error).encode(), *headers)


def quota_full(for_s: int = 7_200) -> bytes:
    """429: the 5 h window is full."""
    return refused(
        429,
        "rate_limit_error",
        "This request would exceed your account's rate limit. Please try again later.",
        ("anthropic-ratelimit-unified-status", "rejected"),
        ("anthropic-ratelimit-unified-5h-status", "rejected"),
        ("anthropic-ratelimit-unified-5h-utilization", "1.0"),
        ("retry-after", str(for_s)),
    )


def throttled(for_s: int) -> bytes:
    """429: too fast for a moment."""
    return refused(429, "rate_limit_error", "Too many requests", ("retry-after", str(for_s)))


UNAUTHORIZED = refused(401, "authentication_error", "Invalid bearer token")
REVOKED = refused(403, "permission_error", "OAuth token has been revoked. Please obtain a new token.")
NO_CREDIT = refused(
    400,
    "invalid_request_error",
    "Your credit balance is too low to access the Anthropic API. "
    "Please go to Plans & Billing to upgrade or purchase credits.",
)
DISABLED = refused(403, "permission_error", "This organization has been disabled.")
BAD_REQUEST = refused(400, "invalid_request_error", "messages.0.content: Input should be a valid string")
TOO_LARGE = refused(413, "request_too_large", "Request exceeds the maximum size")
UNPROCESSABLE = refused(422, "invalid_request_error", "max_tokens: 0 is too small")
BARE_429 = refused(429, "rate_limit_error", "Rate limited")
OVERLOADED = refused(529, "overloaded_error", "Overloaded")


def failed(status: int) -> bytes:
    """A 5xx in the provider's error shape."""
    return refused(status, "api_error", "Internal server error")


EDGE_PAGE = said(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", kind="text/html")


def redirect(status: int, location: str) -> bytes:
    """A 3xx to somewhere else."""
    return said(status, b"", ("location", location))


# --- the token endpoint ----------------------------------------------------------------------------


def oauth_refused(error: str, status: int = 400) -> bytes:
    """The token endpoint says no."""
    return said(status, json.dumps({"error": error, "error_description": "Refresh token not found"}).encode())


INVALID_GRANT = oauth_refused("invalid_grant")
