import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from core import app, threaded
from core.doctor.gather import gather
from core.files import Paths, instance_lock
from core.vault import open_vault
from tests.fakes import simulator_in_thread
from tests.instance import OFFLINE

PASSPHRASE = {"TIDEGATE_VAULT_KEY": "a passphrase of the tests"}
KEY = "sk-ant-api03-EXAMPLE-0001"
Orders = Callable[[], AbstractContextManager[Callable[..., Any]]]


def orders_here(paths: Paths) -> Orders:
    @contextmanager
    def orders() -> Iterator[Callable[..., Any]]:
        options = app.Options(vault="file", environ={**PASSPHRASE, **OFFLINE})
        with threaded.alone_in_thread(paths, options) as run:
            yield lambda command, /, **arguments: run(command, arguments)

    return orders


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "tidegate")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def look(paths: Paths, port: int, **environ: str) -> Any:
    return gather(paths, "file", orders_here(paths), {**PASSPHRASE, **OFFLINE, "TIDEGATE_PORT": str(port), **environ})


def test_doctor_leaves_nothing_behind_where_nothing_is_set_up(paths: Paths, port: int) -> None:
    facts = look(paths, port)
    assert not facts.installed
    assert facts.vault is None
    assert facts.taken_by is None
    assert not paths.root.exists()


def test_accounts_and_vault_stay_as_they_were(paths: Paths, port: int) -> None:
    with orders_here(paths)() as order:
        order("add_key", kind="api-key", key=KEY, label="Work")
    items = set(open_vault_items(paths))

    facts = look(paths, port)

    assert [info.label for info in facts.accounts] == ["Work"]
    assert facts.accounts[0].generation == 1
    assert facts.vault is None
    assert facts.vault_took_s > 0
    assert set(open_vault_items(paths)) == items
    assert facts.open_files == ()


def open_vault_items(paths: Paths) -> dict[str, str]:
    vault = open_vault("file", paths, "any", PASSPHRASE)
    return dict(vault._slots._backend._read())  # type: ignore[attr-defined]


def test_wrong_passphrase_is_told_once_for_vault_and_accounts(paths: Paths, port: int) -> None:
    with orders_here(paths)() as order:
        order("add_key", kind="api-key", key=KEY, label="Work")

    facts = look(paths, port, TIDEGATE_VAULT_KEY="another")

    assert "passphrase does not open" in facts.vault.title


def test_port_that_another_program_has_is_told(paths: Paths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert look(paths, server.getsockname()[1]).taken_by is not None


def test_instance_that_holds_the_lock_and_does_not_answer_is_hung(paths: Paths, port: int) -> None:
    with orders_here(paths)() as order:
        order("strategy", name="sticky")
    with instance_lock(paths):
        facts = look(paths, port)
    assert facts.hung
    assert facts.instance is None
    assert facts.taken_by is None


def test_files_that_others_may_read_are_found(paths: Paths, port: int) -> None:
    paths.create()
    paths.log.write_text("")
    paths.log.chmod(0o640)
    (found,) = look(paths, port).open_files
    assert (found.path, found.mode) == (str(paths.log), 0o640)


def test_providers_are_reached_and_tell_the_time(paths: Paths, port: int) -> None:
    with simulator_in_thread() as sim:
        environ = {
            "TIDEGATE_ANTHROPIC_API_URL": sim.url,
            "TIDEGATE_ANTHROPIC_TOKEN_URL": sim.url,
            "TIDEGATE_OPENCODE_GO_URL": "http://127.0.0.1:9",
        }
        facts = look(paths, port, **environ)
        asked = [received.path for received in sim.received]

    assert asked == ["/api/hello"]
    assert abs(facts.skew_s) < 60
    assert [bool(reached.trouble) for reached in facts.upstreams] == [False, True]


def test_config_that_does_not_read_is_told_and_left(paths: Paths, port: int) -> None:
    paths.create()
    paths.config.write_text("{")
    facts = look(paths, port)
    assert facts.other
    assert paths.config.read_text() == "{"
