"""What happened, in `history.db`: requests, events, samples of quota, and the last Pool. Kept to a bounded size.

Promises: recording costs the caller an append and never waits for a disk; SQLite is used by one worker thread, which
sleeps while there is nothing to write; a full disk costs history, not service; a damaged file is moved aside.
"""

import asyncio
import itertools
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from core import history_samples
from core.errors import UNREADABLE
from core.event_wording import Happening
from core.history_file import NewerError, connect, in_memory, move_database_aside, transaction
from core.history_samples import SampleRow, WindowKey
from core.model import AccountId, Event, Move, Pool, ProviderName, SessionId, SessionMoved, Usage

log = logging.getLogger(__name__)

KEEP_REQUESTS = 100_000
KEEP_EVENTS = 10_000
KEEP_SAMPLES = 300_000
"""What fifteen accounts leave that are at work day and night for as long as is kept; 27 MB."""
FLUSH_AFTER_S = 2.0
"""What a crash may cost, and how often a busy proxy writes."""
FLUSH_ROWS = 500
"""So many are written at once, however soon: what waits is memory."""
MAX_PENDING = 10_000
"""Rows that wait while the disk is full; then the oldest go."""
_DELETE_BATCH = 2_000
"""Deleting more than this at a time would hold the write lock for long."""

_REQUEST_COLUMNS = (
    "at, account, provider, model, session, status, outcome, attempts,"
    " input_tokens, output_tokens, cache_read, cache_write, duration_s, first_byte_s, client"
)
_INSERT_REQUEST = f"INSERT INTO requests ({_REQUEST_COLUMNS}) VALUES (?{', ?' * 14})"  # noqa: S608 - no value in it
_SELECT_REQUESTS = f"SELECT {_REQUEST_COLUMNS} FROM requests ORDER BY id DESC LIMIT ?"  # noqa: S608

_SELECT_ERRORS = (
    "SELECT at, json FROM events WHERE kind IN ('LoginRequired', 'RenewalFailed', 'ClientNotServed')"
    " ORDER BY id DESC LIMIT ?"
)
_SELECT_RENEWALS = "SELECT at, json FROM events WHERE kind = 'LoginRenewed' ORDER BY id DESC LIMIT ?"
_HAPPENINGS: dict[str, type[Happening]] = {kind.__name__: kind for kind in get_args(Happening)}
_SELECT_HAPPENINGS = (
    f"SELECT at, kind, json FROM events WHERE kind IN ({', '.join(map(repr, _HAPPENINGS))})"  # noqa: S608 - our names
    " ORDER BY id DESC LIMIT ?"
)
_SELECT_MOVED = "SELECT json FROM events WHERE kind = 'SessionMoved' AND at >= ? ORDER BY id DESC LIMIT ?"
_SELECT_SPENT = """
SELECT CAST((at + ?3) / ?2 AS INTEGER) * ?2 - ?3, account, model, count(*), sum(outcome <> 'Served'), sum(attempts),
       sum(input_tokens), sum(output_tokens), sum(cache_read), sum(cache_write)
FROM requests WHERE at >= ?1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_LOOK_BACK = 1_000
"""Events of their kind, of all accounts."""

T = TypeVar("T")


class RequestRow(msgspec.Struct, frozen=True):
    """One request of a client, when it is over. `account` is who served it last, None when nobody did."""

    at: float
    provider: ProviderName
    status: int
    outcome: str
    attempts: int
    duration_s: float
    first_byte_s: float | None = None
    account: AccountId | None = None
    model: str = ""
    session: SessionId | None = None
    usage: Usage = Usage()
    client: str = ""
    """The connected program whose key it carried; empty for the key that every program may have."""


class EventRow(msgspec.Struct, frozen=True):
    """One event, or one move with the labels of that day, which outlives the accounts."""

    at: float
    event: Event | Move
    text: str = ""


class Spent(msgspec.Struct, frozen=True):
    """The requests of one account for one model within one span of time, added up."""

    at: float
    """When the span began."""
    account: AccountId | None
    model: str
    requests: int
    not_served: int
    attempts: int
    usage: Usage


Row = RequestRow | EventRow | SampleRow


class _About(msgspec.Struct):
    """What the events have in common that speak of one account."""

    account: AccountId
    text: str = ""


class History:
    """The database, open. `record` and `save_pool` belong to one thread (the loop); reads are awaited there."""

    def __init__(
        self,
        database: sqlite3.Connection,
        problem: str | None = None,
        *,
        keep_requests: int = KEEP_REQUESTS,
        keep_events: int = KEEP_EVENTS,
        keep_samples: int = KEEP_SAMPLES,
    ) -> None:
        self._database = database
        self._keep = {"requests": keep_requests, "events": keep_events, "samples": keep_samples}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")
        self._guard = threading.Condition()
        self._pending: deque[Row] = deque(maxlen=MAX_PENDING)
        self._pool: Pool | None = None
        self._flush_due = False
        self._readers = 0
        self._failing = False
        self.on_record: Callable[[RequestRow | EventRow], None] = lambda _: None
        """Is given every request and event as it is recorded, on the same thread. Must be cheap."""
        self.problem = problem
        """What the person should know, None when all is well. Changes when writing fails and when it works again."""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        keep_requests: int = KEEP_REQUESTS,
        keep_events: int = KEEP_EVENTS,
        keep_samples: int = KEEP_SAMPLES,
    ) -> "History":
        """Open or create the database. A damaged one, or one from a newer version, is moved aside. Blocks."""
        try:
            database, problem = connect(path), None
        except sqlite3.OperationalError as exc:  # busy, unreadable, disk full: nothing is wrong with the file
            log.warning("History is kept in memory only: %s: %s", path, exc)
            database = in_memory()
            problem = f"History cannot be saved: {exc}"
        except (sqlite3.DatabaseError, NewerError) as exc:
            aside = move_database_aside(path)
            log.warning("%s could not be used (%s) and is kept as %s", path, exc, aside)
            database = connect(path)
            problem = f"History starts anew: {path.name} could not be used ({exc}) and was kept as {aside}"
        return cls(database, problem, keep_requests=keep_requests, keep_events=keep_events, keep_samples=keep_samples)

    def record(self, row: RequestRow | EventRow) -> None:
        """Remember one row. Cheap; it is on disk within two seconds or when anybody reads."""
        self._append(row)
        self.on_record(row)

    def sample(self, row: SampleRow) -> None:
        """Remember how full a window was. As cheap as `record`."""
        self._append(row)

    def save_pool(self, pool: Pool) -> None:
        """Remember the last Pool. Cheap; of several within two seconds only the last is written."""
        with self._guard:
            self._pool = pool
            self._schedule()

    async def load_pool(self) -> Pool | None:
        """The Pool as it was last saved; None when there is none or it does not read."""
        return next(_decoded(await self._read("SELECT json FROM pool"), Pool), None)

    async def moves(self, limit: int) -> tuple[Move, ...]:
        """The last moves from one account to another, newest first."""
        rows = await self._read("SELECT json FROM events WHERE kind = 'Move' ORDER BY id DESC LIMIT ?", limit)
        return tuple(_decoded(rows, Move))

    async def happenings(self, limit: int) -> tuple[tuple[float, Happening], ...]:
        """What a person may want to read, and when it was, newest first."""
        rows = await self._read(_SELECT_HAPPENINGS, limit)
        return tuple((at, event) for at, kind, json in rows for event in _decoded([(json,)], _HAPPENINGS[kind]))

    async def moved_since(self, at: float) -> tuple[int, int]:
        """How many conversations moved since then, and what their prompt caches held, in tokens."""
        moved = tuple(_decoded(await self._read(_SELECT_MOVED, at, KEEP_EVENTS), SessionMoved))
        return len(moved), sum(event.tokens for event in moved)

    async def errors(self, id_: AccountId, limit: int) -> tuple[tuple[float, str], ...]:
        """What went wrong with an account and when, newest first."""
        rows = await self._read(_SELECT_ERRORS, _LOOK_BACK)
        told = ((at, about.text) for at, about in _about(rows) if about.account == id_)
        return tuple(itertools.islice(told, limit))

    async def renewed_at(self, id_: AccountId) -> float | None:
        """When an account's login was last renewed; None when that is too long ago."""
        rows = await self._read(_SELECT_RENEWALS, _LOOK_BACK)
        return next((at for at, about in _about(rows) if about.account == id_), None)

    async def requests(self, limit: int) -> tuple[RequestRow, ...]:
        """The last requests, newest first."""
        rows = await self._read(_SELECT_REQUESTS, limit)
        return tuple(_request(row) for row in rows)

    async def spent(self, since_at: float, span_s: float, zone_s: float) -> tuple[Spent, ...]:
        """What was used since then, added up by spans of `span_s`, account and model; the oldest first.

        Spans begin on the clock of a place `zone_s` east of Greenwich.
        """
        rows = await self._read(_SELECT_SPENT, since_at, span_s, zone_s)
        return tuple(
            Spent(at, account, model, requests, not_served, attempts, Usage(*tokens))
            for at, account, model, requests, not_served, attempts, *tokens in rows
        )

    async def sampled(self) -> tuple[WindowKey, ...]:
        """The windows of which anything is kept, also of accounts that are gone."""
        return await self._answered(lambda: tuple(history_samples.keys(self._database)), ())

    async def courses(
        self, keys: Sequence[WindowKey], since_at: float, span_s: float
    ) -> tuple[tuple[SampleRow, ...], ...]:
        """How full each window was since then, as `history_samples.course` tells it."""

        def read() -> tuple[tuple[SampleRow, ...], ...]:
            return tuple(tuple(history_samples.course(self._database, key, since_at, span_s)) for key in keys)

        return await self._answered(read, ((),) * len(keys))

    @property
    def pending(self) -> int:
        """Rows that wait to be written."""
        return len(self._pending)

    async def flush(self) -> None:
        """Write what is left."""
        await self._ask(lambda: None)

    async def close(self) -> None:
        """Write what is left and close. Nothing may be recorded after it."""
        await self._ask(self._database.close)
        self._worker.shutdown(wait=False)

    async def _read(self, query: str, *values: float) -> list[Any]:
        return await self._answered(lambda: self._database.execute(query, values).fetchall(), [])

    async def _answered(self, question: Callable[[], T], else_: T) -> T:
        """What the database answers; `else_` when it does not, which is said."""
        try:
            return await self._ask(question)
        except sqlite3.Error as exc:
            log.warning("History cannot be read: %s", exc)
            self.problem = f"History cannot be read: {exc}"
            return else_

    async def _ask(self, work: Callable[[], T]) -> T:
        """Do `work` in the worker, after everything recorded so far is written."""
        with self._guard:
            self._readers += 1
            self._guard.notify()
        return await asyncio.wrap_future(self._worker.submit(self._after_flush, work))

    def _append(self, row: Row) -> None:
        with self._guard:
            self._pending.append(row)
            self._schedule()
            if len(self._pending) == FLUSH_ROWS:
                self._guard.notify()

    def _schedule(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._worker.submit(self._flush_soon)

    # In the worker thread from here on.

    def _flush_soon(self) -> None:
        with self._guard:
            self._guard.wait_for(self._hurries, FLUSH_AFTER_S)
        self._flush()

    def _hurries(self) -> bool:
        """Whether somebody reads, or much waits. On a full disk much waits, and is tried again no sooner for that."""
        return bool(self._readers) or (len(self._pending) >= FLUSH_ROWS and not self._failing)

    def _after_flush(self, work: Callable[[], T]) -> T:
        with self._guard:
            self._readers -= 1
        self._flush()
        return work()

    def _flush(self) -> None:
        """Write all that waits in one transaction. What cannot be written waits for the next time."""
        with self._guard:
            self._flush_due = False
            rows, pool = tuple(self._pending), self._pool
            self._pending.clear()
            self._pool = None
        if not rows and pool is None:
            return
        try:
            self._write(rows, pool)
        except sqlite3.Error as exc:
            self._put_back(rows, pool)
            if not self._failing:
                log.warning("History cannot be saved: %s", exc)
                self._failing, self.problem = True, f"History cannot be saved: {exc}"
        else:
            if self._failing:
                log.info("History is saved again")
                self._failing, self.problem = False, None

    def _put_back(self, rows: Sequence[Row], pool: Pool | None) -> None:
        with self._guard:
            newer = tuple(self._pending)
            self._pending.clear()
            self._pending.extend((*rows, *newer))
            self._pool = self._pool or pool

    def _write(self, rows: Sequence[Row], pool: Pool | None) -> None:
        with transaction(self._database) as database:
            for row in rows:
                match row:
                    case RequestRow():
                        database.execute(_INSERT_REQUEST, _values(row))
                    case EventRow():
                        database.execute(
                            "INSERT INTO events VALUES (NULL, ?, ?, ?, ?)",
                            (row.at, type(row.event).__name__, row.text, msgspec.json.encode(row.event)),
                        )
                    case SampleRow():
                        history_samples.insert(database, row)
            if pool is not None:
                database.execute("INSERT OR REPLACE INTO pool VALUES (1, ?)", (msgspec.json.encode(pool),))
            for table, keep in self._keep.items():
                # Ids are consecutive, so this walks the primary key and finds nothing most of the time.
                database.execute(
                    f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table}"  # noqa: S608 - our own table names
                    f" WHERE id <= (SELECT max(id) FROM {table}) - ? LIMIT ?)",
                    (keep, _DELETE_BATCH),
                )
            newest = max((row.at for row in rows if isinstance(row, SampleRow)), default=None)
            if newest is not None:
                history_samples.delete_old(database, newest)


def _values(row: RequestRow) -> tuple[str | float | None, ...]:
    usage = row.usage
    tokens = (usage.input, usage.output, usage.cache_read, usage.cache_write)
    who = (row.at, row.account, row.provider, row.model, row.session)
    return (*who, row.status, row.outcome, row.attempts, *tokens, row.duration_s, row.first_byte_s, row.client)


def _decoded(rows: Iterable[tuple[bytes]], kind: type[T]) -> Iterator[T]:
    """The values in `rows`, without those that do not read."""
    for (json,) in rows:
        try:
            yield msgspec.json.decode(json, type=kind)
        except UNREADABLE as exc:
            log.warning("A saved %s does not read and is left out: %s", kind.__name__, exc)


def _about(rows: Iterable[tuple[float, bytes]]) -> Iterator[tuple[float, _About]]:
    for at, json in rows:
        yield from ((at, about) for about in _decoded([(json,)], _About))


def _request(row: Sequence[Any]) -> RequestRow:
    at, account, provider, model, session, status, outcome, attempts, *tokens, duration_s, first_byte_s, client = row
    return RequestRow(
        at=at,
        account=account,
        provider=ProviderName(provider),
        model=model,
        session=session,
        status=status,
        outcome=outcome,
        attempts=attempts,
        usage=Usage(*tokens),
        duration_s=duration_s,
        first_byte_s=first_byte_s,
        client=client,
    )
