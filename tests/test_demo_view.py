"""The demo's picture says who serves, how full each account is, and where sessions moved."""

import io

import pytest
from rich.console import Console

from core.demo import Progress, SessionProgress
from core.demo_view import render
from core.model import AccountId, AccountKind, AccountView, Level, Move, ProviderName, Snapshot, Standing, WindowView
from core.wording import clock_time

NOW = 1_790_000_000.0
WORK = AccountView(
    AccountId("a1"),
    "Work",
    AccountKind.CLAUDE,
    ProviderName.ANTHROPIC,
    Standing.COOLING,
    Level.SPENT,
    detail="5 h window full",
    until_at=NOW + 600,
    windows=(
        WindowView("5h", 1.02, NOW + 600, Level.SPENT),
        WindowView("7d", 0.31, NOW + 90_000, Level.OK),
    ),
    served=6,
)
HOME = AccountView(
    AccountId("a2"),
    "Home",
    AccountKind.CLAUDE,
    ProviderName.ANTHROPIC,
    Standing.READY,
    Level.WARN,
    windows=(WindowView("5h", 0.72, NOW + 3600, Level.WARN),),
    active=True,
    served=3,
)
TEAM = AccountView(AccountId("a3"), "Team", AccountKind.API_KEY, ProviderName.ANTHROPIC, Standing.READY, Level.UNKNOWN)
SNAPSHOT = Snapshot(
    NOW,
    address="http://127.0.0.1:8433",
    accounts=(WORK, HOME, TEAM),
    moves=(Move(NOW - 5, "Work", "Home", "5 h window full", NOW + 600),),
    demo=True,
)
PROGRESS = Progress(
    planned=24,
    asked=9,
    whole=8,
    problems=("529: Overloaded",),
    broken=1,
    moves=1,
    sessions=(SessionProgress("session 1", "Why?", "Home", 7), SessionProgress("session 2")),
)


def drawn(snapshot: Snapshot, progress: Progress | None, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render(snapshot, progress, NOW))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def line_with(picture: str, *words: str) -> str:
    return next(line for line in picture.splitlines() if all(word in line for word in words))


def test_the_active_account_is_marked() -> None:
    picture = drawn(SNAPSHOT, None)
    assert "> Home" in picture
    assert "> Work" not in picture


@pytest.mark.parametrize("width", [60, 80, 140])
def test_an_account_shows_state_level_and_reset_in_words_at_any_width(width: int) -> None:
    picture = drawn(SNAPSHOT, None, width)
    until = clock_time(NOW + 600, NOW)
    assert "Claude subscription, 6 served" in line_with(picture, "Work")
    assert f"5 h window full until {until}" in picture
    assert f"resets {until}" in line_with(picture, "5 h", "100 %")
    assert "week" in line_with(picture, "31 %")
    assert "Anthropic API key" in line_with(picture, "Team")


def test_a_move_says_from_whom_to_whom_and_why() -> None:
    picture = drawn(SNAPSHOT, None)
    assert f"Work -> Home: 5 h window full, back {clock_time(NOW + 600, NOW)}" in picture


def test_progress_counts_and_problems_are_shown() -> None:
    picture = drawn(SNAPSHOT, PROGRESS)
    assert "9 of 24 asked, 8 whole, 1 not whole, 1 session moved" in picture
    assert "! 529: Overloaded" in picture
    assert "Why?" in line_with(picture, "session 1", "Home")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_picture_is_never_wider_than_the_terminal(width: int) -> None:
    assert max(len(line) for line in drawn(SNAPSHOT, PROGRESS, width).splitlines()) <= width


def test_an_empty_snapshot_can_be_drawn() -> None:
    assert "Tidegate demo" in drawn(Snapshot(NOW), None)
