"""Whether a provider can be reached at all: a network that is down is nobody's account's fault. Pure.

While it is down one request at a time asks whether it is back, ever more rarely; the others wait for what it finds. The
first byte of any answer ends the outage.
"""

from msgspec.structs import replace

from core.model import (
    ClientLeft,
    Event,
    NotDelivered,
    Outage,
    Outcome,
    Pool,
    ProviderBack,
    ProviderLost,
    ProviderName,
    Unknown,
)

FAILURES = 3
"""So many connections in a row that were not made are an outage; fewer are bad luck, and every request tries."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 10.0
"""Between two requests that ask: 1, 2, 4, 8, 10 s."""
FORGET_S = 120.0
"""Failures further apart than this are no row: nothing was asked in between."""


def lasts(pool: Pool, provider: ProviderName) -> bool:
    """Whether the provider cannot be reached at the moment."""
    outage = pool.outages.get(provider)
    return outage is not None and outage.failures >= FAILURES


def wait_s(pool: Pool, provider: ProviderName, now: float) -> float:
    """How long a request waits before it may be sent: 0.0 without an outage, and for the one that asks."""
    outage = pool.outages.get(provider)
    if outage is None or outage.failures < FAILURES:
        return 0.0
    return min(max(0.0, outage.ask_at - now), LONGEST_WAIT_S)


def asked(pool: Pool, provider: ProviderName, now: float) -> Pool:
    """A request is sent: in an outage it is the one that asks, and the next one waits its time."""
    outage = pool.outages.get(provider)
    if outage is None or outage.failures < FAILURES:
        return pool
    failures = outage.failures + 1  # until it is answered: what fails besides was on its way when the outage began
    return _with(pool, provider, replace(outage, ask_at=now + _pause_s(failures), failures=failures))


def observed(pool: Pool, provider: ProviderName, outcome: Outcome, now: float) -> tuple[Pool, tuple[Event, ...]]:
    """The pool after an attempt, and whether the provider was lost or came back with it."""
    outage = pool.outages.get(provider)
    match outcome:
        case NotDelivered(hopeless=False, text=text):
            if outage is None or now - outage.ask_at > FORGET_S:
                return _with(pool, provider, Outage(now, now)), ()
            if outage.failures >= FAILURES:
                return pool, ()
            failures = outage.failures + 1
            pool = _with(pool, provider, Outage(outage.since_at, now + _pause_s(failures), failures))
            return pool, (ProviderLost(provider, text),) if failures == FAILURES else ()
        case NotDelivered() | Unknown() | ClientLeft():
            return pool, ()  # they say nothing of the way there
        case _ if outage is not None:
            kept = {name: other for name, other in pool.outages.items() if name is not provider}
            back = ProviderBack(provider, now - outage.since_at)
            return replace(pool, outages=kept), (back,) if outage.failures >= FAILURES else ()
        case _:
            return pool, ()


def _pause_s(failures: int) -> float:
    return min(FIRST_WAIT_S * 2.0 ** min(max(0, failures - FAILURES), 10), LONGEST_WAIT_S)


def _with(pool: Pool, provider: ProviderName, outage: Outage) -> Pool:
    return replace(pool, outages={**pool.outages, provider: outage})
