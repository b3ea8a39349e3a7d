"""What a person can ask of an instance: who is next, what happened, what was used. Nothing changes by it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from core.answers import Explanation, LogEntry, LogReport, QuotaReport, Recounted, RequestsReport, UsageReport
from core.blocking import blocking
from core.courses import Readings, quota_report
from core.log_reading import TROUBLES
from core.logs import Entry
from core.model import Pool
from core.orders import Explain, Recount, RecountLog, RecountQuota, RecountRequests, RecountUsage
from core.telling import Recent, Requested, explanation, heed_most, recounted, requests_report
from core.usage import Ledger, used

MOST_LOGGED = 1_000


class Story(Recent, Requested, Ledger, Readings, Protocol):
    """What history tells of all accounts."""


class Questions:
    """All questions about the present pool and its past. `read_log` gives the log's last entries, the oldest first."""

    def __init__(
        self,
        pool: Callable[[], Pool],
        past: Story,
        read_log: Callable[[int, Sequence[str]], Sequence[Entry]],
        now: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._past = past
        self._read_log = read_log
        self._now = now

    async def explain(self, order: Explain) -> Explanation:
        """Who would serve next, and why the others would not."""
        return explanation(self._pool(), order, self._now())

    async def history(self, order: Recount) -> Recounted:
        """What happened lately."""
        return await recounted(self._past, self._pool(), order, self._now())

    async def requests(self, order: RecountRequests) -> RequestsReport:
        """The last requests."""
        return await requests_report(self._past, self._pool(), order, self._now())

    async def usage(self, order: RecountUsage) -> UsageReport:
        """What was used lately, and by whom."""
        return await used(self._past, self._pool(), order, self._now())

    async def quota(self, order: RecountQuota) -> QuotaReport:
        """How full the quota windows were lately."""
        return await quota_report(self._past, self._pool(), order, self._now())

    async def log(self, order: RecountLog) -> LogReport:
        """The end of the log. Raises UsageError when that is too much to tell."""
        heed_most(order.limit, MOST_LOGGED, "entries")
        entries = await blocking(self._read_log, order.limit, TROUBLES if order.level else ())
        told = (LogEntry(entry.at, entry.level, entry.request, entry.text) for entry in entries)
        return LogReport(self._now(), tuple(told))
