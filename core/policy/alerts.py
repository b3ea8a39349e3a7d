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
from core.wording import PROVIDER_NAMES, clock_time, percent, window_name

_DAY_MIN = 24 * 60
DETAILS = NotificationAction("Details")


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
            until = f" until {clock_time(until_at, now)}" if until_at is not None else ""
            title = f"{label(pool, source)} → {label(pool, target)}"
            body = f"{text[:1].upper()}{text[1:]}{until}."
            back = NotificationAction("Switch back", "pin", {"account": source})
            return Notification(title, body, key="failover", actions=(back, DETAILS))
        case AllSpent(account=str() as stays_with, ready_at=ready_at, family=family):
            title = f"{label(pool, stays_with)} is spent{f' for {family}' if family else ''}, and failover is off"
            until = f" until {clock_time(ready_at, now)}" if ready_at else ""
            body = f"Nothing is served{until}, unless you choose another account."
            on = NotificationAction("Switch failover on", "config_set", {"key": "failover", "text": "on"})
            return Notification(title, body, key="all-spent", urgent=True, actions=(on, DETAILS))
        case AllSpent(ready_at=ready_at, family=family):
            title = f"All accounts are spent for {family}" if family else "All accounts are spent"
            body = f"The first is ready at {clock_time(ready_at, now)}." if ready_at else "None of them can serve now."
            return Notification(title, body, key="all-spent", urgent=True)
        case LoginRequired(account=account, text=text):
            return Notification(f"Sign in again: {label(pool, account)}", text, key=f"login-{account}", urgent=True)
        case ClientNotServed(account=account, text=text):
            return Notification(f"{label(pool, account)} does not serve this program", text, key=f"client-{account}")
        case WindowFilled():
            return _filled(event, label(pool, event.account), now)
        case WindowReset(account=account, window=window):
            body = f"The {window_name(window)} window has begun anew."
            return Notification(f"{label(pool, account)} has quota again", body, key=f"reset-{account}")
        case ExtraUsageBegan(account=account):
            body = "Its plan is spent, and what is asked now is paid beyond it."
            stop = NotificationAction("Keep to the plan", "plan_limits", {"account": account, "on": True})
            return Notification(
                f"{label(pool, account)} uses paid extra usage", body, key=f"paid-{account}", actions=(stop, DETAILS)
            )
        case ProviderLost(provider=provider, text=text):
            body = f"{text[:1].upper()}{text[1:]}. Requests wait until it answers again."
            return Notification(f"{PROVIDER_NAMES[provider]} cannot be reached", body, key=f"lost-{provider}")
        case ProviderBack(provider=provider):
            return Notification(f"{PROVIDER_NAMES[provider]} is back", "", key=f"lost-{provider}")
        case SessionMoved() | CooldownStarted() | LoginRenewed() | RenewalFailed() | Changed():
            return None
        case _:
            assert_never(event)


def _filled(event: WindowFilled, name: str, now: float) -> Notification:
    window, key = event.window, f"window-{event.account}-{event.window.name}"
    spent = f"{window_name(window)} at {percent(window.utilization)}"
    resets = "" if window.resets_at is None else f"resets at {clock_time(window.resets_at, now)}"
    if event.dry_at is None:
        return Notification(f"{name}: {spent}", f"{resets[:1].upper()}{resets[1:]}.", key=key)
    dry = f"at this pace it is full at {clock_time(event.dry_at, now)}"
    if event.alert is Alert.DRY:
        return Notification(f"{name} runs dry at {clock_time(event.dry_at, now)}", f"{spent}; {resets}.", key=key)
    return Notification(f"{name}: {spent}", f"{dry[:1].upper()}{dry[1:]}; {resets}.", key=key)
