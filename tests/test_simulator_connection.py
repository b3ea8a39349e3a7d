"""The simulated server's connections: requests in order, clients that leave, and what is not HTTP."""

import asyncio
import json

import httpx
import pytest

from tests.fakes import (
    ASK,
    NOW,
    SimulatedAccount,
    SimulatedProvider,
    faults,
    signed,
)

pytestmark = pytest.mark.anyio


async def test_a_query_changes_nothing_and_is_remembered(
    sim: SimulatedProvider, http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    answer = await http.post("/v1/messages?beta=true", headers=signed(work), json=ASK)
    assert answer.status_code == 200
    assert (sim.received[0].path, sim.received[0].query) == ("/v1/messages", "beta=true")


async def test_a_client_that_leaves_is_noticed_and_its_work_stops(
    sim: SimulatedProvider, work: SimulatedAccount
) -> None:
    work.script(faults.Stall(faults.Phase.BEFORE_HEAD, 60))
    port = int(sim.url.rpartition(":")[2])
    body = json.dumps(ASK).encode()
    lines = [f"{name}: {value}" for name, value in signed(work).items()]
    head = "\r\n".join(["POST /v1/messages HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + b"\r\n\r\n" + body)
    await sim.wait_received(1)
    writer.close()
    await sim.wait_until(lambda: sim.received[0].left_at is not None)
    assert sim.received[0].left_at == NOW
    assert not sim.received[0].answered
    await writer.wait_closed()


async def test_pipelined_requests_are_answered_in_order(sim: SimulatedProvider) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sim.url.rpartition(":")[2]))
    writer.write(
        b"GET /api/hello HTTP/1.1\r\nhost: x\r\n\r\nGET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    answers = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answers.index(b"HTTP/1.1 200") < answers.index(b"HTTP/1.1 404")


@pytest.mark.parametrize("garbage", [b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
async def test_what_is_not_http_gets_a_400_and_a_closed_connection(sim: SimulatedProvider, garbage: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sim.url.rpartition(":")[2]))
    writer.write(garbage)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert sim.received == []
