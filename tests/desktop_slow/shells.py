"""The desktops themselves: how each is started, where its panel is, and how its tray goes away and comes back."""

import configparser
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Protocol

import anyio
from dbus_fast import Variant
from PIL import Image

from tests.desktop.bus import START_S
from tests.desktop.robot import LOOK_AGAIN_S, PROPERTIES, Address, Box, Colour, Robot, centre
from tests.desktop.session import NOTIFICATIONS, WATCHER, Session
from tests.desktop_slow.mouse import click, point
from tests.desktop_slow.reading import Line, find, read

WIDTH, HEIGHT = 1280, 1024
"""Room for the whole menu: one that scrolls could not be read at once."""
SHELL_S = 60.0
"""A shell drawn by the processor alone starts in 3 to 10 s on an idle machine."""
OUT_OF_SIGHT = (WIDTH - 1, HEIGHT - 1)
"""Where the mouse hides nothing. On Wayland a screenshot shows it."""
SERVICE_FOLDER = Path("/usr/share/dbus-1/services")


class Shell(Protocol):
    """One desktop in one session. `start()` once, then take its tray away and give it back as often as wanted."""

    PROGRAMS: ClassVar[Mapping[str, str]]
    """What it needs, with the package to install."""
    SERVICES: ClassVar[Sequence[str]]
    """What it has the bus start for it."""
    ENVIRONMENT: ClassVar[Mapping[str, str]]
    PANEL: ClassVar[Box]
    """Where its panel is; tray icons are in the right half."""
    PARTS: ClassVar[Sequence[str]]
    """What can go and come back while the tray icon runs."""
    BUTTONS_UNDER_THE_MOUSE: ClassVar[bool]
    """Its notifications show their buttons only under the mouse."""

    def __init__(self, session: Session) -> None: ...

    def configure(self, *, dark: bool) -> None:
        """Write its settings."""

    async def start(self) -> None:
        """Start it, and wait until it takes tray icons and shows nothing in the way."""

    async def take_away(self, part: str) -> None:
        """End the shell, or the part of it that has the tray icons."""

    async def give_back(self, part: str) -> None:
        """Start it again, and wait until it takes tray icons."""


GNOME_SETTINGS = """[org/gnome/shell]
enabled-extensions=['{extension}']
disable-extension-version-validation=true
welcome-dialog-last-shown-version='999'

[org/gnome/desktop/interface]
enable-animations=false
font-name='DejaVu Sans 10'

[org/gnome/desktop/background]
picture-options='none'
primary-color='#3a546e'
color-shading-type='solid'
"""
EXTENSION = "ubuntu-appindicators@ubuntu.com"
GNOME: Address = ("org.gnome.Shell", "/org/gnome/Shell", "org.gnome.Shell")
EXTENSIONS: Address = (*GNOME[:2], "org.gnome.Shell.Extensions")
NOTIFY: Address = (NOTIFICATIONS, "/org/freedesktop/Notifications", NOTIFICATIONS)
BANNER: Box = (WIDTH // 2 - 240, 34, WIDTH // 2 + 240, 110)
BELOW_BANNERS: Box = (16, 120, WIDTH - 16, HEIGHT - 16)
WALLPAPER: Colour = (0x3A, 0x54, 0x6E)
BANNER_S = 3.0
READY = "Tidegate tests are ready"


class Gnome:
    """GNOME Shell on X11 with the AppIndicator extension, as Ubuntu ships it."""

    PROGRAMS: ClassVar = {
        "gnome-shell": "gnome-shell",
        "gjs": "gjs",
        f"/usr/share/gnome-shell/extensions/{EXTENSION}/extension.js": "gnome-shell-extension-appindicator",
    }
    SERVICES: ClassVar = ("org.gnome.Shell.Notifications",)
    ENVIRONMENT: ClassVar = {"XDG_CURRENT_DESKTOP": "GNOME", "GSETTINGS_BACKEND": "keyfile"}
    PANEL: ClassVar[Box] = (0, 0, WIDTH, 32)
    PARTS: ClassVar = ("shell", "extension")
    BUTTONS_UNDER_THE_MOUSE: ClassVar = True

    def __init__(self, session: Session) -> None:
        self._session = session
        self._program: subprocess.Popen[bytes]

    def configure(self, *, dark: bool) -> None:
        assert dark, "this shell's panel is always dark"
        path = Path(self._session.environment["XDG_CONFIG_HOME"], "glib-2.0/settings/keyfile")
        path.parent.mkdir(parents=True)
        path.write_text(GNOME_SETTINGS.format(extension=EXTENSION))

    async def start(self) -> None:
        robot = self._session.robot
        self._program = await self._start_shell()
        await until_hosted(robot)
        await robot.until_owned(NOTIFICATIONS, SHELL_S)
        with anyio.fail_after(SHELL_S):
            await self._leave_the_overview()
            await self._clear_banners()

    async def _start_shell(self) -> subprocess.Popen[bytes]:
        return self._session.start(["gnome-shell", "--x11"])

    async def _leave_the_overview(self) -> None:
        """The shell begins with it, as soon as it has finished its start: until then it cannot be left."""
        robot, where = self._session.robot, (*GNOME[:2], PROPERTIES)
        while not plain(robot.look(), BELOW_BANNERS, WALLPAPER):
            await robot.call(where, "Set", "ssv", GNOME[2], "OverviewActive", Variant("b", value=False))
            await anyio.sleep(LOOK_AGAIN_S)

    async def _clear_banners(self) -> None:
        """Click away what the shell says of its own at a start, and a last one of ours, which tells that it is all."""
        robot, last, said = self._session.robot, 0, list[Line]()
        while not find(said, READY):
            last = await robot.call(NOTIFY, "Notify", "susssasa{sv}i", "tests", last, "", READY, "", [], {}, -1)
            with anyio.move_on_after(BANNER_S):  # none comes when the last was clicked away half drawn
                await robot.until_seen(lambda screen: not plain(screen, BANNER, WALLPAPER), SHELL_S, "banner")
            said = read(robot.look(), BANNER)
            await click(self._session, *centre(BANNER))
            await point(self._session, *OUT_OF_SIGHT)
        await robot.until_seen(lambda screen: plain(screen, BANNER, WALLPAPER), SHELL_S, "desktop without a banner")

    async def take_away(self, part: str) -> None:
        if part == "shell":
            self._program.kill()
            self._program.wait(START_S)
        else:
            await self._session.robot.call(EXTENSIONS, "DisableExtension", "s", EXTENSION)

    async def give_back(self, part: str) -> None:
        if part == "shell":
            await self.start()
        else:
            await self._session.robot.call(EXTENSIONS, "EnableExtension", "s", EXTENSION)
            await until_hosted(self._session.robot)


class GnomeOnWayland(Gnome):
    """The same as a Wayland compositor, whose only screen is a window on the display of the session."""

    ENVIRONMENT: ClassVar = {
        **Gnome.ENVIRONMENT,
        "XDG_SESSION_TYPE": "wayland",
        "MUTTER_DEBUG_DUMMY_MODE_SPECS": f"{WIDTH}x{HEIGHT}",
    }
    PARTS: ClassVar = ("extension",)  # the end of the shell is the end of the session

    async def _start_shell(self) -> subprocess.Popen[bytes]:
        await point(self._session, *OUT_OF_SIGHT)
        program = self._session.start(["gnome-shell", "--wayland", "--nested", "--no-x11"])
        await leave_x11(self._session)
        return program


PLASMA_SETTINGS = """[KDE]
AnimationDurationFactor=0
SingleClick=true
"""
COLOURS = Path("/usr/share/color-schemes")


class Plasma:
    """KDE Plasma 5.27 on X11: KWin, the daemon that keeps the list of tray icons, and the shell that draws them."""

    PROGRAMS: ClassVar = {
        "plasmashell": "plasma-workspace",
        "kwin_x11": "kwin-x11",
        "kded5": "kded5",
        "plasma-emojier": "plasma-desktop",
        str(COLOURS / "BreezeDark.colors"): "breeze",
    }
    SERVICES: ClassVar = ("org.kde.ActivityManager", "org.kde.kglobalaccel")
    ENVIRONMENT: ClassVar = {
        "XDG_CURRENT_DESKTOP": "KDE",
        "KDE_FULL_SESSION": "true",
        "KDE_SESSION_VERSION": "5",
        "QT_QUICK_BACKEND": "software",
        "XDG_CONFIG_DIRS": "/etc/xdg",
    }
    PANEL: ClassVar[Box] = (0, HEIGHT - 48, WIDTH, HEIGHT)
    PARTS: ClassVar = ("shell", "daemon")
    BUTTONS_UNDER_THE_MOUSE: ClassVar = False

    def __init__(self, session: Session) -> None:
        self._session = session
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    def configure(self, *, dark: bool) -> None:
        folder = Path(self._session.environment["XDG_CONFIG_HOME"])
        colours = (COLOURS / ("BreezeDark.colors" if dark else "BreezeLight.colors")).read_text()
        (folder / "kdeglobals").write_text(f"{colours}\n{PLASMA_SETTINGS}")
        (folder / "plasmarc").write_text(f"[Theme]\nname={'breeze-dark' if dark else 'breeze-light'}\n")

    async def start(self) -> None:
        self._session.start(["kwin_x11"])
        await self.give_back("daemon", hosted=False)
        await self.give_back("shell")

    async def take_away(self, part: str) -> None:
        program = self._programs[part]
        program.kill()
        program.wait(START_S)

    async def give_back(self, part: str, *, hosted: bool = True) -> None:
        robot = self._session.robot
        self._programs[part] = self._session.start(["plasmashell" if part == "shell" else "kded5"])
        if hosted:
            await until_hosted(robot)
            await robot.until_owned(NOTIFICATIONS, SHELL_S)
        else:
            await robot.until_owned(WATCHER, SHELL_S)


SWAY = """xwayland disable
output * mode {width}x{height}
output * background #3a546e solid_color
"""
WAYBAR = '{"height": 32, "modules-right": ["tray", "clock"], "tray": {"spacing": 8, "show-passive-items": false}}'
WAYBAR_STYLE = """* { font-family: DejaVu Sans; font-size: 13px; }
#tray, #clock { padding: 0 8px; }
menu separator { margin: 6px 0; }
"""


class Waybar:
    """A panel on Wayland without anything of X11: sway's own output is a window on the display of the session."""

    PROGRAMS: ClassVar = {"sway": "sway", "waybar": "waybar"}
    SERVICES: ClassVar = ()
    ENVIRONMENT: ClassVar = {
        "XDG_CURRENT_DESKTOP": "sway",
        "XDG_SESSION_TYPE": "wayland",
        "WLR_BACKENDS": "x11",
        "WLR_RENDERER": "pixman",
    }
    PANEL: ClassVar[Box] = (0, 0, WIDTH, 32)
    PARTS: ClassVar = ("bar",)
    BUTTONS_UNDER_THE_MOUSE: ClassVar = False

    def __init__(self, session: Session) -> None:
        self._session = session
        self._bar: subprocess.Popen[bytes]

    def configure(self, *, dark: bool) -> None:
        folder = Path(self._session.environment["XDG_CONFIG_HOME"])
        for name, text in (
            ("sway/config", SWAY.format(width=WIDTH, height=HEIGHT)),
            ("waybar/config", WAYBAR),
            ("waybar/style.css", WAYBAR_STYLE),
            ("gtk-3.0/settings.ini", f"[Settings]\ngtk-application-prefer-dark-theme = {str(dark).lower()}\n"),
        ):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)

    async def start(self) -> None:
        # sway does not run for somebody who can become root. In a user namespace of its own nobody can.
        alone = ["unshare", "--user"] if os.geteuid() == 0 else []
        self._session.start([*alone, "sway"])
        await leave_x11(self._session)
        await self.give_back("bar")

    async def take_away(self, _part: str) -> None:
        self._bar.kill()
        self._bar.wait(START_S)

    async def give_back(self, _part: str) -> None:
        self._bar = self._session.start(["waybar"])
        await until_hosted(self._session.robot)


SHELLS: Mapping[str, type[Shell]] = {
    "gnome": Gnome,
    "gnome-wayland": GnomeOnWayland,
    "plasma": Plasma,
    "waybar": Waybar,
}
APPEARANCES = (
    ("gnome", True),
    ("gnome-wayland", True),
    ("plasma", False),
    ("plasma", True),
    ("waybar", False),
    ("waybar", True),
)
"""Shell, and whether its panel is dark."""


async def leave_x11(session: Session) -> None:
    """Have what is started from now on find the Wayland compositor, once it is there, and no X server."""
    runtime, sockets = Path(session.environment["XDG_RUNTIME_DIR"]), list[str]()
    with anyio.fail_after(SHELL_S):
        while not sockets:
            await anyio.sleep(LOOK_AGAIN_S)
            sockets = [path.name for path in runtime.glob("wayland-*") if path.is_socket()]
    session.environment["WAYLAND_DISPLAY"] = sockets[0]
    del session.environment["DISPLAY"]


async def until_hosted(robot: Robot) -> None:
    """Wait until tray icons are taken. A shell that is starting has its name before it answers to it."""
    with anyio.fail_after(SHELL_S):
        hosted = False
        while not hosted:
            with suppress(TimeoutError):
                await robot.until_host_is_registered(SHELL_S)
                hosted = True


def plain(screen: Image.Image, area: Box, colour: Colour) -> bool:
    """Whether an area has this colour only."""
    return screen.crop(area).getextrema() == tuple((value, value) for value in colour)


def require(shell: type[Shell]) -> None:
    """Fail, and do not skip, with the packages to install."""
    needed = {**shell.PROGRAMS, "Xvfb": "xvfb", "xdotool": "xdotool", "tesseract": "tesseract-ocr"}
    missing = sorted(
        package for program, package in needed.items() if not (shutil.which(program) or Path(program).exists())
    )
    assert not missing, f"this desktop needs: apt-get install --no-install-recommends {' '.join(missing)}"


def installed(service: str) -> str:
    """The command with which the bus starts an installed service."""
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(SERVICE_FOLDER / f"{service}.service")
    return entry["D-BUS Service"]["Exec"]
