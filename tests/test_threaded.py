"""The core on a thread of its own: any thread may ask, and what comes of it is told."""

import asyncio
import queue
import socket
import sqlite3
import threading
from pathlib import Path

import pytest

from core import app, heartbeat, remote, threaded
from core.demo_run import Memory, admit
from core.errors import InstanceRunning, TidegateError, VaultLocked
from core.files import Paths
from core.import_glance import Glance
from core.imports import VARIABLES
from core.model import Notification
from core.vault import Vault
from tests.account_files import put
from tests.fakes import simulator_in_thread
from tests.fakes_vault import MemoryBackend
from tests.instance import OFFLINE


def options(**given: object) -> app.Options:
    chosen: dict[str, object] = {"vault": Vault(Memory()), "port": 0, "environ": OFFLINE} | given
    return app.Options(**chosen)  # type: ignore[arg-type]


def unexpected(reason: str) -> None:
    raise AssertionError(reason)


def die(core: threaded.CoreInThread) -> None:
    """End the core's loop, as running out of file descriptors may."""

    def fail() -> None:
        raise SystemExit("no file descriptors are left")

    core._start(lambda: asyncio.get_running_loop().call_soon(fail))


def stuck_here(until: threading.Event) -> None:
    """Let the core's loop hang, as a bug or a dead disk may."""
    until.wait(30)


def test_core_in_a_thread_draws_obeys_and_tells(tmp_path: Path) -> None:
    changes: queue.SimpleQueue[None] = queue.SimpleQueue()
    messages: queue.SimpleQueue[Notification] = queue.SimpleQueue()
    with (
        threaded.in_thread(Paths(tmp_path), options()) as core,
        core.subscribed(lambda: changes.put(None), messages.put, unexpected),
    ):
        core.do("add_key", kind="api-key", key="sk-ant-api03-EXAMPLE", label="Work")
        changes.get(timeout=5)
        assert [a.label for a in core.snapshot().accounts] == ["Work"]
        core.do("pin", account="nobody")
        assert "nobody" in messages.get(timeout=5).title
        core.do("strategy", name="nonsense")
        assert "nonsense" in messages.get(timeout=5).title
        assert core.local_key().startswith("tg-")
        assert core.dashboard_url().startswith(core.snapshot().address)
        core.stop()


def test_a_program_that_is_connected_is_told_with_the_way_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    settings = tmp_path / "home" / ".claude" / "settings.json"
    messages: queue.SimpleQueue[Notification] = queue.SimpleQueue()
    with (
        threaded.in_thread(Paths(tmp_path / "tidegate"), options()) as core,
        core.subscribed(lambda: None, messages.put, unexpected),
    ):
        core.do("connect", client="claude-code")
        told = messages.get(timeout=5)
        assert told.title == "Claude Code is connected"
        assert told.body.startswith(f"In {settings}: env.ANTHROPIC_BASE_URL, env.ANTHROPIC_AUTH_TOKEN.")
        (undo,) = told.actions
        core.do(undo.order, **undo.arguments)
        assert messages.get(timeout=5).title == "Claude Code has its settings back"
        assert not settings.exists()


def test_core_in_a_thread_sees_what_can_be_imported_and_takes_it_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: queue.SimpleQueue[Notification] = queue.SimpleQueue()
    finds: queue.SimpleQueue[Glance] = queue.SimpleQueue()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    put(tmp_path / ".config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json")
    with (
        threaded.in_thread(Paths(tmp_path / "data"), options()) as core,
        core.subscribed(lambda: None, messages.put, unexpected),
    ):
        core.look_around(finds.put)
        found = finds.get(timeout=5)
        assert found.programs == ("opencode-go-multi-auth",)
        core.take_over()

        told = messages.get(timeout=5)

        labels = [account.label for account in core.snapshot().accounts]
        assert len(labels) == found.accounts
        assert told.title == f"Imported {', '.join(labels)}"


def test_core_in_a_thread_tells_how_an_import_of_nothing_and_a_removal_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: queue.SimpleQueue[None] = queue.SimpleQueue()
    messages: queue.SimpleQueue[Notification] = queue.SimpleQueue()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with (
        threaded.in_thread(Paths(tmp_path / "data"), options()) as core,
        core.subscribed(lambda: changes.put(None), messages.put, unexpected),
    ):
        core.take_over()
        assert messages.get(timeout=5).title == "There is no account to import"
        core.do("add_key", kind="go", key="sk-EXAMPLE", label="Go")
        changes.get(timeout=5)
        core.do("remove", account="Go", revoke=False)
        assert messages.get(timeout=5).title.startswith("Removed Go")


@pytest.mark.parametrize("seals", [True, False])
def test_tray_may_end_with_a_sealed_login_and_not_with_one_in_memory_only(tmp_path: Path, seals: bool) -> None:
    memory = MemoryBackend()
    with simulator_in_thread() as sim:
        environ = {
            **OFFLINE,
            "TIDEGATE_ANTHROPIC_API_URL": sim.endpoints().anthropic_api_url,
            "TIDEGATE_ANTHROPIC_TOKEN_URL": sim.endpoints().anthropic_token_url,
        }
        with threaded.in_thread(Paths(tmp_path), options(vault=Vault(memory), environ=environ)) as core:
            core._ask(admit, core._core, sim.add_login("Work"))
            memory.writing_fails = VaultLocked("locked")
            if not seals:
                Paths(tmp_path).recovery.mkdir()
            core._ask(core._core.commands.run, "refresh", {"account": "Work"})
            if seals:
                core.stop()
            else:
                with pytest.raises(TidegateError, match="Not saved yet: Work"):
                    core.stop()
            memory.writing_fails = None


def test_core_that_fails_tells_so_once_and_what_it_held_is_free_again(tmp_path: Path) -> None:
    ends: queue.SimpleQueue[str] = queue.SimpleQueue()
    with threaded.in_thread(Paths(tmp_path), options()) as core:
        with core.subscribed(lambda: None, lambda _: None, ends.put):
            address = core.snapshot().address
            die(core)
            assert ends.get(timeout=10) == "no file descriptors are left"
        with core.subscribed(lambda: None, lambda _: None, ends.put):
            assert ends.get(timeout=10) == "no file descriptors are left", "who comes later is told too"
        core.stop()
        core.finish()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))

    assert not Paths(tmp_path).running.exists()
    with threaded.in_thread(Paths(tmp_path), options()) as core:
        assert core.snapshot().address


def test_core_that_hangs_is_told_answers_nobody_and_may_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.5)
    ends: queue.SimpleQueue[str] = queue.SimpleQueue()
    goes_on = threading.Event()
    with (
        threaded.in_thread(Paths(tmp_path), options()) as core,
        core.subscribed(lambda: None, lambda _: None, ends.put),
    ):
        core._start(stuck_here, goes_on)

        assert ends.get(timeout=10) == "It does not answer any more"
        assert core.is_hanging
        with pytest.raises(threaded.NoAnswer, match="Tidegate has failed"):
            core.local_key()
        core.stop()
        core.finish()
        goes_on.set()

        assert ends.get(timeout=10) == ""
        assert "in stuck_here" in caplog.text
        assert not core.is_hanging
        assert core.local_key().startswith("tg-")
    assert not Paths(tmp_path).running.exists()


def test_core_that_hangs_is_left_behind_by_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.5)
    monkeypatch.setattr(threaded, "ANSWER_S", 0.01)
    goes_on = threading.Event()
    with threaded.in_thread(Paths(tmp_path), options()) as core:
        core._start(stuck_here, goes_on)
        with pytest.raises(threaded.NoAnswer, match="Tidegate does not answer"):
            core.local_key()

    assert core.is_hanging
    goes_on.set()
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "tidegate-core")
    thread.join(10)
    assert not thread.is_alive(), "it had been asked to end before, and does once it goes on"


def test_before_a_sleep_everything_is_on_the_disk_and_after_it_connections_are_given_up(tmp_path: Path) -> None:
    woke = threading.Event()
    with (
        threaded.in_thread(Paths(tmp_path), options()) as core,
        core.subscribed(lambda: None, lambda _: None, unexpected),
    ):
        core._core.poller.on_wake = woke.set
        core._ask(core._core.commands.run, "pause", {})

        core.checkpoint()

        with sqlite3.connect(Paths(tmp_path).history) as database:
            assert b'"pause":{' in database.execute("SELECT json FROM pool").fetchone()[0]
        core.woke()
        assert woke.wait(10)


def test_who_starts_it_again_is_heard_by_the_face(tmp_path: Path) -> None:
    rung: queue.SimpleQueue[None] = queue.SimpleQueue()
    with threaded.in_thread(Paths(tmp_path), options()) as core:
        running = remote.find(Paths(tmp_path))
        assert running
        with core.answering(lambda: rung.put(None)):
            assert remote.show(running).by_icon
            rung.get(timeout=5)
        assert not remote.show(running).by_icon


def test_start_that_fails_is_told_as_it_was_raised(tmp_path: Path) -> None:
    with (
        threaded.in_thread(Paths(tmp_path), options()),
        pytest.raises(InstanceRunning),
        threaded.in_thread(Paths(tmp_path), options()),
    ):
        pass
