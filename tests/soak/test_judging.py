"""A soak finds what it looks for: forged answers, forged growth and forged log lines are each found out."""

import gzip
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.logs import Entry
from core.simulator import SimulatedProvider
from core.simulator.faults import Overloaded, Slow
from tests.raw import Reply
from tests.soak.answers import ENDS, Dialect, judged
from tests.soak.gauges import GROWTH, Sample, too_much, warm
from tests.soak.ledger import FAULTS_KEPT, Ledger
from tests.soak.soaking import is_alarming
from tests.soak.weather import no_slowness

SSE = {"content-type": "text/event-stream; charset=utf-8"}
ERROR = b'{"type":"error","error":{"type":"api_error","message":"Overloaded"}}'
START = b'event: message_start\ndata: {"type":"message_start"}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
FAILED = b"event: error\ndata: " + ERROR + b"\n\n"


def reply(body: bytes, status: int = 200, *, whole: bool = True, **headers: str) -> Reply:
    return Reply(status, headers, [], body, whole)


@pytest.mark.parametrize(
    ("dialect", "answer", "end"),
    [
        ("messages", Reply(200, SSE, [], START + STOP, whole=True), "served"),
        ("messages", Reply(200, SSE, [], START + FAILED, whole=True), "cut"),
        ("messages", Reply(200, SSE, [], START, whole=False), "cut"),
        ("messages", Reply(200, SSE, [], START, whole=True), "fault"),
        ("messages", Reply(200, SSE, [], b"", whole=True), "fault"),
        ("chat", Reply(200, SSE, [], b'data: {"choices":[]}\n\ndata: [DONE]\n\n', whole=True), "served"),
        ("chat", Reply(200, SSE, [], b'data: {"choices":[]}\n\n', whole=True), "fault"),
        ("responses", Reply(200, SSE, [], b"event: response.completed\ndata: {}\n\n", whole=True), "served"),
        ("responses", Reply(200, SSE, [], b"event: response.created\ndata: {}\n\n", whole=True), "fault"),
        ("json", reply(b'{"type":"message"}'), "served"),
        ("json", reply(b'{"type":"mess'), "fault"),
        ("json", reply(b'{"type":"mess', whole=False), "cut"),
        ("json", reply(ERROR, 529), "refused"),
        ("json", reply(b"<html>Bad gateway</html>", 502), "refused"),
        ("json", reply(b"oops", 529), "fault"),
        ("json", reply(ERROR.replace(b"Overloaded", b"Tidegate failed; its log says why."), 500), "fault"),
        ("json", reply(ERROR, 302), "fault"),
    ],
)
def test_answer_that_must_never_be_is_told_from_those_that_may(dialect: Dialect, answer: Reply, end: str) -> None:
    assert judged(dialect, answer).end == end


@pytest.mark.parametrize("cut", [False, True])
def test_compressed_stream_is_judged_by_what_is_in_it(cut: bool) -> None:
    headers = {**SSE, "content-encoding": "gzip"}
    body = gzip.compress(START + (b"" if cut else STOP))
    assert judged("messages", Reply(200, headers, [], body, whole=True)).end == ("fault" if cut else "served")


def test_every_dialect_of_a_stream_has_its_end() -> None:
    assert ENDS.keys() == {"messages", "chat", "responses"}


# --- growth ----------------------------------------------------------------------------------------


def flat(count: int = 60) -> list[Sample]:
    """Ten minutes at fifteen requests a second, with the noise of a real run."""
    chance = random.Random(1)
    return [
        Sample(
            at_s=10.0 * number,
            requests=150 * number,
            rss_kib=60_000 + chance.gauss(0, 300),
            fds=45 + chance.gauss(0, 3),
            threads=6 + (chance.random() < 0.3),
            tasks=13 + chance.gauss(0, 3),
            pending=chance.randint(0, 40),
            history_kib=4_000,
            log_kib=20,
        )
        for number in range(1, count + 1)
    ]


def test_flat_run_is_not_too_much() -> None:
    assert too_much(flat()) == []


@pytest.mark.parametrize(
    ("name", "per_sample"),
    [("rss_kib", 400.0), ("fds", 0.5), ("threads", 0.1), ("tasks", 0.5), ("history_kib", 1_000.0)],
)
def test_leak_is_found_in_each_of_them(name: str, per_sample: float) -> None:
    leaking = [
        replace(sample, **{name: getattr(sample, name) + per_sample * number}) for number, sample in enumerate(flat())
    ]
    assert len(too_much(leaking)) == 1


@pytest.mark.parametrize(("name", "value"), [("log_kib", 20_000.0), ("pending", 10_000.0)])
def test_log_and_backlog_without_a_bound_are_found(name: str, value: float) -> None:
    samples: Sequence[Sample] = [*flat(), replace(flat()[-1], **{name: value})]
    assert len(too_much(samples)) == 1


def test_warm_up_does_not_count() -> None:
    rising = [replace(sample, rss_kib=sample.rss_kib - max(0, 15 - n) * 2_000) for n, sample in enumerate(flat())]
    assert too_much(rising) == []
    assert len(warm(rising)) < len(rising)


def test_every_bound_has_a_name_of_its_own() -> None:
    assert len({bound.name for bound in GROWTH}) == len(GROWTH)


# --- the rest --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "alarming"),
    [
        (Entry(0.0, "WARNING", "History cannot be saved"), False),
        (Entry(0.0, "ERROR", "a request failed inside Tidegate"), True),
        (Entry(0.0, "WARNING", "odd\nTraceback (most recent call last):\n  File"), True),
    ],
)
def test_error_or_exception_in_the_log_is_an_alarm(entry: Entry, alarming: bool) -> None:
    assert is_alarming(entry) is alarming


@pytest.mark.anyio
async def test_slow_provider_and_slow_reader_do_not_meet(sim: SimulatedProvider) -> None:
    """Forty thousand pauses of 0.3 s are three hours."""
    slow, other = sim.add_login("Slow"), sim.add_login("Other")
    slow.script(Slow(0.3))
    other.script(Overloaded())
    no_slowness(sim)
    assert not slow._script
    assert other._script


def test_ledger_keeps_the_first_faults_and_counts_all() -> None:
    ledger = Ledger()
    for _ in range(2 * FAULTS_KEPT):
        ledger.ended("json", judged("json", reply(b"{")))
    assert len(ledger.faults) == FAULTS_KEPT
    assert ledger.requests == 2 * FAULTS_KEPT
    assert ledger.ends["json", "fault"] == 2 * FAULTS_KEPT
