"""T17: `tidegate serve` is asked to end while 50 streams are in progress, and is started again on its port."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import anthropic
import pytest

from core.app import GRACE_S
from core.files import instance_lock
from core.simulator import SimulatedProvider
from core.simulator.faults import Slow
from tests.browser.person import endpoints_of
from tests.crash.figures import Tell, line
from tests.crash.program import PASSPHRASE, Process, Program, until
from tests.fakes import ASK, VERSION
from tests.raw import Client

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="no program can be asked by a signal there"),
]

PIECES = 20
SHORT, ENDLESS = Slow(0.15), Slow(5.0)
"""A stream of three and a half seconds, and one of two minutes: of the grace the first needs little, the other all."""
EACH = 25
CUT_WITHIN_S = 30.0
PATIENT = 10
"""How often Claude Code tries again by itself; the SDK alone does so twice."""


@dataclass
class Run:
    """An installation with one account, its process, and streams on it."""

    sim: SimulatedProvider
    program: Program
    process: Process
    key: str = field(repr=False)

    @property
    def port(self) -> int:
        return int(self.process.address.rpartition(":")[2])

    def request(self, **changes: object) -> bytes:
        """A prompt on the wire."""
        body = json.dumps({**ASK, **changes}).encode()
        head = {
            "host": f"127.0.0.1:{self.port}",
            "x-api-key": self.key,
            **VERSION,
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return f"POST /v1/messages HTTP/1.1\r\n{lines}\r\n".encode() + body

    async def stream(self, going: asyncio.Semaphore) -> "Ended":
        """One stream to its end; `going` is released when its head is here."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(self.request(stream=True))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        going.release()
        got = bytearray()
        try:
            while data := await reader.read(65_536):
                got += data
        except ConnectionError:
            pass
        writer.close()
        return Ended(bytes(got), time.monotonic())

    async def sdk(self) -> anthropic.types.Message:
        """One prompt by the real SDK, which comes back when it is told to."""
        async with anthropic.AsyncAnthropic(
            base_url=self.process.address, api_key=self.key, max_retries=PATIENT, timeout=60
        ) as client:
            return await client.messages.create(
                model="claude-sonnet-5", max_tokens=64, messages=[{"role": "user", "content": "hello there"}]
            )

    async def is_refusing(self) -> bool:
        """A new request is told to come back later."""
        async with Client.to(self.port) as client:
            await client.send(self.request())
            answer = await client.reply()
        assert answer.status in {200, 503}
        return answer.status == 503


@dataclass(frozen=True)
class Ended:
    """What a client of a stream had at its end."""

    body: bytes
    at: float

    @property
    def end(self) -> str:
        """`whole`, or `cut` with an error event and without an end of the message; anything else is a fault."""
        closed = self.body.endswith(b"\r\n0\r\n\r\n")
        if closed and b"event: message_stop" in self.body and b"event: error" not in self.body:
            return "whole"
        if not closed and b"event: error" in self.body and b"event: message_stop" not in self.body:
            return "cut"
        return f"neither: {self.body[-200:]!r}"


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    environment = {"HOME": str(tmp_path), **PASSPHRASE}
    async with SimulatedProvider.running() as sim:
        account = sim.add_api_key("Work")
        sim.pieces = PIECES
        async with Program(tmp_path / "data", {**environment, **endpoints_of(sim)}) as program:
            process = await program.start()
            assert await process.ready()
            await process.order("add_key", kind="api-key", key=account.key, label="Work")
            yield Run(sim, program, process, (await process.order("token"))["key"])


async def streams(run: Run, number: int) -> "list[asyncio.Task[Ended]]":
    """So many streams, all of them in progress."""
    going = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(run.stream(going)) for _ in range(number)]
    for _ in tasks:
        await asyncio.wait_for(going.acquire(), CUT_WITHIN_S)
    return tasks


def left_behind(run: Run) -> list[str]:
    """What an orderly end must take away with it."""
    paths = run.program.paths
    gone = (".*", "*.intent", "history.db-*", paths.running.name, paths.recovery.name)
    left = [str(path) for pattern in gone for path in paths.root.rglob(pattern)]
    instance_lock(paths).release()  # raises InstanceRunning
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", run.port))
    return left


async def test_second_signal_ends_it_at_once_and_the_next_start_is_a_good_one(run: Run) -> None:
    run.sim.accounts[0].always(ENDLESS)
    (stream,) = await streams(run, 1)
    run.process.ask_to_end()
    await until(run.is_refusing, CUT_WITHIN_S)
    run.process.ask_to_end()
    assert await run.process.ended() == -signal.SIGTERM
    assert "message_stop" not in (await stream).body.decode()
    run.process = await run.program.start()
    assert await run.process.ready()
    assert [account.label for account in await run.process.accounts()] == ["Work"]


async def test_orderly_end_without_work_takes_everything_away(run: Run) -> None:
    run.process.ask_to_end()
    assert await run.process.ended() == 0
    assert left_behind(run) == []
    assert run.process.said == ""


@pytest.mark.soak
@pytest.mark.timeout(180)
async def test_of_fifty_streams_the_short_ones_end_whole_and_the_others_are_cut_after_the_grace(
    run: Run, tell: Tell
) -> None:
    run.sim.accounts[0].script(*[SHORT] * EACH, *[ENDLESS] * EACH)
    tasks = await streams(run, 2 * EACH)
    asked_at = time.monotonic()
    run.process.ask_to_end()
    await until(run.is_refusing, CUT_WITHIN_S)
    async with Client.to(run.port) as client:
        await client.send(run.request())
        refused = await client.reply()
    assert GRACE_S <= float(refused.headers["retry-after"]) + (time.monotonic() - asked_at) < GRACE_S + 5
    comes_back = asyncio.create_task(run.sdk())

    code = await run.process.ended()
    exit_s = time.monotonic() - asked_at
    ended = await asyncio.gather(*tasks)
    assert code == 0
    assert Counter(one.end for one in ended) == {"whole": EACH, "cut": EACH}
    assert run.process.said == ""
    left = left_behind(run)
    port = run.port
    run.process = await run.program.start(port=port)
    assert await run.process.ready()
    assert (await comes_back).stop_reason == "end_turn"
    cut_s = [one.at - asked_at for one in ended if one.end == "cut"]
    tell(
        line(
            "T17 streams",
            n=2 * EACH,
            violations=len(left),
            seconds=exit_s,
            cut_first_s=round(min(cut_s), 1),
            cut_last_s=round(max(cut_s), 1),
            hand_over_s=round(time.monotonic() - asked_at, 1),
        )
    )
    assert left == []
    assert min(cut_s) >= GRACE_S, "a stream got less than its grace"
