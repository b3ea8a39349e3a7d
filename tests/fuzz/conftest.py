import pytest

from tests.crash.figures import Tell


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Print although pytest captures: the figures are what the long run is for."""

    def print_it(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", flush=True)

    return print_it
