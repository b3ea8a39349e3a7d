import asyncio
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core import heartbeat

SECONDS = 10.0
BEAT_S = 0.3


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_S", BEAT_S)


@contextmanager
def running_loop() -> Iterator[tuple[asyncio.AbstractEventLoop, threading.Thread]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop, thread
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()


def stuck_here(until: threading.Event) -> None:
    until.wait(SECONDS)


def test_loop_that_hangs_is_told_once_with_where_and_so_is_its_coming_back() -> None:
    told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    goes_on = threading.Event()
    with running_loop() as (loop, thread), heartbeat.watched(loop, thread, told.put):
        loop.call_soon_threadsafe(stuck_here, goes_on)

        where = told.get(timeout=SECONDS)
        assert where
        assert "in stuck_here" in where
        time.sleep(4 * BEAT_S)
        assert told.empty()
        goes_on.set()

        assert told.get(timeout=SECONDS) is None


def test_loop_that_answers_late_but_answers_is_left_alone() -> None:
    told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    beats: list[object] = []
    with running_loop() as (loop, thread):
        ask = loop.call_soon_threadsafe

        def late(answer: object, *args: object) -> asyncio.Handle:
            beats.append(answer)
            return ask(loop.call_later, BEAT_S * 1.5, answer, *args)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = late  # type: ignore[method-assign,assignment]
        with heartbeat.watched(loop, thread, told.put):
            deadline = time.monotonic() + SECONDS
            while len(beats) < 4:
                assert time.monotonic() < deadline
                time.sleep(BEAT_S)
        loop.call_soon_threadsafe = ask  # type: ignore[method-assign]

    assert told.empty()


def test_telling_that_hangs_too_keeps_nobody() -> None:
    begun, goes_on, told = threading.Event(), threading.Event(), threading.Event()

    def tell(_where: str | None) -> None:
        begun.set()
        goes_on.wait(SECONDS)
        told.set()

    with running_loop() as (loop, thread):
        with heartbeat.watched(loop, thread, tell):
            loop.call_soon_threadsafe(stuck_here, goes_on)
            assert begun.wait(SECONDS)
        assert not told.is_set()
        goes_on.set()


def test_watch_ends_with_its_block_and_with_its_loop() -> None:
    told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    with running_loop() as (loop, thread), heartbeat.watched(loop, thread, told.put):
        assert "tidegate-heartbeat" in {thread.name for thread in threading.enumerate()}
    assert "tidegate-heartbeat" not in {thread.name for thread in threading.enumerate()}

    with heartbeat.watched(loop, thread, told.put):
        deadline = time.monotonic() + SECONDS
        while "tidegate-heartbeat" in {thread.name for thread in threading.enumerate()}:
            assert time.monotonic() < deadline
            time.sleep(BEAT_S)
    assert told.empty()
