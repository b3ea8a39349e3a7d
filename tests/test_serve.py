import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest
from filelock import FileLock
from msgspec.structs import replace

from core import remote
from core.config import Config, ConfigFile
from core.errors import VaultError
from core.files import Paths
from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountView,
    Credential,
    Endpoints,
    Level,
    ProviderName,
    Snapshot,
    Standing,
)
from core.serve import greeting, save_logins
from core.vault import open_vault
from tests.account_files import put
from tests.fakes import simulator_in_thread
from tests.fakes_vault import MemoryBackend
from tests.stage import Stage, on_stage

Start = Callable[..., subprocess.Popen[str]]
PASSPHRASE = "a passphrase of the tests"


def account(label: str, standing: Standing) -> AccountView:
    return AccountView(label, label, AccountKind.API_KEY, ProviderName.ANTHROPIC, standing, Level.OK)  # type: ignore[arg-type]


def test_greeting_says_where_who_and_how() -> None:
    accounts = (account("Work", Standing.READY), account("Home", Standing.SIGN_IN))
    text = "\n".join(greeting(Snapshot(0.0, "1.0", "http://127.0.0.1:8433", accounts), ("config.json was odd",)))
    assert "http://127.0.0.1:8433" in text
    assert "Work (ready), Home (sign in again)" in text
    assert "config.json was odd" in text
    assert "tidegate connect claude-code" in text


def test_greeting_without_accounts_says_how_to_add_one() -> None:
    assert any("tidegate add go" in line for line in greeting(Snapshot(0.0), ()))


def test_greeting_offers_what_other_programs_have() -> None:
    lines = greeting(Snapshot(0.0), (), "Found an account of OpenCode: `tidegate import` takes it over")

    assert "Found an account of OpenCode: `tidegate import` takes it over" in lines


def test_first_start_looks_for_accounts_of_other_programs(serve: Start, tmp_path: Path) -> None:
    put(tmp_path / ".config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json")
    process = serve("--port", "0")
    assert process.stdout

    said = [process.stdout.readline() for _ in range(3)]

    assert said[2] == "Found 2 accounts of opencode-go-multi-auth: `tidegate import` takes them over\n"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Start `tidegate serve` on throw-away state with a sealed vault."""
    started: list[subprocess.Popen[str]] = []
    environ = {
        **os.environ,
        "TIDEGATE_VAULT_KEY": PASSPHRASE,
        "HOME": str(tmp_path),
        "PYTHONUNBUFFERED": "1",
    }

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "core", "--data-dir", str(tmp_path / "data"), "--vault", "file", "serve"]
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environ, **variables},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def address_in(output: IO[str] | None) -> str:
    assert output
    line = output.readline()
    assert "listens on" in line, line
    return line.split()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_polite_end_closes_the_port_and_exits_with_0(serve: Start, number: signal.Signals) -> None:
    process = serve("--port", "0")
    address = address_in(process.stdout)
    assert httpx.get(f"{address}/-/health", trust_env=False).json()["pid"] == process.pid
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/-/health", trust_env=False)


def test_taken_port_is_one_error_with_a_hint(serve: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = serve("--port", str(port))
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.startswith(f"Error: Port {port} is taken")
    assert "Hint: " in errors
    assert "Traceback" not in errors


def test_second_one_is_told_about_the_first(serve: Start) -> None:
    first = serve("--port", "0")
    address_in(first.stdout)
    second = serve("--port", "0")
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 1
    assert "Another Tidegate" in errors


def test_killed_one_leaves_nothing_in_the_way(serve: Start) -> None:
    first = serve("--port", "0")
    address_in(first.stdout)
    first.kill()
    first.wait(10)
    address_in(serve("--port", "0").stdout)


# --- an end while a login is not saved -------------------------------------------------------------


@pytest.fixture
async def unsaved(tmp_path: Path) -> AsyncIterator[tuple[Stage, MemoryBackend]]:
    """Work's login was renewed, and the vault does not take it."""
    backend = MemoryBackend()
    async with on_stage(tmp_path / "data", memory=backend) as stage:  # type: ignore[arg-type]  # any back end will do
        await stage.login("Work")
        backend.writing_fails = VaultError("full")
        yield stage, backend


Unsaved = tuple[Stage, MemoryBackend]


@pytest.mark.anyio
async def test_end_with_a_sealed_login_says_that_the_next_start_takes_it_up(
    unsaved: Unsaved, capsys: pytest.CaptureFixture[str]
) -> None:
    stage, _ = unsaved
    await stage.core.commands.run("refresh", {"account": "Work"})

    await save_logins(stage.core, 0.05)

    asked, parting = capsys.readouterr().out.splitlines()
    assert asked.startswith("Not saved yet: the login of Work. Trying for ")
    assert parting == (
        "The login of Work is not in the vault, but sealed in the recovery file: the next start takes it up."
    )


@pytest.mark.anyio
async def test_end_with_a_login_in_memory_only_says_what_is_lost(
    unsaved: Unsaved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage, _ = unsaved
    Paths(tmp_path / "data").recovery.mkdir()
    await stage.core.commands.run("refresh", {"account": "Work"})

    await save_logins(stage.core, 0.05)

    parting = capsys.readouterr().out.splitlines()[-1]
    assert parting.startswith("The login of Work could not be saved anywhere and is lost now. Sign in again")


@pytest.mark.anyio
async def test_end_with_everything_saved_says_nothing(unsaved: Unsaved, capsys: pytest.CaptureFixture[str]) -> None:
    stage, backend = unsaved
    backend.writing_fails = None
    await stage.core.commands.run("refresh", {"account": "Work"})

    await save_logins(stage.core, 0.05)

    assert capsys.readouterr().out == ""


@pytest.fixture
def busy(serve: Start, tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", FileLock]]:
    """A serving process whose vault another program keeps locked, after its login was renewed."""
    paths = Paths(tmp_path / "data")
    with simulator_in_thread() as sim:
        asyncio.run(seeded(paths, sim.add_login("Work").credential))
        process = serve("--port", "0", **environment_of(sim.endpoints()))
        address_in(process.stdout)
        lock = FileLock(paths.vault.with_name("vault.bin.lock"))
        lock.acquire(timeout=10)
        running = remote.find(paths)
        assert running
        remote.call(running, "refresh", {"account": "Work"})
        yield process, lock
        lock.release()


async def seeded(paths: Paths, credential: Credential) -> None:
    """An installation with one account and a sealed vault."""
    paths.create()
    install_id = "install"
    vault = open_vault("file", paths, install_id, {"TIDEGATE_VAULT_KEY": PASSPHRASE})
    await vault.save("work", credential, 1)
    await vault.close()
    account = Account(AccountId("work"), "Work", AccountKind.CLAUDE)
    await ConfigFile(paths.config, Config(install_id)).change(lambda now: replace(now, accounts=(account,)))


def environment_of(endpoints: Endpoints) -> dict[str, str]:
    return {
        "TIDEGATE_ANTHROPIC_API_URL": endpoints.anthropic_api_url,
        "TIDEGATE_ANTHROPIC_TOKEN_URL": endpoints.anthropic_token_url,
    }


def line_with(process: "subprocess.Popen[str]", words: str) -> str:
    assert process.stdout
    return next(line for line in process.stdout if words in line)


Busy = tuple["subprocess.Popen[str]", FileLock]


def test_polite_end_waits_for_a_vault_that_takes_the_login_after_all(busy: Busy) -> None:
    process, lock = busy
    process.send_signal(signal.SIGTERM)
    line_with(process, "Not saved yet: the login of Work.")
    lock.release()

    said, errors = process.communicate(timeout=40)

    assert "The login of Work is saved." in said
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_at_once_and_the_next_start_takes_up_what_is_sealed(
    busy: Busy, serve: Start, tmp_path: Path, second: signal.Signals
) -> None:
    process, lock = busy
    process.send_signal(signal.SIGTERM)
    line_with(process, "Not saved yet: the login of Work.")

    process.send_signal(second)

    assert process.wait(10) == -second
    paths = Paths(tmp_path / "data")
    assert paths.recovery.exists()
    lock.release()
    following = serve("--port", "0")
    address_in(following.stdout)
    running = remote.find(paths)
    assert running
    info = remote.call(running, "info", {"account": "Work"})
    assert (info["standing"], info["generation"]) == ("ready", 2)
    following.send_signal(signal.SIGTERM)
    following.communicate(timeout=20)
    assert not paths.recovery.exists()
