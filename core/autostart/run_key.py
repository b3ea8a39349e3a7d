"""Autostart on Windows: a value of the person's Run key, and the Task Manager's list of those that are switched off."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Protocol

from core.errors import TidegateError

RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
APPROVED = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
NAME = "Tidegate"
LONGEST = 260
"""Windows starts no longer command from there: learn.microsoft.com, "Run and RunOnce Registry Keys"."""
_SWITCHED_OFF = 1
"""The lowest bit of an entry's first byte in APPROVED (2 is on, 3 is off; observed, Microsoft documents none of it)."""


class Registry(Protocol):
    """The person's own part of the registry. Every method raises OSError."""

    def get(self, key: str, name: str) -> str | bytes | None:
        """A value; None when there is none."""

    def set_text(self, key: str, name: str, text: str) -> None:
        """Write a value, and the key if it is missing."""

    def delete(self, key: str, name: str) -> None:
        """Delete a value; one that is missing is fine."""


class RunKey:
    """One value of the Run key."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @property
    def place(self) -> str:
        """The value."""
        return rf"HKEY_CURRENT_USER\{RUN}, value {NAME}"

    def line(self, command: Sequence[str]) -> str:
        """The command line. Raises TidegateError when it is too long for Windows to start it."""
        line = subprocess.list2cmdline(command)
        if len(line) > LONGEST:
            raise TidegateError(
                f"Windows starts nothing at login whose command is longer than {LONGEST} characters",
                "Put Tidegate, or its --data-dir, into a folder with a shorter name.",
            )
        return line

    def write(self, command: Sequence[str]) -> None:
        """Write the value. What the Task Manager switched off would stay off: that mark goes."""
        self._registry.set_text(RUN, NAME, self.line(command))
        self._registry.delete(APPROVED, NAME)

    def remove(self) -> None:
        """Delete both."""
        self._registry.delete(RUN, NAME)
        self._registry.delete(APPROVED, NAME)

    def read(self) -> str | None:
        """What Windows starts."""
        line, approved = self._registry.get(RUN, NAME), self._registry.get(APPROVED, NAME)
        switched_off = isinstance(approved, bytes) and approved[:1] and approved[0] & _SWITCHED_OFF
        return line if isinstance(line, str) and line and not switched_off else None


if sys.platform == "win32":
    import winreg

    class WindowsRegistry:
        """HKEY_CURRENT_USER."""

        def get(self, key: str, name: str) -> str | bytes | None:
            """A value; None when there is none."""
            try:
                with winreg.OpenKey(winreg.HKEY_CURRENT_USER, key) as opened:
                    value: str | bytes = winreg.QueryValueEx(opened, name)[0]
                    return value
            except FileNotFoundError:
                return None

        def set_text(self, key: str, name: str, text: str) -> None:
            """Write a value, and the key if it is missing."""
            with winreg.CreateKey(winreg.HKEY_CURRENT_USER, key) as opened:
                winreg.SetValueEx(opened, name, 0, winreg.REG_SZ, text)

        def delete(self, key: str, name: str) -> None:
            """Delete a value; one that is missing is fine."""
            try:
                with winreg.OpenKey(winreg.HKEY_CURRENT_USER, key, 0, winreg.KEY_SET_VALUE) as opened:
                    winreg.DeleteValue(opened, name)
            except FileNotFoundError:
                return
