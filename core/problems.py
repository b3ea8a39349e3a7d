"""Errors of our own, in the providers' shape and in words that clients print as they are. Pure."""

import math

import msgspec

from core.exchange import Simple
from core.model import Exhausted, ProviderName
from core.providers.headers import HeaderLine
from core.wording import clock_time

JSON: HeaderLine = (b"content-type", b"application/json")
NO_RETRY: HeaderLine = (b"x-should-retry", b"false")
"""Anthropic's clients obey it; without it Claude Code repeats a 401 for three minutes."""
SHORT_WAIT_S = 60
"""A client may wait this long by itself: the SDKs sleep on a `retry-after` of up to a minute, and guess beyond it."""
UNKNOWN: HeaderLine = (b"x-tidegate-outcome", b"unknown")
_ADD = {
    ProviderName.ANTHROPIC: "`tidegate add claude` or `tidegate add api-key`",
    ProviderName.OPENCODE_GO: "`tidegate add go`",
}


def problem(status: int, kind: str, message: str, *headers: HeaderLine) -> Simple:
    """An error in Anthropic's envelope, which is OpenCode Go's too; OpenAI's clients read the same `error.message`."""
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return Simple(status, msgspec.json.encode(body), (JSON, *headers))


def bad_gateway(message: str, *, unknown: bool = False) -> Simple:
    """No answer can be had from the provider. `unknown`: it may have done the work nevertheless."""
    return problem(502, "api_error", message, *((UNKNOWN,) if unknown else ()))


def nobody_ready(exhausted: Exhausted, provider: ProviderName, now: float) -> Simple:
    """Why no account can serve, each with its reason, and when the first can."""
    if exhausted.paused:
        until = f" until {clock_time(exhausted.ready_at, now)}" if exhausted.ready_at else ""
        message = f"Tidegate is paused{until}. `tidegate resume` or the tray icon's menu lets requests through again."
        return problem(403, "permission_error", message, NO_RETRY)
    if not exhausted.reasons:
        message = f"Tidegate has no account for {provider.value} yet: {_ADD[provider]} adds one."
        return problem(403, "permission_error", message, NO_RETRY)
    each = "; ".join(
        f"{label}: {text} until {clock_time(until_at, now)}" if until_at else f"{label}: {text}"
        for label, text, until_at in exhausted.reasons
    )
    if exhausted.tried:
        return _ask_again(f"Tidegate: no account served this just now; ask again. {each}.")
    if exhausted.ready_at is None:
        return problem(403, "permission_error", f"Tidegate: no account can serve this. {each}.", NO_RETRY)
    wait_s = max(1, math.ceil(exhausted.ready_at - now))
    message = f"Tidegate: no account is free before {clock_time(exhausted.ready_at, now)}. {each}."
    headers: list[HeaderLine] = [(b"retry-after", b"%d" % wait_s)]
    if wait_s > SHORT_WAIT_S:
        headers.append(NO_RETRY)
    return problem(429, "rate_limit_error", message, *headers)


def come_back() -> Simple:
    """Several attempts were refused in a row and others may be ready: one more request will find out."""
    return _ask_again("Tidegate: three attempts were refused; ask again.")


def _ask_again(message: str) -> Simple:
    return problem(429, "rate_limit_error", message, (b"retry-after", b"1"), (b"x-should-retry", b"true"))
