"""Clients that hang up, at any moment and by a reset: no renewal that their request began is lost."""

import asyncio
import json
import random
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash import figures
from tests.crash.checker import check
from tests.crash.figures import Tell
from tests.crash.program import Process
from tests.crash.provider import StormProvider, storm_provider
from tests.crash.storm import Storm, storm
from tests.fakes import ASK, VERSION

pytestmark = pytest.mark.anyio

AT_ONCE = 8
PATIENCE = 1.5
"""How long a client waits at most, in times of what a request takes here with a renewal in front of it."""
RESET = struct.pack("ii", 1, 0)


@dataclass
class Aborts:
    """How many clients left, and when."""

    made: int = 0
    during_a_renewal: int = 0


async def full_request_s(process: Process, made: Storm) -> float:
    """How long a client waits for a whole answer; every login here is about to end, so each one is renewed first."""
    began_at = time.monotonic()
    headers = {**VERSION, "x-api-key": made.key}
    for _ in made.accounts:
        answer = await made.http.post(f"{process.address}/v1/messages", headers=headers, json=ASK)
        assert answer.status_code == 200
    return (time.monotonic() - began_at) / len(made.accounts)


async def hang_up(process: Process, made: Storm, after_s: float, aborts: Aborts) -> None:
    """Connect, ask, and reset the connection after a while."""
    host, port = "127.0.0.1", int(process.address.rpartition(":")[2])
    _, writer = await asyncio.open_connection(host, port)
    body = json.dumps({**ASK, "stream": True})
    head = (
        "POST /v1/messages HTTP/1.1",
        f"host: {host}:{port}",
        f"x-api-key: {made.key}",
        "anthropic-version: 2023-06-01",
        "content-type: application/json",
        f"content-length: {len(body)}",
    )
    writer.write("\r\n".join((*head, "", body)).encode())
    await asyncio.sleep(after_s)
    aborts.made += 1
    aborts.during_a_renewal += made.provider.busy
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def abort_many(made: Storm, provider: StormProvider, number: int, chance: random.Random) -> Aborts:
    """One process, `number` clients that leave, and an orderly end."""
    aborts = Aborts()
    process = await made.begin()
    longest_s = PATIENCE * await full_request_s(process, made)

    async def caller() -> None:
        while aborts.made < number:
            await hang_up(process, made, chance.uniform(0, longest_s), aborts)

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    await provider.quiet()
    await made.settle(process)
    await made.end(process)
    await made.look()
    return aborts


async def aborted(root: Path, number: int, seed: int, tell: Tell) -> None:
    chance, began_at = random.Random(seed), time.monotonic()
    root.mkdir()
    async with storm_provider(chance) as provider, storm(root, provider) as made:
        before = len(provider.record)
        aborts = await abort_many(made, provider, number, chance)
        verdict = check(provider.record, tuple(made.accounts))
        renewals = sum(type(event).__name__ == "Presented" for event in provider.record[before:])

    tell(
        figures.line(
            "T08",
            n=aborts.made,
            violations=len(verdict.violations),
            seconds=time.monotonic() - began_at,
            seed=seed,
            during_a_renewal=aborts.during_a_renewal,
            renewals=renewals,
            lost=verdict.lost.total(),
        )
    )
    assert verdict.violations == []
    assert aborts.during_a_renewal > number / 10
    assert renewals > 3 * len(made.accounts)


async def test_150_clients_that_reset_their_connection_lose_no_login(tmp_path: Path, tell: Tell, seed: int) -> None:
    await aborted(tmp_path / "a", 150, seed, tell)


@pytest.mark.crash
@pytest.mark.timeout(300)
async def test_2000_clients_that_reset_their_connection_lose_no_login(tmp_path: Path, tell: Tell, seed: int) -> None:
    await aborted(tmp_path / "a", 2_000, seed, tell)
