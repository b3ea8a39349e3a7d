"""T07: clients that are slow, silent, greedy or many cost the others nothing and are closed in bounded time."""

import asyncio
import hashlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.listener import MAX_BODY_BYTES, MAX_CONNECTIONS, Limits
from tests.crash.figures import Tell, line, percentile
from tests.hostile.alone import open_files
from tests.hostile.recorder import Recorder, recording
from tests.hostile.scene import Scene, before
from tests.raw import Client, Peer, chunked, played, until

pytestmark = pytest.mark.anyio

FEW = 20
SHORT = Limits(head_s=0.5, body_s=0.5, idle_s=0.5, body_bytes=100_000, connections=100)
"""The real limits are 10 s for a head, 30 s for a body's next byte and 2,048 connections."""


@pytest.fixture
async def scene(recorder: Recorder, tmp_path: Path) -> AsyncIterator[Scene]:
    recorder.arrived.clear()
    async with before(recorder.url, tmp_path / "data", limits=SHORT) as scene:
        yield scene


async def test_sixty_slow_clients_are_closed_at_the_limits_while_others_are_served(
    scene: Scene, recorder: Recorder
) -> None:
    head = scene.post(b"x" * 1_000)[:-1_000]

    async def slow(first: bytes, drop: bytes) -> bytes:
        """Say something, then a byte now and then, until it is closed; what came back."""
        async with Client.to(scene.port) as client:
            await client.send(first)

            async def drip() -> None:
                while drop:
                    await client.send(drop)
                    await asyncio.sleep(0.02)

            dripping = asyncio.create_task(drip())
            try:
                return await client.rest()
            finally:
                dripping.cancel()
                await asyncio.wait([dripping])

    async def bystander() -> list[int]:
        statuses = []
        while not all(task.done() for task in tasks):
            statuses.append((await scene.ask(scene.get(b"/v1/bystander"))).status)
        return statuses

    tasks = [
        asyncio.create_task(slow(*how))
        for how in ((b"", b""), (b"GET /v1/slow HT", b"x"), (head + b"x" * 500, b"")) * FEW
    ]
    served = await bystander()
    answers = [await task for task in tasks]

    assert set(served) == {200}
    assert len(served) > FEW
    assert [got.target for got in recorder.arrived] == [b"/v1/bystander"] * len(served)
    assert all(answer == b"" or answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")) for answer in answers)


async def test_connections_over_the_limit_are_told_so_and_those_within_are_served(
    recorder: Recorder, tmp_path: Path
) -> None:
    async with before(recorder.url, tmp_path / "data", limits=Limits(connections=100)) as scene:
        async with AsyncExitStack() as stack:
            within = [await stack.enter_async_context(Client.to(scene.port)) for _ in range(100)]
            told = [await asyncio.gather(*(scene.ask() for _ in range(100))) for _ in range(5)]
            assert {reply.status for replies in told for reply in replies} == {503}
            await within[0].send(scene.get())
            assert (await within[0].reply()).status == 200
        async with asyncio.timeout(5):
            while (await scene.ask()).status != 200:
                pass


@pytest.mark.parametrize("frame", ["length", "chunked"])
@pytest.mark.parametrize("more", [0, 1])
async def test_a_body_at_the_limit_arrives_whole_and_one_byte_more_not_at_all(
    scene: Scene, recorder: Recorder, frame: str, more: int
) -> None:
    body = b"x" * (SHORT.body_bytes + more)
    raw = scene.post(body)
    if frame == "chunked":
        head = b"POST /v1/messages HTTP/1.1\r\n" + scene.lines + b"Transfer-Encoding: chunked\r\n\r\n"
        raw = head + chunked(body, 9_999)

    status = (await scene.ask(raw)).status

    assert status == (413 if more else 200)
    assert [got.body for got in recorder.arrived] == ([] if more else [body])


@dataclass
class Flood:
    """A provider that answers with a great many bytes, as fast as they are taken."""

    total: int
    sent: int = 0
    digest: str = ""

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n\r\n" % self.total
        )
        hashed = hashlib.sha256()
        for number in range(self.total // 65_536):
            piece = (b"%016d" % number) * 4_096
            hashed.update(piece)
            await peer.send(piece)
            self.sent += len(piece)
        self.digest = hashed.hexdigest()
        await peer.gone()


async def test_a_client_that_does_not_read_holds_the_provider_back_and_loses_nothing(tmp_path: Path) -> None:
    flood = Flood(100 * 1024 * 1024)
    async with played(flood) as server, before(server.url, tmp_path / "data") as scene, Client.to(scene.port) as client:
        client.stop_reading()
        await client.send(scene.post(b"{}"))
        await until(lambda: flood.sent)
        before_it = -1
        while flood.sent != before_it:  # until nothing moves any more
            before_it = flood.sent
            await asyncio.sleep(0.1)
        assert flood.sent < 32 * 1024 * 1024  # what the kernel's buffers on the way take

        client.read_on()
        got = hashlib.sha256()
        assert b" 200 OK" in await client.rest_of_head()
        for _ in range(flood.total // 65_536):
            got.update(await client.some(65_536))
        await until(lambda: flood.digest)
        assert got.hexdigest() == flood.digest


def test_the_largest_body_is_more_than_a_provider_takes() -> None:
    assert MAX_BODY_BYTES >= 32 * 1024 * 1024


# --- many ------------------------------------------------------------------------------------------

EVENT = b'event: content_block_start\ndata: {"type":"content_block_start","index":0}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@dataclass
class Streaming:
    """A provider whose streams stay open until `end` is set; everybody else is answered at once."""

    end: asyncio.Event = field(default_factory=asyncio.Event)
    open: int = 0

    async def __call__(self, peer: Peer) -> None:
        while True:
            if b"/v1/messages" not in (await peer.request()).lines[0]:
                await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                continue
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            await peer.send(chunked(EVENT).removesuffix(b"0\r\n\r\n"))
            self.open += 1
            await self.end.wait()
            await peer.send(chunked(STOP))


@asynccontextmanager
async def tidegate(folder: Path, url: str) -> AsyncIterator[tuple[int, int, bytes]]:
    """A Tidegate in a process of its own: its process id, its port, its key."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.hostile.alone", str(folder), url, stdin=-1, stdout=-1
    )
    assert process.stdout
    assert process.stdin
    port, key = (await process.stdout.readline()).split()
    try:
        yield process.pid, int(port), key
    finally:
        process.stdin.close()
        await process.wait()


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.hostile
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_ten_thousand_streams_at_once(tmp_path: Path, tell: Tell) -> None:
    streaming = Streaming()
    number = min(10_000, (open_files() - 500) // 2)
    began_at = time.monotonic()
    async with played(streaming) as server, tidegate(tmp_path / "data", server.url) as (pid, port, key):
        lines = b"Host: 127.0.0.1:%d\r\nX-Api-Key: %s\r\n" % (port, key)
        ask = b"GET /v1/bystander HTTP/1.1\r\n" + lines + b"\r\n"
        async with Client.to(port) as bystander, AsyncExitStack() as stack:
            await bystander.send(ask)
            assert (await bystander.reply()).status == 200
            idle_kib = resident_kib(pid)
            clients: list[Client] = []
            for start in range(0, number, 100):
                some = [await stack.enter_async_context(Client.to(port)) for _ in range(min(100, number - start))]
                for client in some:
                    await client.send(b"POST /v1/messages HTTP/1.1\r\n" + lines + b"Content-Length: 2\r\n\r\n{}")
                for client in some:
                    assert b" 200 OK" in await client.rest_of_head()
                clients += some
            assert streaming.open == number
            full_kib, waits = resident_kib(pid), []
            for _ in range(100):
                asked_at = time.monotonic()
                await bystander.send(ask)
                assert (await bystander.reply()).status == 200
                waits.append(time.monotonic() - asked_at)
            streaming.end.set()
            for client in clients:
                assert STOP in await client.some(len(chunked(EVENT)) - 5 + len(chunked(STOP)))
        fds = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    per_stream = (full_kib - idle_kib) / number
    tell(
        line(
            "T07 streams",
            n=number,
            violations=0,
            seconds=time.monotonic() - began_at,
            kib_per_stream=round(per_stream, 1),
            rss_idle_mib=idle_kib // 1024,
            rss_full_mib=full_kib // 1024,
            fds_after=fds,
            bystander_p95_ms=round(1000 * percentile(waits, 0.95), 1),
        )
    )


@pytest.mark.hostile
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_fifty_clients_that_do_not_read_cost_little_memory(tmp_path: Path, tell: Tell) -> None:
    flood = Flood(100 * 1024 * 1024)
    async with (
        played(flood) as server,
        tidegate(tmp_path / "data", server.url) as (pid, port, key),
        AsyncExitStack() as stack,
    ):
        idle_kib = resident_kib(pid)
        for _ in range(50):
            client = await stack.enter_async_context(Client.to(port))
            client.stop_reading()
            await client.send(
                b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-Api-Key: %s\r\nContent-Length: 2\r\n\r\n{}"
                % (port, key)
            )
        before_it = -1
        while flood.sent != before_it:
            before_it = flood.sent
            await asyncio.sleep(0.5)
        grown_kib = resident_kib(pid) - idle_kib
        tell(
            line(
                "T07 slow readers", n=50, violations=0, seconds=0, kib_each=round(grown_kib / 50, 1), offered_mib=5_000
            )
        )
        assert grown_kib / 50 < 2_048  # read ahead 256 KiB, one read 256 KiB, the transport's own 64 KiB


@pytest.mark.hostile
@pytest.mark.timeout(300)
async def test_thousands_of_connections_over_the_limit(tmp_path: Path, tell: Tell) -> None:
    async with recording() as recorder, before(recorder.url, tmp_path / "data") as scene, AsyncExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            await stack.enter_async_context(Client.to(scene.port))
        refused, began_at = 0, time.monotonic()
        for _ in range(30):
            replies = await asyncio.gather(*(scene.ask() for _ in range(100)))
            refused += sum(reply.status == 503 for reply in replies)
        tell(line("T07 over the limit", n=3_000, violations=3_000 - refused, seconds=time.monotonic() - began_at))
        assert refused == 3_000
        assert recorder.arrived == []
