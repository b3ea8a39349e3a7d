"""OpenCode Go: where the key goes, and errors that only their type tells apart."""

import json

import pytest
from msgspec.structs import replace

from core.model import (
    AccountKind,
    AccountRefused,
    Cause,
    CredentialRejected,
    Endpoints,
    Outcome,
    ProviderName,
    QuotaSpent,
    QuotaWindow,
    Request,
    RequestRefused,
    RequestThrottled,
    Throttled,
    UpstreamFailed,
    WindowStatus,
)
from core.providers import PROVIDERS
from core.providers.headers import Headers
from core.providers.opencode_go import usage_windows
from tests.recorded import answer, content

GO = PROVIDERS[AccountKind.GO]
NOW = 1_788_000_000.0
REQUEST = Request(ProviderName.OPENCODE_GO, model="glm-5.3")
BEARER = (b"authorization", b"Bearer sk-EXAMPLE")
BAD_KEY = CredentialRejected("key rejected", renewable=False)
NO_BALANCE = QuotaSpent("no balance left", NOW + 3600, cause=Cause.CREDIT)
SPEND_CAP = QuotaSpent("spend limit reached", NOW + 3600, cause=Cause.CREDIT)
OWN_CAP = replace(SPEND_CAP, own=True)
API_KEY = (b"x-api-key", b"sk-EXAMPLE")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/zen/go/v1/messages", API_KEY),
        (b"/zen/go/v1/messages?beta=true", API_KEY),
        (b"/zen/go/v1/chat/completions", BEARER),
        (b"/zen/go/v1/responses", BEARER),
        (b"/zen/go/v1/models", BEARER),
        (b"/zen/go/v1/usage", BEARER),
    ],
)
def test_the_key_goes_where_the_path_wants_it_and_nowhere_else(target: bytes, expected: tuple[bytes, bytes]) -> None:
    local = [(b"Authorization", b"Bearer tg-local"), (b"x-api-key", b"tg-local"), (b"x-opencode-session", b"s")]
    sent = GO.outgoing(Headers(local), target, "sk-EXAMPLE")
    assert sent == [(b"x-opencode-session", b"s"), expected]


@pytest.mark.parametrize(
    ("lines", "added"),
    [
        ([(b"X-Session-Id", b"ses_1"), (b"x-session-affinity", b"ses_2")], [(b"x-opencode-session", b"ses_1")]),
        ([(b"x-session-affinity", b"ses_2")], [(b"x-opencode-session", b"ses_2")]),
        ([(b"x-session-id", b"ses_1"), (b"X-OpenCode-Session", b"ses_0")], []),
        ([(b"user-agent", b"curl/8")], []),
    ],
)
def test_a_missing_session_id_is_filled_in_from_the_one_the_client_sends(
    lines: list[tuple[bytes, bytes]], added: list[tuple[bytes, bytes]]
) -> None:
    assert GO.outgoing(Headers(lines), b"/zen/go/v1/responses", "sk-EXAMPLE") == [*lines, *added, BEARER]


@pytest.mark.parametrize("base_path", [b"/zen/go/v1", b"/zen/go/v1/"])
def test_the_clients_prefix_becomes_the_base_path(base_path: bytes) -> None:
    assert GO.base_url(Endpoints()) == "https://opencode.ai/zen/go/v1"
    assert GO.target(b"/zen/go/v1/chat/completions?x=1", base_path) == b"/zen/go/v1/chat/completions?x=1"


def test_another_base_path_takes_the_prefixs_place() -> None:
    assert GO.target(b"/zen/go/v1/messages", b"/other") == b"/other/messages"
    assert GO.target(b"/zen/go/v1/messages", b"") == b"/messages"


def test_no_windows_are_read_from_headers() -> None:
    assert GO.windows(Headers([(b"anthropic-ratelimit-unified-5h-status", b"rejected")]), NOW) == ()


def test_usage_has_three_windows() -> None:
    assert usage_windows(content("opencode-go-usage.json"), NOW) == (
        QuotaWindow("rolling", 0.41, 1_788_264_000.0, WindowStatus.ALLOWED, seen_at=NOW),
        QuotaWindow("weekly", 0.12, 1_788_739_200.0, WindowStatus.ALLOWED, seen_at=NOW),
        QuotaWindow("monthly", 1.0, 1_789_805_520.0, WindowStatus.REJECTED, seen_at=NOW),
    )


@pytest.mark.parametrize("body", [b"", b"[]", b'{"usage": null}', b'{"usage": {"rolling": null, "weekly": {}}}'])
def test_a_usage_answer_that_tells_nothing_has_no_windows(body: bytes) -> None:
    assert usage_windows(body, NOW) == ()


def test_a_usage_window_of_odd_values_is_kept_without_them() -> None:
    body = b'{"usage": {"daily": {"percent": "many", "status": ["ok"], "resetsAt": 5e300}}}'
    assert usage_windows(body, NOW) == (QuotaWindow("daily", seen_at=NOW),)


def body_of(type_: str, message: str = "m", code: str | None = None, limit: str | None = None) -> bytes:
    error = {"type": type_, "message": message} | ({"code": code} if code else {})
    return json.dumps(
        {"type": "error", "error": error, "metadata": {"workspace": "wrk_01EXAMPLE", "limitName": limit}}
    ).encode()


def full(name: str, text: str, until_at: float | None = NOW + 5400) -> QuotaSpent:
    return QuotaSpent(text, until_at, windows=(QuotaWindow(name, 1.0, until_at, WindowStatus.REJECTED, seen_at=NOW),))


@pytest.mark.parametrize(
    ("status", "body", "retry_after", "expected"),
    [
        pytest.param(401, body_of("AuthError"), None, BAD_KEY, id="401 AuthError"),
        pytest.param(401, body_of("CreditsError"), None, NO_BALANCE, id="401 CreditsError"),
        pytest.param(401, body_of("MonthlyLimitError"), None, SPEND_CAP, id="401 MonthlyLimitError"),
        pytest.param(401, body_of("UserLimitError"), None, OWN_CAP, id="401 UserLimitError"),
        pytest.param(401, body_of("ModelError"), None, RequestRefused(401), id="401 ModelError"),
        pytest.param(401, body_of("NewError"), None, RequestRefused(401), id="401 of an unknown type"),
        pytest.param(401, b"Unauthorized", None, BAD_KEY, id="401 without a type"),
        pytest.param(403, body_of("RegionError"), None, RequestRefused(403), id="403 RegionError"),
        pytest.param(
            403,
            body_of("EntitlementError"),
            None,
            AccountRefused("no OpenCode Go subscription"),
            id="403 EntitlementError",
        ),
        pytest.param(
            429,
            body_of("GoUsageLimitError", limit="5 hour"),
            "5400",
            full("rolling", "5 h window full"),
            id="429 GoUsageLimitError 5 hour",
        ),
        pytest.param(
            429,
            body_of("GoUsageLimitError", limit="weekly"),
            "5400",
            full("weekly", "week window full"),
            id="429 GoUsageLimitError weekly",
        ),
        pytest.param(
            429,
            body_of("GoUsageLimitError", limit="monthly"),
            None,
            full("monthly", "month window full", None),
            id="429 GoUsageLimitError monthly",
        ),
        pytest.param(
            429,
            body_of("GoUsageLimitError", limit="daily"),
            "60",
            QuotaSpent("daily limit reached", NOW + 60),
            id="429 GoUsageLimitError of an unknown window",
        ),
        pytest.param(429, body_of("RateLimitError"), "60", Throttled(60.0), id="429 RateLimitError"),
        pytest.param(
            429, body_of("RateLimitError"), None, Throttled(60.0), id="429 RateLimitError without retry-after"
        ),
        pytest.param(429, body_of("FreeUsageLimitError"), "3600", RequestThrottled(), id="429 FreeUsageLimitError"),
        pytest.param(
            429,
            body_of("BlackUsageLimitError"),
            "3600",
            QuotaSpent("usage limit reached", NOW + 3600),
            id="429 BlackUsageLimitError",
        ),
        pytest.param(
            429,
            body_of("error", "Error from provider (Console Go): busy", "provider_rate_limit_exceeded"),
            None,
            RequestThrottled(),
            id="429 provider_rate_limit_exceeded",
        ),
        pytest.param(429, b"slow down", None, RequestThrottled(), id="429 unknown"),
        pytest.param(429, b"slow down", "9", Throttled(9.0), id="429 unknown with retry-after"),
        pytest.param(500, body_of("error", "Internal server error"), None, UpstreamFailed(500), id="500"),
        pytest.param(499, b"", None, RequestRefused(499), id="499"),
        pytest.param(400, body_of("MissingSessionID"), None, RequestRefused(400), id="400 MissingSessionID"),
        pytest.param(302, b"", None, UpstreamFailed(502), id="redirect"),
    ],
)
def test_a_refusal_is_told_by_its_type(status: int, body: bytes, retry_after: str | None, expected: Outcome) -> None:
    headers = Headers([(b"retry-after", retry_after.encode())] if retry_after else [])
    assert GO.classify(status, headers, body, REQUEST, NOW) == expected


def test_a_full_window_is_told_from_a_recorded_answer() -> None:
    refused = answer("opencode-go-429-five-hour.http")
    assert GO.classify(refused.status, refused.headers, refused.body, REQUEST, NOW) == full(
        "rolling", "5 h window full"
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (body_of("GoUsageLimitError", limit="weekly"), full("weekly", "week window full", None)),
        (body_of("overloaded_error"), UpstreamFailed(529, overloaded=True)),
        (body_of("rate_limit_error"), RequestThrottled()),
        (b'{"error":{"message":"Error from provider","code":"provider_rate_limit_exceeded"}}', RequestThrottled()),
        (b'{"error":{"message":"broken"}}', UpstreamFailed(500)),
        (b"broken", UpstreamFailed(500)),
    ],
)
def test_an_error_inside_a_stream_is_told_by_its_type(data: bytes, expected: Outcome) -> None:
    assert GO.classify_error_event(data, Headers([]), REQUEST, NOW) == expected
