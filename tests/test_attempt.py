"""One sending is judged before a byte reaches the client: what it came to, and what is held or handed on."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import brotli
import pytest

from core.attempt import ERROR_BYTES, HOLD_BYTES, HOLD_S, Attempt, outcome_of
from core.exchange import Incoming
from core.link import Failure, Patience
from core.model import (
    AccountKind,
    Cut,
    Endpoints,
    NotDelivered,
    Outcome,
    ProviderName,
    QuotaSpent,
    Request,
    RequestRefused,
    Served,
    Unknown,
    UpstreamFailed,
)
from core.providers import PROVIDERS
from core.providers.headers import Headers
from core.upstream import Upstream
from tests.raw import Line, Peer, a_few_turns, answer, chunked, leftovers, linked, played
from tests.recorded import content

pytestmark = pytest.mark.anyio

URL = "http://provider/base"
STREAM = content("anthropic-stream-tool-use.sse")
EVENTS = [event + b"\n\n" for event in STREAM.split(b"\n\n")[:-1]]
START = EVENTS[0]
OVERLOADED = content("anthropic-stream-overloaded.sse")
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
NOW = 1_790_000_000.0
SSE = b"content-type: text/event-stream; charset=utf-8"


def error(kind: str, message: str = "no") -> bytes:
    return b'{"type":"error","error":{"type":"%s","message":"%s"}}' % (kind.encode(), message.encode())


def asked() -> Incoming:
    headers = [(b"Host", b"127.0.0.1"), (b"X-Api-Key", b"local"), (b"Anthropic-Version", b"2023-06-01")]
    return Incoming(b"POST", b"/v1/messages?beta=true", Headers(headers), body=b'{"a":1}')


def made(kind: AccountKind = AccountKind.API_KEY) -> Attempt:
    return Attempt(PROVIDERS[kind], Request(ProviderName.ANTHROPIC), asked(), lambda: NOW)


@dataclass
class Sent:
    """An attempt under way on a connection that the test plays."""

    attempt: Attempt
    line: Line
    judging: asyncio.Task[Outcome]

    async def feed(self, *pieces: bytes, end: bool = False) -> None:
        for piece in pieces:
            self.line._protocol.data_received(piece)
            await a_few_turns()
        if end:
            self.line.close()
        await a_few_turns()

    async def outcome(self, *pieces: bytes, end: bool = False) -> Outcome:
        await self.feed(*pieces, end=end)
        return await asyncio.wait_for(self.judging, HOLD_S + 3)


@asynccontextmanager
async def sent() -> AsyncIterator[Sent]:
    """Send one; at the end nothing may be left of it."""
    loop = asyncio.get_running_loop()
    tasks, timers = leftovers(loop)
    upstream = Upstream(lambda: pytest.fail("no TLS here"))
    _, line = linked(upstream, URL)
    attempt = made()
    judging = asyncio.create_task(attempt.send(upstream, Endpoints(anthropic_api_url=URL), "key"))
    await a_few_turns()
    try:
        yield Sent(attempt, line, judging)
    finally:
        judging.cancel()
        await asyncio.wait([judging])
        attempt.close()
        upstream.close()
        await a_few_turns()
    assert leftovers(loop)[0] <= tasks
    assert leftovers(loop)[1] <= timers


def streaming(body: bytes, *lines: bytes) -> bytes:
    """A streamed answer that may go on."""
    head = b"\r\n".join([b"HTTP/1.1 200 OK", SSE, *lines, b"transfer-encoding: chunked", b"", b""])
    return head + (chunked(body).removesuffix(b"0\r\n\r\n") if body else b"")


END = b"0\r\n\r\n"


# --- what is sent --------------------------------------------------------------------------------------


async def test_the_request_goes_below_the_base_path_with_the_accounts_credential_and_not_the_clients() -> None:
    async with sent() as it:
        head, _, body = bytes(it.line.written).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /base/v1/messages?beta=true HTTP/1.1",
        b"host: provider",
        b"Anthropic-Version: 2023-06-01",
        b"x-api-key: key",
        b"content-length: 7",
    ]
    assert body == b'{"a":1}'


async def test_a_key_with_a_line_break_in_it_is_not_sent() -> None:
    upstream = Upstream(lambda: pytest.fail("no TLS here"))
    _, line = linked(upstream, URL)
    outcome = await made().send(upstream, Endpoints(anthropic_api_url=URL), "key\r\nx-evil: 1")
    assert isinstance(outcome, NotDelivered)
    assert outcome.hopeless
    assert not line.written
    upstream.close()
    await a_few_turns()


# --- success -------------------------------------------------------------------------------------------


async def test_an_answer_in_one_piece_is_served_as_soon_as_its_head_is_there() -> None:
    window = b"anthropic-ratelimit-unified-5h-utilization: 0.5"
    async with sent() as it:
        head = answer(b"{}", b"content-type: application/json", window)[:-2]
        outcome = await it.outcome(head)
        assert isinstance(outcome, Served)
        assert [window.utilization for window in outcome.windows] == [0.5]
        assert (it.attempt.whole, it.attempt.tap, it.attempt.held) == (None, None, [])
        await it.feed(b"{}")
        assert await it.attempt.response.read(10) == b"{}"


async def test_a_stream_is_held_until_its_content_begins_and_nothing_is_lost() -> None:
    async with sent() as it:
        await it.feed(streaming(START), *(chunked(PING).removesuffix(END) for _ in range(3)))
        assert not it.judging.done()
        outcome = await it.outcome(chunked(EVENTS[1]).removesuffix(END))
        assert isinstance(outcome, Served)
        assert b"".join(it.attempt.held) == START + 3 * PING + EVENTS[1]
        assert it.attempt.tap is not None
        assert it.attempt.tap.started
        await it.feed(chunked(b"".join(EVENTS[2:])))
        rest = await it.attempt.response.read(1 << 20)
        assert b"".join([*it.attempt.held, rest]) == STREAM[: len(START)] + 3 * PING + STREAM[len(START) :]


async def test_a_stream_that_thinks_longer_than_the_hold_is_handed_on_as_far_as_it_came() -> None:
    loop = asyncio.get_running_loop()
    async with sent() as it:
        began = loop.time()
        assert isinstance(await it.outcome(streaming(START)), Served)
        assert HOLD_S - 0.1 < loop.time() - began < HOLD_S + 1
        assert it.attempt.held == [START]
        await it.feed(chunked(b"".join(EVENTS[1:])))
        assert await it.attempt.response.read(1 << 20) == b"".join(EVENTS[1:])


async def test_a_stream_is_not_held_beyond_the_bound() -> None:
    async with sent() as it:
        outcome = await it.outcome(streaming(START), *[chunked(PING * 1000).removesuffix(END)] * 10)
        assert isinstance(outcome, Served)
        assert sum(map(len, it.attempt.held)) < HOLD_BYTES + 1000 * len(PING)


@pytest.mark.parametrize("lines", [(b"content-encoding: unheard-of",), (b"content-encoding: gzip, br",)])
async def test_a_stream_that_cannot_be_looked_into_is_handed_on_at_once(lines: Sequence[bytes]) -> None:
    async with sent() as it:
        assert isinstance(await it.outcome(streaming(b"", *lines)), Served)


async def test_a_whole_stream_in_one_read_is_served() -> None:
    async with sent() as it:
        assert isinstance(await it.outcome(streaming(STREAM) + END), Served)
        assert b"".join(it.attempt.held) + await it.attempt.response.read(1 << 20) == STREAM


# --- an error first ------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", [b"", b"gzip", b"br"])
@pytest.mark.parametrize("before", [b"", START, PING, b": comment\n\n" + START + PING])
async def test_an_error_before_content_is_that_error_with_its_http_status(before: bytes, coding: bytes) -> None:
    data = error("overloaded_error", "Overloaded")
    body = before + b"event: error\ndata: " + data + b"\n\n"
    body = {b"": bytes, b"gzip": gzip.compress, b"br": brotli.compress}[coding](body)
    lines = [b"request-id: req_1", b"anthropic-ratelimit-unified-status: allowed"]
    async with sent() as it:
        raw = streaming(body, *lines, *([b"content-encoding: " + coding] if coding else []))
        assert await it.outcome(raw) == UpstreamFailed(529, overloaded=True)
        whole = it.attempt.whole
        assert whole is not None
        assert (whole.status, whole.body) == (529, data)
        assert dict(whole.headers) == {b"content-type": b"application/json", b"request-id": b"req_1"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [("rate_limit_error", 429), ("api_error", 500), ("invalid_request_error", 400), ("unheard_of_error", 500)],
)
async def test_every_error_event_has_the_status_of_its_type(kind: str, status: int) -> None:
    async with sent() as it:
        outcome = await it.outcome(streaming(START + b"event: error\ndata: " + error(kind) + b"\n\n"))
        assert not isinstance(outcome, Served)
        assert it.attempt.whole is not None
        assert it.attempt.whole.status == status


async def test_the_recorded_overload_is_an_overload() -> None:
    async with sent() as it:
        assert await it.outcome(streaming(OVERLOADED)) == UpstreamFailed(529, overloaded=True)


async def test_an_error_behind_content_is_the_clients_to_see() -> None:
    async with sent() as it:
        raw = streaming(START + EVENTS[1] + b"event: error\ndata: " + error("overloaded_error") + b"\n\n")
        assert isinstance(await it.outcome(raw), Served)
        assert it.attempt.whole is None


# --- too little ----------------------------------------------------------------------------------------


async def test_an_empty_stream_is_a_failure_of_the_provider() -> None:
    async with sent() as it:
        assert await it.outcome(streaming(b"") + END) == UpstreamFailed(502)
        assert it.attempt.whole is not None
        assert it.attempt.whole.status == 502
        assert b"empty stream" in it.attempt.whole.body


@pytest.mark.parametrize("body", [START, PING, START[:10]])
async def test_a_stream_that_ends_before_its_content_is_cut(body: bytes) -> None:
    async with sent() as it:
        assert isinstance(await it.outcome(streaming(body) + END), Cut)
        assert it.attempt.whole is None


@pytest.mark.parametrize("raw", [streaming(b""), streaming(START), streaming(START)[:-4], b"HTTP/1.1 200"])
async def test_a_connection_that_ends_before_content_is_cut(raw: bytes) -> None:
    async with sent() as it:
        assert isinstance(await it.outcome(raw, end=True), Cut)


async def test_a_connection_that_ends_without_an_answer_leaves_it_unknown() -> None:
    async with sent() as it:
        assert isinstance(await it.outcome(end=True), Unknown)


# --- complete answers that are no success --------------------------------------------------------------


async def test_an_error_is_classified_and_kept_whole_for_the_client() -> None:
    body = error("invalid_request_error", "bad")
    async with sent() as it:
        raw = answer(body, b"content-type: application/json", b"request-id: req_1", status=b"400 Bad Request")
        assert await it.outcome(raw[:50], raw[50:]) == RequestRefused(400)
        assert it.attempt.whole is not None
        assert (it.attempt.whole.status, it.attempt.whole.body) == (400, body)
        assert dict(it.attempt.whole.headers) == {b"content-type": b"application/json", b"request-id": b"req_1"}


async def test_a_full_window_is_read_from_the_headers_which_stay_here() -> None:
    head, _, body = content("anthropic-429-five-hour-window.http").partition(b"\n\n")
    lines = [line for line in head.split(b"\n")[1:] if not line.lower().startswith(b"content-length")]
    async with sent() as it:
        assert isinstance(await it.outcome(answer(body, *lines, status=b"429 Too Many Requests")), QuotaSpent)
        assert it.attempt.whole is not None
        assert it.attempt.whole.body == body
        assert not [name for name, _ in it.attempt.whole.headers if name.startswith(b"anthropic-ratelimit-")]


async def test_a_coded_error_is_read_and_handed_on_coded() -> None:
    body = gzip.compress(error("overloaded_error"))
    async with sent() as it:
        raw = answer(body, b"content-encoding: gzip", status=b"529 Overloaded")
        assert await it.outcome(raw) == UpstreamFailed(529, overloaded=True)
        assert it.attempt.whole is not None
        assert it.attempt.whole.body == body
        assert (b"content-encoding", b"gzip") in it.attempt.whole.headers


async def test_of_a_huge_error_a_bounded_part_is_kept() -> None:
    async with sent() as it:
        head = b"HTTP/1.1 503 X\r\ncontent-length: %d\r\n\r\n" % (10 * ERROR_BYTES)
        assert await it.outcome(head, b"x" * (2 * ERROR_BYTES)) == UpstreamFailed(503)
        assert it.attempt.whole is not None
        assert len(it.attempt.whole.body) == ERROR_BYTES


async def test_an_error_that_is_cut_is_no_complete_answer() -> None:
    async with sent() as it:
        raw = answer(error("api_error"), status=b"500 Internal Server Error")[:-3]
        assert isinstance(await it.outcome(raw, end=True), Cut)
        assert it.attempt.whole is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_does_not_reach_the_client(status: int) -> None:
    async def never(_peer: Peer) -> None:
        pytest.fail("the redirect was followed")

    async with played(never) as elsewhere, sent() as it:
        raw = answer(b"moved", b"location: %s/v1/messages" % elsewhere.url.encode(), status=b"%d X" % status)
        assert await it.outcome(raw) == UpstreamFailed(502)
        assert it.attempt.whole is not None
        assert it.attempt.whole.status == 502
        assert elsewhere.url.encode() not in it.attempt.whole.body
        assert b"location" not in dict(it.attempt.whole.headers)
    assert elsewhere.accepted == 0


# --- the end of it -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (Failure("x", delivered=False), NotDelivered("x")),
        (Failure("x", delivered=False, hopeless=True), NotDelivered("x", hopeless=True)),
        (Failure("x", delivered=True), Unknown("x")),
        (Failure("x", delivered=True, begun=True), Cut("x")),
    ],
)
def test_what_was_delivered_decides_what_a_failure_came_to(failure: Failure, outcome: Outcome) -> None:
    assert outcome_of(failure) == outcome


@pytest.mark.parametrize("phase", ["before the head", "holding", "an error's body"])
async def test_cancelling_and_closing_ends_the_connection_in_every_phase(phase: str) -> None:
    async with sent() as it:
        if phase == "holding":
            await it.feed(streaming(START))
        elif phase == "an error's body":
            await it.feed(answer(b"hello", status=b"500 X")[:-1])
        it.judging.cancel()
        await asyncio.wait([it.judging])
        it.attempt.close()
        assert it.line.ended


async def test_closing_a_whole_answer_keeps_its_connection() -> None:
    async with sent() as it:
        await it.outcome(answer(error("api_error"), status=b"500 X"))
        it.attempt.close()
        assert not it.line.ended


async def test_closing_before_anything_was_sent_does_nothing() -> None:
    made().close()


async def test_a_provider_that_never_answers_leaves_it_unknown() -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with played(silent) as server:
        upstream = Upstream(lambda: pytest.fail("no TLS here"), Patience(head_s=0.05))
        outcome = await made().send(upstream, Endpoints(anthropic_api_url=server.url), "key")
        upstream.close()
    assert isinstance(outcome, Unknown)
