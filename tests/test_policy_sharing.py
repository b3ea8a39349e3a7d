from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import AccountId, AccountKind, AccountState, Identity
from core.policy.sharing import group, limits, shares
from tests.pools import A, B, C, pool, state

KEY, GO, CLAUDE = AccountKind.API_KEY, AccountKind.GO, AccountKind.CLAUDE


def of(id_: str, kind: AccountKind, account_uuid: str, organization_uuid: str) -> AccountState:
    return state(id_, kind, identity=Identity(account_uuid, organization_uuid))


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (of("a", KEY, "key:1", "org"), of("b", KEY, "key:2", "org"), True),
        (of("a", KEY, "key:1", "org"), of("b", KEY, "key:2", "another"), False),
        (of("a", KEY, "key:1", ""), of("b", KEY, "key:2", ""), False),
        (of("a", GO, "key:1", "wrk"), of("b", GO, "key:2", "wrk"), True),
        (of("a", KEY, "key:1", "org"), of("b", GO, "key:2", "org"), False),
        (of("a", CLAUDE, "ada", "org"), of("b", CLAUDE, "bob", "org"), False),
        (of("a", CLAUDE, "ada", "org"), of("b", CLAUDE, "ada", "org"), True),
        (of("a", CLAUDE, "ada", "org"), of("b", CLAUDE, "ada", "another"), False),
        (of("a", CLAUDE, "", "org"), of("b", CLAUDE, "", "org"), False),
        (of("a", CLAUDE, "ada", "org"), of("b", KEY, "key:1", "org"), False),
        (of("a", KEY, "key:1", "org"), of("a", KEY, "key:1", "org"), False),
    ],
    ids=[
        "keys of one organisation",
        "keys of two organisations",
        "keys whose organisation is not known",
        "Go keys of one workspace",
        "the same name at two providers",
        "two seats of one organisation",
        "one seat twice, say borrowed and Tidegate's own",
        "one person in two organisations",
        "logins that are not known",
        "a login and a key",
        "an account and itself",
    ],
)
def test_who_draws_on_the_same_limits(one: AccountState, other: AccountState, *, shared: bool) -> None:
    assert shares(one.account, other.account) is shared
    assert shares(other.account, one.account) is shared


def test_the_group_is_in_the_persons_order_and_holds_the_account_itself() -> None:
    p = pool(of("b", KEY, "key:2", "org"), "d", of("a", KEY, "key:1", "org"), of("c", KEY, "key:3", "another"))

    assert [s.account.id for s in group(p, A)] == [B, A]
    assert [s.account.id for s in group(p, C)] == [C]
    assert group(p, AccountId("gone")) == ()


MEMBERS = st.lists(
    st.tuples(st.sampled_from(AccountKind), st.sampled_from(["", "1", "2"]), st.sampled_from(["", "org", "another"])),
    max_size=6,
).map(lambda found: [of(f"n{number}", *who) for number, who in enumerate(found)])


@given(MEMBERS)
def test_groups_never_overlap(members: list[AccountState]) -> None:
    p = pool(*members)

    for one, other in combinations(members, 2):
        ours, theirs = group(p, one.account.id), group(p, other.account.id)
        assert ours == theirs or not {s.account.id for s in ours} & {s.account.id for s in theirs}
        assert (other in ours) is (limits(one.account) is not None and limits(one.account) == limits(other.account))
