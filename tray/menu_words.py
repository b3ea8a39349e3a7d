"""The words of a menu row, short enough for one line: no desktop wraps rows, and each has its own idea of too long."""

from core.model import AccountView, Standing, WindowView
from core.wording import STANDING_NAMES, clock_time, percent, state_text, window_name

LABEL_LENGTH = 32
"""Of an account's label. A row also has to hold its windows."""
TEXT_LENGTH = 90
"""Of what a provider or the engine says in one row."""
WINDOWS_SHOWN = 4
"""A row is one line; an account with more windows has the rest on the status page."""


def plain(text: str) -> str:
    """The text as one line of printable characters: D-Bus and native menus choke on the others."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def shorten(text: str, length: int) -> str:
    """At most `length` characters, cut between words where there are any, `…` in place of the rest."""
    text = plain(text)
    if len(text) <= length:
        return text
    head = text[: length - 1]
    words, space, _ = head.rpartition(" ")
    return f"{words if space and len(words) > length // 2 else head}…"


def label_of(view: AccountView) -> str:
    """The account's name in a row."""
    return shorten(view.label, LABEL_LENGTH) or view.id


def row(view: AccountView, now: float) -> str:
    """An account in one line: name and state; how full its windows are while it is ready."""
    return f"{label_of(view)}{' (pinned)' if view.pinned else ''} — {_state(view, now)}"


def _state(view: AccountView, now: float) -> str:
    words = shorten(state_text(view, now), TEXT_LENGTH)
    if view.standing is not Standing.READY:
        return words
    windows = _windows(view, now)
    if words == STANDING_NAMES[Standing.READY]:  # the windows say it
        return windows or words
    return f"{words} · {windows}" if windows else words


def _windows(view: AccountView, now: float) -> str:
    """Every window's share, and what comes first for the one that counts most: running dry, or its reset."""
    return " · ".join(_window(w, now, with_reset=w is view.tightest) for w in view.windows[:WINDOWS_SHOWN])


def _window(window: WindowView, now: float, *, with_reset: bool) -> str:
    text = f"{shorten(window_name(window), LABEL_LENGTH)} {percent(window.utilization)}"
    if with_reset and window.dry_at is not None and window.dry_at > now:
        return f"{text}, dry {clock_time(window.dry_at, now)}"
    if with_reset and window.resets_at is not None and window.resets_at > now:
        return f"{text}, resets {clock_time(window.resets_at, now)}"
    return text
