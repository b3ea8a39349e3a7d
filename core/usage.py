"""What was used: requests and tokens by account and model, and over time. From history, which has a bounded size."""

import time
from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import asdict

from core.answers import Tally, UsageReport, UsedBy, UsedIn, UsedOver
from core.history import Spent
from core.model import AccountId, Pool
from core.orders import RecountUsage
from core.telling import heed_most, label_of

MOST_DAYS = 366
NOBODY = "nobody"
_HOUR_S = 3_600.0
_DAY_S = 86_400.0
HOURS_UP_TO_DAYS = 2
"""Of so few days the hours are told, of more the days."""


class Ledger(Protocol):
    """What history tells of requests."""

    async def spent(self, since_at: float, span_s: float, zone_s: float) -> Sequence[Spent]:
        """What was used since then, added up by spans of `span_s`, account and model; the oldest first."""


async def used(ledger: Ledger, pool: Pool, order: RecountUsage, now: float) -> UsageReport:
    """What was used lately. Raises UsageError when that is too long ago."""
    heed_most(order.days, MOST_DAYS, "days")
    span_s = _HOUR_S if order.days <= HOURS_UP_TO_DAYS else _DAY_S
    since_at = now - order.days * _DAY_S
    spent = await ledger.spent(since_at, span_s, time.localtime(now).tm_gmtoff)
    return UsageReport(now, since_at, span_s, _sum(spent), _by(spent, pool), _in(spent), _over(spent))


def _by(spent: Sequence[Spent], pool: Pool) -> tuple[UsedBy, ...]:
    groups: dict[tuple[AccountId | None, str], list[Spent]] = {}
    for row in spent:
        groups.setdefault((row.account, row.model), []).append(row)
    found = []
    for (account, model), rows in groups.items():
        label = label_of(pool, account) if account else NOBODY
        found.append(UsedBy(**asdict(_sum(rows)), account=account or "", label=label, model=model))
    return tuple(sorted(found, key=lambda one: (-one.tokens, -one.requests, one.label, one.model)))


def _in(spent: Sequence[Spent]) -> tuple[UsedIn, ...]:
    groups: dict[float, list[Spent]] = {}
    for row in spent:
        groups.setdefault(row.at, []).append(row)
    return tuple(UsedIn(**asdict(_sum(rows)), at=at) for at, rows in groups.items())


def _over(spent: Sequence[Spent]) -> tuple[UsedOver, ...]:
    models: dict[str, list[Spent]] = {}
    for row in spent:
        models.setdefault(row.model, []).append(row)
    most_first = sorted(models.items(), key=lambda item: (-_sum(item[1]).tokens, item[0]))
    return tuple(UsedOver(model, _in(rows)) for model, rows in most_first)


def _sum(rows: Sequence[Spent]) -> Tally:
    return Tally(
        requests=sum(row.requests for row in rows),
        not_served=sum(row.not_served for row in rows),
        attempts=sum(row.attempts for row in rows),
        input=sum(row.usage.input for row in rows),
        output=sum(row.usage.output for row in rows),
        cache_read=sum(row.usage.cache_read for row in rows),
        cache_write=sum(row.usage.cache_write for row in rows),
    )
