"""What the person is told, and in which words. Pure: an event and the pool after it in, at most one message out."""

from typing import assert_never

from core.model import (
    AccountId,
    AllSpent,
    Changed,
    ClientNotServed,
    CooldownStarted,
    Event,
    FailedOver,
    LoginRequired,
    Notification,
    Pool,
)
from core.wording import clock_time


def label(pool: Pool, id_: AccountId) -> str:
    """The account's label; its id when it is gone."""
    state = pool.state(id_)
    return state.account.label if state else id_


def notification(event: Event, pool: Pool, now: float) -> Notification | None:
    """The message for an event, None when it is not worth an interruption."""
    match event:
        case FailedOver(source=source, target=target, text=text, until_at=until_at):
            until = f" until {clock_time(until_at, now)}" if until_at is not None else ""
            title = f"{label(pool, source)} → {label(pool, target)}"
            return Notification(title, f"{text[:1].upper()}{text[1:]}{until}.", key="failover")
        case AllSpent(ready_at=ready_at, family=family):
            title = f"All accounts are spent for {family}" if family else "All accounts are spent"
            body = f"The first is ready at {clock_time(ready_at, now)}." if ready_at else "None of them can serve now."
            return Notification(title, body, key="all-spent", urgent=True)
        case LoginRequired(account=account, text=text):
            return Notification(f"Sign in again: {label(pool, account)}", text, key=f"login-{account}", urgent=True)
        case ClientNotServed(account=account, text=text):
            return Notification(f"{label(pool, account)} does not serve this program", text, key=f"client-{account}")
        case CooldownStarted() | Changed():
            return None
        case _:
            assert_never(event)
