"""What a provider is, and what providers have in common: reading errors, waiting times and statuses.

A provider reads and writes wire formats. It sends nothing and remembers nothing.
"""

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import msgspec

from core.errors import UNREADABLE
from core.model import AccountKind, Endpoints, ExtraUsage, Outcome, QuotaWindow, Request, RequestRefused, UpstreamFailed
from core.providers.coding import decoded
from core.providers.headers import HeaderLine, Headers

ERROR_BODY_BYTES = 64 * 1024
"""How much of an error is read: the providers' own are below 2 KiB, the rest are pages of some edge server."""

_MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138; as milliseconds 1973
_SANE_AHEAD_S = 400 * 86_400  # no quota is longer than a year; what lies further ahead is a mistake
_OVERLOADED = 529
_RETRIED_BY_SDK = frozenset({408, 409})
_FORBIDDEN = 403


_STATUS_OF_EVENT = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class Provider(Protocol):
    """How one kind of account is spoken to. One object for each kind, without state."""

    @property
    def kind(self) -> AccountKind:
        """The kind of account it speaks for."""

    def base_url(self, endpoints: Endpoints) -> str:
        """Where its requests go; the path of it is what `target` gets as `base_path`."""

    def target(self, target: bytes, base_path: bytes) -> bytes:
        """The upstream's request target for the client's (path and query as received)."""

    def outgoing(self, headers: Headers, target: bytes, secret: str) -> list[HeaderLine]:
        """The request's headers with the account's credential in them, without host and content-length.

        `target` is the client's or the upstream's; it decides where OpenCode Go wants the key.
        """

    def classify(self, status: int, headers: Headers, body: bytes, request: Request, now: float) -> Outcome:
        """What a complete answer that is no 2xx came to. `body` as received, still content-encoded."""

    def classify_error_event(self, data: bytes, headers: Headers, request: Request, now: float) -> Outcome:
        """What an error inside a stream came to; `headers` are those of the answer it broke off."""

    def windows(self, headers: Headers, now: float) -> tuple[QuotaWindow, ...]:
        """The quota windows that an answer's headers tell of, whatever its status."""

    def extra_usage(self, headers: Headers, now: float) -> ExtraUsage | None:
        """What an answer's headers tell of paid usage beyond the plan; None when they do not."""


class ErrorBody(msgspec.Struct, frozen=True):
    """The three things an error says in every dialect. Empty strings for what it does not say."""

    type: str = ""
    message: str = ""
    code: str = ""

    def says(self, phrase: str) -> bool:
        """The message contains `phrase` (lower-case). For errors that can be told in no other way: wording changes."""
        return phrase in self.message.lower()


def error_of(body: bytes) -> ErrorBody:
    """Read an error in Anthropic's or OpenAI's shape. What is neither, or no JSON at all, is an empty ErrorBody."""
    content = json_object(body)
    error = content.get("error", content)
    if not isinstance(error, dict):
        return ErrorBody()
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else error.get("code")
    return ErrorBody(_text(error.get("type")), _text(error.get("message")), _text(code))


def event_status(data: bytes) -> int:
    """The HTTP status that an error inside a stream would have had; one without a known type is a 500."""
    return _STATUS_OF_EVENT.get(error_of(data).type, 500)


def json_object(body: bytes) -> dict[str, object]:
    """The JSON object in a small body, {} when it is anything else."""
    if len(body) > ERROR_BODY_BYTES:
        return {}
    try:
        content = msgspec.json.decode(body)
    except UNREADABLE:
        return {}
    return content if isinstance(content, dict) else {}


def plain_error_body(headers: Headers, body: bytes) -> bytes:
    """An error's body without its content coding; empty when it is too large or cannot be decoded."""
    return decoded(body, headers.get(b"content-encoding"), limit_bytes=ERROR_BODY_BYTES) or b""


def by_status(status: int, error: ErrorBody) -> Outcome:
    """What an answer came to when nothing but its status tells.

    Server errors are the upstream's. So is a redirect, which is never followed: the client gets a 502 and no byte of
    the request goes where it points. 408 and 409 are treated alike because the provider's own SDK repeats them, and
    403 because another account may have what this one lacks; both reach the client as they came if that fails too.
    The rest is the request's.
    """
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        return UpstreamFailed(502)
    if status >= 500 or status == _FORBIDDEN or status in _RETRIED_BY_SDK:  # noqa: PLR2004 - server errors
        return UpstreamFailed(status, overloaded=status == _OVERLOADED or error.type == "overloaded_error")
    return RequestRefused(status)


def retry_after_s(headers: Headers, now: float) -> float | None:
    """How long the upstream asks to wait, at least 0.0; None when it does not say or says nonsense.

    Takes `retry-after-ms` before `retry-after`, as the provider's SDK does; the latter is seconds or an HTTP date.
    """
    milliseconds = number(headers.get(b"retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get(b"retry-after")
    seconds = number(value)
    if seconds is not None:
        return max(0.0, seconds)
    at = _http_date(value)
    return None if at is None else max(0.0, at - now)


def number(value: object) -> float | None:
    """A finite number from a header or from JSON, None for anything else."""
    if value is None or isinstance(value, bool):
        return None
    try:
        result = float(value)  # type: ignore[arg-type] # of what is no number either it says so itself
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def share(value: float | None) -> float | None:
    """A share of a quota that is used. A negative one is nonsense, and would put its account before all others."""
    return None if value is None or value < 0 else value


def percent(value: object) -> float | None:
    """A share that is told in percent; None for nonsense."""
    told = number(value)
    return None if told is None else share(told / 100)


def moment(value: object, now: float) -> float | None:
    """A point in time from epoch seconds, epoch milliseconds or ISO 8601 (RFC 3339). None for nonsense.

    More than a year ahead is nonsense too: nobody rests on the strength of a mistake in a date.
    """
    at = _point(value) if isinstance(value, (int, float, str, bytes)) else None
    return at if at is not None and 0 < at < now + _SANE_AHEAD_S else None


@lru_cache(maxsize=1024, typed=True)  # answer after answer names the same resets
def _point(value: float | str | bytes) -> float | None:
    at = number(value)
    if at is None:
        return _iso_date(value)
    return at / 1000 if at > _MILLISECONDS_FROM else at


def _iso_date(value: object) -> float | None:
    try:
        text = value.decode("ascii") if isinstance(value, bytes) else value
        parsed = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if parsed is None:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _http_date(value: bytes | None) -> float | None:
    if value is None:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import and hardly ever needed

    try:
        parsed = parsedate_to_datetime(value.decode("ascii"))
    except (ValueError, OverflowError):
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
