"""The benchmark can be believed: what its programs count and time, what is seen of a process, what a report says."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.bench.speed import inside, native
from tests.bench.speed.__main__ import REST_S, quietest
from tests.bench.speed.measures import IN_ROUNDS, Effort
from tests.bench.speed.native import Programs, Target, load, upstream
from tests.bench.speed.peers import PEERS, pinned
from tests.bench.speed.report import GOALS, ROWS, Goal, Results, Row, altered, placed, ratios, text, values, wrong
from tests.bench.speed.seen import family, look
from tests.bench.speed.subjects import Subject, bare, free_port

KEY = ["x-api-key: sk-ant-api03-of-the-tests"]
DELAY_US = 20_000
PACE_US = 10_000
WITHIN_S = 10.0
FAULTS = ("closed", "bad_status", "wrong", "stuck", "differing", "reconnects", "events")
GOOD = b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n3;x=y\r\n"b"\r\n1\r\n}\r\n0\r\n\r\n'
LATENCY = Row("latency", "answer_p50_us", "ms", added=True, scale=1e-3)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return native.compiled(tmp_path_factory.mktemp("native"))


@pytest.fixture
def provider(programs: Programs) -> Iterator[int]:
    with upstream(programs) as port:
        yield port


def counts(port: int) -> Mapping[str, int]:
    """What the mock upstream says it was asked."""
    answer: dict[str, int] = httpx.get(f"http://127.0.0.1:{port}/bench/counts", trust_env=False).json()
    return answer


@contextmanager
def saying(*answers: bytes, piece: int = 1_000_000) -> Iterator[int]:
    """A server that gives these answers to one connection each, in pieces, and closes it: its port."""

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while b"\r\n\r\n" not in connection.recv(65_536):
                    pass
                for start in range(0, len(answer), piece):
                    connection.sendall(answer[start : start + piece])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(WITHIN_S)


# --- the rounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "kept", "worst", "rests"),
    [
        ((0.0, 0.01, 0.02), (0, 1, 2), 0.02, 0),
        ((0.0, 0.3, 0.01, 0.02), (0, 2, 3), 0.02, 1),
        ((0.3, 0.2, 0.1, 0.4, 0.5), (2, 1, 0), 0.3, 4),
    ],
    ids=["all quiet", "one done again", "none quiet, and no more may be done"],
)
def test_rounds_in_which_the_host_took_much_are_done_again(
    monkeypatch: pytest.MonkeyPatch, taken: tuple[float, ...], kept: tuple[int, ...], worst: float, rests: int
) -> None:
    rested: list[float] = []
    monkeypatch.setattr(time, "sleep", rested.append)
    played = iter([(share, {"tidegate": {"round": float(n)}}) for n, share in enumerate(taken)])

    rounds, most = quietest(lambda: next(played), rounds=3, again=2)

    assert [found["tidegate"]["round"] for found in rounds] == list(kept)
    assert most == worst
    assert rested == [REST_S] * rests
    assert not list(played), "no more is played than was asked for"


def test_a_short_run_does_no_round_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it rests"))
    played = iter([(0.3, {}), (0.1, {})])

    assert quietest(lambda: next(played), rounds=2, again=0) == ([{}, {}], 0.3)


# --- the programs in C -----------------------------------------------------------------------------


def test_a_load_of_a_known_size_is_counted_and_timed_as_it_was(programs: Programs, provider: int) -> None:
    told = load(programs, Target(provider, KEY), requests=200, connections=4, text=f"delay_us={DELAY_US}")

    assert (told["requests"], told["good"]) == (200, 200)
    assert not any(told[kind] for kind in FAULTS)
    latency = told["latency"]
    assert DELAY_US <= latency["min"] <= latency["p50"] <= latency["p99"] <= latency["max"]
    assert latency["count"] == 200
    assert told["elapsed_s"] >= 200 / 4 * DELAY_US / 1e6
    assert counts(provider) == {"requests": 200, "streams": 0, "refusals": 0, "connections": 5, "cut": 0}


def test_every_event_of_every_stream_is_counted(programs: Programs, provider: int) -> None:
    told = load(programs, Target(provider, KEY), requests=6, connections=3, events=7)

    assert (told["good"], told["events"]) == (6, 6 * 7)
    assert told["event_delay"]["count"] == 6 * 7
    assert told["event_delay"]["min"] > 0
    assert told["gap"]["count"] == 6 * 6
    assert counts(provider)["streams"] == 6


def test_a_stream_takes_as_long_as_its_pace(programs: Programs, provider: int) -> None:
    told = load(programs, Target(provider, KEY), requests=2, connections=2, events=5, text=f"every_us={PACE_US}")

    # Between the first two events is only a part of a pause, so that streams that began together do not stay together.
    assert told["latency"]["min"] >= 3 * PACE_US
    assert told["first_byte"]["max"] <= told["latency"]["min"]


def test_a_request_is_refused_when_it_comes_for_the_first_time(programs: Programs, provider: int) -> None:
    first = load(programs, Target(provider, KEY), requests=5, text="refuse=1")
    again = load(programs, Target(provider, KEY), requests=5, text="refuse=1")

    assert (first["good"], first["bad_status"], first["first_bad_status"]) == (0, 5, 429)
    assert (again["good"], again["bad_status"]) == (5, 0)
    assert counts(provider)["refusals"] == 5


def test_a_spent_key_is_refused_with_its_limits(provider: int) -> None:
    answer = httpx.post(f"http://127.0.0.1:{provider}/v1/messages", headers={"x-api-key": "sk-spent"}, trust_env=False)

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "0"


def test_keys_belong_to_different_organisations_and_logins_have_windows(provider: int) -> None:
    url = f"http://127.0.0.1:{provider}/v1/messages"
    keys = ("sk-ant-api03-one", "sk-ant-api03-two", "sk-ant-oat01-three")
    answers = [httpx.post(url, headers={"x-api-key": key}, trust_env=False) for key in keys]

    assert len({answer.headers["anthropic-organization-id"] for answer in answers}) == 3
    assert "anthropic-ratelimit-input-tokens-remaining" in answers[0].headers
    assert "anthropic-ratelimit-unified-5h-utilization" in answers[2].headers


def test_ten_megabytes_are_taken(programs: Programs, provider: int) -> None:
    assert load(programs, Target(provider, KEY), requests=2, body=10_000_000)["good"] == 2


def test_the_bare_proxy_loses_nothing(programs: Programs, provider: int, tmp_path: Path) -> None:
    straight = load(programs, Target(provider, KEY), requests=40, connections=8, body=200_000)
    with bare(tmp_path, provider) as subject:
        through = load(programs, subject.target, requests=40, connections=8, body=200_000)
        streams = load(programs, subject.target, requests=20, connections=4, events=30)

    assert (through["good"], through["hash"]) == (40, straight["hash"])
    assert (streams["good"], streams["events"]) == (20, 600)


def test_an_answer_in_pieces_of_one_byte_is_the_same_answer(programs: Programs) -> None:
    with saying(GOOD) as port:
        whole = load(programs, Target(port), requests=1)
    with saying(GOOD, piece=1) as port:
        pieces = load(programs, Target(port), requests=1)

    assert whole["good"] == pieces["good"] == 1
    assert whole["hash"] == pieces["hash"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (GOOD.replace(b"0\r\n\r\n", b""), "closed"),
        (GOOD.replace(b"1\r\n}\r\n", b""), "wrong"),
        (GOOD.replace(b"200 OK", b"500 No"), "bad_status"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "wrong"),
    ],
)
def test_an_answer_that_is_not_whole_is_not_good(programs: Programs, answer: bytes, kind: str) -> None:
    with saying(answer) as port:
        told = load(programs, Target(port), requests=1)

    assert (told["good"], told[kind]) == (0, 1)


def test_a_load_that_nobody_answers_is_no_measurement(programs: Programs) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        load(programs, Target(free_port()), requests=1)


def test_an_event_that_is_missing_makes_a_stream_wrong(programs: Programs) -> None:
    body = b'data: "@t0000000000000001"\n\ndata: {"type":"message_stop"}\n\n'
    with saying(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)) as port:
        told = load(programs, Target(port), requests=1, events=2)

    assert (told["good"], told["wrong"], told["events"]) == (0, 1, 1)


# --- a process, seen from outside ------------------------------------------------------------------


def test_what_a_process_has_started_counts_as_its_own() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60 & wait"]) as shell:
        try:
            until = time.monotonic() + WITHIN_S
            while len(list(family(shell.pid))) < 3 and time.monotonic() < until:
                time.sleep(0.01)
            pids = list(family(shell.pid))
            seen = look(shell.pid)
            assert len(pids) == seen.threads == 3
            assert seen.rss_kib > look(pids[1]).rss_kib > 0
        finally:
            subprocess.run(["kill", *map(str, pids)], check=True)


def spend(seconds: float) -> None:
    """Processor time."""
    used = time.process_time()
    while time.process_time() - used < seconds:
        pass


def test_processor_time_is_that_of_the_process() -> None:
    before = look(os.getpid()).cpu_s
    spend(0.1)

    assert look(os.getpid()).cpu_s - before >= 0.08


def test_time_is_charged_to_the_function_that_spends_it() -> None:
    sampled = inside.Sampled()
    before = signal.getsignal(signal.SIGPROF)
    sampled.begin()
    try:
        spend(0.2)
    finally:
        found = sampled.end()
        signal.signal(signal.SIGPROF, before)

    assert found["looks"] >= 5
    name, looks = sampled.own.most_common(1)[0]
    assert name.endswith(":spend")
    assert looks > 0.8 * sampled.looks
    assert sampled.within[name] >= looks


def test_calls_are_counted() -> None:
    counted = inside.Counted()
    counted.begin()
    for _ in range(3):
        spend(0.0)
    calls = counted.end()["calls"]

    assert isinstance(calls, Counter)
    assert next(number for name, number in calls.items() if name.endswith(":spend")) == 3


# --- the report ------------------------------------------------------------------------------------


def results() -> Results:
    """Two rounds: Tidegate adds three and two times what nginx adds, in a machine that was slower the first time."""
    return Results(
        {"measured": "today"},
        [
            {
                "direct": {"answer_p50_us": 100.0, "answer_errors": 0.0, "answer_digest": 7.0},
                "nginx": {"answer_p50_us": 200.0, "answer_errors": 0.0, "answer_digest": 7.0},
                "tidegate": {"answer_p50_us": 400.0, "answer_errors": 0.0, "answer_digest": 7.0},
            },
            {
                "direct": {"answer_p50_us": 20.0, "answer_digest": 7.0},
                "nginx": {"answer_p50_us": 60.0, "answer_digest": 7.0},
                "tidegate": {"answer_p50_us": 100.0, "answer_errors": 2.0, "answer_digest": 8.0},
            },
        ],
        {"tidegate": {"streams_1000_kib_each": 25.0}},
        {"litellm": "it ended: no"},
    )


def test_what_is_added_and_its_ratio_are_taken_round_by_round() -> None:
    assert values(results(), LATENCY, "tidegate") == pytest.approx([0.3, 0.08])
    assert ratios(results(), LATENCY, "tidegate") == pytest.approx([3.0, 2.0])


def test_a_goal_is_judged_by_the_median() -> None:
    goal = Goal("latency", 2.5, lambda all_: ratios(all_, LATENCY, "tidegate"))

    assert goal.verdict([3.0, 2.0, 2.4]) == "met"
    assert goal.verdict([3.0, 2.0, 2.6]) == "**not met**"
    assert goal.verdict([]) == "not measured"
    assert goal.line(results()) == "| latency | ≤ 2.50 | 2.50 (2.00–3.00) | met |"
    assert Goal("rate", 12_000, lambda _: [11_999.0], at_least=True).verdict([11_999.0]) == "**not met**"


def test_wrong_answers_and_altered_bodies_show() -> None:
    assert wrong(results(), "tidegate") == 2
    assert altered(results(), "tidegate") == ["answer"]
    assert wrong(results(), "nginx") == 0
    assert altered(results(), "nginx") == []


def test_the_report_names_every_goal_and_who_is_missing() -> None:
    told = text(results())

    assert all(f"| {goal.title} |" in told for goal in GOALS)
    assert "- litellm was not measured: it ended: no" in told
    assert "| added latency, p50, ms | 0.07 (0.04–0.10) | 0.19 (0.08–0.30), 2.50× |" in told
    assert "| each of 1,000 streams | ≤ 30.0 KiB | 25.0 | met |" in told


def test_every_row_is_measured(programs: Programs, provider: int) -> None:
    little = Effort(answer_s=0.05, first_byte_s=0.05, rate_s=0.05, paced_s=0.05, flood_events=5, big=1)
    found = {
        name
        for measure in IN_ROUNDS.values()
        for name in measure(programs, Subject(Target(provider, KEY), os.getpid()), little)
    }

    assert {row.reading for row in ROWS} <= found


def test_the_report_takes_its_place_in_a_document() -> None:
    document = "before\n<!-- report: written by the benchmark -->\nold\n<!-- report: end -->\nafter\n"

    assert placed(document, "new\n", "report") == document.replace("\nold\n", "\n\nnew\n\n")
    with pytest.raises(ValueError, match="peers"):
        placed(document, "new", "peers")


def test_every_peer_is_pinned() -> None:
    assert pinned().keys() == PEERS.keys()
    assert all("==" in package or "@" in package for _, package in pinned().values())
