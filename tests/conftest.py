"""What every test has: one async backend, and on demand a whole Tidegate before a simulated provider."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from stage import Stage, on_stage


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_stage(tmp_path / "data") as stage:
        yield stage
