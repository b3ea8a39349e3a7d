"""A program in a real terminal, as a person uses it: reads what is shown, types, presses Ctrl-C."""

import os
import pty
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio.abc import Process

SECONDS = 30.0
"""Nothing here takes that long, even when the machine is busy."""
CTRL_C = "\x03"


class Terminal:
    """One program and its terminal."""

    def __init__(self, process: Process, screen: int) -> None:
        self.process = process
        self.shown = ""
        """All that it has shown so far, with what was typed."""
        self._screen = screen
        self._looked_at = 0

    @classmethod
    @asynccontextmanager
    async def running(cls, command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator["Terminal"]:
        """Start it. What still runs at the end of the block is killed."""
        screen, other_side = pty.openpty()
        os.set_blocking(screen, False)
        ends = {"stdin": other_side, "stdout": other_side, "stderr": other_side}
        # setsid makes the terminal its own, else Ctrl-C would reach nobody.
        process = await anyio.open_process(["setsid", "--ctty", *command], env=environment, **ends)
        os.close(other_side)
        try:
            yield cls(process, screen)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            os.close(screen)

    async def shows(self, pattern: str) -> re.Match[str]:
        """Wait for something that was not looked at yet."""
        with anyio.move_on_after(SECONDS):
            while True:
                if found := re.compile(pattern).search(self.shown, self._looked_at):
                    self._looked_at = found.end()
                    return found
                if not await self._more():
                    break
        raise AssertionError(f"{pattern!r} is not in the terminal:\n{self.shown}")

    async def ends(self) -> int:
        """Wait for the end. Returns the exit code."""
        with anyio.move_on_after(SECONDS):
            while await self._more():
                pass
            return await self.process.wait()
        raise AssertionError(f"it does not end (exit code {self.process.returncode}):\n{self.shown}")

    def types(self, text: str) -> None:
        """Type; a line needs its end."""
        os.write(self._screen, text.encode())

    async def _more(self) -> bool:
        await anyio.wait_readable(self._screen)
        try:
            more = os.read(self._screen, 65_536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            return False
        self.shown += more.decode().replace("\r\n", "\n")
        return bool(more)
