"""One connection: what comes back on it, what was delivered when it fails, back-pressure."""

import asyncio
import random
import socket
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.link import MAX_HEAD_BYTES, READ_AHEAD_BYTES, Failure, Patience
from core.upstream import Origin, Upstream, origin_of
from tests.pooled import (
    CHUNKED,
    HELLO,
    failure_of,
    flags,
    flood,
    full_backlog,
    get,
    idle,
    no_tls,
    pool,
    post,
    saying,
    whole,
)
from tests.raw import Line, Peer, a_few_turns, answer, chunked, link_of, played, until

pytestmark = pytest.mark.anyio


# --- what comes back -----------------------------------------------------------------------------------

NINE = b"".join(b"%d" % number for number in range(9))

WHOLE: dict[str, tuple[bytes, int, bytes]] = {
    "length": (answer(b"hello"), 200, b"hello"),
    "length 0": (answer(b""), 200, b""),
    "chunked": (CHUNKED + chunked(NINE, 2), 200, NINE),
    "chunked, empty": (CHUNKED + b"0\r\n\r\n", 200, b""),
    "extensions": (CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;z\r\n\r\n', 200, b"hello"),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\nGrpc: 2\r\n\r\n", 200, b"hello"),
    "upper-case hex": (CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", 200, b"0123456789"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "204 with length": (b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", 204, b""),
    "304": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, b""),
    "100 first": (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"hello"), 200, b"hello"),
    "103 first": (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 3 + answer(b"hello"), 200, b"hello"),
    "no phrase": (b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nhi", 200, b"hi"),
    "error": (answer(b"{}", status=b"529 Overloaded"), 529, b"{}"),
    "upgrade offered": (answer(b"hi", b"upgrade: h2,h2c", b"connection: upgrade"), 200, b"hi"),
}


@pytest.mark.parametrize("by_byte", [False, True])
@pytest.mark.parametrize("kind", WHOLE)
async def test_a_whole_answer_is_read_whole_and_its_connection_used_again(kind: str, by_byte: bool) -> None:
    raw, status, body = WHOLE[kind]
    pieces = [raw[at : at + 1] for at in range(len(raw))] if by_byte else [raw]
    async with played(saying(*pieces)) as server, pool() as upstream:
        for _ in range(3):
            response = await post(upstream, server)
            assert (response.status, await whole(response)) == (status, body)
            assert await response.chunk() == b""
            assert idle(upstream) == 1
    assert server.accepted == 1
    assert len(server.requests) == 3


async def test_headers_are_as_they_came_without_those_of_1xx_and_trailers() -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:  2\r\n"
    raw += b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: 1\r\n\r\n"
    async with played(saying(raw)) as server, pool() as upstream:
        response = await get(upstream, server)
        await whole(response)
    assert response.headers.raw == ((b"X-A", b"1"), (b"x-a", b"2"), (b"Transfer-Encoding", b"chunked"))


async def test_an_answer_without_framing_is_whole_when_the_connection_ends() -> None:
    async with played(saying(b"HTTP/1.1 200 OK\r\n\r\nhello ", b"world", then="close")) as server, pool() as upstream:
        response = await get(upstream, server)
        assert await whole(response) == b"hello world"
        assert idle(upstream) == 0


async def test_an_answer_without_framing_is_cut_when_the_connection_breaks() -> None:
    async with played(saying(b"HTTP/1.1 200 OK\r\n\r\nhello", then="reset")) as server, pool() as upstream:
        with pytest.raises(Failure) as caught:
            await whole(await get(upstream, server))
    assert (caught.value.delivered, caught.value.begun) == (True, True)


@pytest.mark.parametrize("lines", [(), (b"content-length: 5",), (b"transfer-encoding: chunked",)])
async def test_an_answer_to_head_has_no_body_whatever_its_headers_say(lines: tuple[bytes, ...]) -> None:
    raw = b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])
    async with played(saying(raw)) as server, pool() as upstream:
        response = await upstream.send(origin_of(server.url), b"HEAD", b"/", (), b"")
        assert (response.status, await whole(response)) == (200, b"")


@st.composite
def cut_answers(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A body, and an answer with it cut anywhere."""
    body = draw(st.binary(max_size=300))
    raw = CHUNKED + chunked(body, draw(st.integers(1, 50))) if draw(st.booleans()) else answer(body)
    cuts = sorted(draw(st.sets(st.integers(1, len(raw) - 1), max_size=10)))
    return body, [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


@settings(deadline=None, max_examples=200)
@given(cut_answers(), st.booleans())
async def test_an_answer_is_the_same_however_its_bytes_are_cut(cut: tuple[bytes, list[bytes]], turns: bool) -> None:
    body, pieces = cut
    upstream = Upstream(no_tls)
    line = Line(link := link_of(upstream, Origin("http", "h", 80, b"")))
    sending = asyncio.create_task(link.send(b"GET / HTTP/1.1\r\n\r\n", b"", head_request=False))
    await asyncio.sleep(0)
    for piece in pieces:
        link.data_received(piece)
        if turns:
            await asyncio.sleep(0)
    assert await whole(await sending) == body
    assert not line.ended
    upstream.close()
    await a_few_turns()


# --- what was delivered when it fails ------------------------------------------------------------------


async def test_refused_is_not_delivered() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody can answer there
        port = taken.getsockname()[1]
        async with pool() as upstream:
            with pytest.raises(Failure) as caught:
                await upstream.send(origin_of(f"http://127.0.0.1:{port}"), b"GET", b"/", (), b"")
    assert flags(caught.value) == (False, False, False)
    assert "cannot be reached" in caught.value.text


async def test_a_connection_that_is_not_taken_in_time_is_not_delivered() -> None:
    async with full_backlog() as port, pool(Patience(connect_s=0.05)) as upstream:
        with pytest.raises(Failure) as caught:
            await upstream.send(origin_of(f"http://127.0.0.1:{port}"), b"GET", b"/", (), b"")
    assert flags(caught.value) == (False, False, False)
    assert "in time" in caught.value.text


CUT: dict[str, tuple[bytes, bool]] = {
    "nothing": (b"", False),
    "half a status line": (b"HTTP/1.", True),
    "half a head": (b"HTTP/1.1 200 OK\r\ncontent-le", True),
    "a head and no body": (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", True),
    "half a body": (answer(b"hello")[:-2], True),
    "half a chunk": (CHUNKED + b"5\r\nhe", True),
    "a chunk and no end": (CHUNKED + b"5\r\nhello\r\n", True),
    "a last chunk and no end": (CHUNKED + b"5\r\nhello\r\n0\r\n", True),
    "a 100 and no more": (b"HTTP/1.1 100 Continue\r\n\r\n", True),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("sent", CUT)
async def test_a_connection_that_ends_too_early_was_delivered_and_says_whether_an_answer_began(
    sent: str, how: str
) -> None:
    raw, begun = CUT[sent]

    async def script(peer: Peer) -> None:
        await peer.request()
        if raw:
            await peer.send(raw)
            await reached.wait()  # a reset discards what was not read yet
        getattr(peer, how)()

    reached = asyncio.Event()
    async with played(script) as server, pool() as upstream:
        sending = asyncio.create_task(post(upstream, server))
        await until(lambda: server.requests)
        if raw:
            (link,) = upstream._links.busy
            await until(lambda: link._framing_bytes or link._response)
        reached.set()
        with pytest.raises(Failure) as caught:
            await whole(await sending)
    assert flags(caught.value) == (True, begun, False)


GARBAGE: dict[str, bytes] = {
    "not HTTP": b"\x15\x03\x01\x00\x02\x02\x46",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "bare LF": HELLO.replace(b"\r\n", b"\n"),
    "folded": HELLO.replace(b"\r\n", b"\r\nx-a: 1\r\n 2\r\n", 1),
    "no version": b"200 OK\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "TE and length": CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-length: 5\r\n\r\n") + b"0\r\n\r\n",
    "two lengths": HELLO.replace(b"content-length: 5", b"content-length: 5\r\ncontent-length: 6"),
    "space before colon": HELLO.replace(b"length:", b"length :"),
    "NUL in a value": HELLO.replace(b"\r\n", b"\r\nx-a: \x00\r\n", 1),
    "101": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nxx",
    "101 without upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\nxx",
    "bad chunk size": CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
    "chunk too long": CHUNKED + b"4\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_what_is_no_http_fails_and_closes(kind: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(GARBAGE[kind])
        await peer.gone()

    failure = await failure_of(script)
    assert flags(failure) == (True, True, False)
    assert "HTTP/1.1" in failure.text


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
        CHUNKED + b"5\r\nhello\r\n0\r\nX: " + b"a" * 1_000_000,
        CHUNKED + b"5;x=" + b"a" * 1_000_000,
    ],
    ids=["one header", "many headers", "1xx", "trailer", "chunk extension"],
)
async def test_what_gathers_without_end_is_cut_off(endless: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(endless)
        await peer.gone()

    failure = await failure_of(script)
    assert (failure.begun, "too large" in failure.text) == (True, True)


async def test_a_head_of_ordinary_size_with_many_headers_is_taken() -> None:
    lines = [b"x-%d: %s" % (number, b"v" * 400) for number in range(100)]
    async with played(saying(answer(b"hello", *lines))) as server, pool() as upstream:
        response = await get(upstream, server)
        assert len(response.headers.raw) == 101
        assert sum(map(len, lines)) < MAX_HEAD_BYTES


async def test_a_request_that_was_sent_in_part_was_delivered() -> None:
    """Some of it is in the other side's buffers, and it may have acted on that."""

    async def script(peer: Peer) -> None:
        await peer._reader.readuntil(b"\r\n\r\n")
        peer.reset()

    failure = await failure_of(script, body=b"x" * 30_000_000)
    assert flags(failure) == (True, False, False)


async def test_a_write_that_fails_at_once_is_not_delivered() -> None:
    """The other side's reset is here already, the loop just did not tell us: no byte can have left."""
    async with played(saying(HELLO)) as server, pool() as upstream:
        await whole(await get(upstream, server))
        ((link,),) = upstream._links.idle.values()
        link._transport.get_extra_info("socket").shutdown(socket.SHUT_WR)  # the next write fails, nothing is heard
        with pytest.raises(Failure) as caught:
            await post(upstream, server)
        assert flags(caught.value) == (False, False, False)
    assert len(server.requests) == 1


async def test_a_kept_connection_on_which_the_next_request_is_read_and_dropped_was_delivered() -> None:
    """The race of every keep-alive: it must not be sent again as if it had not been delivered."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HELLO)
        await peer.request()
        peer.close()

    async with played(script) as server, pool() as upstream:
        await whole(await post(upstream, server))
        with pytest.raises(Failure) as caught:
            await post(upstream, server)
    assert flags(caught.value) == (True, False, False)
    assert len(server.requests) == 2
    assert server.accepted == 1


# --- back-pressure -------------------------------------------------------------------------------------


async def test_an_answer_that_nobody_takes_is_read_ahead_to_a_bound_and_no_further() -> None:
    sent: list[int] = []
    total = 64 * 1024 * 1024
    async with played(flood(total, sent)) as server, pool() as upstream:
        response = await get(upstream, server)
        (link,) = upstream._links.busy
        await until(lambda: link._paused)
        await a_few_turns()
        assert response._held_bytes < 2 * READ_AHEAD_BYTES + 1
        assert link.deadline is None
        assert sum(sent) < total / 2
        tracemalloc.start()
        try:
            got = 0
            while data := await response.chunk():
                got += len(data)
            assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
        finally:
            tracemalloc.stop()
    assert got == total


async def test_pause_stops_the_pump_and_resume_goes_on() -> None:
    sent: list[int] = []
    total = 64 * 1024 * 1024
    async with played(flood(total, sent)) as server, pool() as upstream:
        response = await get(upstream, server)
        got = 0

        def sink(data: bytes) -> None:
            nonlocal got
            before, got = got, got + len(data)
            if got // 8_000_000 > before // 8_000_000:
                response.pause()

        pumping = asyncio.create_task(response.pump(sink))
        (link,) = upstream._links.busy
        pauses = 0
        while not pumping.done():
            await until(lambda: link._paused or pumping.done())
            stopped_at = got
            await a_few_turns()
            assert got == stopped_at
            pauses += 1
            response.resume()
        await pumping
    assert got == total
    assert pauses >= total // 8_000_000


async def test_a_pause_before_the_pump_holds_during_it() -> None:
    sent: list[int] = []
    async with played(flood(16 * 1024 * 1024, sent)) as server, pool() as upstream:
        response = await get(upstream, server)
        (link,) = upstream._links.busy
        await until(lambda: link._paused)
        response.pause()
        pumping = asyncio.create_task(response.pump(lambda _data: None))
        await a_few_turns()
        assert link._paused
        response.resume()
        await asyncio.wait_for(pumping, 10)


async def test_a_connection_whose_answer_ended_while_paused_serves_the_next_request() -> None:
    """The last piece of an answer fills the client's buffer: the pause must not outlive the answer."""
    async with played(saying(HELLO)) as server, pool(Patience(head_s=5)) as upstream:
        for _ in range(2):
            response = await get(upstream, server)
            await response.pump(lambda _data, response=response: response.pause())
            response.pause()
        response = await get(upstream, server)
        assert await whole(response) == b"hello"
    assert server.accepted == 1


async def test_a_finished_answer_has_no_say_over_the_connection_that_serves_another() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HELLO)
        await peer.request()
        await go.wait()
        await peer.send(HELLO)

    go = asyncio.Event()
    async with played(script) as server, pool() as upstream:
        first = await get(upstream, server)
        await whole(first)
        second = asyncio.create_task(get(upstream, server))
        await until(lambda: len(server.requests) == 2)
        first.pause()
        first.close()
        go.set()
        assert await whole(await asyncio.wait_for(second, 5)) == b"hello"
        first.resume()


async def test_the_pump_gives_what_was_held_first_and_then_every_byte() -> None:
    body = random.Random(3).randbytes(2_000_000)
    async with played(saying(CHUNKED, chunked(body, 1234))) as server, pool() as upstream:
        response = await get(upstream, server)
        got = bytearray(await response.chunk())
        await response.pump(got.extend)
    assert bytes(got) == body


async def test_a_pump_gives_what_came_before_the_break_and_then_fails() -> None:
    async with played(saying(CHUNKED + b"5\r\nhello\r\n", then="close")) as server, pool() as upstream:
        got = bytearray()
        with pytest.raises(Failure):
            await (await get(upstream, server)).pump(got.extend)
    assert got == b"hello"


async def test_read_stops_at_its_limit() -> None:
    async with played(saying(answer(b"x" * 100_000))) as server, pool() as upstream:
        response = await get(upstream, server)
        assert await response.read(10) == b"x" * 10
        response.close()
