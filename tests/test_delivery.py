"""What the provider sent is what the client gets, byte for byte; what was cut never looks whole."""

import asyncio
import contextlib
import gzip
import hashlib
import random
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import brotli
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from core.attempt import Attempt
from core.delivery import COPY_BYTES, PING, Delivery
from core.exchange import Answer, Incoming, Simple
from core.link import Link, Response
from core.listener import Listener
from core.model import AccountKind, Cut, Endpoints, Outcome, ProviderName, Request, Served, Usage
from core.providers import PROVIDERS
from core.providers.headers import Headers
from core.providers.sse import Dialect, Tap
from core.upstream import Upstream, origin_of
from tests.raw import (
    Client,
    Line,
    Peer,
    Played,
    Reply,
    Wire,
    a_few_turns,
    answer,
    chunked,
    leftovers,
    linked,
    played,
    reply_in,
    until,
)
from tests.recorded import content

pytestmark = pytest.mark.anyio

URL = "http://provider"
STREAM = content("anthropic-stream-tool-use.sse")
SHORT = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"\xc3\xa9\xe2\x80\xa8"}}\n\n'
    b": comment\r\n\r\n"
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":9}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
EVENTS = [event + b"\n\n" for event in STREAM.split(b"\n\n")[:-1]]
ASKED = Incoming(b"POST", b"/v1/messages", Headers([(b"content-type", b"application/json")]), body=b"{}")
SSE = b"content-type: text/event-stream; charset=utf-8"

CODINGS: dict[bytes, Callable[[bytes], bytes]] = {
    b"": bytes,
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": zstd.compress,
}
FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "chunked": lambda body: b"transfer-encoding: chunked\r\n\r\n" + chunked(body, 333),
    "length": lambda body: b"content-length: %d\r\n\r\n" % len(body) + body,
    "end": lambda body: b"\r\n" + body,
}


def streamed(body: bytes, frame: str = "chunked", coding: bytes = b"") -> bytes:
    """A whole streamed answer on the wire."""
    lines = [b"HTTP/1.1 200 OK", SSE, *([b"content-encoding: " + coding] if coding else []), b""]
    return b"\r\n".join(lines) + FRAMES[frame](body)


@dataclass
class Rig:
    """A provider's connection, an attempt, a delivery and a client's connection, all played by hand."""

    link: Link
    line: Line
    wire: Wire = field(default_factory=Wire)
    outcome: Outcome | None = None
    usage: Usage = field(default_factory=Usage)

    async def feed(self, *pieces: bytes, end: bool = False) -> None:
        for piece in pieces:
            self.link.data_received(piece)
            await asyncio.sleep(0)
        if end:
            self.line.close()
        await a_few_turns()

    async def reply(self) -> Reply:
        return await reply_in(self.wire.written)


@asynccontextmanager
async def rig(ping_s: float = 60.0, dialect: Dialect = Dialect.MESSAGES) -> AsyncIterator[Rig]:
    """Send one request; while the block runs, its answer is judged and delivered."""
    loop = asyncio.get_running_loop()
    tasks, timers = leftovers(loop)
    upstream = Upstream(lambda: pytest.fail("no TLS here"))
    rig = Rig(*linked(upstream, URL))

    async def serve() -> None:
        attempt = Attempt(PROVIDERS[AccountKind.API_KEY], Request(ProviderName.ANTHROPIC), ASKED, lambda: 0.0)
        try:
            rig.outcome = await attempt.send(upstream, Endpoints(anthropic_api_url=URL), "key")
            if isinstance(rig.outcome, Served):
                assert attempt.response
                to_client = Answer(rig.wire, head_only=False)
                delivery = Delivery(attempt.response, to_client, attempt.tap, dialect, ping_s)
                rig.outcome = await delivery.run(attempt.held, [(b"x-tidegate-account", b"Work")])
                rig.usage = delivery.usage
        finally:
            attempt.close()

    serving = asyncio.create_task(serve())
    await a_few_turns()
    try:
        yield rig
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        upstream.close()
        await a_few_turns()
    if not serving.cancelled():
        serving.result()
    assert leftovers(loop)[0] <= tasks
    assert leftovers(loop)[1] <= timers


# --- byte for byte -------------------------------------------------------------------------------------


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes], bytes]:
    """A whole answer in some coding and framing, cut anywhere; and its body."""
    coding = draw(st.sampled_from(list(CODINGS)))
    body = CODINGS[coding](draw(st.sampled_from([STREAM, SHORT, SHORT.replace(b"\n", b"\r\n")])))
    raw = streamed(body, draw(st.sampled_from(["chunked", "length"])), coding)
    cuts = sorted(draw(st.sets(st.integers(1, len(raw) - 1), max_size=20)))
    return body, [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)], coding


@settings(deadline=None, max_examples=250)
@given(cut_streams())
async def test_a_stream_arrives_byte_for_byte_however_it_is_cut_and_coded(
    cut: tuple[bytes, list[bytes], bytes],
) -> None:
    body, pieces, coding = cut
    async with rig() as it:
        await it.feed(*pieces)
    reply = await it.reply()
    assert isinstance(it.outcome, Served)
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(body).digest()
    assert reply.whole
    assert reply.headers.get("content-encoding", "").encode() == coding
    assert it.usage.output > 0


async def test_a_stream_cut_at_every_byte_gives_the_same_bytes_and_the_same_usage() -> None:
    raw = streamed(SHORT)
    for at in range(1, len(raw)):
        async with rig() as it:
            await it.feed(raw[:at], raw[at:])
        assert (await it.reply()).body == SHORT
        assert it.usage == Usage(input=3, output=9)


@pytest.mark.parametrize("frame", ["chunked", "length", "end"])
async def test_a_stream_truncated_at_any_byte_is_never_clean(frame: str) -> None:
    """Whether the provider ends it as its framing says or breaks off: only `message_stop` makes it whole."""
    for size in range(len(SHORT)):
        async with rig() as it:
            await it.feed(streamed(SHORT[:size], frame), end=frame == "end")
        if not it.wire.writes:  # nothing of it was content: the client sees an error, or another account's answer
            assert not isinstance(it.outcome, Served)
            continue
        reply = await it.reply()
        assert isinstance(it.outcome, Cut)
        assert not reply.whole
        assert not it.wire.keep_alive
        assert reply.body.startswith(SHORT[:size])
        added = reply.body[size:]
        assert added == b"" or added.startswith(b'event: error\ndata: {"type":"error","error":{"type":"api_error",')
        assert bool(added) == SHORT[:size].endswith((b"\n\n", b"\r\n"))


async def test_a_stream_that_has_said_that_it_is_whole_is_whole_whatever_its_framing_still_promised() -> None:
    async with rig() as it:
        await it.feed(streamed(SHORT).removesuffix(b"0\r\n\r\n"), end=True)
    reply = await it.reply()
    assert it.outcome == Served()
    assert (reply.body, reply.whole) == (SHORT, True)


async def test_of_a_stream_in_an_unknown_dialect_only_the_framing_tells_the_end() -> None:
    async with rig(dialect=Dialect.OTHER) as it:
        await it.feed(streamed(SHORT).removesuffix(b"0\r\n\r\n"), end=True)
    assert isinstance(it.outcome, Cut)
    assert not (await it.reply()).whole


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd"])
async def test_a_coded_stream_without_its_end_is_broken_off_without_an_event_of_ours(coding: bytes) -> None:
    body = CODINGS[coding](b"".join(EVENTS[:-1]))
    async with rig() as it:
        await it.feed(streamed(body, coding=coding))
    reply = await it.reply()
    assert isinstance(it.outcome, Cut)
    assert (reply.body, reply.whole) == (body, False)


@pytest.mark.parametrize("at_boundary", [True, False])
async def test_a_stream_that_the_provider_breaks_off_ends_in_an_error_event_where_one_fits(at_boundary: bool) -> None:
    sent = b"".join(EVENTS[:4]) + (b"" if at_boundary else b"event: content_block_delta\nda")
    async with rig() as it:
        await it.feed(streamed(sent).removesuffix(b"0\r\n\r\n"), end=True)
    reply = await it.reply()
    assert isinstance(it.outcome, Cut)
    assert not reply.whole
    added = reply.body.removeprefix(sent)
    assert added.startswith(b"event: error\n") == at_boundary
    assert b"Tidegate: the provider closed the connection." in added or not at_boundary


async def test_an_error_event_in_the_middle_is_the_providers_end_and_handed_on_as_it_is() -> None:
    body = b"".join(EVENTS[:4]) + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
    async with rig() as it:
        await it.feed(streamed(body))
    reply = await it.reply()
    assert (reply.body, reply.whole, it.outcome) == (body, True, Served())


@pytest.mark.parametrize(
    ("name", "dialect", "cut_off"),
    [("openai-chat.sse", Dialect.CHAT, b"data: [DONE]\n\n"), ("openai-responses.sse", Dialect.RESPONSES, b"")],
)
async def test_the_other_dialects_end_as_they_say(name: str, dialect: Dialect, cut_off: bytes) -> None:
    body = content(name)
    ends = body.rindex(b"event: response.completed") if not cut_off else body.index(b'data: {"id"', 1)
    for sent, whole in ((body, True), (body[:ends], False)):
        upstream = Upstream(lambda: pytest.fail("no TLS here"))
        link, _ = linked(upstream, URL)
        sending = asyncio.create_task(upstream.send(origin_of(URL), b"POST", b"/", (), b""))
        await a_few_turns()
        link.data_received(streamed(sent))
        wire = Wire()
        outcome = await Delivery(await sending, Answer(wire, head_only=False), Tap(dialect), dialect).run(())
        reply = await reply_in(wire.written)
        assert (reply.whole, reply.body, isinstance(outcome, Served)) == (whole, sent, whole)
        upstream.close()


async def test_a_stream_that_cannot_be_looked_into_passes_as_its_framing_says() -> None:
    async with rig() as it:
        await it.feed(streamed(b"\x00\x01\x02", coding=b"dcb"))
    reply = await it.reply()
    assert (reply.body, reply.whole, it.outcome) == (b"\x00\x01\x02", True, Served())


async def test_a_stream_that_is_stopped_in_the_middle_says_so_and_does_not_look_whole() -> None:
    async with rig() as it:
        await it.feed(streamed(b"".join(EVENTS[:4])).removesuffix(b"0\r\n\r\n"))
    reply = await it.reply()  # the block's end cancels, as a Tidegate that stops does
    assert not reply.whole
    assert reply.body.removeprefix(b"".join(EVENTS[:4])).startswith(b"event: error\n")


# --- the head ------------------------------------------------------------------------------------------


async def test_the_head_goes_out_without_what_belongs_to_the_provider_and_with_who_served() -> None:
    lines = b"request-id: req_1\r\nset-cookie: a=b\r\nanthropic-ratelimit-x: 1\r\nconnection: keep-alive\r\n"
    async with rig() as it:
        await it.feed(streamed(SHORT).replace(SSE, lines + SSE))
    assert set((await it.reply()).headers) == {
        "request-id",
        "content-type",
        "x-tidegate-account",
        "transfer-encoding",
    }


async def test_a_head_that_comes_alone_is_handed_on_at_once() -> None:
    async with rig() as it:
        await it.feed(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n")
        assert it.wire.written.endswith(b"content-length: 2\r\n\r\n")
        await it.feed(b"{}")
    assert it.wire.writes[1:] == [b"{}"]


async def test_a_head_that_comes_with_its_body_goes_out_with_it() -> None:
    async with rig() as it:
        await it.feed(answer(b"{}", b"content-type: application/json"))
    assert len(it.wire.writes) == 1


async def test_each_event_goes_on_before_the_next_one_comes() -> None:
    async with rig() as it:
        await it.feed(streamed(b"".join(EVENTS[:4])).removesuffix(b"0\r\n\r\n"))
        for event in EVENTS[4:]:
            before = len(it.wire.writes)
            await it.feed(b"%x\r\n%s\r\n" % (len(event), event))
            assert event in b"".join(it.wire.writes[before:])
        await it.feed(b"0\r\n\r\n")
    assert (await it.reply()).body == STREAM


# --- answers in one piece ------------------------------------------------------------------------------

MESSAGE = b'{"type":"message","usage":{"input_tokens":3,"output_tokens":9}}'


@pytest.mark.parametrize("frame", ["chunked", "length", "end"])
@pytest.mark.parametrize("coding", [b"", b"gzip", b"br", b"zstd"])
async def test_an_answer_in_one_piece_is_untouched_and_its_tokens_counted(frame: str, coding: bytes) -> None:
    body = CODINGS[coding](MESSAGE)
    raw = streamed(body, frame, coding).replace(SSE, b"content-type: application/json")
    async with rig() as it:
        await it.feed(raw[:90], raw[90:-3], raw[-3:], end=frame == "end")
    reply = await it.reply()
    assert (reply.body, reply.whole, it.outcome) == (body, True, Served())
    assert it.usage == Usage(input=3, output=9)
    assert ("content-length" in reply.headers) == (frame == "length")


@pytest.mark.parametrize("frame", ["chunked", "length"])
async def test_an_answer_in_one_piece_that_is_cut_does_not_look_whole(frame: str) -> None:
    raw = streamed(MESSAGE, frame).replace(SSE, b"content-type: application/json")
    async with rig() as it:
        await it.feed(raw[:-8], end=True)
    reply = await it.reply()
    assert isinstance(it.outcome, Cut)
    assert not reply.whole
    assert MESSAGE.startswith(reply.body)


async def test_a_very_long_answer_passes_and_is_not_counted() -> None:
    body = MESSAGE[:-1] + b" " * COPY_BYTES + b"}"
    async with rig() as it:
        await it.feed(answer(body, b"content-type: application/json"))
    assert (await it.reply()).body == body
    assert it.usage == Usage()


async def test_what_is_no_json_is_not_counted() -> None:
    async with rig() as it:
        await it.feed(answer(MESSAGE, b"content-type: text/plain"))
    assert (await it.reply()).body == MESSAGE
    assert it.usage == Usage()


@pytest.mark.parametrize("status", [b"204 No Content"])
async def test_an_answer_without_body_has_none(status: bytes) -> None:
    async with rig() as it:
        await it.feed(b"HTTP/1.1 " + status + b"\r\n\r\n")
    reply = await it.reply()
    assert (reply.status, reply.body, it.outcome) == (204, b"", Served())


# --- ids of what an answer made -------------------------------------------------------------------------

CONTAINER = b'"container":{"expires_at":"2026-11-21T12:00:00Z","id":"container_011CabcdefXYZ"}'
MADE = SHORT.replace(b'"delta":{"text"', CONTAINER + b',"delta":{"text"')


async def found_in(raw: bytes, piece_bytes: int, *, seeks: bool = True) -> tuple[str, ...]:
    """The ids that a delivery tells of an answer that comes in pieces of this size."""
    upstream = Upstream(lambda: pytest.fail("no TLS here"))
    link, _ = linked(upstream, URL)
    sending = asyncio.create_task(upstream.send(origin_of(URL), b"POST", b"/", (), b""))
    await a_few_turns()
    head, _, body = raw.partition(b"\r\n\r\n")
    link.data_received(head + b"\r\n\r\n")
    response = await sending
    tap = Tap(Dialect.MESSAGES, response.headers.get(b"content-encoding")) if SSE in head else None
    delivery = Delivery(response, Answer(Wire(), head_only=False), tap, Dialect.MESSAGES, seeks=seeks)
    running = asyncio.create_task(delivery.run(()))
    for at in range(0, len(body), piece_bytes):
        link.data_received(body[at : at + piece_bytes])
        await asyncio.sleep(0)
    assert await running == Served()
    upstream.close()
    return delivery.resources


@pytest.mark.parametrize("coding", [b"", b"gzip", b"br", b"zstd"])
@pytest.mark.parametrize("piece_bytes", [1, 7, 100, 10_000])
async def test_an_id_is_told_however_small_the_pieces_of_a_stream_are(piece_bytes: int, coding: bytes) -> None:
    assert await found_in(streamed(CODINGS[coding](MADE), coding=coding), piece_bytes) == ("container_011CabcdefXYZ",)


@pytest.mark.parametrize("coding", [b"", b"gzip", b"br", b"zstd"])
async def test_an_id_is_told_of_an_answer_in_one_piece_whatever_its_coding(coding: bytes) -> None:
    body = CODINGS[coding](b'{"type":"message",' + CONTAINER + b"}")
    raw = streamed(body, "length", coding).replace(SSE, b"content-type: application/json")
    assert await found_in(raw, 50) == ("container_011CabcdefXYZ",)


async def test_ids_are_sought_only_where_an_answer_may_make_something() -> None:
    assert await found_in(streamed(MADE), 100, seeks=False) == ()


# --- silence -------------------------------------------------------------------------------------------

OPEN = streamed(b"".join(EVENTS[:4])).removesuffix(b"0\r\n\r\n")
REST = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in EVENTS[4:]) + b"0\r\n\r\n"


async def test_silence_in_a_stream_is_filled_with_pings_and_the_stream_goes_on_unharmed() -> None:
    async with rig(ping_s=0.02) as it:
        await it.feed(OPEN)
        await until(lambda: it.wire.written.count(PING) >= 3)
        await it.feed(REST)
    reply = await it.reply()
    assert reply.whole
    assert reply.body.replace(PING, b"") == STREAM.replace(PING, b"")


async def test_a_stream_that_is_not_silent_gets_no_ping() -> None:
    async with rig(ping_s=0.2) as it:
        await it.feed(OPEN)
        for event in EVENTS[4:]:
            await asyncio.sleep(0.05)
            await it.feed(b"%x\r\n%s\r\n" % (len(event), event))
        await it.feed(b"0\r\n\r\n")
    assert (await it.reply()).body == STREAM


async def test_a_ping_comes_when_the_silence_is_that_long_and_not_at_the_next_look() -> None:
    """Silence is counted from the last byte: with a fixed beat it could last twice as long."""
    loop = asyncio.get_running_loop()
    async with rig(ping_s=0.4) as it:
        await it.feed(OPEN)
        await asyncio.sleep(0.05)
        await it.feed(b"%x\r\n%s\r\n" % (len(EVENTS[4]), EVENTS[4]))
        silent_since = loop.time()
        await until(lambda: PING in it.wire.writes[-1])
        assert 0.35 < loop.time() - silent_since < 0.65


@pytest.mark.parametrize("why", ["inside an event", "coded", "another dialect", "no room", "no stream"])
async def test_no_ping_where_it_does_not_fit(why: str) -> None:
    dialect = Dialect.CHAT if why == "another dialect" else Dialect.MESSAGES
    ping_s = 0.01
    async with rig(ping_s, dialect) as it:
        it.wire.room = why != "no room"
        if why == "coded":
            packed = gzip.compress(STREAM)
            await it.feed(streamed(packed, coding=b"gzip")[:-100])
        elif why == "inside an event":
            await it.feed(OPEN + b"5\r\nevent\r\n")
        elif why == "no stream":
            await it.feed(answer(MESSAGE, b"content-type: application/json")[:-1])
        else:
            await it.feed(OPEN)
        before = len(it.wire.writes)
        await asyncio.sleep(10 * ping_s)
        assert len(it.wire.writes) == before


# --- on real connections -------------------------------------------------------------------------------


class Relay:
    """A handler that sends everything to one provider."""

    def __init__(self, upstream: Upstream, server: Played) -> None:
        self._upstream = upstream
        self._origin = origin_of(server.url)
        self.responses: list[Response] = []
        self.outcomes: list[Outcome] = []

    def admit(self, request: Incoming) -> Simple | None:
        del request
        return None

    async def serve(self, request: Incoming, answer: Answer) -> None:
        response = await self._upstream.send(self._origin, request.method, request.target, (), request.body)
        self.responses.append(response)
        try:
            tap = Tap(Dialect.MESSAGES) if b"stream" in (response.headers.get(b"content-type") or b"") else None
            self.outcomes.append(await Delivery(response, answer, tap, Dialect.MESSAGES).run(()))
        finally:
            response.close()

    def malformed(self, status: int, message: str) -> Simple:
        return Simple(status, message.encode())


@asynccontextmanager
async def relaying(script: Callable[[Peer], object]) -> AsyncIterator[tuple[Listener, Relay, Played]]:
    async with played(script) as server:  # type: ignore[arg-type]
        upstream = Upstream(lambda: pytest.fail("no TLS here"))
        relay = Relay(upstream, server)
        listener = Listener(relay)
        await listener.start(0)
        try:
            yield listener, relay, server
        finally:
            await listener.close(grace_s=0)
            upstream.close()
            await until(lambda: not upstream._links.busy)


def request(version: bytes = b"1.1") -> bytes:
    return b"POST /v1/messages HTTP/" + version + b"\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("frame", ["chunked", "length", "end"])
async def test_a_stream_without_its_end_is_broken_for_every_client_and_every_provider(
    frame: str, version: bytes
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(streamed(b"".join(EVENTS[:-1]), frame))
        if frame == "end":
            peer.close()
        await peer.gone()

    async with relaying(script) as (listener, relay, _), Client.to(listener.port) as client:
        await client.send(request(version))
        reply = await client.reply()
        assert not reply.whole
        await until(lambda: relay.outcomes)
        assert isinstance(relay.outcomes[0], Cut)


async def test_a_slow_client_pauses_the_provider_and_loses_no_byte() -> None:
    body = random.Random(11).randbytes(32 * 1024 * 1024)
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 65536):
            await peer.send(body[at : at + 65536])
            sent += 65536
        await peer.gone()

    async with relaying(script) as (listener, relay, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=4096)
        writer.write(request())
        await until(lambda: relay.responses and relay.responses[0]._link._paused)
        await a_few_turns()
        assert sent < len(body)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head
        got = hashlib.sha256()
        async with asyncio.timeout(20):
            for _ in range(0, len(body), 65536):
                got.update(await reader.readexactly(65536))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert got.digest() == hashlib.sha256(body).digest()
        assert relay.outcomes == [Served()]


@pytest.mark.parametrize("phase", ["before the head", "silent", "streaming", "stalled"])
async def test_a_client_that_leaves_closes_the_provider_within_a_second(phase: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if phase != "before the head":
            await peer.send(OPEN)
        while phase in {"streaming", "stalled"}:
            await peer.send(b"%x\r\n%s\r\n" % (len(EVENTS[4]), EVENTS[4]) * (1 if phase == "streaming" else 500))
            await asyncio.sleep(0)
        await peer.gone()

    async with relaying(script) as (listener, relay, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=4096)
        writer.write(request())
        await until(lambda: server.requests)
        if phase == "stalled":
            await until(lambda: relay.responses and relay.responses[0]._link._paused)
        elif phase != "before the head":
            await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        async with asyncio.timeout(1):
            await until(lambda: server.open == 0)
        assert not relay.outcomes


async def test_requests_of_one_client_and_connections_to_one_provider_are_used_again_and_again() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(streamed(STREAM))

    async with relaying(script) as (listener, relay, server), Client.to(listener.port) as client:
        for _ in range(20):
            await client.send(request())
            reply = await client.reply()
            assert (reply.body, reply.whole) == (STREAM, True)
        assert server.accepted == 1
        assert relay.outcomes == [Served()] * 20
