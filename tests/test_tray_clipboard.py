import os
import signal
from pathlib import Path

import pytest

from tray import clipboard

SECRET = "the-local-key"


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_text_goes_through_the_input_and_never_onto_the_command_line(tmp_path: Path) -> None:
    program(tmp_path, "xclip", f'echo "$0 $@" > {tmp_path}/arguments; cat > {tmp_path}/input')

    assert clipboard.copy(SECRET, str(tmp_path))

    assert (tmp_path / "input").read_text() == SECRET
    assert SECRET not in (tmp_path / "arguments").read_text()


def test_program_gets_no_variable_of_tidegates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_VAULT_KEY", SECRET)
    program(tmp_path, "xclip", f"env > {tmp_path}/environment")

    assert clipboard.copy("an address", f"{tmp_path}")

    assert SECRET not in (tmp_path / "environment").read_text()


@pytest.mark.parametrize("failure", ["exit 1", "kill -9 $$"])
def test_program_that_fails_is_followed_by_the_next(tmp_path: Path, failure: str) -> None:
    program(tmp_path, "wl-copy", failure)
    program(tmp_path, "xsel", f"cat > {tmp_path}/input")

    assert clipboard.copy(SECRET, str(tmp_path))

    assert (tmp_path / "input").read_text() == SECRET


def test_program_that_stays_to_serve_the_clipboard_is_not_waited_for(tmp_path: Path) -> None:
    program(tmp_path, "wl-copy", f"cat > /dev/null; sleep 60 & echo $! > {tmp_path}/pid")

    assert clipboard.copy(SECRET, f"{tmp_path}:/usr/bin:/bin")

    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # raises when it was waited for and is gone


def test_without_a_program_the_caller_is_told(tmp_path: Path) -> None:
    assert not clipboard.copy(SECRET, str(tmp_path))
