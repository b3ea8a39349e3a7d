"""Pools of made-up accounts, for tests of what is decided about them."""

from typing import Any

from msgspec.structs import replace

from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountState,
    Cause,
    Cooldown,
    Pool,
    ProviderName,
    QuotaWindow,
    Request,
    Strategy,
)

NOW = 1_800_000_000.0
A, B, C, D = (AccountId(name) for name in "abcd")
GO = AccountId("go")
ANTHROPIC = Request(ProviderName.ANTHROPIC)
OF_ACCOUNT = ("label", "enabled", "serves", "identity", "plan_limits_only")


def state(id_: str, kind: AccountKind = AccountKind.CLAUDE, **changes: Any) -> AccountState:
    """One account, labelled as its id in capitals; `changes` are fields of its Account or of its AccountState."""
    of_account = {name: changes.pop(name) for name in OF_ACCOUNT if name in changes}
    account = Account(AccountId(id_), of_account.pop("label", id_.upper()), kind, **of_account)
    return AccountState(account, **changes)


def pool(*members: str | AccountState, **changes: Any) -> Pool:
    """The accounts in this order; a name alone is a ready subscription."""
    changes.setdefault("strategy", Strategy.LEAST_UTILIZED)
    return Pool.of((state(m) if isinstance(m, str) else m for m in members), **changes)


def rest(for_s: float, text: str = "5 h window full", **changes: Any) -> Cooldown:
    """A rest from NOW."""
    return Cooldown(NOW + for_s, changes.pop("cause", Cause.QUOTA), text, **changes)


def resting(id_: str, for_s: float = 600.0, **changes: Any) -> AccountState:
    """An account that rests from NOW."""
    return state(id_, cooldowns=(rest(for_s, **changes),))


def said(of: AccountState) -> tuple[QuotaWindow, ...]:
    """The windows as answers told them, without the rate that is worked out."""
    return tuple(replace(window, rate=None) for window in of.windows)
