"""What the person is told, and in which words. Pure: an event and the pool after it in, at most one message out."""

from datetime import datetime
from typing import assert_never

from core.model import (
    AccountId,
    Alert,
    AllSpent,
    Changed,
    ClientNotServed,
    CooldownStarted,
    Event,
    ExtraUsageBegan,
    FailedOver,
    LoginRenewed,
    LoginRequired,
    Notification,
    NotificationAction,
    Pool,
    ProviderBack,
    ProviderLost,
    QuietHours,
    RenewalFailed,
    SessionMoved,
    WindowFilled,
    WindowReset,
)
from core.wording import PROVIDER_NAMES, clock_time, on_clock, percent, until, window_name
from core.words import translate as _

_DAY_MIN = 24 * 60


def label(pool: Pool, id_: AccountId) -> str:
    """The account's label; its id when it is gone."""
    state = pool.state(id_)
    return state.account.label if state else id_


def is_quiet(hours: QuietHours | None, now: float) -> bool:
    """Whether the person wants no interruption at this time of their day. From 22:00 to 07:00 goes over midnight."""
    if hours is None:
        return False
    moment = datetime.fromtimestamp(now).astimezone()
    minute = moment.hour * 60 + moment.minute
    return (minute - hours.from_min) % _DAY_MIN < (hours.to_min - hours.from_min) % _DAY_MIN


def notification(event: Event, pool: Pool, now: float) -> Notification | None:
    """The message for an event, None when it is not worth an interruption.

    Of a muted account only what the person must do is told.
    """
    if isinstance(event, FailedOver | WindowFilled | WindowReset | ClientNotServed):
        about = pool.state(event.source if isinstance(event, FailedOver) else event.account)
        if about and about.account.muted:
            return None
    match event:
        case FailedOver(source=source, target=target, text=text, until_at=until_at):
            title = f"{label(pool, source)} → {label(pool, target)}"
            body = _sentence(text if until_at is None else until(until_at, now, text))
            back = NotificationAction(_("Switch back"), "pin", {"account": source})
            return Notification(title, body, key="failover", actions=(back, _details()))
        case AllSpent():
            return _all_spent(event, pool, now)
        case LoginRequired(account=account, text=text):
            title = _("Sign in again: {account}").format(account=label(pool, account))
            return Notification(title, text, key=f"login-{account}", urgent=True)
        case ClientNotServed(account=account, text=text):
            title = _("{account} does not serve this program").format(account=label(pool, account))
            return Notification(title, text, key=f"client-{account}")
        case WindowFilled():
            return _filled(event, label(pool, event.account), now)
        case WindowReset(account=account, window=window):
            title = _("{account} has quota again").format(account=label(pool, account))
            body = _("The {window} window has begun anew.").format(window=window_name(window))
            return Notification(title, body, key=f"reset-{account}")
        case ExtraUsageBegan(account=account):
            title = _("{account} uses paid extra usage").format(account=label(pool, account))
            body = _("Its plan is spent, and what is asked now is paid beyond it.")
            stop = NotificationAction(_("Keep to the plan"), "plan_limits", {"account": account, "on": True})
            return Notification(title, body, key=f"paid-{account}", actions=(stop, _details()))
        case ProviderLost(provider=provider, text=text):
            title = _("{provider} cannot be reached").format(provider=PROVIDER_NAMES[provider])
            body = " ".join((_sentence(text), _("Requests wait until it answers again.")))
            return Notification(title, body, key=f"lost-{provider}")
        case ProviderBack(provider=provider):
            title = _("{provider} is back").format(provider=PROVIDER_NAMES[provider])
            return Notification(title, "", key=f"lost-{provider}")
        case SessionMoved() | CooldownStarted() | LoginRenewed() | RenewalFailed() | Changed():
            return None
        case _:
            assert_never(event)


def _all_spent(event: AllSpent, pool: Pool, now: float) -> Notification:
    time, model = clock_time(event.ready_at, now) if event.ready_at else "", event.family
    if event.account is not None:
        return _one_spent(label(pool, event.account), model, time)
    title = _("All accounts are spent for {model}").format(model=model) if model else _("All accounts are spent")
    body = _("The first is ready at {time}.").format(time=time) if time else _("None of them can serve now.")
    return Notification(title, body, key="all-spent", urgent=True)


def _one_spent(account: str, model: str | None, time: str) -> Notification:
    """The only one that may serve, since failover is off."""
    title = _("{account} is spent, and failover is off")
    if model:
        title = _("{account} is spent for {model}, and failover is off")
    body = _("Nothing is served, unless you choose another account.")
    if time:
        body = _("Nothing is served until {time}, unless you choose another account.").format(time=time)
    on = NotificationAction(_("Switch failover on"), "failover", {"on": True})
    told = title.format(account=account, model=model)
    return Notification(told, body, key="all-spent", urgent=True, actions=(on, _details()))


def _filled(event: WindowFilled, name: str, now: float) -> Notification:
    window = event.window
    spent = _("{window} at {percent}").format(window=window_name(window), percent=percent(window.utilization))
    resets = "" if window.resets_at is None else _("resets {when}").format(when=on_clock(window.resets_at, now))
    dry = "" if event.dry_at is None else clock_time(event.dry_at, now)
    if dry and event.alert is Alert.DRY:
        title, body = _("{account} runs dry at {time}").format(account=name, time=dry), _sentence(spent, resets)
    else:
        full = _("at this pace it is full at {time}").format(time=dry) if dry else ""
        title, body = f"{name}: {spent}", _sentence(full, resets)
    return Notification(title, body, key=f"window-{event.account}-{window.name}")


def _details() -> NotificationAction:
    return NotificationAction(_("Details"))


def _sentence(*parts: str) -> str:
    """Parts of a sentence as one."""
    said = "; ".join(filter(None, parts))
    return f"{said[:1].upper()}{said[1:]}." if said else ""
