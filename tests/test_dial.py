"""A name is reached at whichever of its addresses answers, and a dial that is given up leaves no socket behind."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.dial import dial
from tests.raw import Peer, leftovers, played, until

pytestmark = pytest.mark.anyio


async def hold(peer: Peer) -> None:
    await peer.gone()


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[str, int]]]:
    """What names resolve to in this test's loop."""
    known: dict[str, list[tuple[str, int]]] = {}

    async def resolve(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        families = [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, (address, port)) for address, port in known[host]
        ]
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in families]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    return known


async def reached(dialled: Awaitable[socket.socket]) -> tuple[Any, ...]:
    with await dialled as sock:
        return tuple(sock.getpeername()[:2])


def closed_port(host: str = "127.0.0.1") -> tuple[str, int]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        return host, sock.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_in_digits_is_reached_without_asking_anybody(
    host: str, names: dict[str, list[tuple[str, int]]]
) -> None:
    assert not names
    async with played(hold, host=host) as server:
        assert await reached(dial(host, server.port)) == (host, server.port)


async def test_an_address_that_refuses_makes_way_for_the_next(names: dict[str, list[tuple[str, int]]]) -> None:
    async with played(hold) as server:
        names["name"] = [closed_port("::1"), closed_port(), ("127.0.0.1", server.port)]
        async with asyncio.timeout(0.2):  # at once, not after the delay of an address that hangs
            assert await reached(dial("name", server.port)) == ("127.0.0.1", server.port)


async def test_an_address_that_hangs_is_overtaken_and_given_up(
    names: dict[str, list[tuple[str, int]]], unused_address: Callable[[], tuple[str, int]]
) -> None:
    tasks, _ = leftovers(asyncio.get_running_loop())
    async with played(hold, host="::1") as server:
        names["name"] = [unused_address(), ("::1", server.port)]
        async with asyncio.timeout(2):
            assert await reached(dial("name", server.port)) == ("::1", server.port)
        await until(lambda: server.open == 0)
    await until(lambda: leftovers(asyncio.get_running_loop())[0] <= tasks)


async def test_all_refused_is_the_last_refusal(names: dict[str, list[tuple[str, int]]]) -> None:
    names["name"] = [closed_port(), closed_port()]
    with pytest.raises(ConnectionRefusedError):
        await dial("name", 1)


async def test_a_name_that_nobody_knows_is_an_error(names: dict[str, list[tuple[str, int]]]) -> None:
    assert not names
    with pytest.raises(OSError, match="unknown"):
        await dial("nowhere.invalid", 1)


async def test_cancelled_at_any_moment_it_leaves_neither_socket_nor_task(
    names: dict[str, list[tuple[str, int]]],
) -> None:
    tasks, _ = leftovers(asyncio.get_running_loop())
    async with played(hold) as one, played(hold) as two:
        names["name"] = [("127.0.0.1", one.port), ("127.0.0.1", two.port)]
        for turns in range(200):
            dialling = asyncio.create_task(dial("name", one.port))
            for _ in range(turns % 12):
                await asyncio.sleep(0)
            dialling.cancel()
            await asyncio.wait([dialling])
            if not dialling.cancelled():
                dialling.result().close()
        await until(lambda: one.open == two.open == 0)
    await until(lambda: leftovers(asyncio.get_running_loop())[0] <= tasks)


@pytest.fixture
def unused_address() -> Any:
    """An address where connecting hangs: its queue is full and nobody accepts."""
    socks: list[socket.socket] = []

    def make() -> tuple[str, int]:
        listener = socket.socket()
        socks.append(listener)
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = socket.socket()
            socks.append(client)
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        return listener.getsockname()

    yield make
    for sock in socks:
        sock.close()
