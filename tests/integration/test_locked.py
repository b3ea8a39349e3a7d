"""The whole program before a keychain that is locked or missing: one clear error, and nothing lost."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instance import OFFLINE
from tests.integration.secret_service import Desktop, desktop


class Program:
    """`tidegate` in a desktop session, with its default vault."""

    def __init__(self, session: Desktop, folder: Path) -> None:
        self._session = session
        self._folder = folder

    def __call__(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "core", "--data-dir", str(self._folder), *words]
        environment = {**self._session.environment, **OFFLINE, "NO_COLOR": "1"}
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=60, env=environment, check=False
        )


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
