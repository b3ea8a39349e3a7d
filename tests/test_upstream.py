"""The pool: what goes out, patience, connections that are kept, cancelling, TLS."""

import asyncio
import datetime as dt
import ipaddress
import random
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.link import READ_AHEAD_BYTES, Failure, Patience, Response
from core.upstream import Origin, Upstream, origin_of
from tests.pooled import CHUNKED, HELLO, failure_of, flags, flood, full_backlog, get, idle, pool, post, saying, whole
from tests.raw import Got, Line, Peer, Played, Script, a_few_turns, answer, chunked, link_of, played, until

pytestmark = pytest.mark.anyio


# --- what goes out -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        (b"POST", b"body", b"content-length: 4"),
        (b"POST", b"", b"content-length: 0"),
        (b"GET", b"", None),
        (b"DELETE", b"", None),
        (b"DELETE", b"x", b"content-length: 1"),
    ],
)
async def test_a_request_is_what_was_asked_with_one_host_and_the_exact_length(
    method: bytes, body: bytes, length: bytes | None
) -> None:
    async with played(saying(HELLO)) as server, pool() as upstream:
        headers = [(b"X-One", b"1"), (b"x-two", b"a, b"), (b"X-One", b"2"), (b"x-empty", b"")]
        response = await upstream.send(origin_of(server.url), method, b"/a?b=c%20d", headers, body)
        assert await whole(response) == b"hello"

    (got,) = server.requests
    host = b"host: 127.0.0.1:%d" % server.port
    request_line = method + b" /a?b=c%20d HTTP/1.1"
    expected = [request_line, host, b"X-One: 1", b"x-two: a, b", b"X-One: 2", b"x-empty: "]
    assert got.lines == [*expected, *([length] if length else [])]
    assert got.body == body


async def test_a_large_body_arrives_whole() -> None:
    body = random.Random(7).randbytes(3 * READ_AHEAD_BYTES + 7)
    async with played(saying(HELLO)) as server, pool() as upstream:
        assert await whole(await post(upstream, server, body)) == b"hello"
    assert server.requests[0].body == body


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        (b"GET", b"/", (b"x-api-key", b"key\r\nx-evil: 1")),
        (b"GET", b"/", (b"x-api-key", b"key\n")),
        (b"GET", b"/", (b"x-api-key", b"key\r")),
        (b"GET", b"/", (b"x-a\r\nx-b", b"1")),
        (b"GET", b"/ HTTP/1.1\r\nx-evil: 1\r\n", (b"x-a", b"1")),
        (b"GET / HTTP/1.1\r\n\r\nGET", b"/", (b"x-a", b"1")),
    ],
)
async def test_a_line_break_in_a_request_is_never_sent(
    method: bytes, target: bytes, header: tuple[bytes, bytes]
) -> None:
    async with played(saying(HELLO)) as server, pool() as upstream:
        with pytest.raises(Failure) as caught:
            await upstream.send(origin_of(server.url), method, target, [header], b"")
    assert (caught.value.delivered, caught.value.hopeless) == (False, True)
    assert server.accepted == 0


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        ("https://api.anthropic.com", Origin("https", "api.anthropic.com", 443, b""), b"api.anthropic.com"),
        ("https://opencode.ai/zen/go/v1/", Origin("https", "opencode.ai", 443, b"/zen/go/v1"), b"opencode.ai"),
        ("http://127.0.0.1:8080", Origin("http", "127.0.0.1", 8080, b""), b"127.0.0.1:8080"),
        ("http://localhost", Origin("http", "localhost", 80, b""), b"localhost"),
        ("http://localhost:443", Origin("http", "localhost", 443, b""), b"localhost:443"),
        ("http://[::1]:99", Origin("http", "::1", 99, b""), b"[::1]:99"),
        ("https://[::1]", Origin("https", "::1", 443, b""), b"[::1]"),
    ],
)
def test_an_address_is_taken_apart(url: str, origin: Origin, authority: bytes) -> None:
    assert origin_of(url) == origin
    assert origin.authority == authority


@pytest.mark.parametrize("url", ["", "api.anthropic.com", "ftp://host", "https://", "http://h:99999", "http://h:x"])
def test_what_is_no_address_is_an_error(url: str) -> None:
    with pytest.raises(ValueError):
        origin_of(url)


async def test_an_ipv6_address_is_reached_and_named_in_brackets() -> None:
    async with played(saying(HELLO), host="::1") as server, pool() as upstream:
        assert await whole(await get(upstream, server)) == b"hello"
    assert server.requests[0].lines[1] == b"host: [::1]:%d" % server.port


async def test_a_name_with_two_addresses_is_reached_at_the_one_that_listens() -> None:
    async with played(saying(HELLO)) as server, pool() as upstream:
        origin = origin_of(f"http://localhost:{server.port}")
        assert await whole(await upstream.send(origin, b"GET", b"/", (), b"")) == b"hello"


# --- patience ------------------------------------------------------------------------------------------


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


def then_silent(raw: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(raw)
        await peer.gone()

    return script


async def test_no_answer_in_time_was_delivered_and_not_begun() -> None:
    failure = await failure_of(silent, Patience(head_s=0.05))
    assert flags(failure) == (True, False, False)
    assert "in time" in failure.text


@pytest.mark.parametrize("raw", [b"HTTP/1.1 2", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_half_a_head_in_time_has_begun(raw: bytes) -> None:
    failure = await failure_of(then_silent(raw), Patience(head_s=0.05))
    assert flags(failure) == (True, True, False)


@pytest.mark.parametrize("raw", [HELLO[:-5], HELLO[:-1], CHUNKED, CHUNKED + b"5\r\nhel", b"HTTP/1.1 200 OK\r\n\r\nx"])
async def test_silence_in_an_answer_ends_it(raw: bytes) -> None:
    failure = await failure_of(then_silent(raw), Patience(idle_s=0.05))
    assert flags(failure) == (True, True, False)
    assert "silent" in failure.text


async def test_bytes_that_keep_coming_keep_an_answer_alive() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HELLO[:-5])
        for at in range(5):
            await asyncio.sleep(0.05)
            await peer.send(HELLO[len(HELLO) - 5 + at :][:1])

    async with played(script) as server, pool(Patience(idle_s=0.15)) as upstream:
        assert await whole(await get(upstream, server)) == b"hello"


# --- connections that are kept -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        answer(b"hello", b"connection: close"),
        answer(b"hello").replace(b"HTTP/1.1", b"HTTP/1.0"),
        answer(b"hello") + b"x",
        answer(b"hello") + answer(b"again"),
        answer(b"hello", b"connection: close") + answer(b"again"),
        answer(b"hello") + b"HTTP/1.1 408 Request Timeout\r\n\r\n",
    ],
    ids=["close", "1.0", "a byte more", "a second answer", "a second after close", "a 408 behind"],
)
async def test_a_connection_with_a_reason_not_to_is_not_used_again(raw: bytes) -> None:
    async with played(saying(raw)) as server, pool() as upstream:
        for count in (1, 2):
            response = await get(upstream, server)
            assert await whole(response) == b"hello"
            assert idle(upstream) == 0
            assert server.accepted == count


async def test_a_connection_whose_answer_is_not_read_to_its_end_is_closed() -> None:
    async with played(then_silent(HELLO[:-1])) as server, pool() as upstream:
        response = await get(upstream, server)
        assert await response.chunk() == b"hell"
        response.close()
        await until(lambda: server.open == 0)
        assert idle(upstream) == 0


async def test_a_connection_whose_request_was_not_taken_whole_is_not_used_again() -> None:
    async def script(peer: Peer) -> None:
        head = await peer._reader.readuntil(b"\r\n\r\n")
        peer._server.requests.append(Got(head, b""))
        await peer.send(answer(b"too large", status=b"413 Payload Too Large"))
        await peer.gone()

    async with played(script) as server, pool() as upstream:
        response = await post(upstream, server, b"x" * 50_000_000)
        assert (response.status, await whole(response)) == (413, b"too large")
        assert idle(upstream) == 0


@pytest.mark.parametrize("how", ["close", "reset", "speak"])
async def test_a_kept_connection_that_the_provider_ends_or_speaks_on_is_dropped(how: str) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HELLO)
        await go.wait()
        if how == "speak":
            await peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            await peer.gone()
        else:
            getattr(peer, how)()

    async with played(script) as server, pool() as upstream:
        await whole(await get(upstream, server))
        assert idle(upstream) == 1
        go.set()
        await until(lambda: idle(upstream) == 0)
        server.script = saying(HELLO)
        assert await whole(await get(upstream, server)) == b"hello"


async def test_idle_connections_end_after_their_time_and_then_nothing_wakes_any_more() -> None:
    async with played(saying(HELLO)) as server, pool(Patience(keep_s=0.05)) as upstream:
        responses = await asyncio.gather(*(get(upstream, server) for _ in range(5)))
        for response in responses:
            await whole(response)
        assert idle(upstream) == 5
        await until(lambda: idle(upstream) == 0 and server.open == 0)
        await until(lambda: upstream._sweeper is None)


async def test_drop_idle_closes_the_idle_and_leaves_the_busy() -> None:
    async with played(saying(HELLO[:-1])) as server, pool() as upstream:
        busy = await get(upstream, server)
        server.script = saying(HELLO)
        await whole(await get(upstream, server))
        assert (idle(upstream), server.open) == (1, 2)
        upstream.drop_idle()
        await until(lambda: server.open == 1)
        assert await busy.chunk() == b"hell"
        busy.close()


async def test_origins_do_not_share_connections() -> None:
    async with played(saying(HELLO)) as one, played(saying(HELLO)) as two, pool() as upstream:
        for server in (one, two, one, two):
            await whole(await get(upstream, server))
    assert (one.accepted, two.accepted, len(one.requests), len(two.requests)) == (1, 1, 2, 2)


async def answered_in_the_moment_another_asks(upstream: Upstream) -> tuple[asyncio.Task[Response], ...]:
    """Two requests on one connection: the second takes it before the first has woken to its answer."""
    origin = Origin("http", "h", 80, b"")
    link = link_of(upstream, origin)
    Line(link)
    first = asyncio.create_task(link.send(b"GET /one HTTP/1.1\r\n\r\n", b"", head_request=False))
    await a_few_turns()
    second = asyncio.create_task(upstream.send(origin, b"GET", b"/two", (), b""))
    link.data_received(answer(b"one"))
    asyncio.get_running_loop().call_later(0.01, link.data_received, answer(b"two"))
    return first, second


async def test_a_connection_that_is_used_again_in_the_moment_its_answer_ends_serves_both() -> None:
    async with pool() as upstream:
        first, second = await answered_in_the_moment_another_asks(upstream)
        assert await whole(await asyncio.wait_for(first, 5)) == b"one"
        assert await whole(await asyncio.wait_for(second, 5)) == b"two"


async def test_cancelling_in_the_moment_the_answer_comes_does_not_touch_another_request() -> None:
    async with pool() as upstream:
        first, second = await answered_in_the_moment_another_asks(upstream)
        first.cancel()
        assert await whole(await asyncio.wait_for(second, 5)) == b"two"
        assert first.cancelled()


async def test_many_at_once_each_get_their_own_answer() -> None:
    async def script(peer: Peer) -> None:
        while True:
            got = await peer.request()
            await peer.send(answer(got.head.split()[1]))

    async with played(script) as server, pool() as upstream:

        async def some(worker: int) -> None:
            for number in range(20):
                target = b"/%d/%d" % (worker, number)
                assert await whole(await get(upstream, server, target)) == target

        async with asyncio.timeout(10):
            await asyncio.gather(*map(some, range(32)))
    assert server.accepted <= 32


# --- cancelling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["connecting", "waiting", "reading", "pumping", "paused"])
async def test_cancelling_closes_the_connection_at_once_in_every_phase(phase: str) -> None:
    script = silent if phase == "waiting" else then_silent(CHUNKED + b"5\r\nhello\r\n")

    async def use(upstream: Upstream, server: Played) -> None:
        response = await get(upstream, server)
        try:
            if phase == "paused":
                response.pause()
            if phase == "reading":
                await whole(response)
            else:
                await response.pump(got.append)
        finally:
            response.close()

    got: list[bytes] = []
    async with pool() as upstream:
        if phase == "connecting":
            async with full_backlog() as port:
                task = asyncio.create_task(use(upstream, Played(script, port=port)))
                await a_few_turns()
                task.cancel()
                await asyncio.wait([task])
            assert task.cancelled()
            return
        async with played(script) as server:
            task = asyncio.create_task(use(upstream, server))
            await until(lambda: server.requests)
            if phase in {"pumping", "reading"}:
                (link,) = upstream._links.busy
                await until(lambda: got or (link._response and link._response._done))
            task.cancel()
            async with asyncio.timeout(1):
                await until(lambda: server.open == 0)
            await asyncio.wait([task])
            assert task.cancelled()


async def test_two_thousand_cancelled_requests_leave_the_pool_usable_and_no_connection_behind() -> None:
    """T08: cancelled at random times in all phases, as impatient people do; httpx's pool dies of it."""
    dice = random.Random(1)

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            for piece in (CHUNKED, b"5\r\nhello\r\n", b"0\r\n\r\n"):
                await asyncio.sleep(0)
                await peer.send(piece)

    async with played(script) as server, pool() as upstream:

        async def use() -> None:
            response = await post(upstream, server)
            try:
                assert await whole(response) == b"hello"
            finally:
                response.close()

        async def churn() -> None:
            for _ in range(50):
                task = asyncio.create_task(use())
                for _ in range(dice.randrange(25)):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()

        await asyncio.gather(*(churn() for _ in range(40)))
        assert not upstream._links.busy or await quiet(upstream)
        for _ in range(5):
            await use()
        await until(lambda: server.open == idle(upstream))
        upstream.drop_idle()
        await until(lambda: server.open == 0)


async def quiet(upstream: Upstream) -> bool:
    await until(lambda: not upstream._links.busy)
    return True


async def test_close_fails_what_is_in_progress_and_closes_all() -> None:
    async with played(silent) as server, pool() as upstream:
        sending = asyncio.create_task(get(upstream, server))
        await until(lambda: server.requests)
        upstream.close()
        with pytest.raises(Failure):
            await sending
        await until(lambda: server.open == 0)


# --- TLS -----------------------------------------------------------------------------------------------


def certificate(directory: Path, names: list[str]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for `names`, and a client's that trusts its maker."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tidegate test")])
    alternatives: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names
    ]
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = directory / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context(cafile=str(pem))
    return server, client


async def test_tls_carries_requests_and_its_connections_are_kept(tmp_path: Path) -> None:
    server_tls, client_tls = certificate(tmp_path, ["127.0.0.1"])
    body = random.Random(5).randbytes(2_000_000)
    async with (
        played(saying(CHUNKED + chunked(body, 60_000)), tls=server_tls) as server,
        pool(tls=lambda: client_tls) as upstream,
    ):
        for _ in range(2):
            assert await whole(await post(upstream, server, body)) == body
        assert server.requests[1].body == body
        assert server.accepted == 1


async def test_tls_holds_back_too(tmp_path: Path) -> None:
    server_tls, client_tls = certificate(tmp_path, ["127.0.0.1"])
    sent: list[int] = []
    total = 16 * 1024 * 1024
    async with (
        played(flood(total, sent), tls=server_tls) as server,
        pool(tls=lambda: client_tls) as upstream,
    ):
        response = await get(upstream, server)
        (link,) = upstream._links.busy
        await until(lambda: link._paused)
        await a_few_turns()
        assert response._held_bytes < 3 * READ_AHEAD_BYTES
        assert sum(sent) < total
        assert len(await whole(response)) == total


@pytest.mark.parametrize("trouble", ["unknown maker", "other name"])
async def test_a_certificate_that_is_not_valid_is_hopeless_and_nothing_is_sent(tmp_path: Path, trouble: str) -> None:
    server_tls, client_tls = certificate(tmp_path, ["127.0.0.1" if trouble == "unknown maker" else "example.com"])
    if trouble == "unknown maker":
        client_tls = ssl.create_default_context()
    async with played(saying(HELLO), tls=server_tls) as server, pool(tls=lambda: client_tls) as upstream:
        with pytest.raises(Failure) as caught:
            await get(upstream, server)
        assert flags(caught.value) == (False, False, True)
        assert "certificate" in caught.value.text
    assert not server.requests


async def test_a_server_without_tls_is_not_delivered(tmp_path: Path) -> None:
    _, client_tls = certificate(tmp_path, ["127.0.0.1"])

    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with played(script) as server, pool(tls=lambda: client_tls) as upstream:
        with pytest.raises(Failure) as caught:
            await upstream.send(origin_of(f"https://127.0.0.1:{server.port}"), b"GET", b"/", (), b"")
        assert flags(caught.value) == (False, False, False)


async def test_a_handshake_that_hangs_is_given_up_and_can_be_cancelled(tmp_path: Path) -> None:
    _, client_tls = certificate(tmp_path, ["127.0.0.1"])

    async def script(peer: Peer) -> None:
        await peer.gone()

    async with played(script) as server, pool(Patience(connect_s=0.1), tls=lambda: client_tls) as upstream:
        origin = origin_of(f"https://127.0.0.1:{server.port}")
        with pytest.raises(Failure) as caught:
            await upstream.send(origin, b"GET", b"/", (), b"")
        assert not caught.value.delivered
        await until(lambda: server.open == 0)

    async with played(script) as server, pool(tls=lambda: client_tls) as upstream:
        task = asyncio.create_task(upstream.send(origin_of(f"https://127.0.0.1:{server.port}"), b"GET", b"/", (), b""))
        await until(lambda: server.open == 1)
        task.cancel()
        async with asyncio.timeout(1):
            await until(lambda: server.open == 0)
