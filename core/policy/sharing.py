"""Whose limits an account draws on. Pure.

Console API keys share the limits of their organisation, OpenCode Go keys those of the workspace that subscribes; a
login has a seat of its own, whoever else of its organisation is here. Who is not known by the provider's ids shares
with nobody: nothing is guessed.
"""

from core.model import Account, AccountId, AccountKind, AccountState, Pool

Limits = tuple[AccountKind, str, str]


def limits(account: Account) -> Limits | None:
    """What an account's limits are known by; None when the provider has not said whose it is."""
    who = account.identity
    if not who.organization_uuid:
        return None
    if account.kind is AccountKind.CLAUDE:
        return (account.kind, who.organization_uuid, who.account_uuid) if who.account_uuid else None
    return account.kind, who.organization_uuid, ""


def shares(one: Account, other: Account) -> bool:
    """Whether the two are different accounts with the same limits."""
    return one.id != other.id and limits(one) is not None and limits(one) == limits(other)


def group(pool: Pool, id_: AccountId) -> tuple[AccountState, ...]:
    """The account with all that share its limits, in the person's order; () when it is not in the pool."""
    state = pool.state(id_)
    if state is None:
        return ()
    if limits(state.account) is None:
        return (state,)
    # Every answer goes through the whole pool here: most are sorted out by the one thing that is quick to compare.
    of = state.account.identity.organization_uuid
    near = [s for s in pool.states.values() if s.account.identity.organization_uuid == of]
    return tuple(s for s in near if s is state or shares(state.account, s.account))
