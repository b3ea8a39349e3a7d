"""The words of a row: state, windows, and as little as makes them clear."""

import pytest
from msgspec.structs import replace

from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    Level,
    LoginHealth,
    LoginState,
    ModelFamily,
    Standing,
    WindowView,
)
from core.wording import clock_time
from tray.menu_words import LABEL_LENGTH, label_of, plain, row, shorten

NOW = 1_800_000_000.0
AT = NOW + 3_600
CLOCK = clock_time(AT, NOW)


def window(name: str = "5h", utilization: float | None = 0.62, resets_at: float | None = None) -> WindowView:
    return WindowView(name, utilization, resets_at, Level.OK)


def account(label: str = "Work", **options: object) -> AccountView:
    kind = AccountKind.CLAUDE
    return replace(AccountView(AccountId("a1"), label, kind, kind.provider, Standing.READY, Level.OK), **options)


BOTH = (window(), window("7d", 0.12))
ENDING = LoginHealth(LoginState.ENDING, AT)


ROWS = [
    ({"windows": (window(), window("7d", 0.12))}, "5 h 62 % used · week 12 %"),
    ({"windows": (window(resets_at=AT), window("7d", 0.12, AT))}, f"5 h 62 % used, resets {CLOCK} · week 12 %"),
    (
        {"windows": (window(utilization=0.1, resets_at=AT), window("7d", 0.8, AT))},
        f"5 h 10 % · week 80 % used, resets {CLOCK}",
    ),
    ({"windows": (window(resets_at=NOW - 1),)}, "5 h 62 % used"),
    ({"windows": (replace(window(resets_at=AT + 1), dry_at=AT),)}, f"5 h 62 % used, dry {CLOCK}"),
    ({"windows": (replace(window(resets_at=AT), dry_at=NOW - 1),)}, f"5 h 62 % used, resets {CLOCK}"),
    ({"windows": ()}, "ready"),
    ({"windows": (window("moon_phase", None),)}, "moon phase –"),
    ({"windows": (replace(window("7d_oi", 0.4), family=ModelFamily("opus")),)}, "opus week 40 %"),
    ({"windows": BOTH, "login": ENDING}, f"sign in again by {CLOCK} · 5 h 62 % used · week 12 %"),
    ({"borrowed_from": "OpenCode", "login": ENDING}, f"borrowed from OpenCode until {CLOCK}"),
    (
        {"standing": Standing.COOLING, "until_at": AT, "detail": "5 h window full", "windows": BOTH},
        f"5 h window full until {CLOCK}",
    ),
    ({"standing": Standing.COOLING, "detail": "out of credit"}, "out of credit"),
    ({"standing": Standing.SIGN_IN}, "sign in again"),
    ({"standing": Standing.SIGN_IN, "detail": "signed out elsewhere"}, "sign in again: signed out elsewhere"),
    ({"standing": Standing.LOCKED}, "keychain locked"),
    ({"standing": Standing.DISABLED, "detail": "old news"}, "disabled"),
]


@pytest.mark.parametrize(("options", "words"), ROWS)
def test_row_of_an_account_tells_its_state(options: dict[str, object], words: str) -> None:
    assert row(account(**options), NOW) == f"Work — {words}"


def test_pinned_account_says_so() -> None:
    assert row(account(pinned=True), NOW) == "Work (pinned) — ready"


def test_label_is_never_empty_and_never_long() -> None:
    assert label_of(account("\n")) == "a1"
    assert len(label_of(account("x" * 200))) == LABEL_LENGTH


@pytest.mark.parametrize(
    ("text", "length", "short"),
    [("one two three", 20, "one two three"), ("one two three", 10, "one two…"), ("onetwothree", 6, "onetw…")],
)
def test_long_text_is_cut_between_words_where_there_are_any(text: str, length: int, short: str) -> None:
    assert shorten(text, length) == short


def test_text_becomes_one_printable_line() -> None:
    assert plain("a\n\tb\x00 c\u202e") == "a b c"
