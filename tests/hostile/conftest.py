from collections.abc import AsyncIterator

import pytest

from tests.crash.figures import Tell
from tests.hostile.recorder import Recorder, recording


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """All tests of a module share one loop, on which their Tidegate runs."""
    return "asyncio"


@pytest.fixture(scope="module")
async def recorder() -> AsyncIterator[Recorder]:
    async with recording() as recorder:
        yield recorder


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Print although pytest captures: figures are what the long tests are run for."""

    def print_it(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", flush=True)

    return print_it
