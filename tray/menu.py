"""The tray menu as values: what is shown for a snapshot, and what each row would do when it is clicked.

The menu alone is a complete switcher, because some desktops open it on every click and offer nothing else. What is
wanted every day stands in it, in the order in which it matters; the rest is in submenus.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from core import deeds
from core.clients import Client, on_this_machine
from core.import_glance import Glance
from core.model import AccountKind, AccountView, Move, ProviderName, Snapshot, Strategy
from core.wording import FAILOVER_OFF_TEXT, PROVIDER_NAMES, STRATEGY_WORDS, TERMS, clock_time, pause_text
from core.words import N_, ngettext
from core.words import translate as _
from tray import menu_account
from tray.items import (
    Action,
    Button,
    Check,
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
from tray.menu_preferences import Desk, preferences
from tray.menu_switcher import in_groups, nobody, switcher
from tray.menu_words import TEXT_LENGTH, button, label_of, row, shorten, switch, tell

ADDING: tuple[tuple[str, Action], ...] = (
    (N_("Claude login…"), SignIn(AccountKind.CLAUDE)),
    (N_("Console login for an API key…"), SignIn(AccountKind.API_KEY)),
    (N_("Anthropic API key…"), OpenDashboard(menu_account.ADD_KEY_PLACES[AccountKind.API_KEY])),
    (N_("OpenCode Go key…"), OpenDashboard(menu_account.ADD_KEY_PLACES[AccountKind.GO])),
    (N_("Import from other programs…"), OpenDashboard("add-by-import")),
)
TERMS_WIDTH = 60
TOOLTIP_LENGTH = 127
"""Windows cuts a longer tooltip in the middle of a word."""
URGENT_ROWS = 4
"""Accounts that need their person, at the top: the switcher must stay in sight."""
MOVES_SHOWN = 8
"""The status page has all that are kept."""


def build(snapshot: Snapshot, now: float, found: Glance | None = None, desk: Desk = Desk()) -> tuple[Item, ...]:  # noqa: B008 - immutable
    """The whole menu for a snapshot. `found`: what other programs have, offered while there is no account."""
    return (
        *_set_apart(_about_the_state(snapshot, now)),
        *_set_apart(_wanted(snapshot, now, found)),
        *switcher(snapshot, now),
        *_accounts(snapshot, now),
        _adding(),
        *_strategies(snapshot),
        *_moves(snapshot.moves, now),
        Separator(),
        Button(_("Open dashboard"), OpenDashboard()),
        _connecting(snapshot),
        *_pausing(snapshot),
        preferences(snapshot, desk),
        Separator(),
        Button(_("Quit Tidegate"), Quit()),
    )


def tooltip(snapshot: Snapshot, now: float) -> str:
    """One line for the mouse that rests on the icon, cut between words."""
    name = _("Tidegate demo") if snapshot.demo else "Tidegate"
    return shorten(_("{topic}: {words}").format(topic=name, words=_briefly(snapshot, now)), TOOLTIP_LENGTH)


def changes_at(snapshot: Snapshot, now: float) -> float | None:
    """When something shown ends by itself (a rest, a window, a pin, a pause), None when nothing does."""
    moments = [moment for view in snapshot.accounts for moment in _moments(view)]
    if snapshot.pause and snapshot.pause.until_at is not None:
        moments.append(snapshot.pause.until_at)
    return min((moment for moment in moments if moment > now), default=None)


# --- what is so, and what is wanted ----------------------------------------------------------------


def _about_the_state(snapshot: Snapshot, now: float) -> Iterator[Item]:
    """What is not as usual, with the way out of it."""
    if snapshot.demo:
        yield tell(_("Demo: simulated accounts"))
    if not snapshot.address:
        yield tell(_("Not listening: no program can reach Tidegate"))
    if snapshot.pause:
        yield tell(pause_text(snapshot.pause, now))
        yield from map(button, deeds.pausing(snapshot.pause))
    yield from (tell(_unreachable(provider)) for provider in snapshot.unreachable)
    if not snapshot.failover and len(snapshot.accounts) > 1:
        yield tell(_(FAILOVER_OFF_TEXT))


def _wanted(snapshot: Snapshot, now: float, found: Glance | None) -> Iterator[Item]:
    """What waits for the person."""
    wanted = [wish for view in snapshot.accounts if (wish := menu_account.urgent(view, now))]
    yield from wanted[:URGENT_ROWS]
    if others := [(wish.label, wish) for wish in wanted[URGENT_ROWS:]]:
        label = ngettext("{count} more account needs you", "{count} more accounts need you", len(others))
        yield Submenu(label.format(count=len(others)), in_groups(others))
    if found is not None and found.accounts and not snapshot.accounts:
        yield Button(_offer(found), Import())


def _set_apart(items: Iterator[Item]) -> tuple[Item, ...]:
    """A group of its own, unless it is empty."""
    group = tuple(items)
    return (*group, Separator()) if group else ()


def _unreachable(provider: ProviderName) -> str:
    return _("{provider} cannot be reached; requests wait").format(provider=PROVIDER_NAMES[provider])


def _briefly(snapshot: Snapshot, now: float) -> str:
    if snapshot.pause:
        return pause_text(snapshot.pause, now)
    view = snapshot.active
    if view and view.provider in snapshot.unreachable:
        return _unreachable(view.provider)
    return row(view, now) if view else nobody(snapshot.accounts, now)


def _offer(found: Glance) -> str:
    label = ngettext(
        "Import {count} account found ({programs})…", "Import {count} accounts found ({programs})…", found.accounts
    )
    return shorten(label.format(count=found.accounts, programs=", ".join(found.programs)), TEXT_LENGTH)


# --- submenus --------------------------------------------------------------------------------------


def _accounts(snapshot: Snapshot, now: float) -> Iterator[Item]:
    """Everything about each account; the only one needs no list."""
    match snapshot.accounts:
        case ():
            return
        case (view,):
            yield menu_account.submenu(view, now, _("Account {account}").format(account=label_of(view)))
        case views:
            order = [view.id for view in views]
            rows = [(label_of(view), menu_account.submenu(view, now, order=order)) for view in views]
            yield Submenu(_("Accounts"), in_groups(rows))


def _adding() -> Submenu:
    terms = (Line(line) for line in textwrap.wrap(_(TERMS), TERMS_WIDTH))
    return Submenu(_("Add account"), (*(Button(_(label), action) for label, action in ADDING), Separator(), *terms))


def _strategies(snapshot: Snapshot) -> Iterator[Item]:
    """Who goes first, and whether others take over: once there is something to choose from."""
    providers = [view.provider for view in snapshot.accounts]
    if len(providers) == len(set(providers)):
        return

    def radio(name: Strategy) -> Radio:
        label = shorten(f"{name} — {STRATEGY_WORDS[name]}", TEXT_LENGTH)
        return Radio(label, Order("strategy", {"name": name.value}), checked=name is snapshot.strategy)

    title = _("Strategy: {strategy}").format(strategy=snapshot.strategy)
    words = _("Failover: when an account cannot serve, others do")
    failover = replace(deeds.failover(on=snapshot.failover), label=words)
    yield Submenu(title, (*map(radio, Strategy), Separator(), switch(failover)))


def _moves(moves: Sequence[Move], now: float) -> Iterator[Item]:
    if moves:
        yield Submenu(_("Recent moves"), tuple(tell(_move(move, now), "moves") for move in moves[:MOVES_SHOWN]))


def _move(move: Move, now: float) -> str:
    source, target = (shorten(label, TEXT_LENGTH // 3) for label in (move.source, move.target))
    return f"{clock_time(move.at, now)} {source} → {target}: {shorten(move.text, TEXT_LENGTH)}"


def _connecting(snapshot: Snapshot) -> Submenu:
    def can(action: Action) -> Action | None:
        return action if snapshot.address else None

    def program(name: str, client: Client) -> Check:
        switch = deeds.program(client.name, name, on=name in snapshot.programs)
        return Check(client.name, can(Order(switch.turn_over.order, switch.turn_over.arguments)), switch.on)

    programs = (program(name, client) for name, client in on_this_machine().items())
    copy_address = _("Copy address {address}").format(address=snapshot.address).rstrip()
    return Submenu(
        _("Connect a program"),
        (*programs, Separator(), Button(copy_address, can(CopyAddress())), Button(_("Copy key"), CopyKey())),
    )


def _pausing(snapshot: Snapshot) -> Iterator[Item]:
    """A way to stop; the way on stands at the top."""
    if snapshot.accounts and not snapshot.pause:
        yield Submenu(_("Pause"), tuple(map(button, deeds.pausing(None))))


def _moments(view: AccountView) -> Iterator[float]:
    yield from (end for end in (view.until_at, view.pinned_until_at) if end is not None)
    for window in view.windows:
        yield from (end for end in (window.resets_at, window.dry_at) if end is not None)
