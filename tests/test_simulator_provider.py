"""A simulated provider runs in a loop or a thread, remembers within bounds, and leaves nothing behind."""

import asyncio
import socket

import anthropic
import httpx
import pytest

from tests.fakes import (
    ANSWER,
    ASK,
    SimulatedProvider,
    ask,
    faults,
    simulator_in_thread,
    wait_received_in_thread,
)

pytestmark = pytest.mark.anyio


def test_a_program_without_a_loop_talks_to_a_simulator_in_a_thread() -> None:
    with simulator_in_thread() as sim:
        team = sim.add_api_key("Team")
        with anthropic.Anthropic(base_url=sim.url, api_key=team.key, max_retries=0) as client:
            with client.messages.stream(**ASK) as stream:
                text = stream.get_final_text()
            team.script(faults.Overloaded())
            with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
                client.messages.create(**ASK)
        wait_received_in_thread(sim, 2)
        statuses = [received.status for received in sim.received]
    assert text == ANSWER
    assert statuses == [200, 529]


async def test_idle_connections_can_be_dropped(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    await http.get("/api/hello")
    assert sim.open_connections == 1
    sim.drop_idle_connections()
    await sim.wait_until(lambda: sim.open_connections == 0)


async def test_the_end_closes_every_connection_and_the_port() -> None:
    async with SimulatedProvider.running() as sim:
        port = int(sim.url.rpartition(":")[2])
        work = sim.add_login("Work")
        work.always(faults.Stall(faults.Phase.AFTER_HEAD, 60))
        async with httpx.AsyncClient(base_url=sim.url, trust_env=False) as http:
            request = asyncio.create_task(ask(http, work, stream=True))
            await sim.wait_until(lambda: bool(sim.received) and sim.received[0].status == 200)
            await sim._stop()
            with pytest.raises(httpx.TransportError):
                await request
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


async def test_only_the_last_requests_are_remembered(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    body = b" " * (20 * 1024 * 1024)
    for _ in range(5):
        await http.post("/nothing", content=body)
    assert sim.received_in_all == 5
    assert sum(len(received.body) for received in sim.received) <= 64 * 1024 * 1024


async def test_an_error_of_the_simulation_is_raised_at_the_end() -> None:
    with pytest.raises(ValueError, match="needs an account"):
        async with SimulatedProvider.running() as sim, httpx.AsyncClient(base_url=sim.url, trust_env=False) as http:
            sim.script("/api/hello", faults.CreditTooLow())
            with pytest.raises(httpx.TransportError):
                await http.get("/api/hello")
