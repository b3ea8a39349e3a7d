"""What comes after an attempt: deliver the answer, try again, try elsewhere, or give up.

The three classes of replay (not delivered, refused, unknown) and the retry budget of one client request live here.
Pure: outcome and what was already spent in, the next step out.
"""

from typing import assert_never

import msgspec

from core.model import (
    AccountRefused,
    ClientLeft,
    ClientRefused,
    CredentialRejected,
    Cut,
    NotDelivered,
    Outcome,
    Pool,
    QuotaSpent,
    Request,
    RequestRefused,
    RequestThrottled,
    Served,
    Throttled,
    Unknown,
    UpstreamFailed,
)
from core.policy import outage
from core.policy.pool import SHORT_THROTTLE_S

MAX_ATTEMPTS = 3
MAX_WAIT_S = 30.0
"""Our own waiting before the client gets its first byte."""
RETRY_SHARE = 0.20
MIN_RETRIES = 3
"""Retries for the upstream's trouble: at most this share of the active requests, at least three (as Envoy)."""
CONNECT_WAITS_S = (0.2, 1.0)


class Spent(msgspec.Struct, frozen=True):
    """What one client request has used up so far. The attempt that is judged is included."""

    attempts: int = 1
    waited_s: float = 0.0
    renewed: bool = False
    """Its account's credential was already renewed for this request."""
    throttled: bool = False
    """It already waited once for a short throttle."""
    elsewhere: bool = False
    """It already moved once for the upstream's trouble."""
    replayed: bool = False
    """It was already sent again after no answer came."""


class Deliver(msgspec.Struct, frozen=True):
    """Hand the answer to the client as it came."""


class Again(msgspec.Struct, frozen=True):
    """The same account once more, after `wait_s`."""

    wait_s: float = 0.0


class Renew(msgspec.Struct, frozen=True):
    """Renew the account's credential, then the same account once more."""


class Elsewhere(msgspec.Struct, frozen=True):
    """The next account. With nobody left: the answer as it came if `or_deliver`, else say why nobody can serve."""

    or_deliver: bool = False


class GiveUp(msgspec.Struct, frozen=True):
    """No answer can be had: tell the client. `unknown`: the provider may have done the work."""

    text: str
    unknown: bool


class ComeBack(msgspec.Struct, frozen=True):
    """The attempts are used up while others may be ready: the client should ask again in a moment."""


Step = Deliver | Again | Renew | Elsewhere | GiveUp | ComeBack


def next_step(outcome: Outcome, request: Request, spent: Spent, pool: Pool) -> Step:
    """What to do about `outcome`, within the budget. Nothing of an answer has reached the client yet."""
    more = spent.attempts < MAX_ATTEMPTS
    match outcome:
        case Served() | RequestRefused() | ClientLeft():
            return Deliver()
        case QuotaSpent() | AccountRefused() | ClientRefused():
            return Elsewhere() if more else ComeBack()
        case CredentialRejected(renewable=renewable):
            if not more:
                return ComeBack()
            return Renew() if renewable and not spent.renewed else Elsewhere()
        case Throttled(wait_s=wait_s):
            if not more:
                return ComeBack()
            patient = wait_s <= SHORT_THROTTLE_S and spent.waited_s + wait_s <= MAX_WAIT_S and not spent.throttled
            return Again(wait_s) if patient and affordable(pool, spent) else Elsewhere()
        case RequestThrottled() | UpstreamFailed():
            if spent.elsewhere or not more or not affordable(pool, spent):
                return Deliver()
            return Elsewhere(or_deliver=True)
        case NotDelivered(hopeless=False) if outage.lasts(pool, request.provider):
            return Again()  # replay is free; how long it waits for its turn to ask is bounded elsewhere
        case NotDelivered(text=text, hopeless=hopeless):
            wait_s = CONNECT_WAITS_S[min(spent.attempts, len(CONNECT_WAITS_S)) - 1]
            patient = not hopeless and spent.waited_s + wait_s <= MAX_WAIT_S
            return Again(wait_s) if more and patient and affordable(pool, spent) else GiveUp(text, unknown=False)
        case Unknown(text=text):
            # One replay, as the provider's own SDK would do; never of a request that acts in the world.
            once = not request.server_tools and not spent.replayed
            return Again() if once and more and affordable(pool, spent) else GiveUp(text, unknown=True)
        case Cut(text=text):
            return GiveUp(text, unknown=True)
        case _:
            assert_never(outcome)


def affordable(pool: Pool, spent: Spent) -> bool:
    """Whether one more retry for the upstream's trouble fits the budget that all requests share."""
    active = sum(state.in_flight for state in pool.accounts)
    others = pool.retrying - (spent.attempts > 1)  # the attempt that is judged ends here
    return others < max(MIN_RETRIES, RETRY_SHARE * active)
