"""The core on a thread of its own: any thread may ask, and what comes of it is told."""

import queue
from pathlib import Path

import pytest

from core import app, threaded
from core.demo_run import Memory, admit
from core.errors import TidegateError, VaultLocked
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


def test_core_in_a_thread_draws_obeys_and_tells(tmp_path: Path) -> None:
    changes: queue.SimpleQueue[None] = queue.SimpleQueue()
    messages: queue.SimpleQueue[Notification] = queue.SimpleQueue()
    with threaded.in_thread(Paths(tmp_path), options()) as core:
        core.subscribe(lambda: changes.put(None), messages.put)
        core.do("add_key", kind="api-key", key="sk-ant-api03-EXAMPLE", label="Work")
        changes.get(timeout=5)
        assert [a.label for a in core.snapshot().accounts] == ["Work"]
        core.do("pin", account="nobody")
        assert "nobody" in messages.get(timeout=5).title
        assert core.local_key().startswith("tg-")
        assert core.dashboard_url().startswith(core.snapshot().address)
        core.stop()


def test_core_in_a_thread_sees_what_can_be_imported_and_takes_it_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: queue.SimpleQueue[Notification] = queue.SimpleQueue()
    finds: queue.SimpleQueue[Glance] = queue.SimpleQueue()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    put(tmp_path / ".config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json")
    with threaded.in_thread(Paths(tmp_path / "data"), options()) as core:
        core.subscribe(lambda: None, messages.put)
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
    with threaded.in_thread(Paths(tmp_path / "data"), options()) as core:
        core.subscribe(lambda: changes.put(None), messages.put)
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
            core._portal.call(admit, core._core, sim.add_login("Work"))
            memory.writing_fails = VaultLocked("locked")
            if not seals:
                Paths(tmp_path).recovery.mkdir()
            core._portal.call(core._core.commands.run, "refresh", {"account": "Work"})
            if seals:
                core.stop()
            else:
                with pytest.raises(TidegateError, match="Not saved yet: Work"):
                    core.stop()
            memory.writing_fails = None
