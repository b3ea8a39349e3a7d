import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tray.ending import asked_to_end

PROGRAM = """
import signal, sys, threading
from tray.ending import asked_to_end
if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
with asked_to_end(lambda: print("asked", flush=True)):
    print("ready", flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def asked() -> Iterator[list[str]]:
    told: list[str] = []
    with asked_to_end(lambda: told.append("asked")):
        yield told


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_polite_signal_asks_and_a_second_one_ends_the_process_at_once(name: str) -> None:
    number = getattr(signal, name)
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        program.send_signal(number)
        assert program.stdout.readline() == "asked\n"
        program.send_signal(number)
        assert program.wait(10) == -number


def test_signal_that_is_ignored_stays_so() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "nohup"], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGHUP)
        program.send_signal(signal.SIGTERM)
        assert program.stdout.readline() == "asked\n"
        program.kill()


def test_handlers_are_as_before_when_the_block_ends() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with asked_to_end(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is not before

    assert signal.getsignal(signal.SIGTERM) is before


def test_signal_from_another_thread_of_the_process_asks_too(asked: list[str]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)

    assert asked == ["asked"]
