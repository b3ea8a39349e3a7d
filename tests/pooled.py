"""A pool of connections with scripted servers behind it, for the tests of link and upstream."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from core.link import Failure, Patience, Response
from core.upstream import Upstream, origin_of
from tests.raw import Peer, Played, Script, answer, leftovers, played, until

HELLO = answer(b"hello")
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def no_tls() -> ssl.SSLContext:
    raise AssertionError("a plain connection asked for TLS")


@asynccontextmanager
async def pool(patience: Patience | None = None, tls: Callable[[], ssl.SSLContext] = no_tls) -> AsyncIterator[Upstream]:
    """A pool; at the end it must leave neither task nor timer nor connection behind."""
    loop = asyncio.get_running_loop()
    tasks, timers = leftovers(loop)
    upstream = Upstream(tls, patience)
    try:
        yield upstream
    finally:
        upstream.close()
        await until(lambda: not upstream._links.busy)
    await until(lambda: leftovers(loop)[0] <= tasks)
    assert leftovers(loop)[1] <= timers


async def get(upstream: Upstream, server: Played, target: bytes = b"/one") -> Response:
    return await upstream.send(origin_of(server.url), b"GET", target, (), b"")


async def post(upstream: Upstream, server: Played, body: bytes = b"body") -> Response:
    return await upstream.send(origin_of(server.url), b"POST", b"/one", [(b"x-a", b"1")], body)


async def whole(response: Response) -> bytes:
    return await response.read(1 << 30)


def idle(upstream: Upstream) -> int:
    return sum(map(len, upstream._links.idle.values()))


def saying(*pieces: bytes, then: str = "") -> Script:
    """Read requests; answer each with `pieces`, then close, reset or wait for the next."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(*pieces)
            if then:
                getattr(peer, then)()
                return

    return script


async def failure_of(script: Script, patience: Patience | None = None, body: bytes = b"body") -> Failure:
    """The failure that a fresh connection to a server of this script ends in."""
    async with played(script) as server, pool(patience) as upstream:
        with pytest.raises(Failure) as caught:
            await whole(await post(upstream, server, body))
        await until(lambda: not upstream._links.busy and not idle(upstream))
    return caught.value


def flags(failure: Failure) -> tuple[bool, bool, bool]:
    return failure.delivered, failure.begun, failure.hopeless


@asynccontextmanager
async def full_backlog() -> AsyncIterator[int]:
    """A port where connections hang: its queue is full and nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        try:
            for sock in waiting:
                sock.setblocking(False)
                with suppress(BlockingIOError):
                    sock.connect(address)
            yield address[1]
        finally:
            for sock in waiting:
                sock.close()


def flood(total: int, sent: list[int]) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        for _ in range(total // 65536):
            await peer.send(bytes(65536))
            sent.append(65536)

    return script
