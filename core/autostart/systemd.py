"""Autostart without an icon: a unit of the person's own systemd (`systemctl --user`).

Enabling is a symlink, made here as `systemctl --user enable` makes it, so that it works without a running manager too
and can be read back. The unit starts with the person's first login; `loginctl enable-linger` starts it at boot.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from core import programs
from core.errors import TidegateError
from core.files import make_folder, write_atomic

NAME = "tidegate.service"
RELOAD_S = 10.0
# Only what needs no mount namespace. ProtectSystem=, PrivateTmp= and their like make a user's manager open a user
# namespace first, and where the distribution forbids that the service does not start at all (systemd.exec(5),
# "PrivateUsers="). A user's process can write to little beyond its home anyway, and Tidegate writes there for the
# person: the settings of clients.
UNIT = """# Tidegate without an icon. On: systemctl --user enable --now tidegate
# From boot on, not only from the first login: loginctl enable-linger

[Unit]
Description=Tidegate: several coding-agent accounts that behave as one
Documentation=man:tidegate(1)
# Gone with its package: then there is nothing to start, and nothing to complain of.
ConditionFileIsExecutable={program}
StartLimitIntervalSec=5min
StartLimitBurst=5

[Service]
Type=exec
ExecStart={line}
Restart=on-failure
RestartSec=5
# A bad option or setting: starting again would not help.
RestartPreventExitStatus=2
# Answers in progress get 15 s, then logins that are not saved yet another 15 s.
TimeoutStopSec=45
UMask=0077
NoNewPrivileges=yes
# AF_NETLINK: how the C library learns whether there is IPv6.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
MemoryDenyWriteExecute=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=default.target
"""
_IN_QUOTES = str.maketrans({"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$"})


class UserUnit:
    """The unit below `config` ($XDG_CONFIG_HOME), and the link that makes the manager start it."""

    def __init__(self, config: Path) -> None:
        self._unit = config / "systemd/user" / NAME
        self._link = config / "systemd/user/default.target.wants" / NAME

    @property
    def place(self) -> str:
        """The unit."""
        return str(self._unit)

    def line(self, command: Sequence[str]) -> str:
        """The value of `ExecStart`."""
        return " ".join(map(_quoted, command))

    def text(self, command: Sequence[str]) -> str:
        """The unit that starts it."""
        return UNIT.format(program=command[0].replace("%", "%%"), line=self.line(command))

    def write(self, command: Sequence[str]) -> None:
        """Write the unit and enable it. It starts with the next login."""
        make_folder(self._link.parent)
        write_atomic(self._unit, self.text(command).encode())
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(self._unit)
        _reload()

    def remove(self) -> None:
        """Delete both. A running service goes on until it is stopped."""
        if self._unit.exists() or self._link.is_symlink():
            self._link.unlink(missing_ok=True)
            self._unit.unlink(missing_ok=True)
            _reload()

    def read(self) -> str | None:
        """What the manager starts: this unit, or one of a package that was enabled."""
        try:
            text = self._link.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        lines = (line.removeprefix("ExecStart=") for line in text.splitlines() if line.startswith("ExecStart="))
        return next(lines, None)


def _quoted(argument: str) -> str:
    """One word of `ExecStart`, as systemd.service(5) reads it."""
    if any(ord(character) < ord(" ") for character in argument):
        raise TidegateError(f"{argument!r} cannot be started at login", "Its name has a line break or the like in it.")
    plain = argument.translate(_IN_QUOTES)
    return f'"{plain}"' if plain != argument or not argument or set(" ';") & set(argument) else argument


def _reload() -> None:
    """Have the manager read its units again; where there is none, the next login does."""
    if systemctl := shutil.which("systemctl"):
        command = [systemctl, "--user", "daemon-reload"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, check=False, timeout=RELOAD_S, env=programs.environment())  # noqa: S603 - a fixed command
