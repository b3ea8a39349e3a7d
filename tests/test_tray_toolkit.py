import os
import subprocess
import sys

from tray import toolkit


def test_pystray_is_there_without_a_display() -> None:
    """Its own import asks for one, and its stock back end for X11 has no menu."""
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "PYSTRAY_BACKEND"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    program = "from tray.toolkit import Icon, Menu, MenuItem; print(Menu(MenuItem('x', None)).items[0].text)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, "x\n"), done.stderr


def test_environment_is_left_as_it_was() -> None:
    """Programs that the tray starts must not inherit our choice of back end."""
    program = "import os; before = dict(os.environ); import tray.toolkit; print(before == dict(os.environ))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_menus_are_pystrays_own() -> None:
    assert toolkit.Menu.__module__.startswith("pystray")
    assert toolkit.MenuItem.__module__.startswith("pystray")
