"""OpenCode Go: three wire formats below one address, and errors that only `error.type` tells apart.

Its 401 is an empty purse or an unknown model as often as a bad key, so the status is asked last. Answers carry no
rate-limit headers: quota windows come from `GET /usage` and from the 429s.
"""

from collections.abc import Callable

import msgspec

from core.model import (
    AccountKind,
    AccountRefused,
    Cause,
    CredentialRejected,
    Endpoints,
    ExtraUsage,
    Outcome,
    QuotaSpent,
    QuotaWindow,
    Request,
    RequestRefused,
    RequestThrottled,
    Throttled,
    WindowStatus,
)
from core.providers.base import (
    ErrorBody,
    by_status,
    error_of,
    event_status,
    json_object,
    moment,
    percent,
    plain_error_body,
    retry_after_s,
)
from core.providers.headers import HeaderLine, Headers, for_upstream
from core.wording import window_name

PATH_PREFIX = b"/zen/go/v1"
"""Where the proxy's clients find it, whatever the path of the configured address."""

_SESSION = b"x-opencode-session"
_SESSION_ELSEWHERE = (b"x-session-id", b"x-session-affinity")
_MINUTE_S = 60.0
"""Its throttle counts requests per minute and says `retry-after: 60`."""
_CREDIT_PROBE_S = 3600.0
"""When to look again whether somebody filled the balance or raised a cap: a person's act, so not sooner."""
_WINDOW_OF_LIMIT = {"5 hour": "rolling", "weekly": "weekly", "monthly": "monthly"}
_STATUSES = {"ok": WindowStatus.ALLOWED, "rate-limited": WindowStatus.REJECTED}


class OpencodeGo(msgspec.Struct, frozen=True):
    """The provider for OpenCode Go keys."""

    kind: AccountKind = AccountKind.GO

    def base_url(self, endpoints: Endpoints) -> str:
        """The service's address, its path included."""
        return endpoints.opencode_go_url

    def target(self, target: bytes, base_path: bytes) -> bytes:
        """What follows the client's prefix, below the base path."""
        return base_path.rstrip(b"/") + target.removeprefix(PATH_PREFIX)

    def outgoing(self, headers: Headers, target: bytes, secret: str) -> list[HeaderLine]:
        """The client's headers with the key where the path wants it, and a session id that it would refuse to miss.

        Only clients whose provider is named `opencode…` send `x-opencode-session`; for the others it is the
        conversation's id that they do send.
        """
        lines = for_upstream(headers)
        if _SESSION not in headers:
            session = next((value for name in _SESSION_ELSEWHERE if (value := headers.get(name))), None)
            if session:
                lines.append((_SESSION, session))
        is_messages = target.partition(b"?")[0].endswith(b"/messages")
        key = secret.encode()
        lines.append((b"x-api-key", key) if is_messages else (b"authorization", b"Bearer " + key))
        return lines

    def classify(self, status: int, headers: Headers, body: bytes, request: Request, now: float) -> Outcome:  # noqa: ARG002 - no limit here is a model's
        """What a complete answer that is no 2xx came to."""
        return _judge(status, plain_error_body(headers, body), headers, now)

    def classify_error_event(self, data: bytes, headers: Headers, request: Request, now: float) -> Outcome:  # noqa: ARG002
        """The same for an error inside a stream; one without a known type is the upstream's failure."""
        return _judge(event_status(data), data, headers, now)

    def windows(self, headers: Headers, now: float) -> tuple[QuotaWindow, ...]:  # noqa: ARG002
        """None: the service strips all rate-limit headers."""
        return ()

    def extra_usage(self, headers: Headers, now: float) -> ExtraUsage | None:  # noqa: ARG002
        """None: what is paid from the workspace's balance does not show."""
        return None


def usage_windows(body: bytes, now: float) -> tuple[QuotaWindow, ...]:
    """The windows in an answer of `GET /usage`: rolling, weekly, monthly and any new one; () when it has none."""
    usage = json_object(body).get("usage")
    return tuple(
        QuotaWindow(
            name,
            percent(value.get("percent")),
            moment(value.get("resetsAt"), now),
            _STATUSES.get(str(value.get("status")), WindowStatus.UNKNOWN),
            seen_at=now,
        )
        for name, value in (usage.items() if isinstance(usage, dict) else ())
        if isinstance(value, dict) and "percent" in value
    )


# --- what an error means ---------------------------------------------------------------------------


class _Refusal(msgspec.Struct, frozen=True):
    """All that a rule may look at."""

    status: int
    error: ErrorBody
    limit: str
    asked_s: float | None
    now: float


def _judge(status: int, body: bytes, headers: Headers, now: float) -> Outcome:
    error = error_of(body)
    metadata = json_object(body).get("metadata")
    limit = metadata.get("limitName") if isinstance(metadata, dict) else None
    refusal = _Refusal(status, error, limit if isinstance(limit, str) else "", retry_after_s(headers, now), now)
    rule = _BY_CODE.get(error.code) or _BY_TYPE.get(error.type)
    if rule:
        return rule(refusal)
    if status == 429:  # noqa: PLR2004 - Too Many Requests, of a kind not known here
        return Throttled(refusal.asked_s) if refusal.asked_s else RequestThrottled()
    if status == 401 and not error.type:  # noqa: PLR2004 - Unauthorized, and nothing that says otherwise
        return _key_rejected(refusal)
    return by_status(status, error)


def _key_rejected(_: _Refusal) -> Outcome:
    return CredentialRejected("key rejected", renewable=False)


def _no_balance(refusal: _Refusal) -> Outcome:
    return QuotaSpent("no balance left", refusal.now + _CREDIT_PROBE_S, cause=Cause.CREDIT)


def _spend_cap(refusal: _Refusal) -> Outcome:
    """The workspace's cap, or that of the one member whose key it is."""
    own = refusal.error.type == "UserLimitError"
    return QuotaSpent("spend limit reached", refusal.now + _CREDIT_PROBE_S, cause=Cause.CREDIT, own=own)


def _no_subscription(_: _Refusal) -> Outcome:
    return AccountRefused("no OpenCode Go subscription")


def _request(refusal: _Refusal) -> Outcome:
    return RequestRefused(refusal.status)


def _window_full(refusal: _Refusal) -> Outcome:
    until_at = refusal.now + refusal.asked_s if refusal.asked_s else None
    name = _WINDOW_OF_LIMIT.get(refusal.limit)
    if name is None:
        return QuotaSpent(f"{refusal.limit or 'usage'} limit reached", until_at)
    window = QuotaWindow(name, 1.0, until_at, WindowStatus.REJECTED, seen_at=refusal.now)
    return QuotaSpent(f"{window_name(window)} window full", until_at, windows=(window,))


def _throttled(refusal: _Refusal) -> Outcome:
    return Throttled(refusal.asked_s or _MINUTE_S)


def _not_the_account(_: _Refusal) -> Outcome:
    return RequestThrottled()


_BY_CODE: dict[str, Callable[[_Refusal], Outcome]] = {
    "provider_rate_limit_exceeded": _not_the_account,  # whoever runs the model is busy, for everybody
}
_BY_TYPE: dict[str, Callable[[_Refusal], Outcome]] = {
    "AuthError": _key_rejected,
    "CreditsError": _no_balance,
    "MonthlyLimitError": _spend_cap,
    "UserLimitError": _spend_cap,
    "ModelError": _request,
    "RegionError": _request,  # all accounts call from the same place
    "EntitlementError": _no_subscription,
    "GoUsageLimitError": _window_full,
    "BlackUsageLimitError": _window_full,
    "FreeUsageLimitError": _not_the_account,  # the free models' own allowance, not what the account pays for
    "RateLimitError": _throttled,
}
