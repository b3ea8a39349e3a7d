"""What is measured of one subject that runs. Every function gives readings by name; the names carry their units."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.speed.native import Programs, load, loading, told_by
from tests.bench.speed.seen import Seen, look
from tests.bench.speed.subjects import Subject

Readings = dict[str, float]
LARGE_BYTES = 200_000
BIG_BYTES = 10_000_000
SETTLE_S = 3.0
"""History is written within two seconds."""
PAUSE_S = 0.3


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to look. Shorter is noisier."""

    answer_s: float = 1.5
    first_byte_s: float = 1.0
    rate_s: float = 2.0
    paced_s: float = 3.0
    flood_events: int = 1_000
    big: int = 5


LITTLE = Effort(answer_s=0.5, first_byte_s=0.5, rate_s=1.0, paced_s=2.0, flood_events=200, big=2)


def idle(_: Programs, subject: Subject, __: Effort) -> Readings:
    """After its first answer."""
    seen = _seen(subject)
    return {
        "start_s": subject.started_s,
        "idle_rss_mib": seen.rss_kib / 1024,
        "idle_private_mib": seen.private_kib / 1024,
    }


def answer(programs: Programs, subject: Subject, effort: Effort) -> Readings:
    """A JSON answer, one connection."""
    load(programs, subject.target, requests=50)
    told, cpu_s = _loaded(programs, subject, seconds=effort.answer_s)
    return {
        "answer_p50_us": _of(told, "latency", "p50"),
        "answer_p99_us": _of(told, "latency", "p99"),
        "answer_cpu_us": cpu_s / max(told["good"], 1) * 1e6,
        **_faults("answer", told),
    }


def first_byte(programs: Programs, subject: Subject, effort: Effort) -> Readings:
    """The first byte of a stream, one connection."""
    told, _ = _loaded(programs, subject, seconds=effort.first_byte_s, events=1)
    return {
        "first_byte_p50_us": _of(told, "first_byte", "p50"),
        "first_byte_p99_us": _of(told, "first_byte", "p99"),
        **_faults("first_byte", told),
    }


def rate(programs: Programs, subject: Subject, effort: Effort) -> Readings:
    """JSON answers, 32 connections."""
    load(programs, subject.target, requests=100, connections=32)
    told, cpu_s = _loaded(programs, subject, seconds=effort.rate_s, connections=32)
    return {
        "rate_per_s": told["good"] / told["elapsed_s"],
        "rate_cpu_us": cpu_s / max(told["good"], 1) * 1e6,
        "rate_load_cpu_share": told["cpu_s"] / told["elapsed_s"],
        **_faults("rate", told),
    }


def paced(programs: Programs, subject: Subject, effort: Effort) -> Readings:
    """50 streams with 100 events a second each."""
    told, cpu_s = _loaded(
        programs, subject, connections=50, requests=50, events=int(effort.paced_s * 100), text="every_us=10000"
    )
    return {
        "event_delay_p50_us": _of(told, "event_delay", "p50"),
        "event_delay_p99_us": _of(told, "event_delay", "p99"),
        "event_gap_p99_us": _of(told, "gap", "p99"),
        "paced_cpu_s_per_million": cpu_s / max(told["events"], 1) * 1e6,
        **_faults("paced", told),
    }


def flood(programs: Programs, subject: Subject, effort: Effort) -> Readings:
    """50 streams, as fast as they go."""
    told, cpu_s = _loaded(programs, subject, connections=50, requests=50, events=effort.flood_events)
    return {
        "flood_per_s": told["events"] / told["elapsed_s"],
        "flood_cpu_s_per_million": cpu_s / max(told["events"], 1) * 1e6,
        **_faults("flood", told),
    }


def large(programs: Programs, subject: Subject, effort: Effort) -> Readings:
    """A request as coding agents send them in a long conversation, one connection."""
    told, cpu_s = _loaded(programs, subject, seconds=effort.first_byte_s, body=LARGE_BYTES)
    return {
        "large_p50_us": _of(told, "latency", "p50"),
        "large_cpu_us": cpu_s / max(told["good"], 1) * 1e6,
        **_faults("large", told),
    }


def big(programs: Programs, subject: Subject, effort: Effort) -> Readings:
    """A request of 10 MB."""
    told, _ = _loaded(programs, subject, requests=effort.big, body=BIG_BYTES)
    return {"big_p50_us": _of(told, "latency", "p50"), **_faults("big", told)}


Measure = Callable[[Programs, Subject, Effort], Readings]
IN_ROUNDS: Mapping[str, Measure] = {
    "idle": idle,
    "answer": answer,
    "first_byte": first_byte,
    "rate": rate,
    "large": large,
    "paced": paced,
    "flood": flood,
    "big": big,
}


def streams(programs: Programs, subject: Subject, number: int) -> Readings:
    """Memory while so many streams are open, each with five events a second."""
    load(programs, subject.target, requests=200, connections=8, events=5)
    before = _seen(subject)
    arguments: dict[str, object] = {"connections": number, "requests": number, "events": 25, "text": "every_us=200000"}
    with loading(programs, subject.target, **arguments) as process:
        time.sleep(SETTLE_S)
        during = _seen(subject)
        told = told_by(process)
    readings = {f"streams_{number}_errors": told["requests"] - told["good"]}
    if told["good"] == number:  # else there were fewer
        readings[f"streams_{number}_rss_mib"] = during.rss_kib / 1024
        readings[f"streams_{number}_kib_each"] = (during.rss_kib - before.rss_kib) / number
    return readings


def growth(programs: Programs, subject: Subject, tasks: Callable[[], int], warm: int, requests: int) -> Readings:
    """What so many requests leave behind, after `warm` of them. Half come from many connections, half are streams."""
    _work(programs, subject, warm)
    before, tasks_before = _seen(subject), tasks()
    errors = _work(programs, subject, requests)
    after, tasks_after = _seen(subject), tasks()
    return {
        "growth_rss_kib": after.rss_kib - before.rss_kib,
        "growth_private_kib": after.private_kib - before.private_kib,
        "growth_fds": after.fds - before.fds,
        "growth_threads": after.threads - before.threads,
        "growth_tasks": tasks_after - tasks_before,
        "growth_errors": errors,
    }


def _work(programs: Programs, subject: Subject, requests: int) -> float:
    errors = 0.0
    for events, connections in ((0, 32), (3, 8)):
        told = load(programs, subject.target, requests=requests // 2, connections=connections, events=events)
        errors += told["requests"] - told["good"]
    time.sleep(SETTLE_S)
    return errors


def wakeups(subject: Subject, seconds: float) -> Readings:
    """How often a second it wakes up when nobody asks anything."""
    time.sleep(SETTLE_S)
    before = _seen(subject)
    time.sleep(seconds)
    after = _seen(subject)
    return {
        "wakeups_per_s": (after.wakeups - before.wakeups) / seconds,
        "idle_cpu_ms_per_s": (after.cpu_s - before.cpu_s) / seconds * 1000,
    }


def failover(programs: Programs, subject: Subject, times: int) -> Readings:
    """A request whose first attempt is refused, beside one whose is not, each alone.

    With pauses: after a failover Tidegate lets one request through, then one more every quarter of a second, so that a
    herd does not jump at once.
    """
    plain_us: list[float] = []
    moved_us: list[float] = []
    errors = 0.0
    for _ in range(times):
        for us, text in ((plain_us, ""), (moved_us, "refuse=1")):
            time.sleep(PAUSE_S)
            told = load(programs, subject.target, requests=1, text=text)
            errors += told["requests"] - told["good"]
            us.append(_of(told, "latency", "p50"))
    return {
        "failover_without_p50_us": statistics.median(plain_us),
        "failover_p50_us": statistics.median(moved_us),
        "failover_errors": errors,
    }


def _loaded(programs: Programs, subject: Subject, **arguments: object) -> tuple[dict[str, Any], float]:
    """What the load told, and the processor seconds that the subject spent on it."""
    before = look(subject.pid).cpu_s if subject.pid else 0.0
    told = load(programs, subject.target, **arguments)
    after = look(subject.pid).cpu_s if subject.pid else 0.0
    return told, after - before


def _faults(name: str, told: Mapping[str, Any]) -> Readings:
    """Answers that were not good; and a digest of their bodies, cut to what a float holds, to compare with no proxy."""
    return {
        f"{name}_errors": told["requests"] - told["good"],
        f"{name}_differing": told["differing"],
        f"{name}_digest": float(int(told["hash"], 16) >> 12),
    }


def _of(told: Mapping[str, Any], what: str, which: str) -> float:
    return float(told[what][which]) if told[what] else float("nan")


def _seen(subject: Subject) -> Seen:
    return look(subject.pid) if subject.pid else Seen(0, 0, 0, 0, 0, 0)
