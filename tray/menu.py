"""The tray menu as values: what is shown for a snapshot, and what each row would do when it is clicked.

The menu alone is a complete switcher, because some desktops open it on every click and offer nothing else.
"""

import textwrap
from collections.abc import Iterator, Sequence

from core.import_glance import Glance
from core.model import AccountKind, AccountView, ProviderName, Snapshot, Standing, Strategy
from core.wording import STRATEGY_WORDS, TERMS, clock_time, headroom_text
from tray import menu_account
from tray.items import (
    Action,
    Button,
    CopyAddress,
    CopyKey,
    Import,
    Item,
    Line,
    OpenDashboard,
    Order,
    Quit,
    Radio,
    Separator,
    SignIn,
    Submenu,
)
from tray.menu_words import TEXT_LENGTH, label_of, row, shorten

PROVIDER_NAMES = {
    ProviderName.ANTHROPIC: "Claude",
    ProviderName.OPENCODE_GO: "OpenCode Go",
}
ADDING: tuple[tuple[str, Action], ...] = (
    ("Claude login…", SignIn(AccountKind.CLAUDE)),
    ("Console login for an API key…", SignIn(AccountKind.API_KEY)),
    ("Anthropic API key…", OpenDashboard(menu_account.ADD_KEY_PLACES[AccountKind.API_KEY])),
    ("OpenCode Go key…", OpenDashboard(menu_account.ADD_KEY_PLACES[AccountKind.GO])),
    ("Import from other programs…", OpenDashboard("add-by-import")),
)
TERMS_WIDTH = 60
TOOLTIP_LENGTH = 127
"""Windows cuts a longer tooltip in the middle of a word."""


def build(snapshot: Snapshot, now: float, found: Glance | None = None) -> tuple[Item, ...]:
    """The whole menu for a snapshot. `found`: what other programs have, offered while there is no account."""
    return (
        *_about_the_state(snapshot),
        *_wanted(snapshot, now, found),
        *_switcher(snapshot, now),
        *((_accounts(snapshot, now), _strategies(snapshot.strategy)) if snapshot.accounts else ()),
        _adding(),
        Separator(),
        Button(f"Copy address  {snapshot.address}".rstrip(), CopyAddress() if snapshot.address else None),
        Button("Copy key", CopyKey()),
        Button("Open dashboard", OpenDashboard()),
        Separator(),
        Button("Quit Tidegate", Quit()),
    )


def tooltip(snapshot: Snapshot, now: float) -> str:
    """One line for the mouse that rests on the icon, cut between words."""
    view = snapshot.active
    text = row(view, now) if view else _nobody(snapshot.accounts, now)
    return shorten(f"Tidegate{' demo' if snapshot.demo else ''}: {text}", TOOLTIP_LENGTH)


def changes_at(snapshot: Snapshot, now: float) -> float | None:
    """When something shown ends by itself (a rest, a window, a pin), None when nothing does."""
    moments = (moment for view in snapshot.accounts for moment in _moments(view))
    return min((moment for moment in moments if moment > now), default=None)


# --- groups ----------------------------------------------------------------------------------------


def _about_the_state(snapshot: Snapshot) -> Iterator[Item]:
    if snapshot.demo:
        yield Line("Demo: simulated accounts")
    if not snapshot.address:
        yield Line("Not listening")


def _wanted(snapshot: Snapshot, now: float, found: Glance | None) -> Iterator[Item]:
    """What waits for the person."""
    rows = [button for view in snapshot.accounts if (button := menu_account.urgent(view, now))]
    if found is not None and found.accounts and not snapshot.accounts:
        rows.append(Button(_offer(found), Import()))
    if rows:
        yield from rows
        yield Separator()


def _switcher(snapshot: Snapshot, now: float) -> Iterator[Item]:
    """Per provider: who serves and why, one row per account, for how long all last, the way out of a pin."""
    providers = tuple(dict.fromkeys(view.provider for view in snapshot.accounts))
    if not providers:
        yield Line(_nobody((), now))
        yield Separator()
    for provider in providers:
        views = tuple(view for view in snapshot.accounts if view.provider is provider)
        headline = _headline(views, now)
        yield Line(headline if len(providers) == 1 else f"{PROVIDER_NAMES[provider]} · {headline}")
        for view in views:
            yield Radio(row(view, now), _click(view), checked=view.active)
        if lasting := headroom_text(snapshot, provider):
            yield Line(lasting)
        yield from (Button(_unpin_label(view, now), _unpin(provider)) for view in views if view.pinned)
        yield Separator()


def _accounts(snapshot: Snapshot, now: float) -> Submenu:
    return Submenu("Accounts", tuple(menu_account.submenu(view, now) for view in snapshot.accounts))


def _strategies(current: Strategy) -> Submenu:
    def row_of(name: Strategy) -> Radio:
        label = shorten(f"{name} — {STRATEGY_WORDS[name]}", TEXT_LENGTH)
        return Radio(label, Order("strategy", {"name": name.value}), checked=name is current)

    return Submenu(f"Strategy: {current}", tuple(map(row_of, Strategy)))


def _adding() -> Submenu:
    terms = (Line(line) for line in textwrap.wrap(TERMS, TERMS_WIDTH))
    return Submenu("Add account", (*(Button(label, action) for label, action in ADDING), Separator(), *terms))


# --- words -----------------------------------------------------------------------------------------


def _headline(views: Sequence[AccountView], now: float) -> str:
    active = next((view for view in views if view.active), None)
    if active is None:
        return _nobody(views, now)
    return f"{label_of(active)}: {shorten(active.reason, TEXT_LENGTH)}" if active.reason else label_of(active)


def _nobody(views: Sequence[AccountView], now: float) -> str:
    """Why no account serves, with the nearest way out first."""
    if not views:
        return "No account yet"
    resting = [view for view in views if view.standing is Standing.COOLING]
    until = min((view.until_at for view in resting if view.until_at is not None), default=None)
    if until is not None:
        return f"Nobody can serve before {clock_time(until, now)}"
    standings = {view.standing for view in views}
    if standings == {Standing.DISABLED}:
        return "All accounts are disabled"
    if Standing.LOCKED in standings:
        return "Unlock the keychain to go on"
    if Standing.SIGN_IN in standings:
        return "Sign in again to go on"
    return "Nobody can serve now" if resting else "No account has served yet"


def _offer(found: Glance) -> str:
    noun = "account" if found.accounts == 1 else "accounts"
    return shorten(f"Import {found.accounts} {noun} found ({', '.join(found.programs)})…", TEXT_LENGTH)


def _unpin_label(view: AccountView, now: float) -> str:
    until = f" (pinned until {clock_time(view.pinned_until_at, now)})" if view.pinned_until_at is not None else ""
    return f"Unpin {label_of(view)}{until}"


def _unpin(provider: ProviderName) -> Order:
    return Order("unpin", {"provider": provider})


def _click(view: AccountView) -> Action | None:
    match view.standing:
        case Standing.READY | Standing.COOLING:
            return Order("pin", {"account": view.id})
        case Standing.SIGN_IN:
            return menu_account.remedy_action(view)
        case Standing.LOCKED | Standing.DISABLED:
            return None


def _moments(view: AccountView) -> Iterator[float]:
    yield from (end for end in (view.until_at, view.pinned_until_at) if end is not None)
    for window in view.windows:
        yield from (end for end in (window.resets_at, window.dry_at) if end is not None)
