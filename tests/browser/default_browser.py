"""The program that stands for the person's default browser: it passes each address that is opened on to the test.

Beside that it writes down what it was started with, as a program that is not trusted could.
"""

import os
from pathlib import Path

import anyio

SECONDS = 30.0


class DefaultBrowser:
    """Set as `BROWSER`, which Python's `webbrowser` honours, and xdg-open too."""

    def __init__(self, folder: Path) -> None:
        addresses, program, self.started_with = folder / "addresses", folder / "browser", folder / "started-with"
        os.mkfifo(addresses)
        notes = f"cat /proc/$$/cmdline /proc/$$/environ >>{self.started_with}"
        program.write_text(f'#!/bin/sh\n{notes}\necho "$1" 1<>{addresses}\n')
        program.chmod(0o755)
        self.environment = {"BROWSER": f"{program} %s"}
        # Open for both, so that it neither waits for a writer nor ends with one.
        self._addresses = os.open(addresses, os.O_RDWR | os.O_NONBLOCK)

    async def opened(self) -> str:
        """The next address that somebody opens."""
        line = b""
        with anyio.fail_after(SECONDS):
            while not line.endswith(b"\n"):
                await anyio.wait_readable(self._addresses)
                line += os.read(self._addresses, 65_536)
        return line.decode().strip()

    def close(self) -> None:
        os.close(self._addresses)
