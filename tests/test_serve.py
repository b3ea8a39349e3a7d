import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest

from core.model import AccountKind, AccountView, Level, ProviderName, Snapshot, Standing
from core.serve import greeting

Start = Callable[..., subprocess.Popen[str]]


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


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Start `tidegate serve` on throw-away state with a sealed vault."""
    started: list[subprocess.Popen[str]] = []
    environ = {**os.environ, "TIDEGATE_VAULT_KEY": "a passphrase of the tests", "HOME": str(tmp_path)}

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "core", "--data-dir", str(tmp_path / "data"), "--vault", "file", "serve"]
        process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
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
