from core.known import identity_of, same, who
from core.model import Account, AccountId, AccountKind, Identity

ADA = Identity("ada", "org", "ada@example.org")


def account(identity: Identity, kind: AccountKind = AccountKind.CLAUDE) -> Account:
    return Account(AccountId("a"), "A", kind, identity)


def test_login_is_known_by_account_and_organisation_together() -> None:
    here = account(ADA)

    assert same([here], AccountKind.CLAUDE, Identity("ada", "org", "other@example.org")) is here
    assert same([here], AccountKind.CLAUDE, Identity("ada", "work")) is None
    assert same([here], AccountKind.API_KEY, ADA) is None


def test_key_is_known_by_its_digest_whatever_is_learned_later() -> None:
    learned = Identity(identity_of("sk-1").account_uuid, "org")

    assert who(identity_of("sk-1")) == who(learned)
    assert who(identity_of("sk-1")) != who(identity_of("sk-2"))
    assert "sk-1" not in identity_of("sk-1").account_uuid


def test_nobody_is_never_the_same_as_nobody() -> None:
    assert same([account(Identity())], AccountKind.CLAUDE, Identity()) is None
