import io
import sys

import pytest

from core import typed


@pytest.mark.parametrize("ask", [typed.secret, typed.new_secret])
@pytest.mark.parametrize(("piped", "said"), [("key\n", "key"), ("key", "key"), ("two words \r\n", "two words ")])
def test_secret_comes_from_standard_input_without_its_line_break(
    monkeypatch: pytest.MonkeyPatch, ask: object, piped: str, said: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(piped, newline=""))

    assert ask("Key") == said  # type: ignore[operator]


def test_endless_input_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("x" * 1_000_000))

    assert len(typed.secret("Key")) < 20_000
