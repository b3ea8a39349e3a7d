import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.model import Notification
from tests.desktop.bus import private_bus
from tray import faceless

SECONDS = 10.0


class FakeCore:
    """A core that serves and can be rung."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.finished = False

    @contextmanager
    def subscribed(
        self, _changed: Callable[[], None], _notify: Callable[[Notification], None], ended: Callable[[str], None]
    ) -> Iterator[None]:
        self.fail = ended
        yield

    @contextmanager
    def answering(self, shows: Callable[[], None]) -> Iterator[None]:
        self.ring = shows
        self.ready.set()
        yield

    def finish(self) -> None:
        self.finished = True


@pytest.fixture(autouse=True)
def _bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield


def waited(event: Callable[[FakeCore], Any]) -> tuple[bool, FakeCore]:
    """What `wait` answers, on the main thread as signals want it, when `event` happens meanwhile."""
    core = FakeCore()

    def happen() -> None:
        assert core.ready.wait(SECONDS)
        event(core)

    with ThreadPoolExecutor(1) as pool:
        happening = pool.submit(happen)
        wanted = faceless.wait(core)  # type: ignore[arg-type]
        happening.result(SECONDS)
    return wanted, core


def test_second_start_wants_the_icon_back() -> None:
    wanted, core = waited(lambda core: core.ring())

    assert wanted
    assert not core.finished


def test_polite_kill_ends_it_and_saves_what_can_be_saved() -> None:
    wanted, core = waited(lambda _: os.kill(os.getpid(), signal.SIGTERM))

    assert not wanted
    assert core.finished


def test_core_that_answers_again_is_no_reason_to_end() -> None:
    def answer_again_then_ring(core: FakeCore) -> None:
        core.fail("")
        core.ring()

    wanted, _ = waited(answer_again_then_ring)

    assert wanted


def test_core_that_fails_too_leaves_nothing_to_wait_for() -> None:
    wanted, _ = waited(lambda core: core.fail("memory"))

    assert not wanted
