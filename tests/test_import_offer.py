import time
from pathlib import Path

import pytest

from core.import_glance import Glance
from core.import_offer import offer, sentence
from core.import_read import Where
from tests.account_files import SIGN, put


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person with nothing but what a test puts there."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("CLAUDE_CONFIG_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Glance(), ""),
        (Glance(1, ("OpenCode",)), "Found an account of OpenCode: `tidegate import` takes it over"),
        (
            Glance(3, ("Claude Code", "OpenCode")),
            "Found 3 accounts of Claude Code and OpenCode: `tidegate import` takes them over",
        ),
        (Glance(3, ("A", "B", "C")), "Found 3 accounts of A, B and C: `tidegate import` takes them over"),
    ],
)
def test_offer_is_one_sentence(found: Glance, said: str) -> None:
    assert sentence(found) == said


def test_what_lies_there_is_offered_without_a_word_of_it(home: Path) -> None:
    now = time.time()
    assert offer(now) == ""

    put(home / ".config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json")
    put(home / ".claude/.credentials.json", "claude-code.json", now + 7_200)

    assert offer(now).startswith("Found 3 accounts of Claude Code and opencode-go-multi-auth")
    assert SIGN not in offer(now)


def test_nothing_keeps_the_person_from_starting(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Where, _now: float) -> Glance:
        raise RuntimeError("whatever lies there")

    assert offer(time.time(), broken) == ""
    assert "whatever lies there" in caplog.text
