import os
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest

from core import programs
from core.errors import TidegateError


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A default browser that writes down what it was given; the passphrase is in our environment."""
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >{tmp_path}/url\nenv >{tmp_path}/env\n')
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # it remembers the browsers that the first caller had
    monkeypatch.setenv("TIDEGATE_VAULT_KEY", "correct horse")
    return tmp_path


def test_browser_gets_the_address_and_the_environment_without_ours(browser: Path) -> None:
    assert programs.open_url("http://127.0.0.1:9/")

    assert (browser / "url").read_text() == "http://127.0.0.1:9/\n"
    given = (browser / "env").read_text()
    assert "BROWSER=" in given
    assert "TIDEGATE_" not in given
    assert "correct horse" not in given


@pytest.mark.usefixtures("browser")
def test_our_own_environment_is_whole_afterwards() -> None:
    before = dict(os.environ)
    programs.open_url("http://127.0.0.1:9/")
    assert dict(os.environ) == before


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """We run as a package, which PyInstaller's starter has given libraries of its own."""
    monkeypatch.setattr(sys, "_MEIPASS", "/opt/bundle", raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/bundle")


@pytest.mark.usefixtures("packaged")
def test_browser_does_not_find_the_libraries_of_our_package(browser: Path) -> None:
    programs.open_url("http://127.0.0.1:9/")
    assert "LD_LIBRARY_PATH" not in (browser / "env").read_text()
    assert os.environ["LD_LIBRARY_PATH"] == "/opt/bundle"


@pytest.mark.usefixtures("packaged")
def test_browser_gets_the_library_path_that_we_were_started_with(
    browser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/opt/theirs")
    before = dict(os.environ)
    programs.open_url("http://127.0.0.1:9/")
    given = (browser / "env").read_text().splitlines()
    assert [line for line in given if line.startswith("LD_LIBRARY_PATH")] == ["LD_LIBRARY_PATH=/opt/theirs"]
    assert dict(os.environ) == before


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_tidegate_becomes_another_program_in_its_place_whatever_its_threads_do(tmp_path: Path, platform: str) -> None:
    then = tmp_path / "then"
    then.write_text('#!/bin/sh\necho "$$ $1"\nenv\n')
    then.chmod(0o755)
    program = """
import sys, threading, time
from core import programs
threading.Thread(target=time.sleep, args=[60]).start()
sys._MEIPASS = "/opt/bundle"
sys.platform, *command = sys.argv[1:]
programs.become(command)
"""
    environ = {**os.environ, "LD_LIBRARY_PATH": "/opt/bundle", "LD_LIBRARY_PATH_ORIG": "/opt/theirs"}
    with subprocess.Popen(
        [sys.executable, "-c", program, platform, str(then), "two words"],
        env={**environ, "TIDEGATE_VAULT_KEY": "correct horse"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        said, _ = process.communicate(timeout=30)

    lines = said.splitlines()
    number, _, words = lines[0].partition(" ")
    assert words == "two words"
    assert (int(number) == process.pid) is (platform == "linux")
    assert process.returncode == 0
    assert "TIDEGATE_VAULT_KEY=correct horse" in lines
    if platform == "linux":
        assert [line for line in lines if line.startswith("LD_LIBRARY_PATH")] == ["LD_LIBRARY_PATH=/opt/theirs"]


def test_a_program_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(TidegateError, match="cannot be started again"):
        programs.become([str(tmp_path / "gone")])


def test_library_path_of_the_person_stays_when_we_are_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/theirs")
    assert programs.environment()["LD_LIBRARY_PATH"] == "/opt/theirs"


def test_environment_of_other_programs_is_without_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_VAULT_KEY", "correct horse")
    given = programs.environment()
    assert given["PATH"] == os.environ["PATH"]
    assert not [name for name in given if name.startswith("TIDEGATE_")]
