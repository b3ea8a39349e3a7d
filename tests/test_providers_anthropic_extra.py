"""Extra usage as headers and the usage endpoint tell it: whether it would pay, whether it does, how much is spent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import AccountKind, ExtraUsage
from core.providers import PROVIDERS
from core.providers.anthropic import usage_extra
from core.providers.headers import Headers
from tests.pools import NOW
from tests.recorded import answer, content

CLAUDE = PROVIDERS[AccountKind.CLAUDE]
PREFIX = "anthropic-ratelimit-unified-overage-"


def told(**lines: str) -> ExtraUsage | None:
    headers = Headers((f"{PREFIX}{name.replace('_', '-')}".encode(), value.encode()) for name, value in lines.items())
    return CLAUDE.extra_usage(headers, NOW)


@pytest.mark.parametrize(
    ("recording", "extra"),
    [
        ("anthropic-200-extra-usage.http", ExtraUsage(True, True, 0.25, NOW)),
        ("anthropic-200-warning.http", ExtraUsage(False, False, None, NOW)),
        ("anthropic-200-subscription.http", ExtraUsage(False, False, None, NOW)),
        ("anthropic-429-five-hour-window.http", ExtraUsage(False, False, None, NOW)),
        ("anthropic-429-model-week.http", None),
        ("anthropic-200-api-key.http", None),
    ],
)
def test_extra_usage_is_read_from_the_recorded_headers(recording: str, extra: ExtraUsage | None) -> None:
    assert CLAUDE.extra_usage(answer(recording).headers, NOW) == extra


@pytest.mark.parametrize(
    ("lines", "extra"),
    [
        ({}, None),
        ({"reset": "1785542400"}, None),
        ({"status": "allowed"}, ExtraUsage(True, False, None, NOW)),
        ({"status": "allowed_warning", "utilization": "0.92"}, ExtraUsage(True, False, 0.92, NOW)),
        ({"status": "rejected"}, ExtraUsage(False, False, None, NOW)),
        ({"status": "something_new"}, ExtraUsage(None, False, None, NOW)),
        ({"in_use": "true"}, ExtraUsage(None, True, None, NOW)),
        ({"in_use": "false"}, ExtraUsage(None, False, None, NOW)),
        ({"status": "allowed", "in_use": "maybe"}, ExtraUsage(True, False, None, NOW)),
        ({"status": "allowed", "disabled_reason": ""}, ExtraUsage(True, False, None, NOW)),
        ({"status": "allowed", "disabled_reason": "out_of_credits"}, ExtraUsage(False, False, None, NOW)),
        ({"status": "allowed", "utilization": "lots"}, ExtraUsage(True, False, None, NOW)),
    ],
)
def test_each_header_may_be_missing_new_or_nonsense(lines: dict[str, str], extra: ExtraUsage | None) -> None:
    assert told(**lines) == extra


def test_an_opencode_go_answer_never_tells() -> None:
    headers = Headers([(f"{PREFIX}status".encode(), b"allowed")])

    assert PROVIDERS[AccountKind.GO].extra_usage(headers, NOW) is None


@pytest.mark.parametrize(
    ("recording", "extra"),
    [
        ("anthropic-usage.json", ExtraUsage(True, None, 0.25, NOW)),
        ("anthropic-usage-spend-only.json", ExtraUsage(True, None, 0.25, NOW)),
        ("anthropic-usage-extra-unlimited.json", ExtraUsage(True, None, None, NOW)),
        ("anthropic-usage-nothing-begun.json", None),
        ("anthropic-usage-limits-only.json", None),
    ],
)
def test_extra_usage_is_read_from_the_recorded_usage_answers(recording: str, extra: ExtraUsage | None) -> None:
    assert usage_extra(content(recording), NOW) == extra


def amount(minor: Any, exponent: Any = 2) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "USD", "exponent": exponent}


@pytest.mark.parametrize(
    ("body", "extra"),
    [
        ({}, None),
        ({"extra_usage": None, "spend": None}, None),
        ({"extra_usage": 7, "spend": "no"}, None),
        ({"extra_usage": {"is_enabled": False}}, ExtraUsage(False, seen_at=NOW)),
        ({"extra_usage": {"is_enabled": True, "monthly_limit": 0, "used_credits": 0}}, ExtraUsage(True, seen_at=NOW)),
        # What is used of the limit is exact; the percentage beside it may be rounded.
        (
            {"extra_usage": {"is_enabled": True, "monthly_limit": 3000, "used_credits": 1000, "utilization": 33}},
            ExtraUsage(True, None, 1000 / 3000, NOW),
        ),
        ({"extra_usage": {"utilization": 103.0}}, ExtraUsage(None, None, 1.03, NOW)),
        ({"spend": {"used": amount(5), "limit": amount(20)}}, ExtraUsage(None, None, 0.25, NOW)),
        ({"spend": {"used": amount(500, 2), "limit": amount(20, 0)}}, ExtraUsage(None, None, 0.25, NOW)),
        (
            {"spend": {"used": amount(5, 400), "limit": amount(20, -1), "percent": 25}},
            ExtraUsage(None, None, 0.25, NOW),
        ),
        ({"spend": {"used": amount(None), "limit": amount("x"), "percent": None, "enabled": None}}, None),
        ({"spend": {"enabled": True, "disabled_reason": "out_of_credits"}}, ExtraUsage(False, seen_at=NOW)),
    ],
)
def test_amounts_are_minor_units_and_everything_may_be_null(body: dict[str, Any], extra: ExtraUsage | None) -> None:
    read = usage_extra(json.dumps(body).encode(), NOW)

    assert read == (extra and ExtraUsage(extra.enabled, extra.in_use, pytest.approx(extra.utilization), NOW))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(
        st.sampled_from(["is_enabled", "used", "limit", "amount_minor", "exponent", "percent", "enabled"]), inner
    ),
    max_leaves=6,
)


@given(JSON, JSON)
def test_no_json_is_too_strange(extra: object, spend: object) -> None:
    read = usage_extra(json.dumps({"extra_usage": extra, "spend": spend}).encode(), NOW)

    assert read is None or read.enabled is not None or read.utilization is not None
