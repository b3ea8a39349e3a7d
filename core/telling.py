"""Answers to "why this account?" and "what happened?"."""

from collections.abc import Callable, Sequence
from typing import Protocol

from core.answers import Explanation, Happened, Line, Recounted, RequestEntry, RequestsReport
from core.errors import NothingToDo, UsageError
from core.event_wording import Happening, happening_text
from core.history import RequestRow
from core.model import (
    AccountId,
    AllSpent,
    ClientKind,
    Move,
    Pool,
    ProviderBack,
    ProviderLost,
    ProviderName,
    Request,
    SessionId,
    SessionMoved,
)
from core.orders import Explain, Recount, RecountRequests
from core.policy.explain import explain
from core.policy.outage import FAILURES
from core.policy.pool import paused
from core.providers.incoming import family_of

MOST_RECOUNTED = 1_000
MOVES_WITHIN_S = 86_400.0
REMOVED = "a removed account"


class Recent(Protocol):
    """What history tells of all accounts."""

    async def happenings(self, limit: int) -> Sequence[tuple[float, Happening]]:
        """What a person may want to read, and when it was, newest first."""

    async def moved_since(self, at: float) -> tuple[int, int]:
        """How many conversations moved since then, and what their prompt caches held, in tokens."""


class Requested(Protocol):
    """What history tells of requests, one by one."""

    async def requests(self, limit: int) -> Sequence[RequestRow]:
        """The last requests, newest first."""


def explanation(pool: Pool, order: Explain, now: float) -> Explanation:
    """Who would serve next, and why the others would not. Raises NothingToDo when there is nobody to tell of."""
    having = {state.account.kind.provider for state in pool.accounts}
    lines = tuple(
        _line(pool, provider, order, now) for provider in ProviderName if provider in having & _asked_about(order)
    )
    if not lines:
        raise NothingToDo("There is no account to choose from", "Add one: tidegate add api-key, add go, or add claude.")
    return Explanation(now, pool.strategy, lines, paused(pool, now))


def _asked_about(order: Explain) -> set[ProviderName]:
    return set(ProviderName) if order.provider is None else {order.provider}


def _line(pool: Pool, provider: ProviderName, order: Explain, now: float) -> Line:
    session = None if order.session is None else SessionId(order.session)
    # Like the picture it asks for Claude Code, which no account is set up to turn away.
    request = Request(provider, session, ClientKind.CLAUDE_CODE, order.model, family_of(order.model))
    lost = pool.outages.get(provider)
    since_at = lost.since_at if lost and lost.failures >= FAILURES else None
    return Line(provider, explain(pool, request, now), since_at)


async def recounted(past: Recent, pool: Pool, order: Recount, now: float) -> Recounted:
    """What happened lately. Raises UsageError when that is too much to tell."""
    heed_most(order.limit, MOST_RECOUNTED, "things")

    def label(id_: AccountId) -> str:
        return label_of(pool, id_)

    happened = await past.happenings(order.limit)
    moves, tokens = await past.moved_since(now - MOVES_WITHIN_S)
    entries = tuple(
        Happened(
            at,
            type(event).__name__,
            happening_text(event, label, now),
            event.tokens if isinstance(event, SessionMoved) else 0,
            _labels(event, label),
        )
        for at, event in happened
    )
    return Recounted(now, entries, MOVES_WITHIN_S, moves, tokens)


def _labels(event: Happening, label: Callable[[AccountId], str]) -> tuple[str, ...]:
    match event:
        case Move(source=source, target=target):
            return (source, target)
        case SessionMoved(source=source, target=target):
            return (label(source), label(target))
        case ProviderLost() | ProviderBack():
            return ()
        case AllSpent(account=account):
            return (label(account),) if account else ()
        case _:
            return (label(event.account),)


async def requests_report(past: Requested, pool: Pool, order: RecountRequests, now: float) -> RequestsReport:
    """The last requests. Raises UsageError when they are too many to tell."""
    heed_most(order.limit, MOST_RECOUNTED, "requests")
    rows = await past.requests(order.limit)
    return RequestsReport(now, tuple(_entry(row, pool) for row in rows))


def _entry(row: RequestRow, pool: Pool) -> RequestEntry:
    return RequestEntry(
        at=row.at,
        label=label_of(pool, row.account) if row.account else "",
        provider=row.provider,
        model=row.model,
        client=row.client,
        session=row.session or "",
        status=row.status,
        outcome=row.outcome,
        attempts=row.attempts,
        input=row.usage.input,
        output=row.usage.output,
        cache_read=row.usage.cache_read,
        cache_write=row.usage.cache_write,
        duration_s=row.duration_s,
        first_byte_s=row.first_byte_s,
    )


def heed_most(number: int, most: int, what: str) -> None:
    """Raises UsageError when somebody wants to be told of no `what`, or of more than there is an answer to."""
    if not 1 <= number <= most:
        raise UsageError(f"{number} {what} cannot be told", f"Say a number from 1 to {most}.")


def label_of(pool: Pool, id_: AccountId) -> str:
    """What an account is called, also one that is gone."""
    state = pool.state(id_)
    return state.account.label if state else REMOVED
