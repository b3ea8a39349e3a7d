"""What every test has: one async backend, and on demand a whole Tidegate before a simulated provider."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.fakes import NOW, SimulatedAccount, SimulatedProvider
from tests.stage import Stage, on_stage


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_stage(tmp_path / "data") as stage:
        yield stage


@pytest.fixture
async def sim() -> AsyncIterator[SimulatedProvider]:
    """A simulated provider whose clock stands still at NOW."""
    async with SimulatedProvider.running(clock=lambda: NOW) as running:
        yield running


@pytest.fixture
async def work(sim: SimulatedProvider) -> SimulatedAccount:
    return sim.add_login("Work")


@pytest.fixture
async def http(sim: SimulatedProvider) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client of the simulated provider."""
    async with httpx.AsyncClient(base_url=sim.url, trust_env=False, timeout=5) as client:
        yield client
