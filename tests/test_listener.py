"""The listener takes whole requests in any cutting, refuses what has two readings, and never hangs on a client."""

import asyncio
import re
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import PortTaken
from core.exchange import Answer, Incoming, Simple
from core.listener import MAX_BODY_BYTES, MAX_HEADERS, MAX_QUEUED, Limits, Listener
from tests.raw import Client, Line, a_few_turns, chunked, leftovers, until

pytestmark = pytest.mark.anyio

HOST = b"Host: 127.0.0.1\r\n"
GET = b"GET /one HTTP/1.1\r\n" + HOST + b"\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
PLAIN = ((b"content-type", b"text/plain"),)

Respond = Callable[[Incoming, Answer], Awaitable[None]]


async def tell(request: Incoming, answer: Answer) -> None:
    """Answer with what was asked."""
    answer.send(Simple(200, b"%s %s %d" % (request.method, request.target, len(request.body)), PLAIN))


class Served:
    """A handler that remembers what it got, and answers as the test says."""

    def __init__(self, respond: Respond = tell) -> None:
        self.respond = respond
        self.admitted: list[Incoming] = []
        self.requests: list[Incoming] = []
        self.refuse: Simple | None = None
        self.running = 0
        self.cancelled = 0

    def admit(self, request: Incoming) -> Simple | None:
        self.admitted.append(request)
        return self.refuse

    async def serve(self, request: Incoming, answer: Answer) -> None:
        self.requests.append(request)
        self.running += 1
        try:
            await self.respond(request, answer)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    def malformed(self, status: int, message: str) -> Simple:
        return Simple(status, message.encode(), PLAIN)


@asynccontextmanager
async def listening(handler: Served, limits: Limits | None = None) -> AsyncIterator[Listener]:
    """A listener on a free port; at the end it must leave neither task nor timer behind."""
    tasks, timers = leftovers(asyncio.get_running_loop())
    listener = Listener(handler, limits)
    await listener.start(0)
    try:
        yield listener
    finally:
        await listener.close(grace_s=0)
    assert not listener._shared.connections
    tasks_left, timers_left = leftovers(asyncio.get_running_loop())
    assert tasks_left <= tasks
    assert timers_left <= timers


async def forever(_request: Incoming, _answer: Answer) -> None:
    await asyncio.Event().wait()


def post(body: bytes, *lines: bytes, target: bytes = b"/one") -> bytes:
    head = [b"POST " + target + b" HTTP/1.1", HOST[:-2], b"Content-Length: %d" % len(body), *lines, b"", b""]
    return b"\r\n".join(head) + body


def post_chunked(body: bytes, size: int = 7) -> bytes:
    return b"POST /one HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, size)


# --- whole requests ------------------------------------------------------------------------------------


@st.composite
def cut_requests(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Some requests one behind the other, cut anywhere, and their bodies."""
    bodies = draw(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
    stream = b"".join(
        post_chunked(body, draw(st.integers(1, 20))) if draw(st.booleans()) else post(body) for body in bodies
    )
    cuts = sorted(draw(st.sets(st.integers(1, len(stream) - 1), max_size=12)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)], bodies


@settings(deadline=None, max_examples=200)
@given(cut_requests())
async def test_requests_arrive_whole_and_in_order_however_their_bytes_are_cut(
    cut: tuple[list[bytes], list[bytes]],
) -> None:
    pieces, bodies = cut
    handler = Served()
    line = Line(Listener(handler)._connection())
    for piece in pieces:
        line._protocol.data_received(piece)
        await asyncio.sleep(0)
    await a_few_turns()
    line.close()
    await a_few_turns()

    assert [request.body for request in handler.requests] == bodies
    answers = bytes(line.written).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [b"POST /one %d" % len(body) for body in bodies]


async def test_every_cut_of_a_chunked_request_gives_the_same_request() -> None:
    raw = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw += b"5;ext=1\r\nhello\r\n0\r\nT: v\r\n\r\n"
    for cut in range(1, len(raw)):
        handler = Served()
        line = Line(Listener(handler)._connection())
        line._protocol.data_received(raw[:cut])
        line._protocol.data_received(raw[cut:])
        await a_few_turns()
        line.close()
        (request,) = handler.requests
        assert (request.method, request.target, request.path) == (b"POST", b"/a?b=c", b"/a")
        assert (request.body, request.keep_alive, request.http_1_0) == (b"hello", True, False)
        assert request.headers.raw == ((b"Host", b"x"), (b"X-A", b"1"), (b"Transfer-Encoding", b"chunked"))
    await a_few_turns()


async def test_a_connection_serves_request_after_request() -> None:
    async with listening(handler := Served()) as listener, Client.to(listener.port) as client:
        for number in range(3):
            await client.send(post(b"x" * number))
            reply = await client.reply()
            assert (reply.status, reply.body, reply.whole) == (200, b"POST /one %d" % number, True)
            assert "connection" not in reply.headers
        assert len(listener._shared.connections) == 1
    assert len(handler.requests) == 3


async def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    release = [asyncio.Event() for _ in range(3)]
    most = 0

    async def respond(request: Incoming, answer: Answer) -> None:
        nonlocal most
        most = max(most, handler.running)
        await release[int(request.target[1:])].wait()
        await tell(request, answer)

    async with listening(handler := Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(b"".join(b"GET /%d HTTP/1.1\r\n%s\r\n" % (number, HOST) for number in range(3)))
        for event in reversed(release):
            event.set()
        assert [(await client.reply()).body for _ in range(3)] == [b"GET /0 0", b"GET /1 0", b"GET /2 0"]
    assert most == 1


async def test_a_request_that_came_in_while_another_was_served_keeps_its_own_time() -> None:
    """Its head is late only when the connection waits for it: the answer in progress is not cut short."""
    go = asyncio.Event()

    async def respond(request: Incoming, answer: Answer) -> None:
        await go.wait()
        await tell(request, answer)

    async with (
        listening(Served(respond), Limits(head_s=0.05, body_s=0.05)) as listener,
        Client.to(listener.port) as client,
    ):
        await client.send(GET + b"POST /two HTTP/1.1\r\nContent-Le")
        asyncio.get_running_loop().call_later(0.2, go.set)
        assert (await client.reply()).body == b"GET /one 0"
        late = await client.reply()
        assert (late.status, late.headers["connection"]) == (408, "close")


async def test_expect_100_continue_is_answered_before_the_body_is_sent() -> None:
    async with listening(Served()) as listener, Client.to(listener.port) as client:
        for _ in range(2):
            await client.send(post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 5"))
            assert (await client.reply()).status == 100
            await client.send(b"hello")
            assert (await client.reply()).body == b"POST /one 5"


async def test_expect_in_http_1_0_is_ignored() -> None:
    async with listening(Served()) as listener, Client.to(listener.port) as client:
        await client.send(b"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab")
        assert (await client.reply()).status == 200


async def test_a_refused_head_gets_the_refusal_and_no_100_continue() -> None:
    handler = Served()
    handler.refuse = Simple(401, b"no", PLAIN)
    async with listening(handler) as listener, Client.to(listener.port) as client:
        await client.send(post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 5"))
        assert (await client.reply()).status == 401
        assert await client.rest() == b""


async def test_an_answer_to_head_has_a_length_and_no_body() -> None:
    async with listening(Served()) as listener, Client.to(listener.port) as client:
        await client.send(b"HEAD /one HTTP/1.1\r\n" + HOST + b"\r\n" + GET)
        assert (await client.reply(head_only=True)).headers["content-length"] == "11"
        assert (await client.reply()).body == b"GET /one 0"


async def test_a_refused_head_request_gets_no_body_either() -> None:
    handler = Served()
    handler.refuse = Simple(401, b"no", PLAIN)
    async with listening(handler) as listener, Client.to(listener.port) as client:
        await client.send(b"HEAD /one HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await client.reply(head_only=True)).status == 401
        assert await client.rest() == b""


@pytest.mark.parametrize("extra", [b"", b"Connection: keep-alive\r\n"])
async def test_http_1_0_is_answered_and_closed(extra: bytes) -> None:
    """A 1.0 client that was not told of keep-alive waits for the end of the connection."""
    async with listening(Served()) as listener, Client.to(listener.port) as client:
        await client.send(b"GET /one HTTP/1.0\r\n" + extra + b"\r\n")
        reply = await client.reply()
        assert (reply.status, reply.body, reply.headers["connection"]) == (200, b"GET /one 0", "close")
        assert await client.rest() == b""


async def test_connection_close_is_obeyed_and_what_follows_is_not_served() -> None:
    async with listening(handler := Served()) as listener, Client.to(listener.port) as client:
        await client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + SMUGGLED)
        assert (await client.reply()).headers["connection"] == "close"
        assert await client.rest() == b""
    assert len(handler.requests) == 1


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n", b"Host: a@b\r\n", b"Host:\r\n"])
async def test_the_host_is_the_guards_to_judge(hosts: bytes) -> None:
    async with listening(handler := Served()) as listener, Client.to(listener.port) as client:
        await client.send(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")
        assert (await client.reply()).status == 200
    expected = {b"": None, b"Host:\r\n": b""}.get(hosts, b", ".join(hosts.split(b"\r\n")[:-1]).replace(b"Host: ", b""))
    assert handler.admitted[0].headers.get(b"host") == expected


# --- what could be read in two ways --------------------------------------------------------------------

POST = b"POST /one HTTP/1.1\r\n" + HOST
TE = b"Transfer-Encoding: "
CL = b"Content-Length: "

MUST_REJECT: Sequence[tuple[str, bytes]] = (
    ("CL and TE", POST + CL + b"4\r\n" + TE + b"chunked\r\n\r\n0\r\n\r\n"),
    ("TE and CL", POST + TE + b"chunked\r\n" + CL + b"4\r\n\r\n0\r\n\r\n"),
    ("TE twice", POST + TE + b"chunked\r\n" + TE + b"chunked\r\n\r\n0\r\n\r\n"),
    ("TE chunked then identity", POST + TE + b"chunked\r\n" + TE + b"identity\r\n\r\n0\r\n\r\n"),
    ("TE identity then chunked", POST + TE + b"identity\r\n" + TE + b"chunked\r\n\r\n0\r\n\r\n"),
    ("TE chunked, chunked", POST + TE + b"chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("TE chunked, identity", POST + TE + b"chunked, identity\r\n\r\n0\r\n\r\n"),
    ("TE identity", POST + TE + b"identity\r\n\r\n"),
    ("TE gzip", POST + TE + b"gzip\r\n\r\n"),
    ("TE gzip, chunked", POST + TE + b"gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("TE xchunked", POST + TE + b"xchunked\r\n\r\n0\r\n\r\n"),
    ("TE chunkedx", POST + TE + b"chunkedx\r\n\r\n0\r\n\r\n"),
    ("TE quoted", POST + TE + b'"chunked"\r\n\r\n0\r\n\r\n'),
    ("TE with parameter", POST + TE + b"chunked;a=b\r\n\r\n0\r\n\r\n"),
    ("TE with vertical tab", POST + TE + b"\x0bchunked\r\n\r\n0\r\n\r\n"),
    ("TE with NUL", POST + TE + b"chunked\x00\r\n\r\n0\r\n\r\n"),
    ("TE empty", POST + TE + b"\r\n\r\n0\r\n\r\n"),
    ("TE with space before colon", POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("TE with tab before colon", POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
    ("TE folded", POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    ("TE in HTTP/1.0", b"POST / HTTP/1.0\r\n" + HOST + TE + b"chunked\r\n\r\n0\r\n\r\n"),
    ("two differing CL", POST + CL + b"1\r\n" + CL + b"2\r\n\r\nab"),
    ("two equal CL", POST + CL + b"1\r\n" + CL + b"1\r\n\r\na"),
    ("CL list", POST + CL + b"1, 1\r\n\r\na"),
    ("CL with plus", POST + CL + b"+1\r\n\r\na"),
    ("CL negative", POST + CL + b"-1\r\n\r\n"),
    ("CL hex", POST + CL + b"0x1\r\n\r\na"),
    ("CL fraction", POST + CL + b"1.0\r\n\r\na"),
    ("CL with underscore", POST + CL + b"1_0\r\n\r\n0123456789"),
    ("CL with inner space", POST + CL + b"1 0\r\n\r\n0123456789"),
    ("CL empty", POST + CL + b"\r\n\r\n"),
    ("CL too large for any integer", POST + CL + b"9" * 40 + b"\r\n\r\n"),
    ("CL with space before colon", POST + b"Content-Length : 1\r\n\r\na"),
    ("obs-fold with space", GET.replace(b"\r\n\r\n", b"\r\nX: a\r\n b\r\n\r\n")),
    ("obs-fold with tab", GET.replace(b"\r\n\r\n", b"\r\nX: a\r\n\tb\r\n\r\n")),
    ("fold before the first header", b"GET / HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n"),
    ("bare LF everywhere", GET.replace(b"\r\n", b"\n")),
    ("bare LF after request line", b"GET / HTTP/1.1\n" + HOST + b"\r\n"),
    ("bare LF after a header", b"GET / HTTP/1.1\r\nX: a\n" + HOST + b"\r\n"),
    ("bare LF at the end of the head", b"GET / HTTP/1.1\r\n" + HOST + b"\n"),
    ("bare CR after a header", b"GET / HTTP/1.1\r\nX: a\rY: b\r\n" + HOST + b"\r\n"),
    ("CR CR LF", b"GET / HTTP/1.1\r\nX: a\r\r\n" + HOST + b"\r\n"),
    ("NUL in a value", b"GET / HTTP/1.1\r\nX: a\x00b\r\n" + HOST + b"\r\n"),
    ("control character in a value", b"GET / HTTP/1.1\r\nX: a\x01b\r\n" + HOST + b"\r\n"),
    ("DEL in a value", b"GET / HTTP/1.1\r\nX: a\x7fb\r\n" + HOST + b"\r\n"),
    ("NUL in a name", b"GET / HTTP/1.1\r\nX\x00Y: a\r\n" + HOST + b"\r\n"),
    ("space in a name", b"GET / HTTP/1.1\r\nX Y: a\r\n" + HOST + b"\r\n"),
    ("parentheses in a name", b"GET / HTTP/1.1\r\nX(Y): a\r\n" + HOST + b"\r\n"),
    ("non-ASCII in a name", b"GET / HTTP/1.1\r\nX\xe9: a\r\n" + HOST + b"\r\n"),
    ("empty name", b"GET / HTTP/1.1\r\n: a\r\n" + HOST + b"\r\n"),
    ("header without colon", b"GET / HTTP/1.1\r\nnonsense\r\n" + HOST + b"\r\n"),
    ("HTTP/0.9", b"GET /one\r\n\r\n"),
    ("HTTP/0.9 by name", b"GET /one HTTP/0.9\r\n" + HOST + b"\r\n"),
    ("HTTP/1.2", b"GET /one HTTP/1.2\r\n" + HOST + b"\r\n"),
    ("HTTP/2.0", b"GET /one HTTP/2.0\r\n" + HOST + b"\r\n"),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("lower-case version", b"GET /one http/1.1\r\n" + HOST + b"\r\n"),
    ("no version number", b"GET /one HTTP/\r\n" + HOST + b"\r\n"),
    ("three version digits", b"GET /one HTTP/1.10\r\n" + HOST + b"\r\n"),
    ("space behind the version", b"GET /one HTTP/1.1 \r\n" + HOST + b"\r\n"),
    ("no target", b"GET HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("space in the target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("tab in the target", b"GET /a\tb HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("control character in the target", b"GET /a\x01b HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("non-ASCII in the target", b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("unknown method", b"FROB /one HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("lower-case method", b"get /one HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("space before the method", b" GET /one HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("CONNECT", b"CONNECT example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("Upgrade", GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")),
    ("Upgrade with body", POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CL + b"3\r\n\r\nabc"),
    ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40),
    ("garbage", b"\x00\x01\x02\x03\r\n\r\n"),
    ("chunk size not hex", post_chunked(b"hello").replace(b"5\r\nhello", b"z\r\nhello")),
    ("chunk size with 0x", post_chunked(b"hello").replace(b"5\r\nhello", b"0x5\r\nhello")),
    ("chunk size with plus", post_chunked(b"hello").replace(b"5\r\nhello", b"+5\r\nhello")),
    ("chunk size negative", post_chunked(b"hello").replace(b"5\r\nhello", b"-5\r\nhello")),
    ("chunk size empty", post_chunked(b"hello").replace(b"5\r\nhello", b"\r\nhello")),
    ("chunk size with space", post_chunked(b"hello").replace(b"5\r\nhello", b"5 \r\nhello")),
    ("chunk size too large for any integer", post_chunked(b"hello").replace(b"5\r\nhello", b"f" * 20 + b"\r\nhello")),
    ("chunk line with bare LF", post_chunked(b"hello").replace(b"5\r\nhello", b"5\nhello")),
    ("chunk longer than its size", post_chunked(b"hello").replace(b"5\r\nhello", b"4\r\nhello")),
    ("chunk without line end", post_chunked(b"hello").replace(b"hello\r\n", b"helloXX")),
    ("chunk extension with control character", post_chunked(b"hello").replace(b"5\r\n", b"5;a=\x01\r\n")),
    ("trailer with bare LF", post_chunked(b"hello").replace(b"0\r\n\r\n", b"0\r\nT: v\n\r\n")),
    ("trailer folded", post_chunked(b"hello").replace(b"0\r\n\r\n", b"0\r\nT: v\r\n w\r\n\r\n")),
    ("too many headers", GET.replace(b"\r\n\r\n", b"\r\n" + b"A: b\r\n" * MAX_HEADERS + b"\r\n")),
)


@pytest.mark.parametrize("before", [b"", GET], ids=["first", "after one"])
@pytest.mark.parametrize("by_byte", [False, True], ids=["at once", "by byte"])
@pytest.mark.parametrize("shape", [shape for _, shape in MUST_REJECT], ids=[name for name, _ in MUST_REJECT])
async def test_what_could_be_read_in_two_ways_is_refused_and_nothing_after_it_served(
    shape: bytes, by_byte: bool, before: bytes
) -> None:
    handler = Served()
    line = Line(Listener(handler)._connection())
    raw = before + shape + SMUGGLED
    for piece in [raw[at : at + 1] for at in range(len(raw))] if by_byte else [raw]:
        line._protocol.data_received(piece)
    await a_few_turns()

    statuses = re.findall(rb"HTTP/1\.1 (\d)\d\d ", line.written)
    assert statuses[:-1] == [b"2"] * bool(before)
    assert statuses[-1] in b"45"
    assert line.ended
    assert [request.target for request in handler.requests] == [b"/one"] * bool(before)
    line._protocol.connection_lost(None)


async def test_a_refusal_arrives_over_a_real_socket_and_then_the_end() -> None:
    async with listening(handler := Served()) as listener:
        for shape in (b"GET /\r\n\r\n", POST + CL + b"1\r\n" + CL + b"2\r\n\r\nab", b"\x16\x03\x01\x02"):
            async with Client.to(listener.port) as client:
                await client.send(shape + SMUGGLED)
                reply = await client.reply()
                assert reply.status in {400, 505}
                assert reply.headers["connection"] == "close"
                assert await client.rest() == b""
    assert not handler.requests


async def test_absolute_form_reaches_the_guard_as_it_came() -> None:
    async with listening(handler := Served()) as listener, Client.to(listener.port) as client:
        await client.send(b"GET http://example.com/one HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await client.reply()).status == 200
    assert handler.admitted[0].target == b"http://example.com/one"


async def test_what_stands_behind_a_refused_request_is_neither_admitted_nor_served() -> None:
    handler = Served()
    handler.refuse = Simple(401, b"no", PLAIN)
    async with listening(handler) as listener, Client.to(listener.port) as client:
        await client.send(GET + SMUGGLED + SMUGGLED)
        assert (await client.reply()).status == 401
        assert await client.rest() == b""
    assert len(handler.admitted) == 1
    assert not handler.requests


async def test_an_answer_in_progress_is_finished_before_the_refusal_of_what_follows_it() -> None:
    go = asyncio.Event()

    async def respond(request: Incoming, answer: Answer) -> None:
        await go.wait()
        await tell(request, answer)

    async with listening(handler := Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(GET + b"\x00\r\n\r\n")
        await until(lambda: handler.running)
        go.set()
        assert (await client.reply()).body == b"GET /one 0"
        assert (await client.reply()).status == 400
        assert await client.rest() == b""


# --- bounds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX: " + b"a" * 5 * 1024 * 1024 + b"\r\n\r\n",
        b"GET /" + b"a" * 5 * 1024 * 1024 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 200_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 66_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 129 + b"\r\n",
    ],
    ids=["5 MiB header", "5 MiB target", "200,000 headers", "66 kB header", "66 kB target", "129 headers"],
)
async def test_a_huge_head_is_refused(head: bytes) -> None:
    async with listening(handler := Served()) as listener, Client.to(listener.port) as client:
        sending = asyncio.create_task(client.send(head))
        assert (await client.reply()).status == 431
        await client.rest()
        await sending
    assert not handler.requests


async def test_128_headers_are_taken() -> None:
    async with listening(Served()) as listener, Client.to(listener.port) as client:
        await client.send(b"GET /one HTTP/1.1\r\n" + b"X: a\r\n" * 128 + b"\r\n")
        assert (await client.reply()).status == 200


async def test_a_long_body_does_not_count_as_the_head_that_follows_it() -> None:
    raw = post(b"x" * 200_000) + GET
    handler = Served()
    line = Line(Listener(handler)._connection())
    line._protocol.data_received(raw[:60_000])
    line._protocol.data_received(raw[60_000 : -len(GET) + 9])
    line._protocol.data_received(raw[-len(GET) + 9 :])
    await a_few_turns()
    line.close()
    await a_few_turns()
    assert [len(request.body) for request in handler.requests] == [200_000, 0]


@pytest.mark.parametrize("endless", [b"X-Trailer: " + b"a" * 70_000, b"X: a\r\n" * 12_000], ids=["one", "many"])
async def test_endless_trailers_are_refused(endless: bytes) -> None:
    line = Line(Listener(handler := Served())._connection())
    line._protocol.data_received(post_chunked(b"hello").removesuffix(b"\r\n"))
    for at in range(0, len(endless), 1000):
        line._protocol.data_received(endless[at : at + 1000])
    assert line.written.startswith(b"HTTP/1.1 431 ")
    assert not handler.requests
    line._protocol.connection_lost(None)


async def test_a_body_beyond_the_bound_is_refused_by_its_length_before_it_is_read() -> None:
    async with listening(handler := Served()) as listener, Client.to(listener.port) as client:
        await client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1))
        assert (await client.reply()).status == 413
        assert await client.rest() == b""
    assert not handler.admitted


@pytest.mark.parametrize("size", [1000, 1001])
@pytest.mark.parametrize("frame", [post, post_chunked], ids=["length", "chunked"])
async def test_the_bound_of_a_body_is_exact_in_both_framings(frame: Callable[[bytes], bytes], size: int) -> None:
    async with listening(handler := Served(), Limits(body_bytes=1000)) as listener, Client.to(listener.port) as client:
        await client.send(frame(b"x" * size))
        assert (await client.reply()).status == (200 if size == 1000 else 413)
    assert len(handler.requests) == (size == 1000)


async def test_a_refusal_arrives_although_the_body_is_not_read() -> None:
    """The client is in the middle of sending 20 MB and looks at the answer only afterwards."""
    handler = Served()
    handler.refuse = Simple(401, b"no", PLAIN)
    async with listening(handler) as listener, Client.to(listener.port) as client:
        await client.send(post(b"x" * 20_000_000))
        reply = await client.reply()
        assert (reply.status, reply.body) == (401, b"no")
    assert not handler.requests


async def test_a_connection_too_many_gets_503() -> None:
    async with listening(Served(), Limits(connections=2)) as listener:
        async with Client.to(listener.port), Client.to(listener.port) as second, Client.to(listener.port) as third:
            assert (await third.reply()).status == 503
            assert await third.rest() == b""
            await second.send(GET)
            assert (await second.reply()).status == 200
        await until(lambda: not listener._shared.connections)
        async with Client.to(listener.port) as client:
            await client.send(GET)
            assert (await client.reply()).status == 200


async def test_many_pipelined_requests_stop_the_reading_and_all_are_served() -> None:
    count = 5000
    async with listening(handler := Served()) as listener, Client.to(listener.port) as client:
        sending = asyncio.create_task(client.send(GET * count))
        for _ in range(count):
            assert (await client.reply()).status == 200
        await sending
    assert len(handler.requests) == count


async def test_a_client_that_sends_and_never_reads_is_not_served_without_end() -> None:
    async def respond(_request: Incoming, answer: Answer) -> None:
        answer.send(Simple(200, b"x" * 10_000, PLAIN))

    async with listening(handler := Served(respond), Limits(stall_s=0.3)) as listener:
        with socket.socket() as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", listener.port))
            with pytest.raises(ConnectionError):
                while True:
                    await asyncio.get_running_loop().sock_sendall(sock, GET * 100)
        await until(lambda: not listener._shared.connections)
    assert len(handler.requests) < 2000


# --- time ----------------------------------------------------------------------------------------------

SHORT = Limits(head_s=0.05, body_s=0.05, idle_s=0.05, stall_s=0.05)
LONG = 60.0


@pytest.mark.parametrize(
    ("sent", "limits", "status"),
    [
        (b"", Limits(head_s=0.05), None),
        (b"\r\n", Limits(head_s=0.05), None),
        (b"GET / HT", Limits(head_s=0.05), 408),
        (post(b"hello")[:-1], Limits(body_s=0.05), 408),
        (post_chunked(b"hello")[:-1], Limits(body_s=0.05), 408),
        (post(b"hello")[:-5], Limits(body_s=0.05), 408),
    ],
    ids=["silent", "empty line", "head", "body", "chunked body", "no body"],
)
async def test_a_client_that_falls_silent_is_closed_at_the_limit(
    sent: bytes, limits: Limits, status: int | None
) -> None:
    async with listening(handler := Served(), limits) as listener:
        async with Client.to(listener.port) as client:
            await client.send(sent)
            if status is not None:
                assert (await client.reply()).status == status
            assert await client.rest() == b""
        await until(lambda: not listener._shared.connections)
    assert not handler.requests


async def test_a_head_that_drips_is_closed_at_the_limit_however_often_a_byte_comes() -> None:
    async with listening(Served(), Limits(head_s=0.1)) as listener, Client.to(listener.port) as client:

        async def drip() -> None:
            while True:
                await client.send(b"G" if first.is_set() else b"GET /")
                first.set()
                await asyncio.sleep(0.01)

        first = asyncio.Event()
        dripping = asyncio.create_task(drip())
        try:
            assert (await client.reply()).status == 408
        finally:
            dripping.cancel()
            await asyncio.wait([dripping])


async def test_a_body_that_drips_may_go_on_as_long_as_bytes_of_it_come() -> None:
    async with listening(Served(), Limits(body_s=0.1)) as listener, Client.to(listener.port) as client:
        raw = post(b"x" * 20)
        await client.send(raw[:-20])
        for _ in range(20):
            await client.send(b"x")
            await asyncio.sleep(0.02)
        assert (await client.reply()).status == 200


async def test_an_idle_connection_is_closed_at_the_limit() -> None:
    async with listening(Served(), Limits(idle_s=0.05)) as listener, Client.to(listener.port) as client:
        await client.send(GET)
        assert (await client.reply()).status == 200
        assert await client.rest() == b""


async def test_a_long_answer_outlives_every_limit_on_the_client() -> None:
    async def respond(request: Incoming, answer: Answer) -> None:
        await asyncio.sleep(0.2)
        await tell(request, answer)

    async with listening(Served(respond), SHORT) as listener, Client.to(listener.port) as client:
        await client.send(GET)
        assert (await client.reply()).status == 200


async def test_a_reader_that_stalls_is_cut_at_the_limit_and_its_handler_cancelled() -> None:
    async def respond(_request: Incoming, answer: Answer) -> None:
        answer.start(200, (), None)
        while answer.room:
            answer.write(b"x" * 65536)
        await asyncio.Event().wait()

    async with listening(handler := Served(respond), SHORT) as listener, stalled(listener.port, GET):
        await until(lambda: handler.cancelled)
        await until(lambda: not listener._shared.connections)


async def test_a_reader_that_stalls_is_cut_even_when_its_answer_is_finished() -> None:
    async def respond(_request: Incoming, answer: Answer) -> None:
        answer.start(200, (), None)
        while answer.room:
            answer.write(b"x" * 65536)
        answer.finish()

    for raw in (GET, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")):
        async with listening(handler := Served(respond), SHORT) as listener, stalled(listener.port, raw):
            await until(lambda h=handler: h.requests and not h.running)
            await until(lambda s=listener: not s._shared.connections)


@asynccontextmanager
async def stalled(port: int, raw: bytes) -> AsyncIterator[socket.socket]:
    """A client that sends and does not read."""
    with socket.socket() as sock:
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, raw)
        yield sock


# --- the client hangs up -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("phase", ["waiting", "head sent", "streaming", "paused", "pipelined"])
async def test_a_client_that_hangs_up_cancels_its_handler_at_once(phase: str, how: str) -> None:
    reached = asyncio.Event()

    async def respond(_request: Incoming, answer: Answer) -> None:
        if phase not in {"waiting", "pipelined"}:
            answer.start(200, (), None)
            answer.flush()
        if phase == "streaming":
            answer.write(b"x" * 100)
        while phase == "paused" and answer.room:
            answer.write(b"x" * 65536)
        reached.set()
        await asyncio.Event().wait()

    async with listening(handler := Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(GET * (MAX_QUEUED if phase == "pipelined" else 1))
        async with asyncio.timeout(5):
            await reached.wait()
        if how == "reset":
            client.reset()
        else:
            await client.leave()
        async with asyncio.timeout(1):
            await until(lambda: handler.cancelled)
        await until(lambda: not listener._shared.connections)
    assert len(handler.requests) == 1


@pytest.mark.parametrize("sent", [b"", GET[:10], post(b"hello")[:-2], post_chunked(b"hello")[:-2]])
async def test_a_client_that_hangs_up_in_a_request_leaves_nothing(sent: bytes) -> None:
    async with listening(handler := Served()) as listener:
        async with Client.to(listener.port) as client:
            await client.send(sent)
            await until(lambda: listener._shared.connections)
        await until(lambda: not listener._shared.connections)
    assert not handler.requests


# --- the answer ----------------------------------------------------------------------------------------


def answering(*, length: int | None, pieces: Sequence[bytes], end: str) -> Respond:
    async def respond(_request: Incoming, answer: Answer) -> None:
        answer.start(200, PLAIN, length)
        for piece in pieces:
            answer.write(piece)
            await asyncio.sleep(0)
        if end == "raise":
            raise RuntimeError("broken")
        if end:
            getattr(answer, end)()

    return respond


V10 = b"GET /one HTTP/1.0\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "length", "framing"),
    [(GET, None, "chunked"), (GET, 10, "length"), (V10, None, "end"), (V10, 10, "length")],
)
async def test_a_whole_answer_ends_as_its_framing_says(request_: bytes, length: int | None, framing: str) -> None:
    respond = answering(length=length, pieces=[b"hello", b"", b"world"], end="finish")
    async with listening(Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(request_)
        reply = await client.reply()
    assert (reply.body, reply.whole) == (b"helloworld", True)
    assert ("transfer-encoding" in reply.headers) == (framing == "chunked")
    assert ("content-length" in reply.headers) == (framing == "length")


@pytest.mark.parametrize("end", ["abort", "raise", ""], ids=["abort", "raise", "forgotten"])
@pytest.mark.parametrize(("request_", "length"), [(GET, None), (GET, 10), (V10, None), (V10, 10)])
async def test_an_answer_that_is_not_whole_never_looks_whole(request_: bytes, length: int | None, end: str) -> None:
    respond = answering(length=length, pieces=[b"hello"], end=end)
    async with listening(Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(request_)
        reply = await client.reply()
        assert (reply.status, reply.whole) == (200, False)
        assert b"hello".startswith(reply.body)
        assert await client.rest() == b""


async def test_fewer_bytes_than_promised_never_look_whole() -> None:
    respond = answering(length=10, pieces=[b"hello"], end="finish")
    async with listening(Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(GET)
        assert not (await client.reply()).whole


async def test_a_handler_that_answers_nothing_at_all_resets_the_connection() -> None:
    async def respond(_request: Incoming, _answer: Answer) -> None:
        return

    async with listening(Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(GET)
        with pytest.raises(EOFError):
            await client.reply()


async def test_a_handler_that_raises_before_its_answer_gives_500_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def respond(_request: Incoming, _answer: Answer) -> None:
        raise RuntimeError("broken")

    async with listening(Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(GET)
        reply = await client.reply()
        assert (reply.status, reply.headers["connection"], reply.whole) == (500, "close", True)
    assert "broken" in caplog.text


async def test_a_handler_that_raises_after_its_answer_does_not_spoil_it(caplog: pytest.LogCaptureFixture) -> None:
    async def respond(request: Incoming, answer: Answer) -> None:
        await tell(request, answer)
        raise RuntimeError("broken")

    async with listening(Served(respond)) as listener, Client.to(listener.port) as client:
        for raw in (GET, GET, V10):
            await client.send(raw)
            reply = await client.reply()
            assert (reply.status, reply.whole) == (200, True)
    assert caplog.text.count("RuntimeError: broken") == 3


async def test_an_admission_that_raises_gives_500_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Served):
        def admit(self, request: Incoming) -> Simple | None:
            self.admitted.append(request)
            raise RuntimeError("broken")

    async with listening(handler := Broken()) as listener, Client.to(listener.port) as client:
        await client.send(GET + SMUGGLED)
        assert (await client.reply()).status == 500
        assert await client.rest() == b""
    assert "broken" in caplog.text
    assert not handler.requests


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_by_its_status_has_none_and_no_length(status: int) -> None:
    async def respond(_request: Incoming, answer: Answer) -> None:
        answer.start(status, PLAIN, None)
        answer.write(b"nothing")
        answer.finish()

    async with listening(Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(GET + GET)
        for _ in range(2):
            reply = await client.reply()
            assert reply.status == status
            assert not {"content-length", "transfer-encoding"} & set(reply.headers)


async def test_the_head_travels_with_the_first_piece_of_the_body_and_alone_when_flushed() -> None:
    go = asyncio.Event()

    async def respond(_request: Incoming, answer: Answer) -> None:
        answer.start(200, (), 5)
        answer.flush()
        await go.wait()
        answer.write(b"hello")
        answer.finish()

    async with listening(Served(respond)) as listener, Client.to(listener.port) as client:
        await client.send(GET)
        head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
        assert await client.some(len(head)) == head
        go.set()
        assert await client.some(5) == b"hello"

    handler = Served()
    line = Line(Listener(handler)._connection())
    writes: list[bytes] = []
    line.write = lambda data: writes.append(bytes(data))  # type: ignore[method-assign]
    line._protocol.data_received(GET)
    await a_few_turns()
    line.close()
    await a_few_turns()
    assert len(writes) == 1


# --- back-pressure -------------------------------------------------------------------------------------


async def test_a_writer_that_heeds_room_stays_within_bounds_and_goes_on_when_there_is_room() -> None:
    """100 MB to a client that does not read at first: the buffers take a few MB, the process nothing more."""
    total, piece = 100 * 1024 * 1024, bytes(65536)
    sent = 0
    room = asyncio.Event()

    async def respond(_request: Incoming, answer: Answer) -> None:
        nonlocal sent
        answer.start(200, (), total)
        answer.on_room = lambda free: room.set() if free else room.clear()
        while sent < total:
            answer.write(piece)
            sent += len(piece)
            if not answer.room:
                room.clear()
                await room.wait()
        answer.finish()

    async with listening(Served(respond)) as listener, stalled(listener.port, GET) as sock:
        await until(lambda: sent and not room.is_set() and not next(iter(listener._shared.connections)).room)
        stopped_at = sent
        assert stopped_at < 32 * 1024 * 1024
        loop = asyncio.get_running_loop()
        received = 0
        tracemalloc.start()
        try:
            async with asyncio.timeout(30):
                while received < total and (data := await loop.sock_recv(sock, 1 << 20)):
                    received += len(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert received > total
    assert peak < 8 * 1024 * 1024


async def test_the_next_request_waits_until_the_client_has_taken_the_answer_before() -> None:
    async def respond(_request: Incoming, answer: Answer) -> None:
        assert answer.room
        answer.start(200, (), None)
        while answer.room:
            answer.write(b"x" * 65536)
        answer.finish()

    async with listening(handler := Served(respond)) as listener, stalled(listener.port, GET * 3) as sock:
        await until(lambda: handler.requests and not handler.running)
        await a_few_turns()
        assert len(handler.requests) == 1
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            while len(handler.requests) < 3:
                await loop.sock_recv(sock, 1 << 20)


# --- start and close -----------------------------------------------------------------------------------


async def test_both_loopback_addresses_are_served_on_one_port_and_no_other() -> None:
    async with listening(Served()) as listener:
        for host in ("127.0.0.1", "::1"):
            async with Client.to(listener.port, host) as client:
                await client.send(GET)
                assert (await client.reply()).status == 200
        addresses = {sock.getsockname()[0] for server in listener._servers for sock in server.sockets}
        assert addresses == {"127.0.0.1", "::1"}


async def test_a_port_that_is_taken_says_so_and_what_to_do() -> None:
    async with listening(Served()) as first:
        second = Listener(Served())
        with pytest.raises(PortTaken) as caught:
            await second.start(first.port)
        await second.close()
    assert f"Port {first.port} is taken" in caught.value.title
    assert "--port" in caught.value.hint


async def test_close_ends_idle_connections_at_once_and_lets_an_answer_finish() -> None:
    go = asyncio.Event()

    async def respond(request: Incoming, answer: Answer) -> None:
        await go.wait()
        await tell(request, answer)

    handler = Served(respond)
    listener = Listener(handler)
    await listener.start(0)
    async with Client.to(listener.port) as idle, Client.to(listener.port) as busy:
        await until(lambda: len(listener._shared.connections) == 2)
        await busy.send(GET + SMUGGLED)
        await until(lambda: handler.running)
        closing = asyncio.create_task(listener.close(grace_s=5))
        assert await idle.rest() == b""
        async with Client.to(listener.port) as late:
            await late.send(GET)
            refused = await late.reply()
            assert (refused.status, refused.headers["retry-after"]) == (503, "7")
            assert await late.rest() == b""
        assert not closing.done()
        go.set()
        reply = await busy.reply()
        assert (reply.status, reply.whole) == (200, True)
        assert await busy.rest() == b""
        await asyncio.wait_for(closing, 5)
    assert len(handler.requests) == 1


@pytest.mark.parametrize("sent", [GET[:-2], POST + b"content-length: 2\r\n\r\n"], ids=["head", "body"])
async def test_close_refuses_a_request_that_is_still_coming(sent: bytes) -> None:
    handler = Served(tell)
    listener = Listener(handler)
    await listener.start(0)
    async with Client.to(listener.port) as client:
        await client.send(sent)
        await until(lambda: any(not c._head_done or c._request for c in listener._shared.connections))
        closing = asyncio.create_task(listener.close(grace_s=5))
        await a_few_turns()
        await client.send(b"\r\n")
        assert (await client.reply()).status == 503
        await client.leave()
        await asyncio.wait_for(closing, 5)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", listener.port)
    assert not handler.requests


@pytest.mark.parametrize("begun", [False, True])
async def test_close_cuts_what_outlasts_the_grace_and_who_has_nothing_yet_is_told_to_come_back(begun: bool) -> None:
    async def respond(_request: Incoming, answer: Answer) -> None:
        if begun:
            answer.start(200, (), None)
            answer.write(b"hello")
        await asyncio.Event().wait()

    handler = Served(respond)
    listener = Listener(handler)
    await listener.start(0)
    async with Client.to(listener.port) as client:
        await client.send(GET)
        await until(lambda: handler.running)
        await listener.close(grace_s=0.05)
        assert handler.cancelled == 1
        reply = await client.reply()
        assert reply.whole is not begun
        assert begun or (reply.status, reply.headers["retry-after"]) == (503, "2")


async def test_close_does_not_wait_for_a_client_that_takes_nothing() -> None:
    async def respond(_request: Incoming, answer: Answer) -> None:
        answer.start(200, (), None)
        while answer.room:
            answer.write(b"x" * 65536)
        answer.finish()

    async with listening(handler := Served(respond)) as listener, stalled(listener.port, GET):
        await until(lambda: handler.requests and not handler.running)


async def test_close_without_any_connection_returns_at_once() -> None:
    listener = Listener(Served())
    await listener.start(0)
    async with asyncio.timeout(1):
        await listener.close(grace_s=60)


async def test_hundreds_that_connect_at_once_are_all_served_at_once() -> None:
    async with listening(Served()) as listener:

        async def one() -> None:
            async with Client.to(listener.port) as client:
                await client.send(GET)
                assert (await client.reply()).status == 200

        async with asyncio.timeout(5):
            await asyncio.gather(*(one() for _ in range(400)))
