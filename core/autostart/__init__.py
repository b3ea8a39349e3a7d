"""Whether Tidegate starts when the person logs in: switched on, switched off, looked at. One file for each system.

What is written is read back: a switch that says it is on has been seen to be on.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.autostart.launch_agent import LaunchAgent
from core.autostart.run_key import RunKey
from core.autostart.systemd import UserUnit
from core.autostart.xdg import DesktopEntry
from core.errors import NothingToDo, TidegateError

Command = Sequence[str]


class Entry(Protocol):
    """How one system is told to start a program at login. Every method raises OSError when the system refuses."""

    @property
    def place(self) -> str:
        """Where it is written, for the person to read."""

    def line(self, command: Command) -> str:
        """The command as this system writes it. Raises TidegateError when it cannot be written there."""

    def write(self, command: Command) -> None:
        """Start this at login from now on."""

    def remove(self) -> None:
        """Start nothing. Removing twice is fine."""

    def read(self) -> str | None:
        """The line that is started at login; None when nothing is, whoever switched it off."""


@dataclass(frozen=True, slots=True)
class Status:
    """What happens at login. `other`: the line that starts, when it is not the one that `switch_on` would write."""

    on: bool
    place: str
    headless: bool = False
    other: str = ""

    @property
    def text(self) -> str:
        """For the person, in a line."""
        if not self.on:
            return "Autostart is off."
        how = " without an icon" if self.headless else ""
        if self.other:
            return f"Autostart is on{how}, but starts another program: {self.other} ({self.place})"
        return f"Autostart is on{how}: {self.place}"


@dataclass(frozen=True, slots=True)
class Autostart:
    """The autostart of one installation: with the icon (`tray`), or the core alone (`service`, where there is one)."""

    tray: Entry
    service: Entry | None
    command: Command

    def status(self) -> Status:
        """How it is now, also when somebody else changed it."""
        if self.service and (line := _asked(self.service)) is not None:
            return self._on(self.service, line, (*self.command, "serve"), headless=True)
        if (line := _asked(self.tray)) is not None:
            return self._on(self.tray, line, self.command)
        return Status(on=False, place=self.tray.place)

    def switch_on(self, *, headless: bool = False) -> Status:
        """Start at login, one way or the other: the two would compete for the port. Raises TidegateError."""
        chosen, other = (self.service, self.tray) if headless else (self.tray, self.service)
        if chosen is None:
            raise TidegateError("Without an icon it cannot start at login here", "That needs Linux with systemd.")
        command = (*self.command, "serve") if headless else self.command
        line = chosen.line(command)
        try:
            chosen.write(command)
            if other:
                other.remove()
        except OSError as exc:
            raise _refused(chosen, exc) from exc
        if _asked(chosen) != line:
            raise TidegateError(f"Autostart is not as it was written: {chosen.place}", "Another program may change it.")
        return self.status()

    def switch_off(self) -> Status:
        """Do not start at login. Raises TidegateError; NothingToDo when it is off already."""
        if not self.status().on:
            raise NothingToDo("Autostart is off already")
        for entry in (self.tray, self.service):
            if entry is None:
                continue
            try:
                entry.remove()
            except OSError as exc:
                raise _refused(entry, exc) from exc
            if _asked(entry) is not None:
                raise TidegateError(f"Autostart is still on: {entry.place}", "Another program may switch it on again.")
        return self.status()

    @staticmethod
    def _on(entry: Entry, line: str, command: Command, *, headless: bool = False) -> Status:
        try:
            ours = entry.line(command)
        except TidegateError:  # said when somebody wants to switch it on
            ours = ""
        return Status(on=True, place=entry.place, headless=headless, other="" if line == ours else line)


def of_this_system(options: Command, environ: Mapping[str, str] | None = None) -> Autostart:
    """The autostart of the installation that the global `options` of the command line name."""
    environ = os.environ if environ is None else environ
    command = (*program(environ), *options)
    home = Path.home()
    if sys.platform == "win32":
        from core.autostart.run_key import WindowsRegistry  # noqa: PLC0415 - there on Windows only

        return Autostart(RunKey(WindowsRegistry()), None, command)
    if sys.platform == "darwin":
        return Autostart(LaunchAgent(home / "Library/LaunchAgents"), None, command)
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    shared = [Path(folder) for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if folder]
    return Autostart(DesktopEntry(config, shared), UserUnit(config), command)


def program(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What starts this Tidegate again, wherever the working directory is then."""
    if getattr(sys, "frozen", False):
        quiet = _without_console("tidegatew.exe")
        # An AppImage runs from a place that is gone after its end.
        return (environ.get("APPIMAGE") or (quiet if sys.platform == "win32" else sys.executable),)
    if sys.platform == "win32":
        return (_without_console("pythonw.exe"), "-P", "-m", "core")
    script = Path(sys.executable).with_name("tidegate")
    # -P: a folder `core` where the session starts programs must not be taken for ours.
    return (str(script),) if script.exists() else (sys.executable, "-P", "-m", "core")


def installation(root: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What other programs start for a command of the installation in `root`: nothing has to be found out then."""
    words = (*program(environ), "--data-dir", str(root))
    # Claude Code on Windows has a shell read the line, for which a backslash is no part of a name.
    return tuple(word.replace("\\", "/") for word in words) if sys.platform == "win32" else words


def _without_console(name: str) -> str:
    """The program beside ours that opens no console window at each login, where there is one."""
    quiet = Path(sys.executable).with_name(name)
    return str(quiet if quiet.exists() else sys.executable)


def _asked(entry: Entry) -> str | None:
    try:
        return entry.read()
    except OSError as exc:
        raise TidegateError(f"Autostart cannot be read: {entry.place}: {exc.strerror or exc}") from exc


def _refused(entry: Entry, exc: OSError) -> TidegateError:
    return TidegateError(
        f"Autostart cannot be changed: {entry.place}: {exc.strerror or exc}", "Make it writable, then try again."
    )
