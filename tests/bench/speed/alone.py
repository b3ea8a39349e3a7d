"""What takes minutes and is measured once: open streams, growth, wakeups, failover, many accounts, a long history."""

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from tests.bench.speed import measures
from tests.bench.speed.measures import Readings
from tests.bench.speed.native import Programs, load, upstream
from tests.bench.speed.profiling import serving, told
from tests.bench.speed.seen import look
from tests.bench.speed.subjects import KEYS, NotStarted, Start, Subject, Tidegate, keys, nginx, tidegate

STREAMS = (200, 1_000)
WARM, REQUESTS = 20_000, 80_000
IDLE_S = 20.0
FAILOVERS = 20
MANY_ACCOUNTS = 1_000
ROWS = 1_000_000
TURNS = 3


def once(programs: Programs) -> dict[str, Readings]:
    """Of Tidegate, and of nginx where it has something to say."""
    found: dict[str, Readings] = {"nginx": {}, "tidegate": {}}
    try:
        with _one(programs, nginx) as subject:
            for number in STREAMS:
                found["nginx"] |= measures.streams(programs, subject, number)
    except NotStarted:
        del found["nginx"]
    readings = found["tidegate"]
    with _one(programs, tidegate) as subject:
        _tell("wakeups")
        readings |= measures.wakeups(subject, IDLE_S)
        _tell("failover")
        readings |= measures.failover(programs, subject, FAILOVERS)
        for number in STREAMS:
            _tell(f"{number} streams")
            readings |= measures.streams(programs, subject, number)
    _tell("growth")
    with upstream(programs) as port, tempfile.TemporaryDirectory(prefix="tg-bench-") as folder:
        installation = Tidegate(Path(folder) / "data", port)
        installation.set_up()
        with serving(installation, "tasks") as (subject, written):
            readings |= measures.growth(programs, subject, lambda: told(subject, written)["tasks"], WARM, REQUESTS)
    return found


def compared(programs: Programs) -> dict[str, dict[str, Readings]]:
    """Tidegate with more of something, beside itself without."""
    _tell(f"{MANY_ACCOUNTS} accounts")
    with upstream(programs) as port, tempfile.TemporaryDirectory(prefix="tg-bench-") as root:
        few, many = Tidegate(Path(root) / "few", port), Tidegate(Path(root) / "many", port)
        few.set_up()
        many.set_up(keys(MANY_ACCOUNTS))
        accounts = _beside(programs, {f"{len(KEYS)} accounts": few, f"{MANY_ACCOUNTS:,} accounts": many})
    _tell(f"{ROWS} rows of history")
    with upstream(programs) as port, tempfile.TemporaryDirectory(prefix="tg-bench-") as root:
        short, long = Tidegate(Path(root) / "short", port), Tidegate(Path(root) / "long", port)
        for one in (short, long):
            one.set_up()
        lengthen(programs, long, ROWS)
        history = _beside(programs, {"no history": short, f"{ROWS:,} rows of history": long})
    _tell("")
    return {"accounts": accounts, "history": history}


def _beside(programs: Programs, installations: Mapping[str, Tidegate]) -> dict[str, Readings]:
    """All of them in every turn; the medians of the turns."""
    turns: list[dict[str, Readings]] = []
    for _ in range(TURNS):
        turns.append({})
        for name, installation in installations.items():
            with installation.serve() as subject:
                turns[-1][name] = _looked_at(programs, installation, subject)
    return {
        name: {key: statistics.median(turn[name][key] for turn in turns) for key in turns[0][name]}
        for name in installations
    }


def _looked_at(programs: Programs, installation: Tidegate, subject: Subject) -> Readings:
    assert subject.pid
    began = look(subject.pid)
    readings: Readings = {
        "start_s": subject.started_s,
        "start_cpu_s": began.cpu_s,
        "idle_rss_mib": began.rss_kib / 1024,
    }
    load(programs, subject.target, requests=100)
    before = look(subject.pid).cpu_s
    answer = load(programs, subject.target, requests=1_000)
    readings["latency_p50_us"] = answer["latency"]["p50"]
    readings["latency_p99_us"] = answer["latency"]["p99"]
    readings["request_cpu_us"] = (look(subject.pid).cpu_s - before) / answer["good"] * 1e6
    readings["errors"] = answer["requests"] - answer["good"]
    with installation.ordering() as order:
        order("snapshot")  # loads what orders need
        for name in ("snapshot", "usage"):
            asked_at = time.perf_counter()
            order(name)
            readings[f"order_{name}_ms"] = (time.perf_counter() - asked_at) * 1e3
    return readings


def lengthen(programs: Programs, installation: Tidegate, rows: int) -> None:
    """Make its history so long: real requests, copied into the 30 days before."""
    kept = 1_000
    with installation.serve() as subject:
        load(programs, subject.target, requests=kept, connections=8)
    copies = rows // kept
    with closing(sqlite3.connect(installation.folder / "history.db", isolation_level=None)) as database:
        columns = [name for _, name, *_ in database.execute("PRAGMA table_info(requests)") if name != "id"]
        others = ", ".join(name for name in columns if name != "at")
        last = database.execute("SELECT max(id) FROM requests").fetchone()[0]
        copy = f"INSERT INTO requests (at, {others}) SELECT at - ?, {others} FROM requests WHERE id <= ? ORDER BY id"
        database.execute("BEGIN")
        for number in range(copies, 0, -1):
            database.execute(copy, (30 * 86_400 * number / copies, last))
        database.execute("DELETE FROM requests WHERE id <= ?", (last,))
        database.execute("COMMIT")


@contextmanager
def _one(programs: Programs, start: Start) -> Iterator[Subject]:
    with (
        upstream(programs) as port,
        tempfile.TemporaryDirectory(prefix="tg-bench-") as folder,
        start(Path(folder), port) as subject,
    ):
        yield subject


def _tell(what: str) -> None:
    print(f"\r{what}\033[K", end="", file=sys.stderr, flush=True)
