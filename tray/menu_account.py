"""The part of the menu that is about one account: what it needs, what it is, what can be done with it."""

from collections.abc import Iterator, Sequence

from core import deeds
from core.deeds import Remedy
from core.model import AccountId, AccountKind, AccountView, Standing
from core.wording import KIND_NAMES, age_text, clock_time, notes, outlooks
from core.words import translate as _
from tray.items import Action, Button, Item, OpenDashboard, Separator, SignIn, Submenu
from tray.menu_words import button, label_of, switch, tell

ADD_KEY_PLACES = {AccountKind.API_KEY: "add-api-key", AccountKind.GO: "add-go"}
"""The status page's buttons: a key is typed where it is not shown, which a menu cannot offer."""


def remedy_action(view: AccountView) -> Action | None:
    """What a click does for an account that needs its person, None when it needs nothing."""
    match deeds.remedy(view):
        case Remedy.SIGN_IN | Remedy.OWN_LOGIN:
            return SignIn(view.kind)
        case Remedy.KEY:
            return OpenDashboard(ADD_KEY_PLACES[view.kind])
        case None:
            return None


def urgent(view: AccountView, now: float) -> Button | None:
    """The row at the top of the menu for an account that needs its person. None for one that is switched off."""
    if not view.enabled:
        return None
    time = "" if view.login.ends_at is None else clock_time(view.login.ends_at, now)
    wish = _wish(view)
    return Button(wish.format(account=label_of(view), time=time), remedy_action(view)) if wish else None


def _wish(view: AccountView) -> str:
    """What is asked of the person, with holes for the account and for until when there is time; empty for nothing."""
    ended, dated = view.standing is Standing.SIGN_IN, view.login.ends_at is not None
    match deeds.remedy(view):
        case Remedy.SIGN_IN if ended:
            return _("Sign in again: {account}")
        case Remedy.SIGN_IN:
            return _("Sign in again by {time}: {account}") if dated else _("Sign in again soon: {account}")
        case Remedy.OWN_LOGIN if dated and not ended:
            return _("Make {account} Tidegate's own… (borrowed until {time})")
        case Remedy.OWN_LOGIN:
            return _("Make {account} Tidegate's own…")
        case Remedy.KEY:
            return _("Add another key for {account}…")
        case None:
            return ""


def submenu(view: AccountView, now: float, title: str = "", order: Sequence[AccountId] = ()) -> Submenu:
    """Everything about one account. `order` is that of all accounts, where there is one to change."""
    return Submenu(
        title or label_of(view),
        (
            *(tell(text, f"account-{view.id}") for text in _about(view, now)),
            Separator(),
            *_signing_in(view),
            *map(button, deeds.pinning(view)),
            *map(switch, deeds.switches(view)),
            Separator(),
            *map(button, deeds.moves(order, view.id) if order else ()),
            *map(button, deeds.repairs(view)),
            Button(_("Rename…"), OpenDashboard(f"rename-{view.id}")),
            Submenu(_("Remove…"), tuple(map(button, deeds.removals(view)))),
        ),
    )


def _about(view: AccountView, now: float) -> Iterator[str]:
    yield " · ".join(filter(None, (KIND_NAMES[view.kind], view.plan, view.email)))
    yield from notes(view, now)
    yield from (f"{said[:1].upper()}{said[1:]}" for said in outlooks(view, now))
    age = age_text(max((window.seen_at for window in view.windows), default=0.0), now)
    if age:
        yield _("Quota {age}").format(age=age)


def _signing_in(view: AccountView) -> Iterator[Item]:
    match deeds.remedy(view):
        case Remedy.OWN_LOGIN:
            yield Button(_("Make it Tidegate's own…"), remedy_action(view))
        case Remedy.KEY:
            yield Button(_("Add another key…"), remedy_action(view))
        case Remedy.SIGN_IN | None:
            if view.kind is AccountKind.CLAUDE:
                yield Button(_("Sign in again…"), SignIn(view.kind))
