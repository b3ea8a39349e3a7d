"""The part of the menu that is about one account: what it needs, what it is, what can be done with it."""

from collections.abc import Iterable, Iterator

from core import deeds
from core.deeds import Deed, Remedy
from core.model import AccountKind, AccountView, Standing
from core.wording import KIND_NAMES, age_text, clock_time, notes, outlooks
from tray.items import Action, Button, Check, Item, Line, OpenDashboard, Order, Separator, SignIn, Submenu
from tray.menu_words import TEXT_LENGTH, label_of, shorten

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
    action, label = remedy_action(view), label_of(view)
    ends_at, ended = view.login.ends_at, view.standing is Standing.SIGN_IN
    match deeds.remedy(view):
        case Remedy.SIGN_IN:
            when = "" if ended else " soon" if ends_at is None else f" by {clock_time(ends_at, now)}"
            return Button(f"Sign in again{when}: {label}", action)
        case Remedy.OWN_LOGIN:
            until = "" if ended or ends_at is None else f" (borrowed until {clock_time(ends_at, now)})"
            return Button(f"Make {label} Tidegate's own…{until}", action)
        case Remedy.KEY:
            return Button(f"Add another key for {label}…", action)
        case None:
            return None


def submenu(view: AccountView, now: float) -> Submenu:
    """Everything about one account."""
    return Submenu(
        label_of(view),
        (
            *(Line(shorten(text, TEXT_LENGTH)) for text in _about(view, now)),
            Separator(),
            *_signing_in(view),
            *_buttons(deeds.pinning(view)),
            *(Check(switch.label, _order(switch.turn_over), switch.on) for switch in deeds.switches(view)),
            Separator(),
            *_buttons(deeds.repairs(view)),
            Button("Rename…", OpenDashboard(f"rename-{view.id}")),
            Submenu("Remove…", tuple(_buttons(deeds.removals(view)))),
        ),
    )


def _about(view: AccountView, now: float) -> Iterator[str]:
    yield " · ".join(filter(None, (KIND_NAMES[view.kind], view.plan, view.email)))
    yield from notes(view, now)
    yield from (f"{said[:1].upper()}{said[1:]}" for said in outlooks(view, now))
    age = age_text(max((window.seen_at for window in view.windows), default=0.0), now)
    if age:
        yield f"Quota {age}"


def _signing_in(view: AccountView) -> Iterator[Item]:
    match deeds.remedy(view):
        case Remedy.OWN_LOGIN:
            yield Button("Make it Tidegate's own…", remedy_action(view))
        case Remedy.KEY:
            yield Button("Add another key…", remedy_action(view))
        case Remedy.SIGN_IN | None:
            if view.kind is AccountKind.CLAUDE:
                yield Button("Sign in again…", SignIn(view.kind))


def _buttons(offered: Iterable[Deed]) -> Iterator[Item]:
    yield from (Button(shorten(deed.label, TEXT_LENGTH), _order(deed)) for deed in offered)


def _order(deed: Deed) -> Order:
    return Order(deed.order, deed.arguments)
