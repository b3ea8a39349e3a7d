"""`make bench-choose`: what it costs to choose an account, in a large pool and in a small one. Prints, judges nothing.

One request is all that the engine asks of the pure ring for it: choose, ramp, lease, observe, used, release. Times are
of the processor, so that what else runs on the machine does not count. `known` is a session that the pool remembers,
`new` one that it does not; `mixed` has one new session in twenty. The last line is a person's own pool, at best:
nothing else happens between its requests.
"""

import argparse
import gc
import random
import statistics
import time
from collections.abc import Sequence

from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountState,
    Affinity,
    Choice,
    Identity,
    Pool,
    ProviderName,
    QuotaWindow,
    Request,
    Served,
    SessionId,
    Strategy,
    Usage,
)
from core.policy.pool import choose, lease, observe, ramp, release, used

NOW = 1_800_000_000.0
LARGE = (1_000, 10_000)
SMALL = (3, 10_000)
USUAL = (3, 32)
NEW_IN = 20
SORTS = ("known", "new", "mixed")
USAGE = Usage(input=12, output=600, cache_read=50_000)
Timings = dict[str, list[float]]


def built(accounts: int, sessions: int, strategy: Strategy, chance: random.Random) -> Pool:
    """A pool in the middle of its work: every window read, every session placed."""
    states = [_state(number, chance) for number in range(accounts)]
    ids = [state.account.id for state in states]
    known = {_key(n): Affinity(chance.choice(ids), NOW - 3000 + n * 2000 / sessions, 50_000) for n in range(sessions)}
    return Pool.of(states, strategy=strategy, sessions=known)


def _state(number: int, chance: random.Random) -> AccountState:
    id_ = AccountId(f"account-{number}")
    who = Identity(f"user-{number}", f"organisation-{number}", plan="max 5x")
    return AccountState(Account(id_, f"Account {number}", AccountKind.CLAUDE, who), windows=_windows(NOW, chance))


def _windows(now: float, chance: random.Random) -> tuple[QuotaWindow, ...]:
    return (
        QuotaWindow("5h", chance.random(), now + chance.uniform(600, 18_000), seen_at=now),
        QuotaWindow("7d", chance.random(), now + chance.uniform(9_000, 600_000), seen_at=now),
    )


def _key(number: int) -> SessionId:
    return SessionId(f"{ProviderName.ANTHROPIC}/session-{number}")


def _request(name: str) -> Request:
    return Request(ProviderName.ANTHROPIC, SessionId(name), model="claude-sonnet-5")


def served(pool: Pool, request: Request, answer: Served, now: float) -> Pool:
    """The pool after one request that went well."""
    choice = choose(pool, request, now)
    assert isinstance(choice, Choice)
    pool, _ = ramp(pool, request, choice, now)
    pool, _ = lease(pool, request, choice, now)
    pool, _ = observe(pool, choice.account, answer, now)
    pool = used(pool, request, choice.account, USAGE)
    return release(pool, choice.account, retried=False)


def measured(size: tuple[int, int], strategy: Strategy, rounds: int, sorts: Sequence[str] = SORTS) -> Timings:
    """Seconds for each request, by its sort."""
    chance = random.Random(1)
    pool = built(*size, strategy, chance)
    timings: Timings = {sort: [] for sort in sorts}
    now = NOW
    for number in range(rounds):
        now += 0.05
        for sort in timings:
            fresh = sort == "new" or (sort == "mixed" and number % NEW_IN == 0)
            name = f"{sort}-{number}" if fresh else f"session-{chance.randrange(size[1] // 2, size[1])}"
            request, answer = _request(name), Served(_windows(now, chance))
            began = time.thread_time()
            pool = served(pool, request, answer, now)
            timings[sort].append(time.thread_time() - began)
    return timings


def _figures(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile in µs."""
    return statistics.median(seconds) * 1e6, statistics.quantiles(seconds, n=100)[98] * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.choose", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="requests of each sort, for each strategy (300)")
    options = parser.parse_args()
    print(f"{LARGE[0]:,} accounts, {LARGE[1]:,} sessions; µs for one request; ratio to {SMALL[0]} accounts")
    print(f"{'strategy':<16}" + "".join(f"{sort:>9} median      p99   ratio" for sort in ("known", "new", "mixed")))
    for strategy in Strategy:
        gc.collect()
        large, small = (measured(size, strategy, options.rounds) for size in (LARGE, SMALL))
        cells = []
        for sort, seconds in large.items():
            median, late = _figures(seconds)
            cells.append(f"{median:>16,.0f} {late:>8,.0f} {median / _figures(small[sort])[0]:>6.1f}x")
        print(f"{strategy:<16}" + "".join(cells), flush=True)
    gc.collect()
    usual, _ = _figures(measured(USUAL, Strategy.BALANCED, 10 * options.rounds, ["known"])["known"])
    print(f"balanced with {USUAL[0]} accounts and {USUAL[1]} sessions: {usual:,.0f} µs")


if __name__ == "__main__":
    main()
