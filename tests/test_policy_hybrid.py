"""The hybrid strategy keeps the numbers that its users know, and never counts beyond its clamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountState,
    ClientLeft,
    CredentialRejected,
    Fitness,
    HealthScore,
    NotDelivered,
    Outcome,
    QuotaSpent,
    RequestThrottled,
    Served,
    Throttled,
    TokenBucket,
    UpstreamFailed,
)
from core.policy.hybrid import best, chosen, fitness, judged

NOW = 1_800_000_000.0
HEALTH, BUCKET = HealthScore(), TokenBucket()


def state(name: str, fit: Fitness | None = None, *, last_used_at: float = NOW) -> AccountState:
    return AccountState(Account(AccountId(name), name, AccountKind.CLAUDE), last_used_at=last_used_at, fitness=fit)


def fit(health: float = 70.0, tokens: float = 50.0, *, ago_s: float = 0.0) -> Fitness:
    return Fitness(health, NOW - ago_s, tokens, NOW - ago_s)


def test_a_new_account_begins_as_the_settings_say() -> None:
    assert fitness(state("a"), HEALTH, BUCKET, NOW) == Fitness(70.0, NOW, 50.0, NOW)


@pytest.mark.parametrize(
    ("outcome", "health", "tokens"),
    [
        (Served(), 61.0, 10.0),
        (QuotaSpent("5 h window full"), 50.0, 10.0),
        (Throttled(5.0), 50.0, 10.0),
        (RequestThrottled(), 50.0, 10.0),
        (CredentialRejected("revoked", renewable=False), 40.0, 10.0),
        (NotDelivered("refused"), 60.0, 11.0),
    ],
)
def test_outcomes_weigh_as_configured(outcome: Outcome, health: float, tokens: float) -> None:
    after = judged(state("a", fit(60.0, 10.0)), outcome, HEALTH, BUCKET, NOW)
    assert after == Fitness(health, NOW, tokens, NOW)


@pytest.mark.parametrize("outcome", [UpstreamFailed(500), ClientLeft()])
def test_what_is_nobodys_fault_changes_nothing(outcome: Outcome) -> None:
    assert judged(state("a", fit()), outcome, HEALTH, BUCKET, NOW) is None


def test_health_comes_back_in_whole_points_by_the_hour() -> None:
    tired = state("a", fit(60.0, ago_s=5_399.0))  # 1.4997 hours at two points each
    assert fitness(tired, HEALTH, BUCKET, NOW).health == 62.0


def test_tokens_come_back_by_the_minute() -> None:
    assert fitness(state("a", fit(tokens=1.0, ago_s=90.0)), HEALTH, BUCKET, NOW).tokens == pytest.approx(10.0)


def test_a_request_takes_a_token() -> None:
    assert chosen(state("a", fit(tokens=3.0)), HEALTH, BUCKET, NOW).tokens == 2.0


def test_whoever_serves_stays_until_another_is_clearly_ahead() -> None:
    serving = state("serving", fit(tokens=40.0))
    close = state("close", fit(tokens=49.0))  # 90 points ahead
    ahead = state("ahead", fit(tokens=40.0), last_used_at=NOW - 1_600)  # 160 points ahead
    assert best([serving, close], serving.account.id, HEALTH, BUCKET, NOW)[0] is serving
    assert best([serving, ahead], serving.account.id, HEALTH, BUCKET, NOW)[0] is ahead


def test_the_unfit_serve_only_when_nobody_is_fit() -> None:
    ill, empty, well = state("ill", fit(49.0)), state("empty", fit(tokens=0.5)), state("well", fit(50.0, 1.0))
    assert best([ill, empty, well], None, HEALTH, BUCKET, NOW)[0] is well
    chosen_state, reason = best([ill, empty], None, HEALTH, BUCKET, NOW)
    assert chosen_state is ill
    assert reason == "nobody is fit, so the first in your order"


outcomes = st.sampled_from(
    [Served(), QuotaSpent("full"), Throttled(1.0), NotDelivered("down"), CredentialRejected("no", renewable=False)]
)


@given(st.lists(st.tuples(outcomes | st.none(), st.floats(-1e6, 1e8)), max_size=40))
def test_scores_and_tokens_stay_within_their_clamps_whatever_the_clock_does(
    steps: list[tuple[Outcome | None, float]],
) -> None:
    now, account = NOW, state("a")
    for outcome, passed_s in steps:
        now += passed_s
        after = chosen(account, HEALTH, BUCKET, now) if outcome is None else None
        after = after or judged(account, outcome or Served(), HEALTH, BUCKET, now)
        assert after is not None
        assert 0 <= after.health <= HEALTH.max_score
        assert 0 <= after.tokens <= BUCKET.max_tokens
        account = state("a", after)
