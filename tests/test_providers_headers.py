"""What of a header block goes on to the other side, and what does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.providers.headers import Headers, for_client, for_upstream

LINE = (b"anthropic-version", b"2023-06-01")


def test_a_header_is_found_by_its_lower_case_name_however_it_was_spelled() -> None:
    headers = Headers([(b"X-Claude-Code-Session-Id", b"s1")])
    assert headers.get(b"x-claude-code-session-id") == b"s1"
    assert b"x-claude-code-session-id" in headers
    assert headers.get(b"x-other") is None
    assert b"x-other" not in headers
    assert list(headers) == [b"x-claude-code-session-id"]


def test_several_lines_of_one_name_are_read_as_one_list() -> None:
    headers = Headers([(b"anthropic-beta", b"a"), (b"x", b"1"), (b"Anthropic-Beta", b"b, c")])
    assert headers.get(b"anthropic-beta") == b"a, b, c"
    assert headers.get(b"x") == b"1"


def test_lines_are_kept_as_received() -> None:
    lines = ((b"X-A", b"1"), (b"x-a", b"2"), (b"B", b""))
    assert Headers(iter(lines)).raw == lines


def test_repr_shows_no_value() -> None:
    assert "sk-ant-secret" not in repr(Headers([(b"x-api-key", b"sk-ant-secret")]))


@pytest.mark.parametrize(
    "line",
    [
        (b"Host", b"127.0.0.1:8433"),
        (b"Content-Length", b"12"),
        (b"Connection", b"keep-alive"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Authorization", b"Basic x"),
        (b"Proxy-Connection", b"keep-alive"),
        (b"TE", b"trailers"),
        (b"Trailer", b"x"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"Authorization", b"Bearer tg-local"),
        (b"X-Api-Key", b"tg-local"),
        (b"Cookie", b"a=b"),
        (b"Origin", b"http://localhost"),
        (b"Referer", b"http://localhost/"),
        (b"Sec-Fetch-Mode", b"cors"),
        (b"X-Tidegate-Anything", b"1"),
    ],
    ids=lambda line: line[0].decode(),
)
def test_what_is_not_the_providers_business_stays_here(line: tuple[bytes, bytes]) -> None:
    assert for_upstream(Headers([line, LINE])) == [LINE]


@pytest.mark.parametrize(
    "line",
    [
        (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
        (b"Content-Encoding", b"zstd"),
        (b"User-Agent", b"claude-cli/2.1.329 (external, cli)"),
        (b"anthropic-beta", b"context-1m-2025-08-07"),
        (b"anthropic-dangerous-direct-browser-access", b"true"),
        (b"x-claude-code-agent-id", b"a1"),
        (b"X-Stainless-Retry-Count", b"0"),
        (b"traceparent", b"00-1-2-3"),
        (b"x-new-tomorrow", b"1"),
    ],
    ids=lambda line: line[0].decode(),
)
def test_everything_else_goes_to_the_provider_as_it_came(line: tuple[bytes, bytes]) -> None:
    assert for_upstream(Headers([line, LINE, line])) == [line, LINE, line]


def test_headers_that_connection_names_stay_here() -> None:
    lines = [(b"Connection", b"close, X-Hop"), (b"x-hop", b"1"), LINE]
    assert for_upstream(Headers(lines)) == [LINE]
    assert for_client(Headers(lines)) == [LINE]


def test_more_can_be_dropped_towards_the_provider() -> None:
    assert for_upstream(Headers([(b"Anthropic-Beta", b"a"), LINE]), drop=(b"anthropic-beta",)) == [LINE]


@pytest.mark.parametrize(
    "line",
    [
        (b"Connection", b"keep-alive"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Length", b"12"),
        (b"Set-Cookie", b"__cf_bm=x"),
        (b"anthropic-ratelimit-unified-5h-utilization", b"0.5"),
        (b"Anthropic-RateLimit-Requests-Remaining", b"1"),
        (b"Access-Control-Allow-Origin", b"*"),
        (b"x-tidegate-account", b"somebody"),
        (b"x-split", b"a\r\nset-cookie: b"),
        (b"x-nul", b"a\0b"),
        (b"x\x7fdel", b"a"),
    ],
    ids=lambda line: repr(line[0]),
)
def test_what_is_not_the_clients_business_stays_here(line: tuple[bytes, bytes]) -> None:
    assert for_client(Headers([LINE, line])) == [LINE]


@pytest.mark.parametrize(
    "line",
    [
        (b"Content-Encoding", b"br"),
        (b"Content-Type", b"text/event-stream; charset=utf-8"),
        (b"request-id", b"req_011EXAMPLE"),
        (b"anthropic-organization-id", b"66666666-7777-4888-9999-000000000000"),
        (b"retry-after", b"7835"),
        (b"x-should-retry", b"true"),
        (b"x-tab", b"a\tb"),
        (b"x-utf8", "grüße".encode()),
    ],
    ids=lambda line: line[0].decode(),
)
def test_everything_else_goes_to_the_client_as_it_came(line: tuple[bytes, bytes]) -> None:
    assert for_client(Headers([line, LINE, line])) == [line, LINE, line]


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12))))
def test_filters_only_leave_lines_out(lines: list[tuple[bytes, bytes]]) -> None:
    for kept in (for_upstream(Headers(lines)), for_client(Headers(lines))):
        rest = iter(lines)
        assert all(line in rest for line in kept)  # the same lines in the same order
