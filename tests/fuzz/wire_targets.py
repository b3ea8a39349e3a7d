"""What comes over the wire: requests, answers, streams, headers, errors, quota."""

import asyncio
import gzip
import math
import re
import ssl
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import brotli
import msgspec

from core.exchange import Answer, Incoming, Simple
from core.guard import Caller, Guard, Refusal, page_cookie
from core.link import Failure
from core.listener import Listener
from core.local_keys import EVERYBODY, LocalKeys, digest
from core.model import ProviderName, Request
from core.policy.plan import name_of
from core.providers import PROVIDERS, anthropic, opencode_go
from core.providers.base import error_of, event_status, json_object, moment, retry_after_s
from core.providers.coding import PIECE_BYTES, Undecodable, decoded, decoder
from core.providers.headers import Headers, for_client, for_upstream
from core.providers.incoming import client_key, describe
from core.providers.resources import asked_for, told
from core.providers.sse import Dialect, Tap, dialect_of, usage_of
from core.proxy import route
from core.upstream import Upstream, origin_of
from tests.fuzz.targets import pieces, target
from tests.hostile.answer_shapes import SHAPES as ANSWERS
from tests.hostile.request_shapes import SHAPES as REQUESTS
from tests.raw import Line, a_few_turns, linked
from tests.recorded import content

NOW = 1_790_000_000.0
RECORDED = (
    "anthropic-200-api-key.http",
    "anthropic-200-extra-usage.http",
    "anthropic-200-priority-tier.http",
    "anthropic-200-subscription.http",
    "anthropic-200-warning.http",
    "anthropic-429-api-key-minute.http",
    "anthropic-429-five-hour-window.http",
    "anthropic-429-model-week.http",
    "anthropic-429-overage.http",
    "anthropic-usage-403-scope.http",
    "anthropic-usage-429.http",
    "opencode-go-429-five-hour.http",
)
USAGE = (
    "anthropic-usage.json",
    "anthropic-usage-extra-unlimited.json",
    "anthropic-usage-limits-only.json",
    "anthropic-usage-nothing-begun.json",
    "anthropic-usage-spend-only.json",
    "opencode-go-usage.json",
)
STREAMS = {
    "anthropic-stream-tool-use.sse": Dialect.MESSAGES,
    "anthropic-stream-overloaded.sse": Dialect.MESSAGES,
    "openai-chat.sse": Dialect.CHAT,
    "openai-responses.sse": Dialect.RESPONSES,
}
HTTP_WORDS = (
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"GET /v1/messages HTTP/1.1\r\n",
    b"POST / HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Content-Length: ",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"chunked",
    b"identity",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    b" : ",
    b": ",
)


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """The same bytes in one piece, byte by byte, and in a few pieces that the bytes themselves decide."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    size = 1 + zlib.crc32(data) % 97
    yield [data[at : at + size] for at in range(0, len(data), size)]


def finite(value: Any) -> None:
    """No number that came out of foreign bytes is endless or no number: clocks and waits are made of them."""
    if isinstance(value, float):
        assert math.isfinite(value), value
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            finite(getattr(value, each.name))
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            finite(getattr(value, name))
    elif isinstance(value, dict):
        finite(tuple(value.items()))
    elif isinstance(value, tuple | list):
        for inner in value:
            finite(inner)


# --- both ends of HTTP -----------------------------------------------------------------------------


class _Kept:
    """A handler that lets everybody in and keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...], bytes]] = []

    def admit(self, _request: Incoming) -> Simple | None:
        return None

    async def serve(self, request: Incoming, answer: Answer) -> None:
        self.got.append((request.method, request.target, request.headers.raw, request.body))
        answer.send(Simple(200, b"ok"))

    def malformed(self, status: int, message: str) -> Simple:
        return Simple(status, message.encode())


async def _served(parts: Iterable[bytes]) -> tuple[object, ...]:
    handler = _Kept()
    line = Line(Listener(handler)._connection())
    for part in parts:
        if line.ended:
            break
        line._protocol.data_received(part)
        await asyncio.sleep(0)
    await a_few_turns()
    written, ended = bytes(line.written), line.ended
    line.close()
    await a_few_turns()
    statuses = re.findall(rb"HTTP/1\.1 (\d\d\d) ", written)
    assert all(status in {b"100", b"200"} or 400 <= int(status) <= 505 for status in statuses), written
    assert statuses.count(b"200") == len(handler.got)
    return handler.got, [status for status in statuses if status != b"100"], ended


@target("a client's requests", [shape.raw.replace(b"{H}", b"Host: a\r\n")[:2_000] for shape in REQUESTS], HTTP_WORDS)
def requests_are_the_same_in_every_cutting(data: bytes) -> None:
    async def both() -> None:
        first, *others = [await _served(parts) for parts in cuts(data[:600])]
        assert all(other == first for other in others), (first, others)

    asyncio.run(both())


def _no_tls() -> ssl.SSLContext:
    raise AssertionError("nobody asked for TLS")


async def _answered(parts: Iterable[bytes], *, end: bool) -> tuple[object, ...]:
    """What a client of the link gets: status, header lines and body, or that it failed; and if the rest is kept."""
    upstream = Upstream(_no_tls)
    link, line = linked(upstream, "http://127.0.0.1:9")
    sending = asyncio.create_task(upstream.send(origin_of("http://127.0.0.1:9"), b"POST", b"/", (), b"{}"))
    await asyncio.sleep(0)
    for part in parts:
        if line.ended:
            break
        link.data_received(part)
    if end and not line.ended:
        line.close()
    await asyncio.sleep(0)
    if not sending.done():
        upstream.close()
        await a_few_turns()
    try:
        response = await sending
        body, whole = b"", True
        try:
            while data := await asyncio.wait_for(response.chunk(), 0.001 if not end else 5):
                body += data
        except (Failure, TimeoutError):
            whole = False
        result: tuple[object, ...] = (response.status, response.headers.raw, body if whole else b"", whole)
    except Failure as failure:
        result = (failure.delivered,)
    upstream.close()
    await a_few_turns()
    return result


@target("a provider's answers", [shape.raw[:2_000] for shape in ANSWERS], HTTP_WORDS)
def answers_are_the_same_in_every_cutting(data: bytes) -> None:
    async def both() -> None:
        first, *others = [await _answered(parts, end=True) for parts in cuts(data[:600])]
        assert all(other == first for other in others), (first, others)

    asyncio.run(both())


# --- heads -----------------------------------------------------------------------------------------


def _headers(data: bytes) -> Headers:
    lines = (line.partition(b":") for line in data.split(b"\n") if line)
    return Headers((name.strip(), value.strip()) for name, _, value in lines)


def _head(name: str) -> bytes:
    return content(name).partition(b"\n\n")[0].partition(b"\n")[2]


HEADS = [_head(name) for name in RECORDED]
LINES = (
    b"\nretry-after: ",
    b"\nretry-after-ms: ",
    b"\nanthropic-ratelimit-unified-5h-utilization: ",
    b"\nanthropic-ratelimit-unified-7d-reset: ",
    b"\nanthropic-ratelimit-unified-status: rejected",
    b"\nanthropic-ratelimit-requests-remaining: 0",
    b"\nanthropic-ratelimit-requests-reset: ",
    b"\nanthropic-ratelimit-unified-7d_opus-status: ",
    b"\ncontent-encoding: gzip",
    b"\nconnection: a, b",
    b"\nx-tidegate-account: x",
    b"\norigin: http://a",
    b"\nhost: 127.0.0.1:8433",
    b"\nauthorization: Bearer ",
    b"\nx-api-key: ",
    b"\ncookie: tidegate_page=",
    b"\nsec-fetch-site: same-origin",
    b"\nx-claude-code-session-id: ",
    b"\nuser-agent: claude-cli/2.1",
    b"\nanthropic-beta: oauth-2025-04-20,",
)


@target("header lines", HEADS, LINES)
def filters_only_leave_out_and_twice_is_once(data: bytes) -> None:
    headers = _headers(data)
    for kept in (for_upstream(headers), for_client(headers)):
        left = iter(headers.raw)
        assert all(line in left for line in kept)  # in order, and none is new
    up = for_upstream(headers)
    assert for_upstream(Headers(up)) == up
    down = for_client(headers)
    assert for_client(Headers(down)) == down
    names = {name.lower() for name, _ in up}
    assert not names & {
        b"authorization",
        b"x-api-key",
        b"cookie",
        b"host",
        b"connection",
        b"transfer-encoding",
        b"content-length",
    }
    for kind, provider in PROVIDERS.items():
        out = provider.outgoing(headers, b"/v1/messages", "SECRET")
        assert sum(b"SECRET" in value for _, value in out) == 1, kind


ASKED = (
    b'{"model":"claude-opus-5","metadata":{"user_id":"{\\"session_id\\":\\"a\\"}"},"tools":[{"type":"web_search_1"}]}'
)
KEY = "tg-key-of-the-fuzzer"
GUARD = Guard(
    8433,
    LocalKeys(lambda: {digest(KEY): EVERYBODY}),
    "control-token",
    lambda cookie, key: (cookie, key) == ("page", "key"),
    lambda: False,
)


@target(
    "who knocks",
    [
        b"/v1/messages\0host: 127.0.0.1:8433\nx-api-key: sk",
        b"/-/snapshot\0host: 127.0.0.1:8433\ncookie: tidegate_page=page",
    ],
    LINES,
)
def nobody_without_a_key_gets_in(data: bytes) -> None:
    at, lines = pieces(data)
    headers = _headers(lines)
    secrets = (KEY.encode(), b"control-token", b"page")
    for method in (b"GET", b"POST"):
        verdict = GUARD.admit(method, at, headers)
        page_cookie(headers)
        client_key(headers)
        if isinstance(verdict, Refusal):
            assert 400 <= verdict.status <= 421
        elif verdict.caller is not Caller.NOBODY:
            assert any(secret in lines for secret in secrets), verdict


@target(
    "a request's target and body",
    [b"/v1/messages?beta=true\0" + ASKED],
    LINES,
)
def what_a_request_tells_is_read_and_never_fails(data: bytes) -> None:
    at, body = pieces(data)
    routed = route(at)
    if routed:
        provider, onwards = routed
        assert onwards.endswith(at)
        dialect_of(provider, onwards)
        request = describe(provider, _headers(body), body)
        assert describe(provider, _headers(body), body) == request
    for found in asked_for(at, body):
        assert found.encode() in data


# --- what an answer means --------------------------------------------------------------------------

ERRORS = [content(name).partition(b"\n\n")[2] for name in RECORDED] + [
    b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}'
]
REQUEST = Request(ProviderName.ANTHROPIC, model="claude-opus-5")
STATUSES = (300, 400, 401, 402, 403, 404, 408, 409, 413, 429, 500, 502, 503, 529, 999)


@target("a refusal", [head + b"\0" + body for head, body in zip(HEADS, ERRORS, strict=False)], LINES)
def every_refusal_means_something_with_times_that_are_times(data: bytes) -> None:
    lines, body = pieces(data)
    headers = _headers(lines)
    for provider in PROVIDERS.values():
        for status in STATUSES:
            finite(provider.classify(status, headers, body, REQUEST, NOW))
        finite(provider.classify_error_event(body, headers, REQUEST, NOW))
        windows = provider.windows(headers, NOW)
        finite(windows)
        finite(provider.extra_usage(headers, NOW))
        assert provider.windows(headers, NOW) == windows
        assert len({(window.name, window.family) for window in windows}) == len(windows)
        assert all(window.utilization is None or window.utilization >= 0 for window in windows)


@target(
    "waiting times and dates",
    [b"30", b"1.5", b"Fri, 31 Dec 2027 23:59:59 GMT", b"2027-12-31T23:59:59Z", b"1790000000"],
    [b" GMT", b" +9999", b" -0000", b"Jan", b"T", b"Z"],
)
def a_wait_is_never_negative_and_a_moment_is_in_this_century(data: bytes) -> None:
    for name in (b"retry-after", b"retry-after-ms"):
        wait_s = retry_after_s(Headers([(name, data)]), NOW)
        assert wait_s is None or (wait_s >= 0 and math.isfinite(wait_s))
    at = moment(data, NOW)
    assert at is None or 0 < at < NOW + 401 * 86_400


@target(
    "a usage endpoint's answer",
    [content(name) for name in USAGE],
    [b'"utilization":', b'"resets_at":', b'"limits":', b'"scope":', b'"percent":'],
)
def usage_is_read_as_far_as_it_can(data: bytes) -> None:
    for read in (anthropic.usage_windows, opencode_go.usage_windows):
        windows = read(data, NOW)
        finite(windows)
        assert read(data, NOW) == windows
        assert all(window.utilization is None or window.utilization >= 0 for window in windows)
        assert all(window.resets_at is None or window.resets_at > 0 for window in windows)
    finite(anthropic.usage_extra(data, NOW))


@target("an error's body", ERRORS, [b'"error":', b'"type":', b'"message":', b'"details":', b'"code":'])
def an_error_has_three_words_and_a_status(data: bytes) -> None:
    error = error_of(data)
    assert all(isinstance(word, str) for word in (error.type, error.message, error.code))
    assert 400 <= event_status(data) <= 599
    assert isinstance(json_object(data), dict)
    for dialect in Dialect:
        for coding in (None, b"gzip", b"br", b"zstd", b"deflate", data[:9]):
            finite(usage_of(data, coding, dialect))


@target("plans", [b"claude_max\0default_claude_max_20x", b"claude_pro\0"], [b"max", b"team", b"_5x"])
def a_plan_has_a_name(data: bytes) -> None:
    one, two = (part.decode(errors="replace") for part in pieces(data))
    assert isinstance(name_of(one, two), str)


# --- streams ---------------------------------------------------------------------------------------

EVENTS = (
    b"event: ",
    b"data: ",
    b"\n\n",
    b"event: error\n",
    b"event: message_stop\n",
    b"data: [DONE]\n\n",
    b'data: {"type":"message_stop"}\n\n',
    b"id: 1\n",
    b": c\n",
)


def _known(tap: Tap) -> tuple[object, ...]:
    return tap.started, tap.complete, tap.error, tap.usage, tap.at_boundary, tap.readable


def _tapped(parts: Iterable[bytes], dialect: Dialect, coding: bytes | None) -> tuple[object, ...]:
    tap = Tap(dialect, coding)
    for part in parts:
        tap.feed(part)
    finite(tap.usage)
    return _known(tap)


@target("an event stream", [content(name) for name in STREAMS], EVENTS)
def a_stream_is_the_same_in_every_cutting(data: bytes) -> None:
    for dialect in Dialect:
        first, *others = [_tapped(parts, dialect, None) for parts in cuts(data)]
        assert all(other == first for other in others)


@target(
    "a compressed event stream",
    [b"gzip\0" + gzip.compress(content(name)) for name in STREAMS]
    + [b"br\0" + brotli.compress(content(name)) for name in STREAMS],
    [b"gzip\0", b"br\0", b"zstd\0", b"deflate\0", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x78\x9c"],
)
def a_compressed_stream_is_the_same_in_every_cutting(data: bytes) -> None:
    coding, body = pieces(data)
    first, *others = [_tapped(parts, Dialect.MESSAGES, coding) for parts in cuts(body)]
    # A cut may come before the fault: what was known until there stays, so only whole streams are the same.
    assert all(other == first for other in others) or not first[-1]


@target(
    "a content coding",
    [
        b"gzip\0" + gzip.compress(b"hello" * 100),
        b"deflate\0" + zlib.compress(b"hello"),
        b"br\0" + brotli.compress(b"hello"),
    ],
    [b"gzip\0", b"br\0", b"zstd\0", b"deflate\0"],
)
def a_coding_is_undone_in_bounded_pieces(data: bytes) -> None:
    coding, body = pieces(data)
    try:
        undo = decoder(coding)
        if undo:
            assert all(len(piece) <= PIECE_BYTES for piece in undo.feed(body))
    except Undecodable:
        assert decoded(body, coding, 1 << 20) is None
        return
    whole = decoded(body, coding, 1 << 20)
    assert whole is None or len(whole) <= 1 << 20


@target(
    "ids of what an answer made",
    [b'{"id":"file_011abc","container":{"id":"container_9"}}', b'{"id": "msgbatch_01"}'],
    [b'"file_', b'"id":"', b'"container_'],
)
def every_id_that_is_told_stands_in_the_text(data: bytes) -> None:
    assert all(found.encode() in data for found in told(data))
    assert told(data + b" ") == told(data)
