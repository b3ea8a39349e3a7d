"""The tray menu as values: what is shown for a snapshot, and what each row would do when it is clicked.

The menu alone is a complete switcher, because some desktops open it on every click and offer nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.model import AccountId, AccountKind, AccountView, ProviderName, Snapshot, Standing, WindowView
from core.wording import STANDING_NAMES, clock_time, percent, window_name

PROVIDER_NAMES = {
    ProviderName.ANTHROPIC: "Claude",
    ProviderName.OPENCODE_GO: "OpenCode Go",
}
ADD_NAMES = {
    AccountKind.CLAUDE: "Claude login…",
    AccountKind.API_KEY: "Anthropic API key by Console login…",
    AccountKind.GO: "OpenCode Go key…",
}
ADD_TERMS = "The provider's terms decide which programs may use a login"
LABEL_LENGTH = 32
"""Of an account's label. A row also has to hold its windows, and no desktop wraps menu rows."""
TEXT_LENGTH = 90
"""Of what a provider or the engine says in one row."""
WINDOWS_SHOWN = 4
"""A row is one line; an account with more windows has the rest on the dashboard."""
TOOLTIP_LENGTH = 127
"""Windows cuts a longer tooltip in the middle of a word."""


# --- what a row does -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pin:
    """Let this account serve."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class Unpin:
    """Let the strategy choose again."""

    provider: ProviderName


@dataclass(frozen=True, slots=True)
class Enable:
    """Let the account take part, or keep it out."""

    account: AccountId
    on: bool


@dataclass(frozen=True, slots=True)
class AddAccount:
    """Add an account, or sign in again: the same steps, and the provider's answer tells which it was."""

    kind: AccountKind


@dataclass(frozen=True, slots=True)
class CopyAddress:
    """Put the proxy's address on the clipboard."""


@dataclass(frozen=True, slots=True)
class CopyKey:
    """Put the local key on the clipboard."""


@dataclass(frozen=True, slots=True)
class OpenDashboard:
    """Open the dashboard in the browser."""


@dataclass(frozen=True, slots=True)
class Quit:
    """Stop Tidegate."""


Action = Pin | Unpin | Enable | AddAccount | CopyAddress | CopyKey | OpenDashboard | Quit


# --- rows ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """Something to read."""

    label: str


@dataclass(frozen=True, slots=True)
class Button:
    """Something to do. Without an action it cannot be clicked."""

    label: str
    action: Action | None


@dataclass(frozen=True, slots=True)
class Radio:
    """One of several, of which at most one is chosen."""

    label: str
    action: Action | None
    checked: bool


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is on or off."""

    label: str
    action: Action | None
    checked: bool


@dataclass(frozen=True, slots=True)
class Submenu:
    """Rows behind a row."""

    label: str
    items: tuple["Item", ...]


@dataclass(frozen=True, slots=True)
class Separator:
    """A line between groups."""


Item = Line | Button | Radio | Check | Submenu | Separator


def build(snapshot: Snapshot, now: float) -> tuple[Item, ...]:
    """The whole menu for a snapshot."""
    return (
        *_about_the_state(snapshot),
        *_switcher(snapshot, now),
        *((_enabling(snapshot),) if snapshot.accounts else ()),
        Submenu(
            "Add account", (*(Button(name, AddAccount(kind)) for kind, name in ADD_NAMES.items()), Line(ADD_TERMS))
        ),
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
    text = _row(view, now) if view else _nobody(snapshot.accounts, now)
    return shorten(f"Tidegate{' demo' if snapshot.demo else ''}: {text}", TOOLTIP_LENGTH)


def changes_at(snapshot: Snapshot, now: float) -> float | None:
    """When something shown ends by itself (a rest, a window, a pin), None when nothing does."""
    moments = (moment for view in snapshot.accounts for moment in _moments(view))
    return min((moment for moment in moments if moment > now), default=None)


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


# --- groups ----------------------------------------------------------------------------------------


def _about_the_state(snapshot: Snapshot) -> Iterator[Item]:
    if snapshot.demo:
        yield Line("Demo: simulated accounts")
    if not snapshot.address:
        yield Line("Not listening")


def _switcher(snapshot: Snapshot, now: float) -> Iterator[Item]:
    """Per provider: who serves and why, one row per account, the way out of a pin."""
    providers = tuple(dict.fromkeys(view.provider for view in snapshot.accounts))
    if not providers:
        yield Line(_nobody((), now))
        yield Separator()
    for provider in providers:
        views = tuple(view for view in snapshot.accounts if view.provider is provider)
        headline = _headline(views, now)
        yield Line(headline if len(providers) == 1 else f"{PROVIDER_NAMES[provider]} · {headline}")
        for view in views:
            yield Radio(_row(view, now), _click(view), checked=view.active)
        yield from (Button(_unpin_label(view, now), Unpin(provider)) for view in views if view.pinned)
        yield Separator()


def _enabling(snapshot: Snapshot) -> Submenu:
    rows = (Check(_label(view), Enable(view.id, not view.enabled), view.enabled) for view in snapshot.accounts)
    return Submenu("Enable or disable", tuple(rows))


# --- words -----------------------------------------------------------------------------------------


def _headline(views: Sequence[AccountView], now: float) -> str:
    active = next((view for view in views if view.active), None)
    if active is None:
        return _nobody(views, now)
    return f"{_label(active)}: {shorten(active.reason, TEXT_LENGTH)}" if active.reason else _label(active)


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


def _row(view: AccountView, now: float) -> str:
    marks = ", ".join(filter(None, ("pinned" if view.pinned else "", "borrowed" if view.borrowed_from else "")))
    return f"{_label(view)}{f' ({marks})' if marks else ''} — {_state(view, now)}"


def _label(view: AccountView) -> str:
    return shorten(view.label, LABEL_LENGTH) or view.id


def _state(view: AccountView, now: float) -> str:
    if view.standing is Standing.READY:
        return _windows(view, now) or STANDING_NAMES[Standing.READY]
    words = STANDING_NAMES[view.standing]
    if view.standing is Standing.COOLING and view.until_at is not None:
        words += f" until {clock_time(view.until_at, now)}"
    detail = shorten(view.detail, TEXT_LENGTH)
    return f"{words}: {detail}" if detail and view.standing is not Standing.DISABLED else words


def _windows(view: AccountView, now: float) -> str:
    """Every window's share, and the reset of the one that counts most."""
    return " · ".join(_window(w, now, with_reset=w is view.tightest) for w in view.windows[:WINDOWS_SHOWN])


def _window(window: WindowView, now: float, *, with_reset: bool) -> str:
    text = f"{shorten(window_name(window), LABEL_LENGTH)} {percent(window.utilization)}"
    if with_reset and window.resets_at is not None and window.resets_at > now:
        text += f", resets {clock_time(window.resets_at, now)}"
    return text


def _unpin_label(view: AccountView, now: float) -> str:
    until = f" (pinned until {clock_time(view.pinned_until_at, now)})" if view.pinned_until_at is not None else ""
    return f"Unpin {_label(view)}{until}"


def _click(view: AccountView) -> Action | None:
    match view.standing:
        case Standing.READY | Standing.COOLING:
            return Pin(view.id)
        case Standing.SIGN_IN:
            return AddAccount(view.kind)
        case Standing.LOCKED | Standing.DISABLED:
            return None


def _moments(view: AccountView) -> Iterator[float]:
    ends = (view.until_at, view.pinned_until_at, *(window.resets_at for window in view.windows))
    yield from (end for end in ends if end is not None)
