"""`tidegate completion` in real shells: each completes commands, what an argument may be, and options."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

HALF_TYPED = [
    ("tidegate hist", "tidegate history"),
    ("tidegate config ge", "tidegate config get"),
    ("tidegate connect claude", "tidegate connect claude-code"),
    ("tidegate status --wat", "tidegate status --watch"),
    ("tidegate import acc", "tidegate import accounts.tidegate"),
    ("tidegate --data-dir acc", "tidegate --data-dir accounts.tidegate"),
]
WITHIN_S = 60.0
"""Each completion starts Python; a busy machine takes a second for it."""
TO_LINE_START, TAB = "\x01", "\t"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home without settings, and a `tidegate` on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "tidegate").write_text(f'#!/bin/sh\nexec {sys.executable} -m core "$@"\n', encoding="utf-8")
    (programs / "tidegate").chmod(0o755)
    (tmp_path / "accounts.tidegate").touch()
    kept = {"HOME": str(tmp_path), "TERM": "dumb", "EDITOR": "ed", "LANG": "C.UTF-8", "INPUTRC": "/dev/null"}
    return {**kept, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(Path(__file__).parents[1])}


@pytest.fixture
def script(request: pytest.FixtureRequest, environ: dict[str, str]) -> str:
    """What `tidegate completion` prints for the shell of this test."""
    done = subprocess.run(
        ["tidegate", "completion", request.param], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def completed(shell: list[str], half_typed: str, environ: dict[str, str]) -> str:
    """The line after Tab, in an interactive shell on a terminal of its own: the shell itself is asked to echo it."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        shell, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=environ["HOME"], start_new_session=True
    )
    os.close(theirs)
    shown = b""
    try:
        os.write(ours, f"{half_typed}{TAB}{TO_LINE_START}echo '<' \nexit\n".encode())
        until = time.monotonic() + WITHIN_S
        while select.select([ours], [], [], max(0.0, until - time.monotonic()))[0]:
            shown += os.read(ours, 4096)
    except OSError:  # Linux says EIO when the other side has closed
        pass
    finally:
        os.close(ours)
        program.kill()
        program.wait()
    lines = [line.removeprefix("< ") for line in shown.decode(errors="replace").splitlines() if line.startswith("< ")]
    assert lines, shown.decode(errors="replace")
    return lines[-1].strip()


@pytest.mark.parametrize(("half_typed", "whole"), HALF_TYPED)
@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash_completes(script: str, half_typed: str, whole: str, environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text(script, encoding="utf-8")
    assert completed(["bash", "-i"], half_typed, environ) == whole


def test_without_it_nothing_is_completed(environ: dict[str, str]) -> None:
    assert completed(["bash", "-i"], "tidegate hist", environ) == "tidegate hist"


@pytest.mark.parametrize(("half_typed", "whole"), HALF_TYPED)
@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_completes(script: str, half_typed: str, whole: str, environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".zshrc").write_text(f"autoload -Uz compinit; compinit -u -D\n{script}", encoding="utf-8")
    assert completed(["zsh", "-i"], half_typed, environ) == whole


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_finds_it_among_its_functions(script: str, environ: dict[str, str], tmp_path: Path) -> None:
    """As the package lays it out."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "_tidegate").write_text(script, encoding="utf-8")
    settings = "fpath=(~/functions $fpath); autoload -Uz compinit; compinit -u -D\n"
    (tmp_path / ".zshrc").write_text(settings, encoding="utf-8")
    assert completed(["zsh", "-i"], "tidegate hist", environ) == "tidegate history"


@pytest.mark.parametrize(("half_typed", "whole"), HALF_TYPED)
@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish_completes(script: str, half_typed: str, whole: str, environ: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "fish" / "completions"
    folder.mkdir(parents=True)
    (folder / "tidegate.fish").write_text(script, encoding="utf-8")
    assert shutil.which("fish"), "the tests need fish: packaging/desktop-packages"
    ask = ["fish", "--command", f"complete --do-complete '{half_typed}'"]
    done = subprocess.run(ask, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=WITHIN_S)
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [whole.rpartition(" ")[2]]
