"""What every test has: one async backend, and a home of its own."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
