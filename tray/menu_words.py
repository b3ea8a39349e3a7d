"""The rows that all parts of the menu are made of.

Their words are short enough for one line: no desktop wraps rows, and each has its own idea of too long.
"""

from core.deeds import Deed, Switch
from core.model import AccountView, Standing, WindowView
from core.wording import STANDING_NAMES, clock_time, percent, state_text, window_name
from core.words import translate as _
from tray.items import Button, Check, OpenDashboard, Order

LABEL_LENGTH = 32
"""Of an account's label. A row also has to hold its windows."""
TEXT_LENGTH = 90
"""Of what a provider or the engine says in one row."""
LINE_LENGTH = 180
"""Of a row that only tells something: a name, and what is said of it."""
WINDOWS_SHOWN = 4
"""A row is one line; an account with more windows has the rest on the status page."""


def plain(text: str) -> str:
    """The text as one line of printable characters: D-Bus and native menus choke on the others."""
    if not text.isprintable():  # hardly ever, and looking at each character is what a large menu would take longest for
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def shorten(text: str, length: int) -> str:
    """At most `length` characters, cut between words where there are any, `…` in place of the rest."""
    text = plain(text)
    if len(text) <= length:
        return text
    head = text[: length - 1]
    words, space, _last = head.rpartition(" ")
    return f"{words if space and len(words) > length // 2 else head}…"


def tell(text: str, place: str = "instance") -> Button:
    """Something to know. A click leads to more of it: keyboards and screen readers pass over rows that do nothing."""
    return Button(shorten(text, LINE_LENGTH), OpenDashboard(place))


def button(deed: Deed) -> Button:
    """One thing that can be done."""
    return Button(shorten(deed.label, TEXT_LENGTH), order(deed))


def switch(offered: Switch) -> Check:
    """Something that a click turns over."""
    return Check(offered.label, order(offered.turn_over), offered.on)


def order(deed: Deed) -> Order:
    """The order that a deed gives."""
    return Order(deed.order, deed.arguments)


def label_of(view: AccountView) -> str:
    """The account's name in a row."""
    return shorten(view.label, LABEL_LENGTH) or view.id


def row(view: AccountView, now: float) -> str:
    """An account in one line: name and state; how full its windows are while it is ready."""
    name = label_of(view)
    if view.pinned:
        name = _("{account} (pinned)").format(account=name)
    return f"{name} — {_state(view, now)}"


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
    return " · ".join(_window(w, now, counts_most=w is view.tightest) for w in view.windows[:WINDOWS_SHOWN])


def _window(window: WindowView, now: float, *, counts_most: bool) -> str:
    text = f"{shorten(window_name(window), LABEL_LENGTH)} {percent(window.utilization)}"
    if not counts_most:
        return text
    if window.dry_at is not None and window.dry_at > now:
        # TRANSLATORS: what is left of the window is used up at that time.
        return _("{window} used, dry {time}").format(window=text, time=clock_time(window.dry_at, now))
    if window.resets_at is not None and window.resets_at > now:
        # TRANSLATORS: `5 h 62 % used, resets 14:32`.
        return _("{window} used, resets {time}").format(window=text, time=clock_time(window.resets_at, now))
    return _("{window} used").format(window=text)
