import dataclasses
import io
import sys

import pytest

from core import terminal
from core.model import Move, Snapshot, Standing, Strategy
from tests.test_page import HOME, SNAPSHOT, WORK


def _shown(monkeypatch: pytest.MonkeyPatch, encoding: str, snapshot: Snapshot = SNAPSHOT) -> str:
    """What `status` and `list` write to a console with this encoding."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="replace", write_through=True)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.show_status(snapshot)
    terminal.show_account(WORK, 0.0)
    return raw.getvalue().decode(encoding)


def test_status_tells_where_who_why_and_how_full(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _shown(monkeypatch, "utf-8")

    for said in (
        "Tidegate 9.9: running at http://127.0.0.1:8433, strategy sticky",
        "Work serves anthropic: week resets first",
        "5 h ███████░░░ 72 %",
        "opus week ██████████ 100 %",
        "odd ░░░░░░░░░░ –",
        "resting: 5 h window full, until",
        "ready (pinned)",
        "Home → Work: 5 h window full",
        "ada@example.org",
    ):
        assert said in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_console_without_unicode_gets_bars_of_ascii(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    text = _shown(monkeypatch, encoding)

    assert "5 h #######--- 72 %" in text
    assert "Home -> Work" in text


def test_nothing_is_coloured_when_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in _shown(monkeypatch, "utf-8")


def test_labels_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = dataclasses.replace(WORK, label="[red]x[/red] :smile:", reason="[b]why[/b]")
    moves = (Move(0.0, "[i]a", "b", "[/i]c"),)
    text = _shown(monkeypatch, "utf-8", Snapshot(at=0.0, accounts=(odd,), moves=moves, strategy=Strategy.STICKY))

    assert "[red]x[/red] :smile:" in text
    assert "[b]why[/b]" in text
    assert "[i]a" in text
    assert "not running" in text


def test_a_providers_words_do_not_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\r\x9b31m"
    odd = dataclasses.replace(WORK, label=evil, reason=evil, detail=evil, email=evil, windows=())
    text = _shown(monkeypatch, "utf-8", Snapshot(at=0.0, accounts=(odd,), moves=(Move(0.0, evil, evil, evil),)))

    assert not {c for c in text if not c.isprintable()} - {"\n"}


def test_a_disabled_account_is_disabled_and_nothing_more() -> None:
    off = dataclasses.replace(HOME, standing=Standing.DISABLED, detail="switched off", until_at=None)

    assert terminal.state(off, 0.0) == "disabled"
