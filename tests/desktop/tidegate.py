"""A whole Tidegate on a virtual desktop: real command, real core, a vault in a file and a browser that only notes."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import httpx

from core import remote
from core.files import Paths
from core.remote import Running
from tests.desktop.session import Session
from tests.instance import OFFLINE

SECONDS = 30.0
LOOK_AGAIN_S = 0.05
TIDEGATE = (sys.executable, "-m", "core")


class Installation:
    """One data folder in a session, and those who start Tidegate on it."""

    def __init__(self, session: Session, *, browser: bool = True) -> None:
        self.session = session
        self.paths = Paths(session.folder / "installation")
        self._pages = session.folder / "pages"
        stub = session.folder / "browser"
        stub.write_text(f'#!/bin/sh\necho "$1" >> "{self._pages}"\n')
        stub.chmod(0o755)
        session.environment |= {
            **OFFLINE,
            "TIDEGATE_PORT": str(free_port()),
            "TIDEGATE_VAULT_KEY": "a passphrase of the tests",
            "BROWSER": str(stub),
        }
        if not browser:  # without a display no other is looked for either
            del session.environment["BROWSER"], session.environment["DISPLAY"]

    def start(self, *arguments: str, program: Sequence[str] = TIDEGATE, **options: object) -> "subprocess.Popen[bytes]":
        """Start `tidegate` with these arguments and do not wait."""
        where = ["--data-dir", str(self.paths.root), "--vault", "file"]
        return self.session.start([*program, *where, *arguments], cwd=Path(__file__).parents[2], **options)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run it to its end. Returns the exit code and what it printed."""
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        printed, _ = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=SECONDS))
        return process.returncode, printed.decode()

    async def until_running(self, than: Running | None = None) -> Running:
        """How to reach it, once it is up; `than` is an earlier one."""
        with anyio.fail_after(SECONDS):
            while True:
                running = await anyio.to_thread.run_sync(remote.find, self.paths)
                if running is not None and running != than:
                    return running
                await anyio.sleep(LOOK_AGAIN_S)

    def pages(self) -> list[str]:
        """The addresses that the browser was given."""
        return self._pages.read_text().split() if self._pages.exists() else []

    async def until_page(self, count: int = 1) -> str:
        """The newest address, once there are so many."""
        await until(lambda: len(self.pages()) >= count)
        return self.pages()[-1]


async def until(holds: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait for what does not tell when it is so: other processes and their files."""
    with anyio.fail_after(seconds):
        while True:
            if holds():
                return
            await anyio.sleep(LOOK_AGAIN_S)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def serves(running: Running) -> bool:
    """Whether it answers."""
    async with httpx.AsyncClient(trust_env=False) as client:
        health = (await client.get(f"{running.address}/-/health")).content
    return bool(json.loads(health)["pid"] == running.pid)


async def shows_page(url: str) -> bool:
    """Whether the link opens the status page. It does so once."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).is_success
