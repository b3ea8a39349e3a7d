"""The `hybrid` strategy: a health score, a token bucket and freshness, with a bonus for whoever serves already.

The rules and their defaults are those of the multi-account plugin it is known from, so that its users find what they
had. Two of its traits are kept on purpose: recovery counts whole points, and every event begins the hour anew. One is
not: a network that is down is nobody's failure here, so it costs no health.
"""

import math
from collections.abc import Sequence

from core.model import (
    AccountId,
    AccountRefused,
    AccountState,
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
)

HEALTH_WEIGHT = 2.0
TOKEN_WEIGHT = 5.0
FRESHNESS_WEIGHT = 0.1
LONGEST_REST_S = 3_600.0
STAY_BONUS = 150.0
SWITCH_ADVANTAGE = 100.0
"""Another account takes over only when it is ahead by this much without the bonus."""
_HOUR_S = 3_600.0
_MINUTE_S = 60.0


def fitness(state: AccountState, health: HealthScore, bucket: TokenBucket, now: float) -> Fitness:
    """Score and tokens as they are now."""
    known = state.fitness
    if known is None:
        return Fitness(min(health.initial, health.max_score), now, min(bucket.initial_tokens, bucket.max_tokens), now)
    recovered = math.floor(max(0.0, now - known.health_at) / _HOUR_S * health.recovery_rate_per_hour)
    minutes = max(0.0, now - known.tokens_at) / _MINUTE_S
    tokens = min(bucket.max_tokens, known.tokens + minutes * bucket.regeneration_rate_per_minute)
    return Fitness(min(health.max_score, known.health + recovered), known.health_at, tokens, now)


def chosen(state: AccountState, health: HealthScore, bucket: TokenBucket, now: float) -> Fitness:
    """After one more request was given to the account."""
    at = fitness(state, health, bucket, now)
    return Fitness(at.health, at.health_at, max(0.0, at.tokens - 1), now)


def judged(
    state: AccountState, outcome: Outcome, health: HealthScore, bucket: TokenBucket, now: float
) -> Fitness | None:
    """After an attempt came to `outcome`; None when it changes nothing."""
    match outcome:
        case Served():
            points, back = health.success_reward, 0
        case QuotaSpent() | Throttled() | RequestThrottled():
            points, back = health.rate_limit_penalty, 0
        case CredentialRejected() | AccountRefused():
            points, back = health.failure_penalty, 0
        case NotDelivered():
            points, back = 0.0, 1
        case _:
            return None
    at = fitness(state, health, bucket, now)
    score = min(health.max_score, max(0.0, at.health + points))
    return Fitness(score, now, min(bucket.max_tokens, at.tokens + back), now)


def best(
    ready: Sequence[AccountState], current: AccountId | None, health: HealthScore, bucket: TokenBucket, now: float
) -> tuple[AccountState, str]:
    """Who should serve, of those that are ready, and why. `ready` must not be empty."""
    fit: list[tuple[float, AccountState, Fitness]] = []
    for state in ready:
        at = fitness(state, health, bucket, now)
        if at.health >= health.min_usable and at.tokens >= 1:
            fit.append((_base(state, at, bucket, now), state, at))
    if not fit:
        return ready[0], "nobody is fit, so the first in your order"
    staying = next((entry for entry in fit if entry[1].account.id == current), None)
    base, state, at = max(fit, key=lambda entry: entry[0] + (STAY_BONUS if entry is staying else 0.0))
    if staying and state is not staying[1] and base - staying[0] < SWITCH_ADVANTAGE:
        base, state, at = staying
    return state, f"fittest: health {at.health:.0f}, {at.tokens:.0f} of {bucket.max_tokens:.0f} tokens"


def _base(state: AccountState, at: Fitness, bucket: TokenBucket, now: float) -> float:
    rested_s = min(max(0.0, now - state.last_used_at), LONGEST_REST_S)
    tokens = at.tokens / bucket.max_tokens * 100
    return at.health * HEALTH_WEIGHT + tokens * TOKEN_WEIGHT + rested_s * FRESHNESS_WEIGHT
