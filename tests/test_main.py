import subprocess
import sys


def test_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "core", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tidegate, version ")
