"""Autostart on macOS: a launch agent of the person's. launchd reads it at the next login; see `man launchd.plist`."""

import plistlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from core.files import make_folder, write_atomic

LABEL = "dev.tidegate.Tidegate"


class LaunchAgent:
    """One property list in `folder`, which is `~/Library/LaunchAgents`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"{LABEL}.plist"

    @property
    def place(self) -> str:
        """The file."""
        return str(self._file)

    def line(self, command: Sequence[str]) -> str:
        """The arguments as a shell would write them: launchd takes them one by one."""
        return shlex.join(command)

    def write(self, command: Sequence[str]) -> None:
        """Write the agent. It has no KeepAlive: who quits Tidegate wants it to stay away."""
        make_folder(self._file.parent)
        agent = {
            "Label": LABEL,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            "LimitLoadToSessionType": "Aqua",
            "ProcessType": "Interactive",
        }
        write_atomic(self._file, plistlib.dumps(agent))

    def remove(self) -> None:
        """Delete the agent."""
        self._file.unlink(missing_ok=True)

    def read(self) -> str | None:
        """What launchd starts. A person may also switch it off in System Settings, which no file tells."""
        try:
            agent = plistlib.loads(self._file.read_bytes())
        except (FileNotFoundError, plistlib.InvalidFileException, ValueError):
            return None
        if not isinstance(agent, dict) or agent.get("Disabled") or not agent.get("RunAtLoad"):
            return None
        arguments = agent.get("ProgramArguments")
        return shlex.join(map(str, arguments)) if isinstance(arguments, list) else None
