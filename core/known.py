"""Whether an account is here already: by the provider's ids or by its key, never by guess. Pure."""

import hashlib
from collections.abc import Iterable

from core.model import Account, AccountKind, Identity

SETUP_TOKEN_PREFIX = "sk-ant-oat"  # noqa: S105 - how such a token begins, not one
"""What `claude setup-token` prints: a login in the form of a key."""
SETUP_TOKEN_LIFE_S = 365 * 86_400.0
BY_KEY = "key:"
"""How an identity begins that is a digest and not an id of the provider."""


def identity_of(key: str) -> Identity:
    """What a key is known by before the provider is asked: a digest of it."""
    return Identity(account_uuid=f"{BY_KEY}{hashlib.sha256(key.encode()).hexdigest()[:16]}")


def same(accounts: Iterable[Account], kind: AccountKind, identity: Identity) -> Account | None:
    """The account with this key or login. Who is not known by the provider's ids is never the same by guess."""
    if not identity.account_uuid:
        return None
    return next((a for a in accounts if a.kind is kind and who(a.identity) == who(identity)), None)


def who(identity: Identity) -> tuple[str, str]:
    """What two identities of one account have in common."""
    by_key = identity.account_uuid.startswith(BY_KEY)  # whose organisation is learned later, if at all
    return identity.account_uuid, "" if by_key else identity.organization_uuid
