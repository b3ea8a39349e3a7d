"""What every test has: one async backend, and on demand a whole Tidegate before a simulated provider."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.fakes import NOW, SimulatedAccount, SimulatedProvider
from tests.stage import Stage, on_stage


def pytest_configure() -> None:
    """Heed signals: a process in the background of a shell ignores some, and so would all that the tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGHUP", "SIGQUIT"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


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
