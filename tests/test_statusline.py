"""One line, whatever comes in."""

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given
from hypothesis import strategies as st

from core import app, statusline
from core.files import Paths
from core.statusline import Given, Known, ask, line, read
from core.vault import Vault
from tests.fakes_vault import MemoryBackend
from tests.instance import OFFLINE
from tests.stage import MODEL, PROMPT, on_stage

NOW = 1_800_000_000.0
HOUR_S = 3_600.0
TOLD = {
    "session_id": "s-1",
    "model": {"id": "claude-opus-5", "display_name": "Opus"},
    "context_window": {"used_percentage": 8.4},
}
GIVEN = Given("s-1", "claude-opus-5", "Opus", 8)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(["lines", "turns"]), inner),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def window(name: str, utilization: float | None, **more: Any) -> dict[str, Any]:
    return {"name": name, "utilization": utilization, "level": "ok", "resets_at": NOW + HOUR_S, **more}


def known(*windows: Mapping[str, Any], serves: bool = True, **explanation: Any) -> Known:
    turn = {"account": "a", "label": "Work", "serves": serves, "reason": "", "until_at": NOW + 2 * HOUR_S}
    accounts = [{"id": "b", "label": "Home", "windows": [window("5h", 0.99)]}, {"id": "a", "windows": [*windows]}]
    return Known({"lines": [{"turns": [turn]}], **explanation}, {"at": NOW, "accounts": accounts})


def said(known: Known | None, given: Given = GIVEN) -> str:
    return line(given, known, colours=False)


# --- what is read ----------------------------------------------------------------------------------


def test_what_claude_code_tells_is_read() -> None:
    assert read(json.dumps(TOLD).encode()) == GIVEN


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000, b'{"model": 7}'])
def test_what_does_not_read_tells_nothing(text: bytes) -> None:
    assert read(text) == Given()


@pytest.mark.parametrize("percent", ["8", True, None, [], float("nan"), float("inf"), 10**400])
def test_a_percentage_that_is_none_is_left_out(percent: Any) -> None:
    text = json.dumps({"context_window": {"used_percentage": percent}}).encode()
    assert read(text).context_percent is None


# --- what is said ----------------------------------------------------------------------------------


def test_account_level_reset_week_forecast_model_and_context_are_in_the_line() -> None:
    told = known(window("5h", 0.62, dry_at=NOW + HOUR_S / 2), window("7d", 0.41))
    assert said(told) == "Work · 5h 62% until 09:00 · week 41% · dry 08:30 · Opus · context 8%"


def test_a_week_that_is_spent_tells_its_day() -> None:
    told = known(window("7d", 1.2, level="spent", resets_at=NOW + 48 * HOUR_S))
    assert said(told, Given()) == "Work · week 100% until Sun 08:00"


def test_a_familys_week_counts_while_its_model_is_asked() -> None:
    told = known(window("7d_opus", 0.9, family="opus", dry_at=NOW + 60), window("7d_sonnet", 0.8, family="sonnet"))
    assert said(told, Given()) == "Work"
    assert said(told, Given(model_id="claude-opus-5")) == "Work · opus week 90% · dry 08:01"


def test_windows_without_a_reading_or_of_another_kind_are_left_out() -> None:
    assert said(known(window("5h", None), window("requests", 0.5), window("7d", 0.5, dry_at=NOW - 1)), Given()) == (
        "Work · week 50%"
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, "Tidegate is not running"),
        (Known(), "Tidegate has no account"),
        (known(serves=False), "no account is free until 10:00"),
        (known(pause={"until_at": None}), "Tidegate is paused · Work"),
    ],
)
def test_what_keeps_requests_back_is_said(told: Known | None, expected: str) -> None:
    assert said(told, Given()) == expected
    assert said(told) == f"{expected} · Opus · context 8%"


def test_colours_tell_the_level_and_no_colour_is_plain() -> None:
    told = known(window("5h", 0.95, level="spent"))
    assert "\x1b[31m5h 95%" in line(GIVEN, told, colours=True)
    assert "\x1b" not in line(GIVEN, told, colours=False)


@given(ANYTHING, ANYTHING, ANYTHING, st.booleans())
def test_whatever_is_told_it_is_one_line(told: Any, explanation: Any, snapshot: Any, colours: bool) -> None:
    text = line(read(json.dumps(told).encode()), Known(explanation, snapshot), colours=colours)
    assert text.splitlines() == [text]
    text.encode()


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("name", "family", "level", "utilization", "resets_at", "dry_at"), ANYTHING)
    ),
    ANYTHING,
    ANYTHING,
)
def test_whatever_a_window_or_a_label_is_it_is_one_line(view: Any, label: Any, at: Any) -> None:
    told = known({"name": "5h", "utilization": 0.5, **view}, lines=[{"turns": [{"serves": True, "label": label}]}])
    assert len(said(Known(told.explanation, {**told.snapshot, "at": at})).splitlines()) == 1
    assert len(said(known({"name": "5h", "utilization": 0.5, **view})).splitlines()) == 1


def test_control_characters_and_long_names_do_not_reach_the_terminal() -> None:
    text = said(None, Given(model=read(json.dumps({"model": {"display_name": "a\x1b]0;x\n" * 30}}).encode()).model))
    assert text.isprintable()
    assert len(text) < 80


# --- asking ----------------------------------------------------------------------------------------


@contextmanager
def answering(folder: Path, answer: Callable[[socket.socket], None]) -> Iterator[Path]:
    """Another program on the port that the file names; it hands each connection to `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        running = folder / "running.json"
        running.write_text(json.dumps({"pid": 1, "port": server.getsockname()[1], "control_token": "secret"}))

        def serve() -> None:
            connected, _ = server.accept()
            with connected:
                answer(connected)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield running
        finally:
            thread.join(10)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"port": "x", "pid": 1, "control_token": 1}', '{"port": 99999}'])
def test_a_file_that_does_not_read_is_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "running.json").write_text(content)
    assert ask(tmp_path / "running.json", GIVEN) is None
    assert ask(tmp_path / "missing", GIVEN) is None


def test_another_program_on_the_port_is_not_told_the_token(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def answer(connected: socket.socket) -> None:
        heard.append(connected.recv(65_536))
        connected.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"pid":2}')
        heard.append(connected.recv(65_536))

    with answering(tmp_path, answer) as running:
        assert ask(running, GIVEN, 5.0) is None

    assert heard[0].startswith(b"GET /-/health")
    assert heard[1] == b""
    assert b"secret" not in heard[0]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", b"nonsense"])
def test_a_program_that_speaks_otherwise_is_nobody(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path, lambda connected: connected.sendall(answer)) as running:
        assert ask(running, GIVEN, 5.0) is None


def test_a_program_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    over = threading.Event()
    with answering(tmp_path, lambda _: over.wait(10) and None) as running:
        began = time.monotonic()
        assert ask(running, GIVEN, 0.05) is None
        waited_s = time.monotonic() - began
        over.set()
    assert waited_s < 5


# --- as it is started ------------------------------------------------------------------------------


def shown(folder: Path, stdin: bytes, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "core", "--data-dir", str(folder), "statusline"],
        input=stdin,
        capture_output=True,
        env={**os.environ, "NO_COLOR": "1", "TZ": "UTC", **environ},
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    return done.stdout.decode()


@pytest.mark.parametrize("stdin", [b"", b"\x00garbage", json.dumps({"model": {"display_name": "Ölwin"}}).encode()])
def test_without_a_running_tidegate_it_says_so_and_ends_well(tmp_path: Path, stdin: bytes) -> None:
    printed = shown(tmp_path, stdin, PYTHONIOENCODING="ascii")
    assert printed == ("Tidegate is not running · Ölwin\n" if b"model" in stdin else "Tidegate is not running\n")


def test_a_closed_stdin_and_a_closed_stdout_are_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    statusline.show(tmp_path)

    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    monkeypatch.setattr(sys, "stdin", closed)
    statusline.show(tmp_path)


def test_nothing_heavy_is_loaded() -> None:
    script = (
        "import sys; sys.argv = ['tidegate', '--data-dir', '/nowhere', 'statusline']\n"
        "from core.start import main; main()\n"
        "heavy = {'click', 'msgspec', 'rich', 'httpx', 'asyncio', 'dataclasses', 'ssl', 'platformdirs', 'mcp'}\n"
        "print(sorted(heavy & set(sys.modules)), [m for m in sys.modules if m.startswith('core.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.stdout.endswith("[] ['core.start', 'core.statusline']\n")


@pytest.mark.anyio
async def test_the_account_that_serves_the_conversation_is_told(tmp_path: Path) -> None:
    async with on_stage(tmp_path / "tidegate") as stage:
        await stage.login("Work")
        await stage.login("Home")
        await stage.core.commands.run("pin", {"account": "Home"})
        headers = {"x-claude-code-session-id": "s-1"}
        await stage.sdk().messages.create(model=MODEL, max_tokens=99, messages=PROMPT, extra_headers=headers)
        await stage.core.commands.run("unpin", {})

        def seen(session: str) -> Known | None:
            return ask(tmp_path / "tidegate" / "running.json", Given(session=session), 20.0)

        told = await anyio.to_thread.run_sync(seen, "s-1")
        assert told is not None
        assert said(told, Given()).startswith("Home · 5h ")
        assert stage.key not in json.dumps([told.explanation, told.snapshot])
        printed = await anyio.to_thread.run_sync(shown, tmp_path / "tidegate", json.dumps(TOLD).encode())
        assert printed.startswith("Home · 5h ")
        assert printed.endswith(" · Opus · context 8%\n")


def test_an_instance_without_accounts_says_so(tmp_path: Path) -> None:
    options = app.Options(vault=Vault(MemoryBackend()), port=0, environ=OFFLINE)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(app.running(Paths(tmp_path), options)),
    ):
        assert said(ask(tmp_path / "running.json", GIVEN, 20.0), Given()) == "Tidegate has no account"
