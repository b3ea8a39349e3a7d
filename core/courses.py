"""How full the quota windows were, over time: what a chart of them draws. From history, which has a bounded size."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from core.answers import Curve, QuotaReport
from core.blocking import blocking
from core.history_samples import SampleRow, WindowKey
from core.model import Move, Pool, QuotaWindow
from core.orders import RecountQuota
from core.policy import timing
from core.telling import heed_most, label_of

MOST_DAYS = 35
MOST_MOVES = 200
SPANS = 400
"""Of one curve: more than that no chart of it can show. Each has one point, three if it fell and then was reset."""
MOST_SPANS = 20_000
"""Of all curves: an answer that is written in some hundredths of a second. Many accounts get coarser curves."""
_DAY_S = 86_400.0


class Readings(Protocol):
    """What history tells of quota windows."""

    async def sampled(self) -> Sequence[WindowKey]:
        """Those of which anything is known, also of accounts that are gone."""

    async def courses(self, keys: Sequence[WindowKey], since_at: float, span_s: float) -> Sequence[Sequence[SampleRow]]:
        """How full each was, the oldest first, the highest of each span; each begins with what was known before."""

    async def moves(self, limit: int) -> Sequence[Move]:
        """The last moves from one account to another, newest first."""


async def quota_report(past: Readings, pool: Pool, order: RecountQuota, now: float) -> QuotaReport:
    """The course of every window of the accounts that are here. Raises UsageError when that is too long ago."""
    heed_most(order.days, MOST_DAYS, "days")
    since_at = now - order.days * _DAY_S
    places = {state.account.id: place for place, state in enumerate(pool.accounts)}
    known = (key for key in await past.sampled() if key.account in places)
    keys = sorted(known, key=lambda key: (places[key.account], _length_s(key), key.name, key.family or ""))
    spans = max(1, min(SPANS, MOST_SPANS // max(1, len(keys))))
    read = await past.courses(keys, since_at, (now - since_at) / spans)
    labels = [label_of(pool, key.account) for key in keys]
    # Thousands of points are made, while the loop has requests to serve.
    curves = await blocking(_curves, keys, labels, read, since_at, now)
    moves = await past.moves(MOST_MOVES)
    return QuotaReport(
        now,
        since_at,
        curves,
        tuple(move for move in moves if move.at >= since_at),
    )


def _curves(
    keys: Sequence[WindowKey], labels: Sequence[str], read: Sequence[Sequence[SampleRow]], since_at: float, now: float
) -> tuple[Curve, ...]:
    """Those of which something is known in this time."""
    curves = (
        Curve(key.account, label, key.name, key.family, tuple(_points(rows, since_at, now)))
        for key, label, rows in zip(keys, labels, read, strict=True)
    )
    return tuple(curve for curve in curves if curve.points)


def _length_s(key: WindowKey) -> float:
    return timing.length_s(QuotaWindow(key.name)) or math.inf


def _points(rows: Sequence[SampleRow], since_at: float, now: float) -> Iterator[tuple[float, float | None]]:
    """The rows as points, with a gap from each reset until the next reading."""
    until = [*(after.at for _, after in pairwise(rows)), now]
    for row, next_at in zip(rows, until, strict=True):
        resets_at = row.resets_at
        gone_at = resets_at if resets_at is not None and row.at < resets_at <= next_at else None
        if gone_at is not None and gone_at <= since_at:
            continue
        yield max(row.at, since_at), row.utilization
        if gone_at is not None:
            yield gone_at, None
