"""Anthropic's Messages API: what goes out for a subscription and for an API key, and what an error there means.

Errors are told by status, `error.type`, `error.details.error_code` and headers. The provider's SDK warns that the
wording of messages changes, so a phrase is looked for only where no other sign exists, and only in `error.message`.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from core.model import (
    AccountKind,
    AccountRefused,
    Cause,
    ClientRefused,
    CredentialRejected,
    Endpoints,
    ExtraUsage,
    ModelFamily,
    Outcome,
    QuotaSpent,
    QuotaWindow,
    Request,
    RequestRefused,
    RequestThrottled,
    Throttled,
)
from core.providers.anthropic_extra import extra_usage_refused, header_extra, usage_extra
from core.providers.anthropic_windows import RATE_LIMIT_PREFIX, header_windows, rejected_windows, usage_windows
from core.providers.base import ErrorBody, by_status, error_of, event_status, plain_error_body, retry_after_s
from core.providers.headers import HeaderLine, Headers, for_upstream
from core.wording import window_name

__all__ = ["Anthropic", "usage_extra", "usage_windows"]

# A protocol need: the API takes bearer tokens obtained by OAuth only with it (anthropic SDK, OAUTH_API_BETA_HEADER).
OAUTH_BETA = b"oauth-2025-04-20"
_BETA = b"anthropic-beta"

_THROTTLED_S = 30.0
"""The wait when a throttle names none: per-minute buckets refill continuously, half of one is usable again by then."""
_CREDIT_PROBE_S = 3600.0
"""When to look again whether somebody topped up credit or raised a cap: a person's act, so not sooner."""
_EXTRA_USAGE_PROBE_S = 1800.0


class Anthropic(msgspec.Struct, frozen=True):
    """The provider for accounts of one kind: CLAUDE (OAuth) or API_KEY."""

    kind: AccountKind

    def base_url(self, endpoints: Endpoints) -> str:
        """The API's address; its path, if any, comes before the client's."""
        return endpoints.anthropic_api_url

    def target(self, target: bytes, base_path: bytes) -> bytes:
        """Path and query as the client wrote them, below the base path."""
        return base_path.rstrip(b"/") + target

    def outgoing(self, headers: Headers, target: bytes, secret: str) -> list[HeaderLine]:  # noqa: ARG002 - one rule for all paths
        """The client's headers with this account's credential, and the OAuth beta exactly when it is a login."""
        betas = _betas(headers)
        oauth = self.kind is AccountKind.CLAUDE
        if oauth == (OAUTH_BETA in betas):
            lines = for_upstream(headers)
        else:
            lines = for_upstream(headers, drop=(_BETA,))
            betas = [*betas, OAUTH_BETA] if oauth else [beta for beta in betas if beta != OAUTH_BETA]
            if betas:
                lines.append((_BETA, b",".join(dict.fromkeys(betas))))
        lines.append((b"authorization", b"Bearer " + secret.encode()) if oauth else (b"x-api-key", secret.encode()))
        return lines

    def classify(self, status: int, headers: Headers, body: bytes, request: Request, now: float) -> Outcome:
        """What a complete answer that is no 2xx came to."""
        return self._judge(status, error_of(plain_error_body(headers, body)), headers, request, now)

    def classify_error_event(self, data: bytes, headers: Headers, request: Request, now: float) -> Outcome:
        """The same for the data of a stream's `error` event, by the status that its type would have had."""
        error = error_of(data)
        return self._judge(event_status(data), error, headers, request, now)

    def windows(self, headers: Headers, now: float) -> tuple[QuotaWindow, ...]:
        """The quota windows in an answer's headers."""
        return header_windows(headers, now)

    def extra_usage(self, headers: Headers, now: float) -> ExtraUsage | None:
        """What an answer's headers tell of extra usage."""
        return header_extra(headers, now)

    def _judge(self, status: int, error: ErrorBody, headers: Headers, request: Request, now: float) -> Outcome:
        oauth = self.kind is AccountKind.CLAUDE
        windows, extra = header_windows(headers, now), header_extra(headers, now)
        refusal = _Refusal(status, error, headers, request, now, windows, extra, oauth)
        rule = next((rule for rule in _RULES if rule.fits(refusal)), None)
        return rule.outcome(refusal) if rule else by_status(status, error)


def _betas(headers: Headers) -> list[bytes]:
    """The beta names of all `anthropic-beta` lines, in order."""
    return [name for token in (headers.get(_BETA) or b"").split(b",") if (name := token.strip())]


# --- what an error means ---------------------------------------------------------------------------


class _Refusal(msgspec.Struct, frozen=True):
    """All that a rule may look at."""

    status: int
    error: ErrorBody
    headers: Headers
    request: Request
    now: float
    windows: tuple[QuotaWindow, ...]
    extra: ExtraUsage | None
    oauth: bool


class _Rule(msgspec.Struct, frozen=True):
    """One kind of error: its statuses and, where they are not enough, the error's code or a phrase of its message."""

    statuses: tuple[int, ...]
    outcome: Callable[[_Refusal], Outcome]
    code: str = ""
    phrase: str = ""

    def fits(self, refusal: _Refusal) -> bool:
        if refusal.status not in self.statuses:
            return False
        if not self.code and not self.phrase:
            return True
        by_code = bool(self.code) and refusal.error.code == self.code
        return by_code or (bool(self.phrase) and refusal.error.says(self.phrase))


def _no_credit(refusal: _Refusal) -> Outcome:
    return _capped(refusal, "no credit left", refusal.now + _CREDIT_PROBE_S)


def _spend_cap(refusal: _Refusal) -> Outcome:
    """A cap that a person or a contract set; some name the day it ends."""
    ends_at = _date_in(refusal.error.message)
    later = ends_at is not None and ends_at > refusal.now
    until_at = ends_at if later else refusal.now + _CREDIT_PROBE_S
    return _capped(refusal, "spend limit reached", until_at, own=refusal.error.says("workspace api usage limits"))


def _tier_cap(refusal: _Refusal) -> Outcome:
    """The monthly threshold of the organisation's tier: it counts calendar months in UTC."""
    first = datetime.fromtimestamp(refusal.now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return _capped(refusal, "monthly spend limit reached", (first + timedelta(days=32)).replace(day=1).timestamp())


def _capped(refusal: _Refusal, text: str, until_at: float | None, *, own: bool = False) -> Outcome:
    return QuotaSpent(text, until_at, None, refusal.windows, refusal.extra, Cause.CREDIT, own)


def _no_extra_usage(refusal: _Refusal) -> Outcome:
    """Neither the plan nor what may be paid beyond it: the plan comes back first, at a reset that is often not told."""
    rejected = rejected_windows(refusal.headers, refusal.windows, refusal.now)
    until_at = _latest_reset(rejected, refusal.now) or refusal.now + _EXTRA_USAGE_PROBE_S
    return QuotaSpent("extra usage spent", until_at, None, refusal.windows, refusal.extra)


def _client_refused(_: _Refusal) -> Outcome:
    return ClientRefused("the provider serves only Claude Code with this login")


def _disabled(_: _Refusal) -> Outcome:
    return AccountRefused("organisation disabled by the provider")


def _oauth_switched_off(_: _Refusal) -> Outcome:
    return AccountRefused("the organisation's administrator does not allow logins")


def _key_unusable(_: _Refusal) -> Outcome:
    return AccountRefused("the key's creator left the organisation or its workspace")


def _encryption_key_disabled(_: _Refusal) -> Outcome:
    return AccountRefused("the workspace's encryption key is disabled")


def _credential(refusal: _Refusal) -> Outcome:
    """Renewed once if it is a login: even "Invalid authentication credentials" is sometimes only a stale token."""
    return CredentialRejected("login rejected" if refusal.oauth else "key rejected", renewable=refusal.oauth)


def _request(refusal: _Refusal) -> Outcome:
    return RequestRefused(refusal.status)


def _rate_limited(refusal: _Refusal) -> Outcome:
    """The three 429s: a window is full, too fast for a moment, or nothing said about the account at all."""
    rejected = rejected_windows(refusal.headers, refusal.windows, refusal.now)
    if account_wide := [window for window in rejected if window.family is None]:
        return _window_full(refusal, account_wide, None)
    if rejected:  # only a model's: the one that was asked for
        return _window_full(refusal, rejected, refusal.request.family or rejected[0].family)
    if extra_usage_refused(refusal.headers):
        return _no_extra_usage(refusal)
    asked_s = retry_after_s(refusal.headers, refusal.now)  # 0 occurs, and says as little as none
    if not asked_s and not any(name.startswith(RATE_LIMIT_PREFIX) for name in refusal.headers):
        return RequestThrottled()
    return Throttled(asked_s or _bucket_wait_s(refusal) or _THROTTLED_S, refusal.windows, refusal.extra)


def _window_full(refusal: _Refusal, full: list[QuotaWindow], family: ModelFamily | None) -> Outcome:
    """In again at the latest reset of the windows that refuse, which is also the one to name."""
    last = max(full, key=lambda window: window.resets_at or 0.0)
    until_at = _latest_reset(full, refusal.now)
    if until_at is None and (asked_s := retry_after_s(refusal.headers, refusal.now)):
        until_at = refusal.now + asked_s
    # The one that is called `oi` in headers was seen to refuse other families than its own.
    named = replace(last, family=family) if last.name.endswith("_oi") else last
    text = f"{window_name(named)} window full"
    return QuotaSpent(text, until_at, family, refusal.windows, refusal.extra)


def _latest_reset(windows: list[QuotaWindow], now: float) -> float | None:
    return max((at for window in windows if (at := window.resets_at) is not None and at > now), default=None)


def _bucket_wait_s(refusal: _Refusal) -> float | None:
    """Until the first empty bucket of an API key is full again; a login's windows are no buckets."""
    empty = [w for w in refusal.windows if w.utilization is not None and w.utilization >= 1 and not refusal.oauth]
    waits = [window.resets_at - refusal.now for window in empty if window.resets_at is not None]
    return min((wait for wait in waits if wait > 0), default=None)


_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: at (\d\d:\d\d) UTC)?")


def _date_in(message: str) -> float | None:
    """The moment in "You will regain access on 2026-12-01 at 00:00 UTC."."""
    found = _DATE.search(message)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}+00:00").timestamp()
    except ValueError:
        return None


# The first that fits decides; nothing fits: by the status alone.
_RULES = (
    _Rule((429,), _tier_cap, code="enforced_spend_limit_reached"),
    _Rule((429,), _spend_cap, code="contract_spend_limit_reached"),
    _Rule((429,), _request, phrase="extra usage is required for long context"),
    _Rule((429,), _rate_limited),
    _Rule((400,), _no_credit, phrase="credit balance is too low"),
    _Rule((400,), _spend_cap, phrase="api usage limits"),
    _Rule((400,), _no_extra_usage, phrase="out of extra usage"),
    _Rule((400,), _client_refused, phrase="third-party apps now draw from your extra usage"),
    _Rule((400,), _client_refused, phrase="only authorized for use with claude code"),
    _Rule((400, 403), _disabled, code="organization_on_hold", phrase="organization has been disabled"),
    _Rule((400,), _key_unusable, code="claude_code_key_creator_not_member"),
    _Rule((400,), _encryption_key_disabled, code="cmek_key_disabled"),
    _Rule((401, 403), _oauth_switched_off, phrase="oauth authentication is currently not allowed"),
    _Rule((401,), _request, phrase="cors requests are not allowed"),  # a header of ours, not the account
    _Rule((401,), _credential),
    _Rule((403,), _credential, phrase="token has been revoked"),
    # The organisation of the request's user profile, not the account's own.
    _Rule((402,), _request, code="linked_organization_billing_unavailable"),
    _Rule((402,), _request, code="linked_organization_spend_limit_reached"),
    _Rule((402,), _no_credit),
)
