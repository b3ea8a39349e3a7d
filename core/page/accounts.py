"""The view of the accounts: a snapshot as HTML. Pure.

A button carries its order, or names the dialog that asks first.
"""

from collections.abc import Mapping, Sequence
from html import escape

import msgspec

from core import deeds
from core.clients import on_this_machine
from core.deeds import Deed, Remedy, Switch
from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    Level,
    ProviderName,
    Snapshot,
    Standing,
    Strategy,
    WindowView,
)
from core.page.parts import attributes, inside, move
from core.wording import (
    FAILOVER_OFF_TEXT,
    KIND_NAMES,
    PROVIDER_NAMES,
    STRATEGY_WORDS,
    age_text,
    clock_time,
    headroom_text,
    notes,
    outlook,
    pause_text,
    percent,
    state_text,
    window_name,
)

_SIGNS = {Level.OK: "●", Level.WARN: "▲", Level.SPENT: "■", Level.UNKNOWN: "○"}
"""A shape for each level, since not everybody sees the colour."""
_ALL = "all"


def view(snapshot: Snapshot) -> str:
    """What changes: accounts and moves."""
    ids = [account.id for account in snapshot.accounts]
    accounts = "".join(_account(account, ids, snapshot.at) for account in snapshot.accounts)
    demo = "Demo with simulated accounts · " if snapshot.demo else ""
    return (
        f'<p id="instance" class="soft">{demo}<code>{escape(snapshot.address)}</code> · version '
        f"{escape(snapshot.version)}</p>{_choices(snapshot)}{_headroom(snapshot)}"
        f"{accounts or '<p>No account yet. Add one below.</p>'}"
        f'<section id="programs" aria-labelledby="programs-title"><h2 id="programs-title">Programs</h2>'
        f"{_programs(snapshot)}</section>"
        f'<section id="moves" aria-labelledby="moves-title"><h2 id="moves-title">Recent moves</h2>'
        f"{_moves(snapshot)}</section>"
    )


def _moves(snapshot: Snapshot) -> str:
    if not snapshot.moves:
        return "<p>None.</p>"
    moves = "".join(move(happened, snapshot.at) for happened in snapshot.moves)
    return f'<ul class="entries">{moves}</ul><p><a href="#activity">All that happened</a></p>'


def _choices(snapshot: Snapshot) -> str:
    """What is chosen for all accounts: whether anything is let through, whether others take over, who goes first."""
    paused = f"<strong>{escape(pause_text(snapshot.pause, snapshot.at))}</strong> " if snapshot.pause else ""
    buttons = "".join(_button(deed, _ALL) for deed in deeds.pausing(snapshot.pause))
    failover = _switch(deeds.failover(on=snapshot.failover), _ALL)
    off = "" if snapshot.failover else f'<p class="soft">{escape(FAILOVER_OFF_TEXT)}.</p>'
    return (
        f'<p class="choice">{paused}{buttons}</p><p class="choice">{_strategies(snapshot.strategy)} {failover}</p>{off}'
    )


def _programs(snapshot: Snapshot) -> str:
    """Which programs point here. Switching one on changes its settings, switching it off gives them back."""
    switches = "".join(
        _program(deeds.program(client.name, name, on=name in snapshot.programs), name)
        for name, client in on_this_machine().items()
    )
    return (
        '<p class="soft">What you switch on gets settings that point to Tidegate; switched off, they are as they '
        f'were.</p><div class="switches">{switches}</div>'
    )


def _program(switch: Switch, name: str) -> str:
    """Switching it on shows first what that would change."""
    asks = {"data-dialog": "connect", "data-client": name, "data-label": switch.label}
    return _box(switch, {**_named(switch.label, _ALL), **asks, "data-off": _order(switch.turn_off)})


def _strategies(current: Strategy) -> str:
    """Who goes first, to choose from. An option's value is its order."""
    orders = {name: _order(Deed(name, "strategy", {"name": name})) for name in STRATEGY_WORDS}
    options = inside({orders[name]: f"{name}: {words}" for name, words in STRATEGY_WORDS.items()}, orders[current])
    return f'<label for="strategy">Strategy</label> <select id="strategy">{options}</select>'


def _headroom(snapshot: Snapshot) -> str:
    said = {provider: headroom_text(snapshot, provider) for provider in ProviderName}
    return "".join(f"<p>{escape(f'{PROVIDER_NAMES[provider]}: {text}')}</p>" for provider, text in said.items() if text)


# --- one account -----------------------------------------------------------------------------------


def _account(account: AccountView, ids: Sequence[AccountId], now: float) -> str:
    id_ = escape(account.id)
    windows = "".join(_window(window, now) for window in account.windows)
    return (
        f'<article id="account-{id_}" class="{"active" if account.active else ""}" aria-labelledby="label-{id_}">'
        f'<header><h3 id="label-{id_}">{escape(account.label)}</h3>'
        f"{_state(account, now)}</header>"
        f'<p class="soft">{escape(_about(account))}</p>'
        f"{''.join(f'<p>{escape(line)}</p>' for line in _lines(account, now))}"
        f"{f'<dl>{windows}</dl>' if windows else ''}"
        f'<div class="deeds">{_remedy(account)}{_manage(account, ids)}</div></article>'
    )


def _state(account: AccountView, now: float) -> str:
    waits = account.standing in {Standing.SIGN_IN, Standing.LOCKED}
    look, sign = ("spent", "!") if waits else (account.level, _SIGNS[account.level])
    return f'<p class="{look}"><span aria-hidden="true">{sign}</span> {escape(state_text(account, now))}</p>'


def _about(account: AccountView) -> str:
    facts = (KIND_NAMES[account.kind], account.plan, account.email, f"{account.served} served")
    return " · ".join(filter(None, facts))


def _lines(account: AccountView, now: float) -> list[str]:
    """What is worth a line of its own."""
    serving = f"Serves now: {account.reason}" if account.active else ""
    if account.pinned:
        until = "" if account.pinned_until_at is None else f" until {clock_time(account.pinned_until_at, now)}"
        serving = " · ".join(filter(None, (serving, f"pinned{until}")))
    return list(filter(None, (serving, *notes(account, now))))


def _window(window: WindowView, now: float) -> str:
    width = 100 * min(1.0, max(0.0, window.utilization or 0.0))
    resets = f"resets {clock_time(window.resets_at, now)}" if window.resets_at is not None else ""
    said = ", ".join(filter(None, (percent(window.utilization), resets, age_text(window.seen_at, now))))
    return (
        f"<dt>{escape(window_name(window))}</dt><dd>"
        '<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{window.level}" width="{width:.0f}" height="1"/></svg>'
        f"<span>{escape(said)}</span></dd>{_outlook(window, now)}"
    )


def _outlook(window: WindowView, now: float) -> str:
    look = "warn" if window.dry_at is not None else "soft"
    return f'<dd class="outlook {look}">{escape(said)}</dd>' if (said := outlook(window, now)) else ""


# --- what can be done with it ----------------------------------------------------------------------


def _remedy(account: AccountView) -> str:
    """The button that an account needs now stands apart from the others."""
    match deeds.remedy(account):
        case Remedy.SIGN_IN:
            return _asking("sign-in", "Sign in again", account, kind=account.kind, main=True)
        case Remedy.OWN_LOGIN:
            return _asking("sign-in", "Make it Tidegate's own", account, kind=account.kind, main=True)
        case Remedy.KEY:
            return _asking("add-key", "Add another key", account, kind=account.kind, main=True)
        case None:
            return ""


def _manage(account: AccountView, ids: Sequence[AccountId]) -> str:
    done = (*deeds.pinning(account), *deeds.moves(ids, account.id), *deeds.repairs(account))
    again = account.kind is AccountKind.CLAUDE and deeds.remedy(account) is None
    own = len(deeds.removals(account)) > 1
    return (
        f'<details id="manage-{escape(account.id)}"><summary>Manage'
        f'<span class="aside"> {escape(account.label)}</span></summary>'
        f'<div class="switches">{"".join(_switch(switch, account.id) for switch in deeds.switches(account))}</div>'
        f'<div class="buttons">{"".join(_button(deed, account.id) for deed in done)}'
        f"{_asking('sign-in', 'Sign in again…', account, kind=account.kind) if again else ''}"
        f"{_asking('rename', 'Rename…', account)}"
        f"{_asking('remove', 'Remove…', account, own='yes' if own else '')}</div></details>"
    )


def _button(deed: Deed, whose: str) -> str:
    given = attributes({**_named(deed.label, whose), "data-order": _order(deed)})
    return f"<button {given}>{escape(deed.label)}</button>"


def _switch(switch: Switch, whose: str) -> str:
    orders = {"data-on": _order(switch.turn_on), "data-off": _order(switch.turn_off)}
    return _box(switch, {**_named(switch.label, whose), **orders})


def _box(switch: Switch, given: Mapping[str, str]) -> str:
    on = " checked" if switch.on else ""
    return f'<label><input type="checkbox" {attributes(given)}{on}> {escape(switch.label)}</label>'


def _named(label: str, whose: str) -> dict[str, str]:
    """An id of its own lets the focus stay where it was when the card is drawn anew."""
    return {"id": f"{label.lower().replace(' ', '-')}-{whose}"}


def _order(deed: Deed) -> str:
    return msgspec.json.encode((deed.order, deed.arguments)).decode()


def _asking(dialog: str, label: str, account: AccountView, *, main: bool = False, **more: str) -> str:
    facts = {"data-dialog": dialog, "data-account": account.id, "data-label": account.label}
    facts |= {f"data-{name}": value for name, value in more.items() if value}
    facts |= {"class": "main"} if main else {}
    return f"<button {attributes({'id': f'{dialog}-{account.id}', **facts})}>{escape(label)}</button>"
