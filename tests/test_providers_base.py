"""What all providers share: reading errors, waiting times, dates and statuses."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import AccountKind, Outcome, RequestRefused, UpstreamFailed
from core.providers import PROVIDERS
from core.providers.base import (
    ERROR_BODY_BYTES,
    ErrorBody,
    by_status,
    error_of,
    moment,
    number,
    percent,
    plain_error_body,
    retry_after_s,
)
from core.providers.headers import Headers

NOW = 1_785_500_000.0  # Fri, 31 Jul 2026 12:13:20 GMT


def test_every_kind_of_account_has_its_provider() -> None:
    assert {kind: provider.kind for kind, provider in PROVIDERS.items()} == {kind: kind for kind in AccountKind}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        ([(b"retry-after", b"0")], 0.0),
        ([(b"Retry-After", b"7835")], 7835.0),
        ([(b"retry-after", b"1.5")], 1.5),
        ([(b"retry-after", b"-3")], 0.0),
        ([(b"retry-after", b"Fri, 31 Jul 2026 12:14:20 GMT")], 60.0),
        ([(b"retry-after", b"Fri, 31 Jul 2026 12:00:00 GMT")], 0.0),
        ([(b"retry-after-ms", b"250"), (b"retry-after", b"9")], 0.25),
        ([(b"retry-after-ms", b"soon"), (b"retry-after", b"9")], 9.0),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"nan")], None),
        ([(b"retry-after", b"inf")], None),
        ([(b"retry-after", b"")], None),
        ([(b"retry-after", b"\xff")], None),
        ([(b"retry-after", b"5"), (b"retry-after", b"5")], None),
    ],
)
def test_retry_after_is_seconds_whatever_its_form(lines: list[tuple[bytes, bytes]], expected: float | None) -> None:
    assert retry_after_s(Headers(lines), NOW) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"c"}}}',
            ErrorBody("rate_limit_error", "m", "c"),
        ),
        (b'{"error":{"message":"m","type":"t","code":"c"}}', ErrorBody("t", "m", "c")),
        (b'{"type":"error","code":"c","message":"m"}', ErrorBody("error", "m", "c")),
        (b'{"error":{"type":null,"message":5,"details":{"error_code":[]}}}', ErrorBody()),
        (b'{"error":{"type":"t","details":null,"code":429}}', ErrorBody("t")),
        (b'{"error":"invalid_grant"}', ErrorBody()),
        (b'["error"]', ErrorBody()),
        (b"<html><title>502 Bad Gateway</title></html>", ErrorBody()),
        (b"", ErrorBody()),
        (b'{"error":{"type":"\xff"}}', ErrorBody()),
        (b"[" * 60_000, ErrorBody()),
        (b'{"error":{"type":"t"},"x":"' + b" " * ERROR_BODY_BYTES + b'"}', ErrorBody()),
    ],
)
def test_an_error_body_is_read_whatever_it_is(body: bytes, expected: ErrorBody) -> None:
    assert error_of(body) == expected


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["error", "type", "message", "details", "error_code", "code"]), x)
        ),
    )
)
def test_any_json_is_an_error_body(content: object) -> None:
    assert isinstance(error_of(json.dumps(content).encode()), ErrorBody)


def test_an_error_body_is_read_through_its_content_coding_and_within_bounds() -> None:
    headers = Headers([(b"content-encoding", b"gzip")])
    assert plain_error_body(headers, gzip.compress(b'{"error":{}}')) == b'{"error":{}}'
    assert plain_error_body(headers, b'{"error":{}}') == b""
    assert plain_error_body(headers, gzip.compress(b" " * 50_000_000)) == b""
    assert plain_error_body(Headers([(b"content-encoding", b"lzma")]), b"x") == b""


@pytest.mark.parametrize(
    ("status", "error_type", "expected"),
    [
        (302, "", UpstreamFailed(502)),
        (400, "invalid_request_error", RequestRefused(400)),
        (403, "permission_error", UpstreamFailed(403)),
        (404, "not_found_error", RequestRefused(404)),
        (408, "", UpstreamFailed(408)),
        (409, "conflict_error", UpstreamFailed(409)),
        (413, "request_too_large", RequestRefused(413)),
        (422, "", RequestRefused(422)),
        (500, "api_error", UpstreamFailed(500)),
        (503, "", UpstreamFailed(503)),
        (503, "overloaded_error", UpstreamFailed(503, overloaded=True)),
        (522, "", UpstreamFailed(522)),
        (529, "", UpstreamFailed(529, overloaded=True)),
    ],
)
def test_a_status_alone_says_whose_trouble_it_is(status: int, error_type: str, expected: Outcome) -> None:
    assert by_status(status, ErrorBody(error_type)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1785518400", 1_785_518_400.0),
        (1_785_518_400_000, 1_785_518_400.0),
        ("2026-07-31T17:20:00Z", 1_785_518_400.0),
        (b"2026-07-31T17:20:00.000000+00:00", 1_785_518_400.0),
        ("2026-07-31T17:20:00", 1_785_518_400.0),
        (b"0", None),
        (b"-5", None),
        (b"9999999999", None),
        ("9999-12-31T00:00:00Z", None),
        ("tomorrow", None),
        (b"\xff", None),
        (None, None),
        (True, None),
        ([], None),
    ],
)
def test_a_moment_is_unix_seconds_or_nothing(value: object, expected: float | None) -> None:
    assert moment(value, NOW) == expected


@pytest.mark.parametrize("value", [None, True, "", "x", b"1e999", "nan", [], {}, 10**400])
def test_what_is_no_finite_number_is_none(value: object) -> None:
    assert number(value) is None


@pytest.mark.parametrize(("value", "expected"), [(37, 0.37), ("101.5", 1.015), (0, 0.0), (-1, None), (None, None)])
def test_a_share_in_percent_is_never_negative(value: object, expected: float | None) -> None:
    assert percent(value) == expected
