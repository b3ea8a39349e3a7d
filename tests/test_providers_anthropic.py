"""Anthropic: what goes out for each kind of account, and what every known answer comes to."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
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
    ProviderName,
    QuotaSpent,
    Request,
    RequestRefused,
    RequestThrottled,
    Throttled,
    UpstreamFailed,
)
from core.policy.pool import observe
from core.providers import PROVIDERS
from core.providers.base import Provider
from core.providers.headers import Headers
from tests.pools import A, pool
from tests.recorded import answer

CLAUDE = PROVIDERS[AccountKind.CLAUDE]
API_KEY = PROVIDERS[AccountKind.API_KEY]
OPUS = ModelFamily("opus")
REQUEST = Request(ProviderName.ANTHROPIC, model="claude-opus-5-5", family=OPUS)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = at("2026-07-31T15:00:00")
RESET_5H = at("2026-07-31T17:20:00")
RESET_7D = at("2026-08-05T12:00:00")


def unified(**windows: str) -> dict[str, str]:
    """Unified headers: `unified(_5h="rejected")` has that status and a reset."""
    resets = {"5h": RESET_5H, "7d": RESET_7D}
    named = {name.removeprefix("_"): status for name, status in windows.items()}
    lines = {f"anthropic-ratelimit-unified-{name}-status": status for name, status in named.items()}
    lines |= {f"anthropic-ratelimit-unified-{n}-reset": f"{resets.get(n, RESET_7D):.0f}" for n in named}
    return lines


# --- what goes out ---------------------------------------------------------------------------------


def test_a_login_goes_out_as_bearer_token_with_the_oauth_beta() -> None:
    headers = Headers([(b"X-Api-Key", b"tg-local"), (b"anthropic-version", b"2023-06-01"), (b"user-agent", b"u")])
    assert CLAUDE.outgoing(headers, b"/v1/messages", "sk-ant-oat01-EXAMPLE") == [
        (b"anthropic-version", b"2023-06-01"),
        (b"user-agent", b"u"),
        (b"anthropic-beta", b"oauth-2025-04-20"),
        (b"authorization", b"Bearer sk-ant-oat01-EXAMPLE"),
    ]


def test_an_api_key_goes_out_as_x_api_key() -> None:
    headers = Headers([(b"Authorization", b"Bearer tg-local"), (b"anthropic-version", b"2023-06-01")])
    assert API_KEY.outgoing(headers, b"/v1/messages", "sk-ant-api03-EXAMPLE") == [
        (b"anthropic-version", b"2023-06-01"),
        (b"x-api-key", b"sk-ant-api03-EXAMPLE"),
    ]


@pytest.mark.parametrize(
    ("kind", "lines", "expected"),
    [
        (AccountKind.CLAUDE, [], [b"oauth-2025-04-20"]),
        (AccountKind.CLAUDE, [b"a-1, b-2"], [b"a-1,b-2,oauth-2025-04-20"]),
        (AccountKind.CLAUDE, [b"a-1", b"b-2,a-1, ,c-3"], [b"a-1,b-2,c-3,oauth-2025-04-20"]),
        (AccountKind.CLAUDE, [b"xoauth-2025-04-20"], [b"xoauth-2025-04-20,oauth-2025-04-20"]),
        (AccountKind.CLAUDE, [b"b-2 ,oauth-2025-04-20,,b-2"], [b"b-2 ,oauth-2025-04-20,,b-2"]),
        (AccountKind.CLAUDE, [b"a-1", b"oauth-2025-04-20"], [b"a-1", b"oauth-2025-04-20"]),
        (AccountKind.API_KEY, [], []),
        (AccountKind.API_KEY, [b"a-1 ,a-1,", b"b-2"], [b"a-1 ,a-1,", b"b-2"]),
        (AccountKind.API_KEY, [b"a-1,oauth-2025-04-20", b"b-2"], [b"a-1,b-2"]),
        (AccountKind.API_KEY, [b"oauth-2025-04-20"], []),
    ],
)
def test_the_oauth_beta_is_there_for_logins_only_and_other_betas_stay(
    kind: AccountKind, lines: list[bytes], expected: list[bytes]
) -> None:
    headers = Headers((b"Anthropic-Beta", line) for line in lines)
    sent = PROVIDERS[kind].outgoing(headers, b"/v1/messages", "secret")
    assert [value for name, value in sent if name.lower() == b"anthropic-beta"] == expected


@pytest.mark.parametrize("provider", [CLAUDE, API_KEY])
def test_path_and_query_go_out_as_they_came(provider: Provider) -> None:
    assert provider.base_url(Endpoints()) == "https://api.anthropic.com"
    assert provider.target(b"/v1/messages?beta=true", b"") == b"/v1/messages?beta=true"
    assert provider.target(b"/v1/messages", b"/gateway/") == b"/gateway/v1/messages"


# --- what an answer came to ------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One refusal: what came, and what it came to. `windows` of the outcome are compared by name."""

    id: str
    status: int
    expected: Outcome
    type: str = ""
    message: str = ""
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    kind: AccountKind = AccountKind.CLAUDE
    windows: tuple[str, ...] = ()

    @property
    def body(self) -> bytes:
        error = {"type": self.type, "message": self.message}
        return json.dumps({"type": "error", "error": error | {"details": {"error_code": self.code}}}).encode()


KEY = AccountKind.API_KEY
HOUR = NOW + 3600
TODAY_FULL = "This request would exceed your account's rate limit. Please try again later."
LONG_CONTEXT = "Extra usage is required for long context requests."
CREDIT = QuotaSpent("no credit left", HOUR, cause=Cause.CREDIT)
LOGIN = CredentialRejected("login rejected", renewable=True)
BAD_KEY = CredentialRejected("key rejected", renewable=False)
OTHER_CLIENT = ClientRefused("the provider serves only Claude Code with this login")
DISABLED = AccountRefused("organisation disabled by the provider")
NO_LOGINS = AccountRefused("the organisation's administrator does not allow logins")


def spend(until_at: float, text: str = "spend limit reached") -> QuotaSpent:
    return QuotaSpent(text, until_at, cause=Cause.CREDIT)


KNOWN_MESSAGES = [
    Row(
        "400 credit balance too low",
        400,
        CREDIT,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
        kind=KEY,
    ),
    Row(
        "400 API usage limits, with a day",
        400,
        spend(at("2026-08-01T00:00:00")),
        "invalid_request_error",
        "You have reached your specified API usage limits. You will regain access on 2026-08-01 at 00:00 UTC.",
        kind=KEY,
    ),
    Row(
        "400 workspace API usage limits, without a day",
        400,
        replace(spend(HOUR), own=True),
        "invalid_request_error",
        "You have reached your specified workspace API usage limits.",
        kind=KEY,
    ),
    Row(
        "400 API usage limits, a day that has passed",
        400,
        spend(HOUR),
        "invalid_request_error",
        "You have reached your specified API usage limits. You will regain access on 2026-07-01 at 00:00 UTC.",
        kind=KEY,
    ),
    Row(
        "400 API usage limits, a day that does not exist",
        400,
        spend(HOUR),
        "invalid_request_error",
        "You have reached your specified API usage limits. You will regain access on 2026-02-31 at 00:00 UTC.",
        kind=KEY,
    ),
    Row(
        "429 enforced_spend_limit_reached",
        429,
        spend(at("2026-08-01T00:00:00"), "monthly spend limit reached"),
        "rate_limit_error",
        code="enforced_spend_limit_reached",
        kind=KEY,
    ),
    Row(
        "400 out of extra usage",
        400,
        QuotaSpent("extra usage spent", NOW + 1800),
        "invalid_request_error",
        "You're out of extra usage. Add more at claude.ai/settings/usage and keep going.",
    ),
    Row(
        "400 out of extra usage, a window rejected",
        400,
        QuotaSpent("extra usage spent", RESET_7D),
        "invalid_request_error",
        "You're out of extra usage. Add more at claude.ai/settings/usage and keep going.",
        headers=unified(_5h="rejected", _7d="rejected"),
        windows=("5h", "7d"),
    ),
    Row(
        "400 third-party apps",
        400,
        OTHER_CLIENT,
        "invalid_request_error",
        "Third-party apps now draw from your extra usage, not your plan limits.",
    ),
    Row(
        "400 only authorized for Claude Code",
        400,
        OTHER_CLIENT,
        "invalid_request_error",
        "system: This credential is only authorized for use with Claude Code and cannot be used for other requests.",
    ),
    Row("400 organization disabled", 400, DISABLED, "invalid_request_error", "This organization has been disabled."),
    Row("403 organization disabled", 403, DISABLED, "permission_error", "This organization has been disabled."),
    Row("400 organization_on_hold", 400, DISABLED, "invalid_request_error", "On hold.", "organization_on_hold"),
    Row(
        "401 OAuth token expired",
        401,
        LOGIN,
        "authentication_error",
        "OAuth token has expired. Please obtain a new token or refresh your existing token.",
    ),
    Row("401 invalid bearer token", 401, LOGIN, "authentication_error", "Invalid bearer token"),
    Row("401 invalid credentials", 401, LOGIN, "authentication_error", "Invalid authentication credentials"),
    Row("401 invalid x-api-key", 401, BAD_KEY, "authentication_error", "invalid x-api-key", kind=KEY),
    Row(
        "401 OAuth not allowed for the organization",
        401,
        NO_LOGINS,
        "authentication_error",
        "OAuth authentication is currently not allowed for this organization.",
    ),
    Row(
        "403 OAuth not allowed for the organization",
        403,
        NO_LOGINS,
        "permission_error",
        "OAuth authentication is currently not allowed for this organization.",
    ),
    Row(
        "401 CORS",
        401,
        RequestRefused(401),
        "authentication_error",
        "CORS requests are not allowed for this Organization because of its settings.",
    ),
    Row(
        "403 OAuth token revoked",
        403,
        LOGIN,
        "permission_error",
        "OAuth token has been revoked. Please obtain a new token.",
    ),
    Row(
        "403 scope",
        403,
        UpstreamFailed(403),
        "permission_error",
        "OAuth token does not meet scope requirement user:profile",
    ),
    Row("403 model or feature", 403, UpstreamFailed(403), "permission_error", "Not available to your key.", kind=KEY),
    Row("404 model", 404, RequestRefused(404), "not_found_error", "model: claude-nothing-9"),
    Row("413 request too large", 413, RequestRefused(413), "request_too_large", "Request exceeds the maximum size"),
    Row(
        "429 would exceed, rejected",
        429,
        QuotaSpent("5 h window full", RESET_5H),
        "rate_limit_error",
        TODAY_FULL,
        headers=unified(_5h="rejected", _7d="allowed"),
        windows=("5h", "7d"),
    ),
    Row(
        "429 would exceed, allowed",
        429,
        Throttled(30.0),
        "rate_limit_error",
        TODAY_FULL,
        headers=unified(_5h="allowed", _7d="allowed"),
        windows=("5h", "7d"),
    ),
    Row(
        "429 number of requests per minute",
        429,
        Throttled(7.0),
        "rate_limit_error",
        "Number of request tokens has exceeded your per-minute rate limit (https://docs.claude.com/en/api/rate-limits)",
        headers={"retry-after": "7", "anthropic-ratelimit-requests-remaining": "0"},
        kind=KEY,
        windows=("requests",),
    ),
    Row(
        "429 without any rate-limit header",
        429,
        RequestThrottled(),
        "rate_limit_error",
        "Rate limited",
        headers={"x-should-retry": "true"},
    ),
    Row(
        "429 long context",
        429,
        RequestRefused(429),
        "rate_limit_error",
        LONG_CONTEXT,
        headers=unified(_5h="allowed"),
    ),
    Row("500 internal server error", 500, UpstreamFailed(500), "api_error", "Internal server error"),
    Row("529 overloaded", 529, UpstreamFailed(529, overloaded=True), "overloaded_error", "Overloaded"),
    Row("503 overloaded", 503, UpstreamFailed(503, overloaded=True), "overloaded_error", "Overloaded"),
    Row("504 timeout", 504, UpstreamFailed(504), "timeout_error"),
]

DECISIONS = [
    Row("401 of a login", 401, LOGIN),
    Row("401 of a key", 401, BAD_KEY, kind=KEY),
    Row("400 anything else", 400, RequestRefused(400), "invalid_request_error", "max_tokens: must be positive"),
    Row("422", 422, RequestRefused(422), "invalid_request_error"),
    Row(
        "429 several windows rejected: the latest reset",
        429,
        QuotaSpent("week window full", RESET_7D),
        "rate_limit_error",
        headers=unified(_5h="rejected", _7d="rejected"),
        windows=("5h", "7d"),
    ),
    Row(
        "429 a model's window rejected: the family of the request",
        429,
        QuotaSpent("opus week window full", RESET_7D, OPUS),
        "rate_limit_error",
        headers=unified(_5h="allowed", _7d_oi="rejected"),
        windows=("5h", "7d_oi"),
    ),
    Row(
        "429 a model's window and the account's rejected: the account",
        429,
        QuotaSpent("5 h window full", RESET_5H),
        "rate_limit_error",
        headers=unified(_5h="rejected", _7d_oi="rejected"),
        windows=("5h", "7d_oi"),
    ),
    Row(
        "429 one verdict for all windows: the one it names",
        429,
        QuotaSpent("week window full", RESET_7D),
        "rate_limit_error",
        headers={
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-representative-claim": "seven_day",
            "anthropic-ratelimit-unified-reset": f"{RESET_7D:.0f}",
        },
    ),
    Row(
        "429 one verdict that names a model's week",
        429,
        QuotaSpent("sonnet week window full", RESET_7D, OPUS),
        "rate_limit_error",
        headers={
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-representative-claim": "seven_day_sonnet",
            "anthropic-ratelimit-unified-reset": f"{RESET_7D:.0f}",
        },
    ),
    Row(
        "429 one verdict that names nothing",
        429,
        QuotaSpent("quota window full", NOW + 60),
        "rate_limit_error",
        headers={"anthropic-ratelimit-unified-status": "blocked", "retry-after": "60"},
    ),
    Row(
        "429 one verdict that names the included week of a model",
        429,
        QuotaSpent("opus week window full", RESET_7D, OPUS),
        "rate_limit_error",
        headers={
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-representative-claim": "seven_day_overage_included",
            "anthropic-ratelimit-unified-reset": f"{RESET_7D:.0f}",
        },
    ),
    Row(
        "429 extra usage spent as well, a window rejected",
        429,
        QuotaSpent("5 h window full", RESET_5H),
        "rate_limit_error",
        headers={
            **unified(_5h="rejected"),
            "anthropic-ratelimit-unified-representative-claim": "overage",
        },
        windows=("5h",),
    ),
    Row(
        "429 too fast while extra usage pays",
        429,
        Throttled(20.0),
        "rate_limit_error",
        headers={
            "anthropic-ratelimit-unified-status": "allowed",
            "anthropic-ratelimit-unified-representative-claim": "overage",
            "retry-after": "20",
        },
    ),
    Row(
        "429 rejected without a time",
        429,
        QuotaSpent("5 h window full", None),
        "rate_limit_error",
        headers={"anthropic-ratelimit-unified-5h-status": "rejected"},
        windows=("5h",),
    ),
    Row(
        "429 rejected with a reset that has passed: retry-after",
        429,
        QuotaSpent("5 h window full", NOW + 90),
        "rate_limit_error",
        headers={
            "anthropic-ratelimit-unified-5h-status": "rejected",
            "anthropic-ratelimit-unified-5h-reset": f"{NOW - 5:.0f}",
            "retry-after": "90",
        },
        windows=("5h",),
    ),
    Row(
        "429 a key's bucket empty, no retry-after: its reset",
        429,
        Throttled(15.0),
        "rate_limit_error",
        headers={
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2026-07-31T15:00:02Z",
            "anthropic-ratelimit-input-tokens-limit": "1000",
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2026-07-31T15:00:15Z",
        },
        kind=KEY,
        windows=("requests", "input-tokens"),
    ),
    Row(
        "429 a key's bucket, no time at all: 30 s",
        429,
        Throttled(30.0),
        "rate_limit_error",
        headers={"anthropic-ratelimit-requests-remaining": "0", "retry-after": "0"},
        kind=KEY,
        windows=("requests",),
    ),
    Row("429 retry-after alone", 429, Throttled(12.0), "rate_limit_error", headers={"retry-after": "12"}, kind=KEY),
    Row("429 retry-after of 0 alone", 429, RequestThrottled(), "rate_limit_error", headers={"retry-after": "0"}),
    Row(
        "429 ramp limit",
        429,
        Throttled(20.0),
        "rate_limit_error",
        code="ramp_limit_exceeded",
        headers={"retry-after": "20"},
        kind=KEY,
    ),
    Row("429 contract's spend limit", 429, spend(HOUR), "rate_limit_error", code="contract_spend_limit_reached"),
    Row("402 billing", 402, CREDIT, "billing_error", kind=KEY),
    Row(
        "402 of the organisation behind the request's user profile",
        402,
        RequestRefused(402),
        "billing_error",
        code="linked_organization_spend_limit_reached",
        kind=KEY,
    ),
    Row(
        "400 key's creator left",
        400,
        AccountRefused("the key's creator left the organisation or its workspace"),
        code="claude_code_key_creator_not_member",
        kind=KEY,
    ),
    Row(
        "400 encryption key disabled",
        400,
        AccountRefused("the workspace's encryption key is disabled"),
        code="cmek_key_disabled",
        kind=KEY,
    ),
    Row("502", 502, UpstreamFailed(502)),
    Row("redirect", 307, UpstreamFailed(502)),
    Row("408", 408, UpstreamFailed(408)),
]


def stripped(outcome: Outcome) -> tuple[Outcome, tuple[str, ...]]:
    """The outcome without its windows, and the names of those."""
    if isinstance(outcome, QuotaSpent):
        bare = QuotaSpent(outcome.text, outcome.until_at, outcome.family, cause=outcome.cause, own=outcome.own)
        return bare, tuple(window.name for window in outcome.windows)
    if isinstance(outcome, Throttled):
        return Throttled(outcome.wait_s), tuple(window.name for window in outcome.windows)
    return outcome, ()


@pytest.mark.parametrize("row", [*KNOWN_MESSAGES, *DECISIONS], ids=lambda row: row.id)
def test_a_refusal_is_told_by_status_type_code_and_headers(row: Row) -> None:
    headers = Headers((name.encode(), value.encode()) for name, value in row.headers.items())
    outcome = PROVIDERS[row.kind].classify(row.status, headers, row.body, REQUEST, NOW)
    assert stripped(outcome) == (row.expected, row.windows)


def test_a_full_window_is_told_from_the_published_capture() -> None:
    refused = answer("anthropic-429-five-hour-window.http")
    outcome = CLAUDE.classify(refused.status, refused.headers, refused.body, REQUEST, NOW)
    assert stripped(outcome) == (QuotaSpent("5 h window full", RESET_5H), ("5h", "7d"))


def test_extra_usage_that_is_spent_is_told_from_the_months_limit_and_asked_again_before_it() -> None:
    refused = answer("anthropic-429-overage.http")
    now = at("2026-08-01T00:00:00")

    outcome = CLAUDE.classify(refused.status, refused.headers, refused.body, REQUEST, now)

    assert outcome == QuotaSpent("extra usage spent", now + 1800, extra_usage=ExtraUsage(False, False, None, now))


def test_a_keys_empty_bucket_is_a_throttle_that_tells_its_buckets() -> None:
    refused = answer("anthropic-429-api-key-minute.http")

    outcome = API_KEY.classify(refused.status, refused.headers, refused.body, REQUEST, at("2025-08-21T12:41:00"))

    assert stripped(outcome) == (Throttled(21.0), ("requests", "input-tokens", "output-tokens", "tokens"))


def test_a_refusal_tells_of_extra_usage_as_well() -> None:
    refused = answer("anthropic-429-five-hour-window.http")

    outcome = CLAUDE.classify(refused.status, refused.headers, refused.body, REQUEST, NOW)

    assert isinstance(outcome, QuotaSpent)
    assert outcome.extra_usage == ExtraUsage(enabled=False, in_use=False, seen_at=NOW)


def test_a_request_that_only_extra_usage_would_serve_rests_nobody() -> None:
    """Long context is not part of every plan; the account serves all other requests."""
    body = json.dumps({"error": {"type": "rate_limit_error", "message": LONG_CONTEXT}}).encode()
    p = pool("a")

    outcome = CLAUDE.classify(429, Headers([]), body, REQUEST, NOW)

    assert outcome == RequestRefused(429)
    assert observe(p, A, outcome, NOW) == (p, ())


def test_a_models_full_week_rests_only_that_model() -> None:
    refused = answer("anthropic-429-model-week.http")
    fable = Request(ProviderName.ANTHROPIC, family=ModelFamily("fable"))
    unknown = Request(ProviderName.ANTHROPIC)
    for request in (fable, unknown):
        outcome = CLAUDE.classify(refused.status, refused.headers, refused.body, request, NOW)
        assert isinstance(outcome, QuotaSpent)
        assert (outcome.text, outcome.family) == ("fable week window full", ModelFamily("fable"))
        assert outcome.until_at == 1_785_900_000.0


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "messages.3: unexpected permission, authentication and quota words"),
        (404, "Your credit balance is too low to access the Anthropic API"),
        (400, "OAuth token has been revoked"),
    ],
)
def test_words_that_belong_to_another_status_mean_nothing(status: int, message: str) -> None:
    body = json.dumps({"error": {"type": "invalid_request_error", "message": message}}).encode()
    assert CLAUDE.classify(status, Headers([]), body, REQUEST, NOW) == RequestRefused(status)


def test_words_outside_the_message_mean_nothing() -> None:
    body = json.dumps(
        {"error": {"type": "invalid_request_error", "message": "no"}, "echo": "This organization has been disabled."}
    ).encode()
    assert CLAUDE.classify(400, Headers([]), body, REQUEST, NOW) == RequestRefused(400)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 502, 529])
@pytest.mark.parametrize("body", [b"", b"<html>blocked</html>", b"null", b"\xff\xfe", b'{"error": []}'])
def test_a_body_that_is_no_error_in_json_is_told_by_its_status(status: int, body: bytes) -> None:
    outcome = CLAUDE.classify(status, Headers([]), body, REQUEST, NOW)
    assert isinstance(outcome, (RequestRefused, CredentialRejected, QuotaSpent, RequestThrottled, UpstreamFailed)), (
        outcome
    )


@pytest.mark.parametrize(
    ("error_type", "expected"),
    [
        ("overloaded_error", UpstreamFailed(529, overloaded=True)),
        ("api_error", UpstreamFailed(500)),
        ("timeout_error", UpstreamFailed(504)),
        ("authentication_error", LOGIN),
        ("permission_error", UpstreamFailed(403)),
        ("invalid_request_error", RequestRefused(400)),
        ("rate_limit_error", RequestThrottled()),
        ("something_new", UpstreamFailed(500)),
    ],
)
def test_an_error_event_comes_to_what_its_status_would_have(error_type: str, expected: Outcome) -> None:
    data = json.dumps({"type": "error", "error": {"type": error_type, "message": "m"}}).encode()
    compressed = Headers([(b"content-encoding", b"gzip")])  # of the stream; the event is read from the decoded copy
    assert CLAUDE.classify_error_event(data, compressed, REQUEST, NOW) == expected


def test_an_error_event_is_told_with_the_windows_of_its_answer() -> None:
    data = b'{"type":"error","error":{"type":"rate_limit_error","message":"m"}}'
    headers = Headers((n.encode(), v.encode()) for n, v in unified(_5h="rejected").items())
    outcome = CLAUDE.classify_error_event(data, headers, REQUEST, NOW)
    assert stripped(outcome) == (QuotaSpent("5 h window full", RESET_5H), ("5h",))
