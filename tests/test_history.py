import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from core import history as history_module
from core.history import EventRow, History, RequestRow, Row
from core.history_samples import KEEP_SAMPLES_S, SampleRow, WindowKey
from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountState,
    Affinity,
    Alert,
    AllSpent,
    Cause,
    Changed,
    Choice,
    ClientKind,
    ClientNotServed,
    Cooldown,
    CooldownStarted,
    Event,
    ExtraUsageBegan,
    FailedOver,
    LoginRenewed,
    LoginRequired,
    ModelFamily,
    Move,
    Pin,
    Pool,
    ProviderBack,
    ProviderLost,
    ProviderName,
    QuotaWindow,
    RenewalFailed,
    SessionId,
    SessionMoved,
    Usage,
    WindowFilled,
    WindowReset,
)

pytestmark = pytest.mark.anyio

WORK = AccountId("work")
ROW = RequestRow(
    at=1_000.5,
    provider=ProviderName.ANTHROPIC,
    status=200,
    outcome="Served",
    attempts=2,
    duration_s=1.25,
    first_byte_s=0.5,
    account=WORK,
    model="claude-sonnet-5",
    session=SessionId("s1"),
    usage=Usage(1, 2, 3, 4),
)
POOL = Pool.of(
    (
        AccountState(
            Account(WORK, "Work", AccountKind.CLAUDE),
            windows=(QuotaWindow("5h", 0.62, 5_000.0, family=ModelFamily("opus")),),
            cooldowns=(Cooldown(9.0, Cause.QUOTA, "5 h window full"),),
            refuses=frozenset({ClientKind.OTHER}),
        ),
    ),
    pins={ProviderName.ANTHROPIC: Pin(WORK, None)},
    sessions={SessionId("s1"): Affinity(WORK, 3.0)},
    active={ProviderName.ANTHROPIC: Choice(WORK, "least utilized")},
)


@pytest.fixture
def damaged(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture
def occupied(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


async def test_what_is_recorded_is_there_after_a_restart(path: Path) -> None:
    move = Move(at=7.0, source="Work", target="Home", text="5 h window full", until_at=99.0)
    history = History.open(path)
    history.record(ROW)
    history.record(EventRow(6.0, Changed("something"), "something"))
    history.record(EventRow(7.0, move, move.text))
    history.save_pool(Pool())
    history.save_pool(POOL)
    await history.close()

    again = History.open(path)
    assert again.problem is None
    assert await again.requests(10) == (ROW,)
    assert await again.moves(10) == (move,)
    assert await again.load_pool() == POOL
    await again.close()


async def test_the_newest_come_first_and_no_more_than_asked_for(path: Path) -> None:
    history = History.open(path)
    for number in range(5):
        history.record(RequestRow(float(number), ProviderName.OPENCODE_GO, 429, "Exhausted", 0, 0.1))

    assert [row.at for row in await history.requests(2)] == [4.0, 3.0]
    await history.close()


async def test_files_are_for_their_owner_only(path: Path) -> None:
    history = History.open(path)
    history.record(ROW)
    await history.requests(1)

    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    await history.close()

    assert modes == {"history.db": 0o600, "history.db-wal": 0o600, "history.db-shm": 0o600}


async def test_it_is_on_disk_soon_without_anybody_reading(path: Path) -> None:
    history = History.open(path)
    history.record(ROW)

    deadline = time.monotonic() + 30
    with contextlib.closing(sqlite3.connect(path)) as reader:
        while not reader.execute("SELECT count(*) FROM requests").fetchone()[0]:
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)
    await history.close()


async def test_how_full_windows_were_is_there_after_a_restart(path: Path) -> None:
    key = WindowKey(WORK, "7d", ModelFamily("opus"))
    history = History.open(path)
    history.sample(SampleRow(1.0, key, 0.25, 9.0))
    history.sample(SampleRow(5.0, key, 0.5, None))
    await history.close()

    again = History.open(path)
    assert await again.sampled() == (key,)
    told = await again.courses([key, WindowKey(WORK, "5h")], 2.0, 1.0)
    assert told == ((SampleRow(1.0, key, 0.25, 9.0), SampleRow(5.0, key, 0.5, None)), ())
    await again.close()


async def test_what_is_sampled_is_neither_a_request_nor_an_event(path: Path) -> None:
    counted: list[object] = []
    history = History.open(path)
    history.on_record = counted.append
    history.sample(SampleRow(1.0, WindowKey(WORK, "5h"), 0.5))
    assert history.pending == 1
    history.record(ROW)
    await history.close()
    assert counted == [ROW]


async def test_samples_that_are_too_old_go_with_the_next(path: Path) -> None:
    key = WindowKey(WORK, "5h")
    history = History.open(path)
    for at in (0.0, 1.0, KEEP_SAMPLES_S + 0.5):
        history.sample(SampleRow(at, key, 0.5))
    assert [row.at for row in (await history.courses([key], -1.0, 0.1))[0]] == [1.0, KEEP_SAMPLES_S + 0.5]
    await history.close()


async def test_what_cannot_be_read_is_said_and_answered_with_nothing(path: Path) -> None:
    history = History.open(path)
    history._database.execute("DROP TABLE samples")

    assert await history.courses([WindowKey(WORK, "5h")], 0.0, 1.0) == ((),)
    assert await history.sampled() == ()
    assert history.problem is not None
    assert "cannot be read" in history.problem
    await history.close()


async def test_it_is_bounded(path: Path) -> None:
    history = History.open(path, keep_requests=10, keep_events=5, keep_samples=7)
    for number in range(100):
        history.record(RequestRow(float(number), ProviderName.ANTHROPIC, 200, "Served", 1, 0.1))
        history.record(EventRow(float(number), Move(float(number), "a", "b", "c")))
        history.sample(SampleRow(float(number), WindowKey(WORK, "5h"), 0.5))

    assert [row.at for row in (await history.courses([WindowKey(WORK, "5h")], 0.0, 1.0))[0]] == [*range(93, 100)]
    assert [row.at for row in await history.requests(1_000)] == [float(n) for n in range(99, 89, -1)]
    assert [move.at for move in await history.moves(1_000)] == [float(n) for n in range(99, 94, -1)]
    await history.close()


@pytest.mark.parametrize(
    "content", [b"this is not a database at all, but long enough" * 100, b"SQLite format 3\0" * 300]
)
async def test_a_damaged_database_is_kept_aside_and_a_fresh_one_serves(damaged: Path, content: bytes) -> None:
    history = History.open(damaged)
    history.record(ROW)

    aside = damaged.with_name("history.db.broken-1")
    assert history.problem is not None
    assert str(aside) in history.problem
    assert aside.read_bytes() == content
    assert await history.requests(1) == (ROW,)
    await history.close()


async def test_a_page_damaged_in_the_middle_is_noticed_at_the_start(path: Path) -> None:
    history = History.open(path)
    for _ in range(2_000):
        history.record(ROW)
    await history.close()
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 8192)

    again = History.open(path)

    assert again.problem is not None
    assert await again.requests(1) == ()
    await again.close()


@pytest.mark.parametrize("script", ["PRAGMA user_version = 99", "CREATE TABLE other (x)"])
async def test_a_newer_or_foreign_database_is_kept_aside(path: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute(script)

    history = History.open(path)

    assert history.problem is not None
    assert path.with_name("history.db.broken-1").exists()
    await history.close()


async def test_a_saved_pool_that_does_not_read_is_none(path: Path) -> None:
    history = History.open(path)
    history.save_pool(POOL)
    await history.close()
    for broken in (b"{", b"[]", b'{"states": [{"account": 1}]}'):
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE pool SET json = ?", (broken,))

        again = History.open(path)
        assert await again.load_pool() is None
        await again.close()


async def test_a_place_that_cannot_be_written_costs_history_only(occupied: Path) -> None:
    history = History.open(occupied)
    history.record(ROW)

    assert history.problem is not None
    assert "cannot be saved" in history.problem
    assert await history.requests(1) == (ROW,)
    await history.close()


async def test_errors_of_an_account_are_told_newest_first(path: Path) -> None:
    history, home = History.open(path), AccountId("home")
    events: list[Event] = [
        LoginRequired(WORK, "revoked"),
        LoginRequired(home, "signed out"),
        CooldownStarted(WORK, 9.0, Cause.QUOTA, "5 h window full"),
        RenewalFailed(WORK, "no answer"),
        ClientNotServed(WORK, ClientKind.OTHER, "only for Claude Code"),
    ]
    for at, event in enumerate(events):
        history.record(EventRow(float(at), event))

    assert await history.errors(WORK, 5) == ((4.0, "only for Claude Code"), (3.0, "no answer"), (0.0, "revoked"))
    assert await history.errors(WORK, 1) == ((4.0, "only for Claude Code"),)
    assert await history.errors(AccountId("nobody"), 5) == ()
    await history.close()


async def test_what_a_person_may_want_to_read_is_told_newest_first(path: Path) -> None:
    history, home = History.open(path), AccountId("home")
    window = QuotaWindow("5h", 0.9, 99.0)
    told: list[Event | Move] = [
        Move(0.0, "Work", "Home", "5 h window full", 9.0),
        SessionMoved(WORK, home, "5 h window full", 1_000),
        LoginRequired(WORK, "revoked"),
        WindowFilled(WORK, window, Alert.SPENT, 9.0),
        WindowReset(WORK, window),
        ExtraUsageBegan(WORK),
        ProviderLost(ProviderName.ANTHROPIC, "no route"),
        ProviderBack(ProviderName.ANTHROPIC, 30.0),
        AllSpent(ProviderName.ANTHROPIC, None),
        RenewalFailed(WORK, "no answer"),
        ClientNotServed(WORK, ClientKind.OTHER, "only for Claude Code"),
    ]
    not_told: list[Event] = [
        CooldownStarted(WORK, 9.0, Cause.QUOTA, "5 h window full"),
        FailedOver(WORK, home, "5 h window full"),
        LoginRenewed(WORK),
        Changed("something"),
    ]
    for at, event in enumerate([*told, *not_told]):
        history.record(EventRow(float(at), event))

    assert await history.happenings(100) == tuple((float(at), event) for at, event in enumerate(told))[::-1]
    assert await history.happenings(1) == ((len(told) - 1.0, told[-1]),)
    await history.close()


async def test_an_event_that_does_not_read_is_left_out(path: Path) -> None:
    history = History.open(path)
    history.record(EventRow(1.0, LoginRequired(WORK, "revoked")))
    history.record(EventRow(2.0, SessionMoved(WORK, AccountId("home"), "", 5)))
    await history.requests(1)
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE events SET json = ? WHERE kind = 'SessionMoved'", (b"{",))

    assert [at for at, _ in await history.happenings(9)] == [1.0]
    assert await history.moved_since(0.0) == (0, 0)
    await history.close()


async def test_what_moving_cost_is_summed_up_since_a_moment(path: Path) -> None:
    history = History.open(path)
    for at, tokens in ((1.0, 7), (10.0, 200), (11.0, 3_000)):
        history.record(EventRow(at, SessionMoved(WORK, AccountId("home"), "", tokens)))
    history.record(EventRow(12.0, LoginRequired(WORK, "revoked")))

    assert await history.moved_since(10.0) == (2, 3_200)
    assert await history.moved_since(13.0) == (0, 0)
    await history.close()


async def test_last_renewal_of_an_account_is_remembered(path: Path) -> None:
    history = History.open(path)
    for at, account in ((1.0, "work"), (2.0, "work"), (3.0, "home")):
        history.record(EventRow(at, LoginRenewed(AccountId(account))))

    assert (await history.renewed_at(WORK), await history.renewed_at(AccountId("nobody"))) == (2.0, None)
    await history.close()


@contextlib.contextmanager
def _full(history: History) -> Iterator[None]:
    """SQLite's own limit: what a full disk gives, for this database alone."""
    pages = history._database.execute("PRAGMA page_count").fetchone()[0]
    history._database.execute(f"PRAGMA max_page_count = {pages}")
    yield
    history._database.execute("PRAGMA max_page_count = 1000000")


async def test_a_full_disk_is_said_once_and_what_waited_is_written_later(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history = History.open(path)
    long = RequestRow(1.0, ProviderName.ANTHROPIC, 200, "Served", 1, 0.1, model="m" * 5_000)
    await history.requests(1)
    with _full(history):
        for _ in range(3):
            history.record(long)
            assert await history.requests(1) == ()
        assert history.problem is not None
        assert "full" in history.problem
        assert len([r for r in caplog.records if "cannot be saved" in r.message]) == 1

    history.record(long)
    assert len(await history.requests(10)) == 4
    assert history.problem is None
    await history.close()


async def test_much_that_waits_is_written_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "FLUSH_AFTER_S", 3_600.0)
    history = History.open(path)
    for _ in range(history_module.FLUSH_ROWS - 1):
        history.record(ROW)
    await anyio.sleep(0.1)
    assert history.pending == history_module.FLUSH_ROWS - 1

    history.record(ROW)

    with anyio.fail_after(30):
        while history.pending:  # noqa: ASYNC110 - the worker tells nobody
            await anyio.sleep(0.01)
    await history.close()


async def test_much_that_waits_for_a_full_disk_is_not_tried_again_with_every_row(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "FLUSH_AFTER_S", 3_600.0)
    history = History.open(path)
    write, tried = history._write, list[int]()

    def counted(rows: Sequence[Row], pool: Pool | None) -> None:
        tried.append(len(rows))
        write(rows, pool)

    monkeypatch.setattr(history, "_write", counted)
    long = replace(ROW, model="m" * 5_000)
    await history.requests(1)
    with _full(history):
        for _ in range(history_module.FLUSH_ROWS):
            history.record(long)
        with anyio.fail_after(30):
            while history.problem is None:  # noqa: ASYNC110 - the worker tells nobody
                await anyio.sleep(0.01)
        for _ in range(50):
            history.record(long)
            await anyio.sleep(0.002)
        assert tried == [history_module.FLUSH_ROWS]

    assert len(await history.requests(1_000)) == history_module.FLUSH_ROWS + 50
    await history.close()


async def test_what_waits_is_written_when_somebody_wants_it(path: Path) -> None:
    history = History.open(path)
    history.record(ROW)
    history.save_pool(POOL)

    await history.flush()

    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM requests").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM pool").fetchone() == (1,)
    await history.close()
