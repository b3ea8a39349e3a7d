"""Snapshots that the desktop tests show, by name. Test and tray are two processes, so they agree on `now`."""

from typing import Any

from msgspec.structs import replace

from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    Move,
    Pause,
    ProviderName,
    Snapshot,
    Standing,
    WindowView,
)
from core.wording import level

HOUR = 3600.0
ADDRESS = "http://127.0.0.1:8433"


def account(name: str, now: float, five: float | None = None, **options: Any) -> AccountView:
    """A Claude account, ready unless `options` say otherwise, with two windows when `five` is known."""
    kind = AccountKind.CLAUDE
    five_hours = WindowView("5h", five, now + 2 * HOUR, level(five))
    week = WindowView("7d", 0.12, now + 90 * HOUR, level(0.12))
    windows = () if five is None else (five_hours, week)
    view = AccountView(AccountId(name.lower()), name, kind, kind.provider, Standing.READY, level(five), windows=windows)
    return replace(view, **options)


def pool(now: float, five: float, *others: AccountView) -> Snapshot:
    """An account that serves, with `five` of its 5 h spent, one in reserve and one that rests."""
    rest = {"standing": Standing.COOLING, "detail": "5 h window full", "until_at": now + HOUR}
    accounts = (
        account("Work", now, five, active=True, reason="its 5 h window resets first", last_used_at=now),
        account("Home", now, 0.31),
        account("me_and@example.org", now, 1.0, **rest),
        *others,
    )
    return Snapshot(at=now, version="0.1.0", address=ADDRESS, accounts=accounts)


def readme(now: float) -> Snapshot:
    """What the README shows."""
    rest = {"standing": Standing.COOLING, "detail": "5 h window full", "until_at": now + HOUR}
    accounts = (
        account("Work", now, 0.62, active=True, reason="most room: 5 h at 62 %"),
        account("Home", now, 1.0, **rest),
        account("alex_h@example.org", now, 0.78),
    )
    return Snapshot(at=now, address=ADDRESS, accounts=accounts)


def paused(now: float) -> Snapshot:
    """What is rare, all at once."""
    moves = tuple(Move(now - 600 * n, "Home", "Work", "5 h window full") for n in range(12))
    shown = replace(pool(now, 0.62), pause=Pause(now + HOUR), failover=False, moves=moves)
    return replace(shown, unreachable=(ProviderName.ANTHROPIC,), notifications=False)


def crowd(now: float) -> Snapshot:
    """As many accounts as somebody may have who tries."""
    views = (account(f"Account {n}", now, 0.5, active=n == 30) for n in range(40))
    return Snapshot(at=now, version="0.1.0", address=ADDRESS, accounts=tuple(views))


def picture(name: str, now: float) -> Snapshot:
    """The snapshot of this name."""
    signed_out = account("Team", now, standing=Standing.SIGN_IN, detail="signed out elsewhere")
    return {
        "ok": pool(now, 0.62),
        "warn": pool(now, 0.81),
        "spent": pool(now, 0.97),
        "sign-in": pool(now, 0.62, signed_out),
        "empty": Snapshot(at=now, address=ADDRESS),
        "paused": paused(now),
        "crowd": crowd(now),
        "readme": readme(now),
    }[name]
