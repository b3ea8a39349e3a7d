"""The default strategy spends first what a reset would throw away, and leaves room where conversations go on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.model import AccountKind, AccountState, Affinity, Identity, Pool, QuotaWindow, SessionId
from core.policy.balanced import COUNTED, RECENT_S, best, conversations, score
from tests.pools import ANTHROPIC, NOW, A, B, pool, state

HOUR_S, DAY_S = 3_600.0, 86_400.0


def account(
    id_: str, short: float, week: float, *, ends_in_s: float = 3 * DAY_S, plan: str = "", **changes: object
) -> AccountState:
    windows = (
        QuotaWindow("5h", short, NOW + 2 * HOUR_S, seen_at=NOW),
        QuotaWindow("7d", week, NOW + ends_in_s, seen_at=NOW),
    )
    return state(id_, windows=windows, identity=Identity(plan=plan), **changes)


def chosen(p: Pool) -> tuple[str, str]:
    found, reason = best(p, p.accounts, ANTHROPIC, NOW)
    return found.account.id, reason


def talks(account_id: str, count: int, ago_s: float = 0.0) -> dict[SessionId, Affinity]:
    return {SessionId(f"{account_id}{i}"): Affinity(account_id, NOW - ago_s) for i in range(count)}


def test_a_week_that_ends_soon_with_much_left_goes_first() -> None:
    p = pool(account("a", 0.1, 0.3, ends_in_s=6 * DAY_S), account("b", 0.3, 0.3, ends_in_s=1 * DAY_S))
    found, reason = chosen(p)
    assert found == B
    assert reason.startswith("most to lose: 70 % of its week is left until ")


def test_a_5_hour_window_that_is_nearly_full_is_left_alone_however_much_the_week_would_lose() -> None:
    p = pool(account("a", 0.1, 0.3, ends_in_s=6 * DAY_S), account("b", 0.97, 0.1, ends_in_s=1 * DAY_S))
    assert chosen(p) == (A, "most room: 5 h at 10 %")


def test_a_conversation_needs_less_of_a_larger_plan() -> None:
    small, large = account("a", 0.6, 0.5), account("b", 0.6, 0.5, plan="max 20x")
    assert score(large, 0, None, NOW).value > score(small, 0, None, NOW).value


def test_new_conversations_go_where_fewer_go_on() -> None:
    accounts = account("a", 0.4, 0.5), account("b", 0.4, 0.5)
    assert chosen(pool(*accounts, sessions=talks("a", 2)))[0] == B
    assert chosen(pool(*accounts, sessions=talks("b", 2)))[0] == A
    assert chosen(pool(*accounts, sessions=talks("a", 2, RECENT_S + 1) | talks("b", 1)))[0] == A


def test_a_key_that_is_paid_by_use_waits_for_plans_that_are_paid_anyway() -> None:
    p = pool(state("key", AccountKind.API_KEY), account("a", 0.99, 0.99, ends_in_s=6 * DAY_S))
    assert chosen(p)[0] == A


def test_a_key_serves_when_no_plan_can() -> None:
    assert chosen(pool(state("key", AccountKind.API_KEY))) == ("key", "paid by use; no plan can serve")


def test_a_window_of_another_model_says_nothing() -> None:
    scoped = QuotaWindow("7d_opus", 0.99, NOW + DAY_S, family="opus", seen_at=NOW)
    plain = account("a", 0.2, 0.5)
    both = account("a", 0.2, 0.5)
    both = state("a", windows=(*both.windows, scoped))
    assert score(both, 0, None, NOW) == score(plain, 0, None, NOW)
    assert score(both, 0, "opus", NOW).value < score(plain, 0, "opus", NOW).value


def test_only_the_newest_conversations_are_counted() -> None:
    p = pool("a", sessions=talks("a", 2 * COUNTED))
    assert conversations(p, NOW)[A] == COUNTED


shares = st.floats(0, 1.2)


@given(shares, shares, st.floats(-DAY_S, 7 * DAY_S), st.integers(0, 1000), st.sampled_from(["", "pro", "max 20x", "?"]))
def test_a_score_is_a_number_whatever_the_windows_say(
    short: float, week: float, ends_in_s: float, going_on: int, plan: str
) -> None:
    value = score(account("a", short, week, ends_in_s=ends_in_s, plan=plan), going_on, None, NOW).value
    assert -2 < value < 2


@given(shares, shares, shares)
def test_more_use_never_makes_an_account_more_attractive(short: float, week: float, more: float) -> None:
    before = score(account("a", short, week), 0, None, NOW).value
    assert score(account("a", short + more, week), 0, None, NOW).value <= before
    assert score(account("a", short, week + more), 0, None, NOW).value <= before


@pytest.mark.parametrize("count", [1, 5])
def test_the_first_conversations_of_new_accounts_are_spread_evenly(count: int) -> None:
    accounts = [state(id_) for id_ in "abc"]
    sessions: dict[SessionId, Affinity] = {}
    for i in range(3 * count):
        found, _ = best(pool(*accounts, sessions=sessions), accounts, ANTHROPIC, NOW)
        sessions[SessionId(str(i))] = Affinity(found.account.id, NOW)
        accounts = [replace(s, last_used_at=NOW + i) if s.account.id == found.account.id else s for s in accounts]
    assert set(conversations(pool(*accounts, sessions=sessions), NOW).values()) == {count}
