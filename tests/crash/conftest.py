import os
import secrets

import pytest

from tests.crash.figures import Tell


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Print although pytest captures: the figures are what these tests are run for."""

    def print_it(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", flush=True)

    return print_it


@pytest.fixture
def seed(tell: Tell) -> int:
    """Another one in every run; `CRASH_SEED` repeats the plan of an earlier one, though never its timing."""
    seed = int(os.environ.get("CRASH_SEED") or secrets.randbelow(1_000_000))
    tell(f"CRASH_SEED={seed}")
    return seed
