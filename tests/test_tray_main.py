import os
import subprocess
import sys
from pathlib import Path

import pytest


def without_a_desktop(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-m", "core", "--data-dir", str(folder / "data"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment, check=False)


@pytest.mark.parametrize("module", ["core", "tray"])
def test_without_a_display_it_says_so_points_to_serve_and_leaves_nothing(tmp_path: Path, module: str) -> None:
    hidden = {"DISPLAY", "WAYLAND_DISPLAY"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-m", module, "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: There is no display")
    assert "tidegate serve" in done.stderr
    assert not (tmp_path / "data").exists()


def test_demo_without_a_display_runs_in_the_terminal(tmp_path: Path) -> None:
    done = without_a_desktop(tmp_path, "demo", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 whole answers" in done.stdout
