"""Anthropic's quota windows: headers and usage endpoint, under one set of names."""

import json
from datetime import UTC, datetime

import pytest

from core.model import AccountKind, ModelFamily, QuotaWindow, WindowStatus
from core.policy import timing
from core.providers import PROVIDERS
from core.providers.anthropic import usage_windows
from core.providers.headers import Headers
from tests.recorded import answer, content

CLAUDE = PROVIDERS[AccountKind.CLAUDE]
API_KEY = PROVIDERS[AccountKind.API_KEY]
OPUS = ModelFamily("opus")
FABLE = ModelFamily("fable")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = at("2026-07-31T15:00:00")


def test_a_full_window_is_read_from_the_published_capture() -> None:
    assert CLAUDE.windows(answer("anthropic-429-five-hour-window.http").headers, NOW) == (
        QuotaWindow("5h", 1.01, at("2026-07-31T17:20:00"), WindowStatus.REJECTED, seen_at=NOW),
        QuotaWindow("7d", 0.69, at("2026-08-05T12:00:00"), WindowStatus.ALLOWED, seen_at=NOW),
    )


def test_windows_without_utilization_are_read_from_the_published_capture() -> None:
    now = at("2025-09-27T15:28:57")
    assert CLAUDE.windows(answer("anthropic-200-subscription.http").headers, now) == (
        QuotaWindow("5h", None, at("2025-09-27T19:00:00"), WindowStatus.ALLOWED, seen_at=now),
    )


def test_buckets_of_an_api_key_are_read_from_the_published_capture() -> None:
    now = at("2025-08-21T12:40:58")
    assert API_KEY.windows(answer("anthropic-200-api-key.http").headers, now) == (
        QuotaWindow("requests", pytest.approx(0.001), at("2025-08-21T12:40:59"), seen_at=now),
        QuotaWindow("input-tokens", 0.0, now, seen_at=now),
        QuotaWindow("output-tokens", 0.25, at("2025-08-21T12:41:13"), seen_at=now),
        QuotaWindow("tokens", pytest.approx(4 / 96), now, seen_at=now),
    )


def test_a_window_of_one_model_is_scoped_to_it_and_an_unknown_one_to_itself() -> None:
    headers = Headers(
        [
            (b"Anthropic-RateLimit-Unified-7d_oi-utilization", b"1.01"),
            (b"anthropic-ratelimit-unified-7d_opus-status", b"allowed_warning"),
            (b"anthropic-ratelimit-unified-5h_oi-utilization", b"0.5"),
            (b"anthropic-ratelimit-unified-30d-surpassed-threshold", b"0.75"),
            (b"anthropic-ratelimit-unified-iguana-status", b"sleeping"),
            (b"anthropic-ratelimit-unified-overage-status", b"rejected"),
            (b"anthropic-ratelimit-unified-status", b"allowed"),
            (b"anthropic-ratelimit-unified-fallback-percentage", b"0.5"),
        ]
    )
    assert CLAUDE.windows(headers, NOW) == (
        QuotaWindow("7d_oi", 1.01, family=ModelFamily("fable"), seen_at=NOW),
        QuotaWindow("7d_opus", None, status=WindowStatus.WARNING, family=OPUS, seen_at=NOW),
        QuotaWindow("5h_oi", 0.5, family=FABLE, seen_at=NOW),
        QuotaWindow("30d", 0.75, seen_at=NOW),
        QuotaWindow("iguana", family=ModelFamily("iguana"), seen_at=NOW),
    )


def test_a_negative_share_is_not_known_and_a_bucket_that_is_more_than_full_is_unused() -> None:
    lines = [
        (b"anthropic-ratelimit-unified-5h-utilization", b"-1"),
        (b"anthropic-ratelimit-requests-limit", b"10"),
        (b"anthropic-ratelimit-requests-remaining", b"12"),
    ]

    assert [window.utilization for window in CLAUDE.windows(Headers(lines), NOW)] == [None, 0.0]


def test_what_looks_like_a_window_and_is_none_is_left_out() -> None:
    names = [window.name for window in CLAUDE.windows(answer("anthropic-200-extra-usage.http").headers, NOW)]

    assert names == ["5h", "7d"]


def test_a_week_that_nears_its_end_is_read_beside_a_models_week() -> None:
    assert CLAUDE.windows(answer("anthropic-200-warning.http").headers, NOW) == (
        QuotaWindow("5h", 0.31, at("2026-07-31T17:20:00"), WindowStatus.ALLOWED, seen_at=NOW),
        QuotaWindow("7d", 0.8, at("2026-08-05T12:00:00"), WindowStatus.WARNING, seen_at=NOW),
        QuotaWindow("7d_oi", 0.44, 1_785_900_000.0, WindowStatus.ALLOWED, FABLE, NOW),
    )


def test_buckets_of_the_priority_tier_stand_beside_the_others() -> None:
    now = at("2025-08-21T12:40:58")
    buckets = API_KEY.windows(answer("anthropic-200-priority-tier.http").headers, now)

    assert [(bucket.name, bucket.utilization) for bucket in buckets] == [
        ("requests", pytest.approx(0.002)),
        ("priority-input-tokens", 0.75),
        ("priority-output-tokens", 0.0),
    ]


def test_an_empty_bucket_of_a_key_is_full_again_at_its_reset() -> None:
    now = at("2025-08-21T12:41:00")
    bucket = API_KEY.windows(answer("anthropic-429-api-key-minute.http").headers, now)[1]

    assert (bucket.name, bucket.utilization, bucket.resets_at) == ("input-tokens", 1.0, now + 58)
    assert timing.current(bucket, now + 58).utilization == 0.0


def test_nonsense_in_rate_limit_headers_is_not_known() -> None:
    headers = Headers(
        [
            (b"anthropic-ratelimit-unified-5h-utilization", b"lots"),
            (b"anthropic-ratelimit-unified-5h-reset", b"99999999999999999999"),
            (b"anthropic-ratelimit-requests-limit", b"0"),
            (b"anthropic-ratelimit-requests-remaining", b"0"),
            (b"anthropic-ratelimit-\xff-reset", b""),
        ]
    )
    windows = CLAUDE.windows(headers, NOW)
    assert [(window.utilization, window.resets_at) for window in windows] == [(None, None)] * 3


def test_the_usage_endpoint_speaks_of_the_same_windows() -> None:
    week = pytest.approx(at("2026-07-08T09:00:00"), abs=1)
    assert usage_windows(content("anthropic-usage.json"), NOW) == (
        QuotaWindow("5h", 0.37, pytest.approx(at("2026-07-03T00:30:00"), abs=1), seen_at=NOW),
        QuotaWindow("7d", 0.62, week, seen_at=NOW),
        QuotaWindow("7d_sonnet", 0.05, week, family=ModelFamily("sonnet"), seen_at=NOW),
        QuotaWindow("7d_cowork", 0.0, None, family=ModelFamily("cowork"), seen_at=NOW),
        QuotaWindow("tamarin_bowtie", 1.03, None, family=ModelFamily("bowtie"), seen_at=NOW),
        QuotaWindow("7d_oi", 0.05, week, family=ModelFamily("fable"), seen_at=NOW),
    )


def test_the_usage_endpoint_is_read_from_its_limits_alone() -> None:
    assert usage_windows(content("anthropic-usage-limits-only.json"), NOW) == (
        QuotaWindow("5h", 0.04, at("2026-07-03T00:30:00"), seen_at=NOW),
        QuotaWindow("7d", 0.915, at("2026-07-08T09:00:00"), seen_at=NOW),
        QuotaWindow("7d_opus", 0.12, None, family=OPUS, seen_at=NOW),
        QuotaWindow("daily_new", 0.01, None, family=ModelFamily("new"), seen_at=NOW),
    )


def test_a_usage_answer_in_which_nothing_has_begun_tells_what_is_not_spent() -> None:
    assert usage_windows(content("anthropic-usage-nothing-begun.json"), NOW) == (
        QuotaWindow("5h", 0.0, None, seen_at=NOW),
        QuotaWindow("7d", None, None, seen_at=NOW),
    )


def test_a_limit_above_100_percent_and_one_that_names_a_model_are_read() -> None:
    assert usage_windows(content("anthropic-usage-spend-only.json"), NOW) == (
        QuotaWindow("5h", 1.04, at("2026-07-03T00:30:00"), seen_at=NOW),
        QuotaWindow("7d_opus", 0.12, at("2026-07-08T09:00:00"), family=OPUS, seen_at=NOW),
    )


@pytest.mark.parametrize(
    ("key", "name", "family"),
    [
        ("five_hour", "5h", None),
        ("seven_day", "7d", None),
        ("seven_day_opus", "7d_opus", OPUS),
        ("seven_day_fable", "7d_oi", FABLE),
        ("seven_day_overage_included", "7d_oi", FABLE),
        ("five_hour_overage_included", "5h_oi", FABLE),
        ("seven_day_omelette", "7d_omelette", ModelFamily("omelette")),
    ],
)
def test_both_sources_call_a_window_by_one_name(key: str, name: str, family: ModelFamily | None) -> None:
    body = json.dumps({key: {"utilization": 50, "resets_at": None}}).encode()

    assert usage_windows(body, NOW) == (QuotaWindow(name, 0.5, None, family=family, seen_at=NOW),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"five_hour": 5, "limits": 7}',
        b'{"limits": [null, {"kind": 5}, {"kind": "weekly_scoped", "scope": {"model": {"display_name": null}}}]}',
    ],
)
def test_a_usage_answer_that_tells_nothing_has_no_windows(body: bytes) -> None:
    assert usage_windows(body, NOW) == ()
