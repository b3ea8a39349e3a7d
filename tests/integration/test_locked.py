"""The whole program before a keychain that is locked or missing: one clear error, and nothing lost."""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from msgspec.structs import replace

from core import remote
from core.config import Config, ConfigFile
from core.files import Paths
from core.model import Account, AccountId, AccountKind, Credential, Endpoints
from core.vault import Vault
from core.vault_secret_service import SecretService
from tests.instance import OFFLINE
from tests.integration.secret_service import Desktop, desktop
from tests.token_server import token_server


class Program:
    """`tidegate` in a desktop session, with its default vault."""

    def __init__(self, session: Desktop, folder: Path) -> None:
        self._session = session
        self.paths = Paths(folder)

    def __call__(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "core", "--data-dir", str(self.paths.root), *words]
        environment = {**self._session.environment, **OFFLINE, "NO_COLOR": "1"}
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=60, env=environment, check=False
        )

    @contextmanager
    def serving(self, endpoints: Endpoints) -> "Iterator[tuple[subprocess.Popen[str], remote.Running]]":
        """`tidegate serve` before this provider, asked to end with the block."""
        environment = {
            **self._session.environment,
            **OFFLINE,
            "TIDEGATE_ANTHROPIC_TOKEN_URL": endpoints.anthropic_token_url,
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "core", "--data-dir", str(self.paths.root), "serve", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert process.stdout
            assert "listens on" in process.stdout.readline()
            running = remote.find(self.paths)
            assert running
            yield process, running
            process.terminate()
            process.communicate(timeout=40)
        finally:
            process.kill()
            process.communicate(timeout=10)


@pytest.fixture
def session() -> Iterator[Desktop]:
    with tempfile.TemporaryDirectory(prefix="tg-") as root, desktop(Path(root)) as session:
        yield session


@pytest.fixture
def tidegate(session: Desktop, tmp_path: Path) -> Program:
    return Program(session, tmp_path / "data")


def refused(done: "subprocess.CompletedProcess[str]", words: str) -> None:
    """It failed with one error and one hint, and no traceback."""
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Error", "Hint"], done.stderr
    assert words in lines[0]


def test_locked_keychain_is_one_error_and_the_accounts_stay(session: Desktop, tidegate: Program) -> None:
    session.start_keychain(unlocked=True)
    assert tidegate("add", "api-key", "--label", "Work", stdin="sk-ant-api03-EXAMPLE").returncode == 0
    session.stop_keychain(signal.SIGTERM)
    session.start_keychain(unlocked=False)

    refused(tidegate("add", "api-key", "--label", "Home", stdin="sk-ant-api03-OTHER"), "locked")
    refused(tidegate("token"), "locked")
    listed = json.loads(tidegate("list", "--json").stdout)
    assert [account["label"] for account in listed] == ["Work"]


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("token",), ("add", "go")])
def test_missing_keychain_is_one_error_that_names_the_way_out(tidegate: Program, words: tuple[str, ...]) -> None:
    done = tidegate(*words, stdin="sk-EXAMPLE")
    refused(done, "No keychain")
    assert "--vault file" in done.stderr
    assert "sk-EXAMPLE" not in done.stderr + done.stdout


def test_login_whose_keychain_is_locked_while_it_is_renewed_is_sealed_and_taken_up_by_the_next_start(
    session: Desktop, tidegate: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.environment["DBUS_SESSION_BUS_ADDRESS"])
    session.start_keychain(unlocked=True)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(token_server(time.time())) as server,
    ):
        asyncio.run(seeded(tidegate.paths, server.newest()))
        with tidegate.serving(server.endpoints()) as (process, running):
            portal.call(server.before.clear)
            renewal = threading.Thread(target=remote.call, args=(running, "refresh", {"account": "Work"}))
            renewal.start()
            portal.call(server.arrived.wait)
            session.stop_keychain()
            session.start_keychain(unlocked=False)
            portal.call(server.before.set)
            renewal.join(20)
            shown = remote.call(running, "info", {"account": "Work"})
            process.send_signal(signal.SIGTERM)
            assert process.stdout
            assert any("Not saved yet" in line for line in process.stdout)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == -signal.SIGTERM
        assert tidegate.paths.recovery.exists()
        session.stop_keychain()
        session.start_keychain(unlocked=True)
        with tidegate.serving(server.endpoints()) as (_, running):
            taken_up = remote.call(running, "info", {"account": "Work"})

        assert server.sent() == ["refresh-0"]
    assert (shown["standing"], shown["login"]["state"]) == ("ready", "unsaved")
    assert (taken_up["standing"], taken_up["generation"], taken_up["login"]["state"]) == ("ready", 2, "fine")
    assert not tidegate.paths.recovery.exists()


async def seeded(paths: Paths, credential: Credential) -> None:
    """An installation with one account, its login in the keychain."""
    paths.create()
    vault = Vault(SecretService("install"))
    await vault.save("work", credential, 1)
    await vault.close()
    account = Account(AccountId("work"), "Work", AccountKind.CLAUDE)
    await ConfigFile(paths.config, Config("install")).change(lambda now: replace(now, accounts=(account,)))
