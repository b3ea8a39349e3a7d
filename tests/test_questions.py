from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from core import log_reading
from core.answers import LogEntry, RequestEntry
from core.errors import UsageError
from core.files import Paths
from core.history import History, RequestRow
from core.logs import Entry, as_text
from core.model import AccountId, ProviderName, SessionId, Usage
from core.orders import RecountLog, RecountRequests
from core.questions import MOST_LOGGED, Questions
from core.telling import MOST_RECOUNTED, REMOVED
from tests.instance import instance
from tests.pools import NOW, A, pool

pytestmark = pytest.mark.anyio

ENTRIES = (
    Entry(1_763_000_000.0, "INFO", "Work to Home: 5 h window full", "0a1b2c3d"),
    Entry(1_763_000_001.0, "WARNING", "Home: no answer"),
    Entry(1_763_000_002.0, "INFO", "Home serves"),
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


@pytest.fixture
async def history(paths: Paths) -> AsyncIterator[History]:
    opened = History.open(paths.history)
    yield opened
    await opened.close()


@pytest.fixture
def questions(history: History, paths: Paths) -> Questions:
    return Questions(lambda: pool("a"), history, partial(log_reading.recent, paths), lambda: NOW)


async def test_a_request_is_told_with_everything_but_what_was_said_in_it(
    history: History, questions: Questions
) -> None:
    row = RequestRow(
        at=NOW - 5,
        provider=ProviderName.ANTHROPIC,
        status=200,
        outcome="Served",
        attempts=2,
        duration_s=1.5,
        first_byte_s=0.5,
        account=A,
        model="opus",
        session=SessionId("anthropic/s1"),
        usage=Usage(1, 2, 3, 4),
        client="opencode",
    )
    history.record(row)

    told = await questions.requests(RecountRequests())

    assert told.at == NOW
    assert told.entries == (
        RequestEntry(
            NOW - 5,
            "A",
            ProviderName.ANTHROPIC,
            "opus",
            "opencode",
            "anthropic/s1",
            200,
            "Served",
            2,
            1,
            2,
            3,
            4,
            1.5,
            0.5,
        ),
    )


async def test_requests_are_told_newest_first_with_who_is_gone_and_who_was_nobody(
    history: History, questions: Questions
) -> None:
    for at, account in enumerate((A, AccountId("gone"), None)):
        history.record(RequestRow(float(at), ProviderName.ANTHROPIC, 200, "Served", 1, 1.0, account=account))

    assert [entry.label for entry in (await questions.requests(RecountRequests())).entries] == ["", REMOVED, "A"]
    assert [entry.at for entry in (await questions.requests(RecountRequests(1))).entries] == [2.0]


async def test_the_log_is_told_oldest_first(paths: Paths, questions: Questions) -> None:
    paths.log.write_text("".join(f"{as_text(entry)}\n" for entry in ENTRIES), encoding="utf-8")

    everything = await questions.log(RecountLog())
    last = await questions.log(RecountLog(1))
    troubles = await questions.log(RecountLog(level="warning"))

    assert everything.entries == tuple(LogEntry(e.at, e.level, e.request, e.text) for e in ENTRIES)
    assert last.entries == everything.entries[-1:]
    assert troubles.entries == everything.entries[1:2]
    assert everything.at == NOW


@pytest.mark.parametrize("limit", [0, -1, max(MOST_LOGGED, MOST_RECOUNTED) + 1])
async def test_too_much_or_nothing_is_not_told(questions: Questions, limit: int) -> None:
    with pytest.raises(UsageError, match="entries cannot be told"):
        await questions.log(RecountLog(limit))
    with pytest.raises(UsageError, match="requests cannot be told"):
        await questions.requests(RecountRequests(limit))


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("quota", {"days": 7}, {"at", "since_at", "curves", "moves"}),
        ("requests", {"limit": 5}, {"at", "entries"}),
        ("log", {"limit": 5, "level": "warning"}, {"at", "entries"}),
        ("usage", {"days": 1}, {"at", "since_at", "span_s", "total", "by", "spans", "models"}),
        ("history", {}, {"at", "entries", "within_s", "moves", "tokens"}),
    ],
)
async def test_every_question_is_an_order(
    tmp_path: Path, name: str, arguments: dict[str, object], told: set[str]
) -> None:
    async with instance(tmp_path) as here:
        assert set(await here.commands.run(name, arguments)) == told


@pytest.mark.parametrize("arguments", [{"level": "info"}, {"limit": "5"}, {"days": 1}])
async def test_a_question_that_is_not_understood_is_refused(tmp_path: Path, arguments: dict[str, object]) -> None:
    async with instance(tmp_path) as here:
        with pytest.raises(UsageError, match="log does not take these arguments"):
            await here.commands.run("log", arguments)
