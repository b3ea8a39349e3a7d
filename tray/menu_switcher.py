"""The part of the menu that switches: who serves and why, and a row for each account whose click lets it serve.

A menu must fit on a screen, so with many accounts those that serve and the first of the others have a row in it, and
the rest stand one step away.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from core.model import AccountId, AccountView, ProviderName, Snapshot, Standing
from core.wording import clock_time, headroom_text
from core.words import N_, Table, ngettext
from core.words import translate as _
from tray import menu_account
from tray.items import Action, Button, Item, Order, Radio, Separator, Submenu
from tray.menu_words import TEXT_LENGTH, label_of, row, shorten, tell

ROWS = 12
"""Accounts in the menu itself."""
GROUP = 20
"""Rows that stand together behind one: about as many as fit on a small screen."""
PLACE = "accounts"

PROVIDER_NAMES = Table({ProviderName.ANTHROPIC: N_("Claude"), ProviderName.OPENCODE_GO: N_("OpenCode Go")})
"""As people call what they have, not who sells it."""


def switcher(snapshot: Snapshot, now: float) -> Iterator[Item]:
    """Per provider: who serves and why, a row for each account, for how long all last, the way out of a pin."""
    providers = tuple(dict.fromkeys(view.provider for view in snapshot.accounts))
    foremost = _foremost(snapshot.accounts)
    if not providers:
        yield tell(nobody((), now), PLACE)
        yield Separator()
    for provider in providers:
        views = tuple(view for view in snapshot.accounts if view.provider is provider)
        topic = "" if len(providers) == 1 else PROVIDER_NAMES[provider]
        yield tell(_headline(views, now, topic, paused=snapshot.pause is not None), PLACE)
        yield from _rows(views, foremost, now)
        if lasting := headroom_text(snapshot, provider):
            yield tell(lasting, PLACE)
        yield from (Button(_unpin_label(view, now), _unpin(provider)) for view in views if view.pinned)
        yield Separator()


def in_groups(rows: Sequence[tuple[str, Item]]) -> tuple[Item, ...]:
    """Rows, each with the name it goes by; too many to stand together are put behind rows such as `Home to Work`."""

    def together(group: Sequence[tuple[str, Item]]) -> Submenu:
        # TRANSLATORS: a part of a long list of accounts, `Home to Work`.
        label = _("{first} to {last}").format(first=group[0][0], last=group[-1][0])
        return Submenu(label, in_groups(group))

    if len(rows) <= GROUP:
        return tuple(item for _name, item in rows)
    return tuple(together(rows[start : start + GROUP]) for start in range(0, len(rows), GROUP))


def nobody(views: Sequence[AccountView], now: float) -> str:
    """Why no account serves, with the nearest way out first."""
    if not views:
        return _("No account yet")
    resting = [view for view in views if view.standing is Standing.COOLING]
    until = min((view.until_at for view in resting if view.until_at is not None), default=None)
    if until is not None:
        return _("Nobody can serve before {time}").format(time=clock_time(until, now))
    standings = {view.standing for view in views}
    if standings == {Standing.DISABLED}:
        return _("All accounts are disabled")
    if Standing.LOCKED in standings:
        return _("Unlock the keychain to go on")
    if Standing.SIGN_IN in standings:
        return _("Sign in again to go on")
    return _("Nobody can serve now") if resting else _("No account has served yet")


def _foremost(views: Sequence[AccountView]) -> AbstractSet[AccountId]:
    """Who has a row in the menu itself: those that serve or should, then the first in the person's order."""
    ranked = sorted(views, key=lambda view: not (view.active or view.pinned))  # keeps the order otherwise
    return frozenset(view.id for view in ranked[:ROWS])


def _rows(views: Sequence[AccountView], foremost: AbstractSet[AccountId], now: float) -> Iterator[Item]:
    def radio(view: AccountView) -> Radio:
        return Radio(row(view, now), _click(view), checked=view.active)

    yield from (radio(view) for view in views if view.id in foremost)
    others = [(label_of(view), radio(view)) for view in views if view.id not in foremost]
    if others:
        count = len(others)
        label = ngettext("{count} more account", "{count} more accounts", count)
        yield Submenu(label.format(count=count), in_groups(others))


def _headline(views: Sequence[AccountView], now: float, topic: str, *, paused: bool) -> str:
    """Who serves and why, or why nobody does. `topic` stands before it; without one it is what is told."""
    active = next((view for view in views if view.active), None)
    if active is None:
        words = nobody(views, now)
    else:
        # TRANSLATORS: before the account that will serve once the pause is over.
        topic = topic or (_("Next") if paused else _("Serving now"))
        words = label_of(active)
        if active.reason:
            words = f"{words} — {shorten(active.reason, TEXT_LENGTH)}"
    return _("{topic}: {words}").format(topic=topic, words=words) if topic else words


def _unpin_label(view: AccountView, now: float) -> str:
    if view.pinned_until_at is None:
        return _("Unpin {account}").format(account=label_of(view))
    until = clock_time(view.pinned_until_at, now)
    return _("Unpin {account} (pinned until {time})").format(account=label_of(view), time=until)


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
