from collections.abc import AsyncIterator

import pytest

from tests.crash.conftest import tell
from tests.hostile.recorder import Recorder, recording

__all__ = ["anyio_backend", "recorder", "tell"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """All tests of a module share one loop, on which their Tidegate runs."""
    return "asyncio"


@pytest.fixture(scope="module")
async def recorder() -> AsyncIterator[Recorder]:
    async with recording() as recorder:
        yield recorder
