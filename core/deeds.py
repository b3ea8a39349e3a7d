"""What a person can do with one click, to an account or to all, as orders: the same in menu and status page. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.model import AccountId, AccountKind, AccountView, LoginState, Pause, Serves, Standing
from core.words import translate as _

PIN_S = 3_600.0
PAUSE_S = 3_600.0

Arguments = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Deed:
    """One click."""

    label: str
    order: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Switch:
    """What is on or off, and both ways to turn it: who clicks twice may be faster than the picture."""

    label: str
    on: bool
    turn_on: Deed
    turn_off: Deed

    @property
    def turn_over(self) -> Deed:
        """What a click does in the picture as it is."""
        return self.turn_off if self.on else self.turn_on


# --- to all ----------------------------------------------------------------------------------------


def pausing(pause: Pause | None) -> tuple[Deed, ...]:
    """Let nothing through, or let requests through again."""
    if pause:
        return (Deed(_("Resume"), "resume", {}),)
    return Deed(_("Pause for 1 h"), "pause", {"for_s": PAUSE_S}), Deed(_("Pause until resumed"), "pause", {})


def failover(*, on: bool) -> Switch:
    """Whether others serve when an account cannot."""
    ways = (Deed(_("Failover on"), "failover", {"on": True}), Deed(_("Failover off"), "failover", {"on": False}))
    return Switch(_("Failover"), on, *ways)


def program(label: str, name: str, *, on: bool) -> Switch:
    """Whether a program's settings point to Tidegate."""
    here = {"client": name}
    return Switch(label, on, Deed(_("Connect"), "connect", here), Deed(_("Undo"), "undo", here))


def setting(label: str, key: str, *, on: bool) -> Switch:
    """A setting that is on or off."""
    labels = {"on": _("{setting} on"), "off": _("{setting} off")}
    ways = (Deed(said.format(setting=label), "config_set", {"key": key, "text": text}) for text, said in labels.items())
    return Switch(label, on, *ways)


# --- to one account --------------------------------------------------------------------------------


class Remedy(StrEnum):
    """What keeps an account going that only the person can give."""

    SIGN_IN = "sign-in"
    OWN_LOGIN = "own-login"
    """A login of Tidegate's own in place of one that is borrowed from another program."""
    KEY = "key"


def remedy(view: AccountView) -> Remedy | None:
    """What the account needs now or soon, None when it needs nothing."""
    if view.kind is AccountKind.CLAUDE:
        if view.borrowed_from:
            return Remedy.OWN_LOGIN
        wanted = view.standing is Standing.SIGN_IN or view.login.state is LoginState.ENDING
        return Remedy.SIGN_IN if wanted else None
    return Remedy.KEY if view.standing is Standing.SIGN_IN else None


def pinning(view: AccountView) -> tuple[Deed, ...]:
    """Let the account serve, or let the strategy choose again."""
    if view.pinned:
        return (Deed(_("Unpin"), "unpin", {"account": view.id}),)
    if not view.enabled:
        return ()
    return (
        Deed(_("Pin for 1 h"), "pin", {"account": view.id, "for_s": PIN_S}),
        Deed(_("Pin until unpinned"), "pin", {"account": view.id}),
    )


def switches(view: AccountView) -> tuple[Switch, ...]:
    """What is on or off."""
    here = {"account": view.id}
    enabled = Switch(_("Enabled"), view.enabled, Deed(_("Enable"), "enable", here), Deed(_("Disable"), "disable", here))
    serves = Switch(
        _("Serve Claude Code only"),
        view.serves is Serves.CLAUDE_CODE,
        Deed(_("Serve Claude Code only"), "serves", {**here, "serves": Serves.CLAUDE_CODE.value}),
        Deed(_("Serve every client"), "serves", {**here, "serves": Serves.ANY.value}),
    )
    limits = Switch(
        _("Plan limits only"),
        view.plan_limits_only,
        Deed(_("Keep to plan limits"), "plan_limits", {**here, "on": True}),
        Deed(_("Allow extra usage"), "plan_limits", {**here, "on": False}),
    )
    mute = Switch(
        _("No notifications about it"),
        view.muted,
        Deed(_("Mute"), "mute", {**here, "on": True}),
        Deed(_("Unmute"), "mute", {**here, "on": False}),
    )
    match view.kind:
        case AccountKind.CLAUDE:
            return enabled, limits, serves, mute
        case AccountKind.API_KEY:
            return enabled, serves, mute
        case AccountKind.GO:
            return enabled, mute


def repairs(view: AccountView) -> tuple[Deed, ...]:
    """What helps when the picture is wrong."""
    reset = Deed(_("Reset"), "reset", {"account": view.id})
    if view.kind is AccountKind.CLAUDE and not view.borrowed_from:
        return Deed(_("Refresh login now"), "refresh", {"account": view.id}), reset
    return (reset,)


def removals(view: AccountView) -> tuple[Deed, ...]:
    """The ways to remove an account, for a person who is sure. Only a login of our own can be ended at the provider."""
    removal = Deed(
        _("Yes, remove {account}").format(account=view.label), "remove", {"account": view.id, "revoke": False}
    )
    if view.kind is not AccountKind.CLAUDE or view.borrowed_from:
        return (removal,)
    label = _("Yes, remove {account} and sign out at the provider").format(account=view.label)
    return removal, Deed(label, "remove", {"account": view.id, "revoke": True})


def moves(ids: Sequence[AccountId], id_: AccountId) -> tuple[Deed, ...]:
    """One place up, one place down, where there is one."""
    place = ids.index(id_)
    swaps = ((_("Move up"), place - 1, place), (_("Move down"), place, place + 1))
    return tuple(
        Deed(label, "order", {"accounts": [*ids[:first], ids[second], ids[first], *ids[second + 1 :]]})
        for label, first, second in swaps
        if first >= 0 and second < len(ids)
    )
