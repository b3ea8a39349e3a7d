"""A desktop without a screen: X server, private bus, window manager, panel, notification daemon.

Nothing of the person's own session is used or touched, and nothing is left behind: every process of the session
carries its mark, and the marked ones are ended with it, also those that went into the background.
"""

import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.desktop.bus import END_S, START_S, first_line, private_bus
from tests.desktop.robot import Robot
from tests.desktop.stub_tray import x_command

PACKAGES = {
    "Xvfb": "xvfb",
    "openbox": "openbox",
    "xfce4-panel": "xfce4-panel",
    "tint2": "tint2",
    "/usr/lib/x86_64-linux-gnu/xfce4/notifyd/xfce4-notifyd": "xfce4-notifyd",
    "dunst": "dunst",
    "dbus-daemon": "dbus",
    "xdotool": "xdotool",
}
NOTIFIERS = {"xfce": "/usr/lib/x86_64-linux-gnu/xfce4/notifyd/xfce4-notifyd", "dunst": "dunst"}
WATCHER = "org.kde.StatusNotifierWatcher"
NOTIFICATIONS = "org.freedesktop.Notifications"
SERVICES = {"org.xfce.Xfconf": "/usr/lib/x86_64-linux-gnu/xfce4/xfconf/xfconfd"}
"""What the panel cannot do without."""
SCREEN = "1024x640x24"
_MARK = "TIDEGATE_TEST_SESSION"
_PR_SET_CHILD_SUBREAPER = 36
_LOOK_AGAIN_S = 0.01

PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="{dark}"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="length" type="uint" value="100"/>
      <property name="size" type="uint" value="30"/>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/>
        <value type="int" value="2"/>
        <value type="int" value="3"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-2" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
    </property>
    <property name="plugin-3" type="string" value="clock"/>
  </property>
</channel>
"""
TINT2 = """rounded = 0
border_width = 0
background_color = {colour} 100
panel_items = TSC
panel_position = bottom center horizontal
panel_size = 100% 30
panel_background_id = 1
systray_padding = 4 3 4
systray_icon_size = 24
time1_format = %H:%M
clock_font_color = #808080 100
"""
TINT2_COLOURS = {False: "#e8eaed", True: "#30363d"}
GTK = """[Settings]
gtk-theme-name = Adwaita
gtk-icon-theme-name = Adwaita
gtk-font-name = DejaVu Sans 10
gtk-application-prefer-dark-theme = {dark}
gtk-enable-animations = false
"""


class Session:
    """The running session: its environment, its robot, and the programs that a test may start and end."""

    def __init__(self, folder: Path, artifacts: Path) -> None:
        self.folder = folder
        self.artifacts = artifacts
        self.environment = _environment(folder)
        self.robot: Robot
        self._before = _children()
        self._programs: list[subprocess.Popen[bytes]] = []

    def start(self, command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        """Start a program in the session; its output goes to a log among the artifacts."""
        name = Path(command[0]).name
        with (self.artifacts / f"{name}.log").open("ab") as output:
            defaults = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, "cwd": self.folder}
            program = subprocess.Popen(command, env=self.environment, **{**defaults, **options})
        self._programs.append(program)
        return program

    async def start_panel(self) -> subprocess.Popen[bytes]:
        """Start the panel and wait until it takes tray icons."""
        panel = self.start(["xfce4-panel", "--disable-wm-check"])
        await self.robot.until_host_is_registered(START_S)
        return panel

    async def start_tint2(self) -> subprocess.Popen[bytes]:
        """Start, at the bottom, the panel that has an XEmbed tray and no other, and wait for the tray."""
        panel = self.start(["tint2", "-c", str(self.folder / "tint2rc")])
        await self.robot.until_xembed_tray(START_S)
        return panel

    async def start_notifier(self, kind: str) -> subprocess.Popen[bytes]:
        """Start a notification daemon and wait for its name on the bus."""
        notifier = self.start([NOTIFIERS[kind]])
        await self.robot.until_owned(NOTIFICATIONS, START_S)
        return notifier

    def end(self, program: subprocess.Popen[bytes]) -> None:
        """End one program, politely first."""
        program.terminate()
        try:
            program.wait(END_S)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait(END_S)

    def end_all(self) -> None:
        """End every process of this session, those in the background too."""
        for program in reversed(self._programs):
            if program.poll() is None:
                self.end(program)
        deadline = time.monotonic() + END_S
        while strays := _marked(self.environment[_MARK]):
            for pid in strays:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, f"these processes of the session do not end: {strays}"
            time.sleep(_LOOK_AGAIN_S)
        # The dead carry no mark: theirs are the children that we had not before and that nobody has waited for.
        for pid in _children() - self._before:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


@asynccontextmanager
async def desktop(
    folder: Path, *, panel: bool = True, notifier: str | None = "xfce", dark: bool = False, screen: str = SCREEN
) -> AsyncIterator[Session]:
    """A running session. Fails, and does not skip, when a program is missing."""
    require_programs()
    artifacts = Path(os.environ.get("TIDEGATE_ARTIFACTS") or folder / "artifacts") / folder.name
    artifacts.mkdir(parents=True, exist_ok=True)
    _adopt_strays(yes=True)
    session = Session(folder, artifacts)
    try:
        _write_settings(folder, dark=dark)
        session.environment["DISPLAY"] = _start_x(session, screen)
        with private_bus(folder, SERVICES, session.environment) as address:
            session.environment["DBUS_SESSION_BUS_ADDRESS"] = address
            async with Robot.connected(session.environment, artifacts) as robot:
                session.robot = robot
                session.start(["openbox"])
                if notifier:
                    await session.start_notifier(notifier)
                if panel:
                    await session.start_panel()
                yield session
    finally:
        session.end_all()
        _adopt_strays(yes=False)


def require_programs() -> None:
    """Fail with the packages to install."""
    missing = sorted(package for program, package in PACKAGES.items() if shutil.which(program) is None)
    assert not missing, f"the desktop tests need: apt-get install --no-install-recommends {' '.join(missing)}"


def _environment(folder: Path) -> dict[str, str]:
    kept: Mapping[str, str] = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    homes = {
        "HOME": folder,
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_DATA_HOME": folder / "data",
        "XDG_CACHE_HOME": folder / "cache",
        "XDG_STATE_HOME": folder / "state",
        "XDG_RUNTIME_DIR": folder / "run",
    }
    for home in homes.values():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        **kept,
        **{name: str(home) for name, home in homes.items()},
        _MARK: secrets.token_hex(8),
        "LANG": "C.UTF-8",
        "XDG_CURRENT_DESKTOP": "XFCE",
        "NO_AT_BRIDGE": "1",
        "GSETTINGS_BACKEND": "memory",
    }


def _write_settings(folder: Path, *, dark: bool) -> None:
    word = str(dark).lower()
    _write(folder / "config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml", PANEL.format(dark=word))
    _write(folder / "config/gtk-3.0/settings.ini", GTK.format(dark=word))
    _write(folder / "tint2rc", TINT2.format(colour=TINT2_COLOURS[dark]))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _start_x(session: Session, screen: str) -> str:
    """Start the X server on a display that it finds free."""
    readable, writable = os.pipe()
    session.start(x_command(writable, screen), pass_fds=(writable,))
    os.close(writable)
    return f":{first_line(readable, 'Xvfb')}"


def _adopt_strays(*, yes: bool) -> None:
    """Become the parent of processes of the session whose own parent ends, so that they can be waited for."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


def _children() -> set[int]:
    """Our own children, the dead ones that nobody has waited for too."""
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that ended meanwhile
            found.update(map(int, (thread / "children").read_text().split()))
    return found


def _marked(mark: str) -> list[int]:
    """The living processes that carry the mark."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found
