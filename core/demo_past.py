"""A made-up past for the demo: a month of requests, quota readings and failovers, so that every chart has its story.

The same each time for the same accounts and moment. Work is busy in the daytime, calmer at weekends, and now and then
one account's short window is full before its reset; then another takes over.
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TypeVar

from core.history import EventRow, RequestRow
from core.history_samples import SampleRow, WindowKey
from core.model import AccountId, Move, ProviderName, SessionId, SessionMoved, Usage

DAYS = 30
_SEED = 7
_HOUR_S = 3_600.0
_DAY_S = 86_400.0
_TICK_S = 1_200.0
_THURSDAY = 3  # the first day that Unix counts
_SATURDAY = 5
_BY_HOUR = (0.05, 0, 0, 0, 0, 0, 0, 0.1, 0.5, 0.9, 1, 0.9, 0.5, 0.7, 1, 1, 0.9, 0.7, 0.4, 0.2, 0.3, 0.4, 0.3, 0.1)
"""How much is done in each hour of a weekday, against the busiest."""
_WEEKEND = 0.25
_BUSIEST = 3.5
"""Requests in a tick of the busiest hour."""
_WORTH = 0.5
"""A window in which less was done than half an hour's work has no reading."""
_NEARLY = 0.94
"""A week is never full: one failover a day tells enough."""
_MODELS = {"claude-sonnet-5": 6, "claude-opus-5-5": 3, "claude-haiku-4-5": 2}
_PROGRAMS = {"claude-code": 6, "opencode": 3, "": 1}
_FAILURES = {("RequestRefused", 400): 2, ("ClientLeft", 499): 2, ("UpstreamFailed", 529): 1}
_FAILING = 0.03


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """A quota window as it is now; its past ends there."""

    name: str
    length_s: float
    utilization: float
    resets_at: float


@dataclass(frozen=True, slots=True)
class Member:
    """An account of the demo. Its first window is the short one. `share`: of the requests that it is offered."""

    id: AccountId
    label: str
    windows: Sequence[Window] = ()
    share: float = 1.0


def past(members: Sequence[Member], now: float, zone_s: float) -> Iterator[RequestRow | EventRow | SampleRow]:
    """A month until now on the clock of a place `zone_s` east of Greenwich. The first member is the one that fills up.

    Each kind of row is in the order of its time.
    """
    chance = random.Random(_SEED)  # noqa: S311 - nothing depends on its being hard to guess
    hours = _Hours(now, zone_s, chance)
    courses = (_course(member, window, hours, chance) for member in members for window in member.windows)
    samples = sorted(chain.from_iterable(courses), key=lambda row: row.at)
    yield from samples
    rests = tuple(_rests(samples, members[0]))
    for at, until_at in rests:
        move = Move(at, members[0].label, members[1].label, "5 h window full", until_at)
        yield EventRow(at, move, move.text)
        moved = SessionMoved(members[0].id, members[1].id, move.text, chance.randrange(30, 160) * 1_000)
        yield EventRow(at, moved, moved.text)
    yield from _requests(members, hours, rests, chance)


class _Hours:
    """How much was done when: a number for each tick."""

    def __init__(self, now: float, zone_s: float, chance: random.Random) -> None:
        count = int(DAYS * _DAY_S / _TICK_S)
        self.ticks = tuple(now - (count - number) * _TICK_S for number in range(count + 1))
        self.done = tuple(_busy(at + zone_s) * chance.uniform(0.3, 1.7) for at in self.ticks)

    def within(self, begin_at: float, end_at: float) -> range:
        """The ticks of a span, by number."""
        first, last = (math.ceil((at - self.ticks[0]) / _TICK_S) for at in (begin_at, end_at))
        return range(max(0, first), min(len(self.ticks), last))


def _busy(local: float) -> float:
    weekday = (int(local // _DAY_S) + _THURSDAY) % 7
    return _BY_HOUR[int(local % _DAY_S // _HOUR_S)] * (_WEEKEND if weekday >= _SATURDAY else 1.0)


def _course(member: Member, window: Window, hours: _Hours, chance: random.Random) -> Iterator[SampleRow]:
    """A saw tooth: it rises from each reset as work is done, to a peak by chance; the last one to what is so now."""
    key = WindowKey(member.id, window.name)
    yield from _rise(key, window.resets_at - window.length_s, window.resets_at, window.utilization, hours)
    end_at = window.resets_at - window.length_s
    while end_at > hours.ticks[0]:
        begin_at = end_at - window.length_s
        done = sum(hours.done[number] for number in hours.within(begin_at, end_at))
        if done > _WORTH:
            usual = done / (window.length_s / _TICK_S)
            peak = 1.5 * usual**0.5 * chance.uniform(0.5, 1.2)
            if window is not member.windows[0]:
                peak = min(peak, _NEARLY)
            yield from _rise(key, begin_at, end_at, peak, hours)
        end_at = begin_at


def _rise(key: WindowKey, begin_at: float, end_at: float, peak: float, hours: _Hours) -> Iterator[SampleRow]:
    within = hours.within(begin_at, end_at)
    sums = list(accumulate(hours.done[number] for number in within))
    told = None
    for number, so_far in zip(within, sums, strict=True):
        utilization = min(1.0, round(peak * so_far / sums[-1], 2)) if sums[-1] else peak
        if utilization != told and (hours.done[number] or number == within[-1]):
            told = utilization
            yield SampleRow(hours.ticks[number], key, utilization, end_at)


def _rests(samples: Iterable[SampleRow], member: Member) -> Iterator[tuple[float, float]]:
    """When the member's short window was full, and until when."""
    short = WindowKey(member.id, member.windows[0].name)
    for row in samples:
        if row.key == short and row.utilization == 1.0 and row.resets_at is not None:
            yield row.at, row.resets_at


def _requests(
    members: Sequence[Member], hours: _Hours, rests: Sequence[tuple[float, float]], chance: random.Random
) -> Iterator[RequestRow]:
    session = ""
    for tick, done in zip(hours.ticks[:-1], hours.done, strict=False):
        if not session or chance.random() < 1 / 6:
            session = f"demo-{chance.getrandbits(32):08x}"
        for at in sorted(tick + chance.random() * _TICK_S for _ in range(round(done * _BUSIEST))):
            resting = any(begin_at <= at < end_at for begin_at, end_at in rests)
            able = members[1:] if resting else members
            member = next((one for one in able if chance.random() < one.share), able[-1])
            yield _request(at, member, SessionId(session), chance)


def _request(at: float, member: Member, session: SessionId, chance: random.Random) -> RequestRow:
    model, client = _one(_MODELS, chance), _one(_PROGRAMS, chance)
    first_byte_s = chance.lognormvariate(0.1, 0.4)
    failed = chance.random() < _FAILING
    outcome, status = _one(_FAILURES, chance) if failed else ("Served", 200)
    usage = Usage(
        input=chance.randrange(20, 2_500),
        output=round(chance.lognormvariate(6.3, 0.8)),
        cache_read=round(chance.lognormvariate(10.9, 0.7)),
        cache_write=round(chance.lognormvariate(8.2, 0.9)),
    )
    return RequestRow(
        at=at,
        provider=ProviderName.ANTHROPIC,
        status=status,
        outcome=outcome,
        attempts=1,
        duration_s=first_byte_s + usage.output / 70,
        first_byte_s=first_byte_s,
        account=member.id,
        model=model,
        session=session,
        usage=Usage() if failed else usage,
        client=client,
    )


def _one(weights: Mapping[T, int], chance: random.Random) -> T:
    return chance.choices(list(weights), list(weights.values()))[0]
