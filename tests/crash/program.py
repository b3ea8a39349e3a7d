"""A real `tidegate serve` as its own process: started, looked at from outside, killed."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import httpx
import msgspec

from core import remote
from core.files import Paths
from core.model import AccountView

TIDEGATE = (sys.executable, "-m", "core")
READY_WITHIN_S = 30.0
END_WITHIN_S = 60.0
ASK_EVERY_S = 0.05
ROOT = Path(__file__).parents[2]
PASSPHRASE = {"TIDEGATE_VAULT_KEY": "a passphrase of the storm"}


async def until(condition: Callable[[], Awaitable[object]], within_s: float) -> None:
    """Ask again and again: another process and its files tell nobody when they change. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(ASK_EVERY_S)


@dataclass
class Program:
    """One installation, and how its process is started."""

    root: Path
    environment: Mapping[str, str]
    vault: Literal["file", "keyring"] = "file"
    _started: "list[Process]" = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """No process outlives the block, whatever the test came to."""
        for process in self._started:
            if process.process.returncode is None:
                process.kill()
                await process.ended()

    @property
    def paths(self) -> Paths:
        return Paths(self.root)

    def command(self, *words: str) -> list[str]:
        """The arguments of `tidegate` for this installation."""
        return ["--data-dir", str(self.root), "--vault", self.vault, *words]

    async def start(self, launcher: Sequence[str] = TIDEGATE, port: int = 0) -> "Process":
        """Begin to serve, on any free port or on this one. Does not wait until it listens."""
        process = await asyncio.create_subprocess_exec(
            *launcher,
            *self.command("serve", "--port", str(port)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **self.environment},
            cwd=ROOT,
        )
        self._started = [one for one in self._started if one.process.returncode is None]
        self._started.append(Process(self, process))
        return self._started[-1]

    async def run(self, *words: str) -> tuple[int, str, str]:
        """One command of the real command line: exit code, standard output, standard error."""
        process = await asyncio.create_subprocess_exec(
            *TIDEGATE,
            *self.command(*words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **self.environment},
            cwd=ROOT,
        )
        out, err = await asyncio.wait_for(process.communicate(), END_WITHIN_S)
        return process.returncode or 0, out.decode(), err.decode()


@dataclass
class Process:
    """A started `tidegate serve`."""

    program: Program
    process: asyncio.subprocess.Process
    began_at: float = field(default_factory=time.monotonic)
    address: str = ""
    ready_s: float = 0.0
    said: str = ""
    """What it wrote to standard error."""
    _control: httpx.AsyncClient | None = None
    _reading: "list[asyncio.Task[None]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ready = asyncio.Event()
        self._reading = [asyncio.create_task(self._read_output()), asyncio.create_task(self._read_errors())]

    async def ready(self) -> bool:
        """Wait until it listens. False when it has ended before that."""
        await asyncio.wait_for(self._ready.wait(), READY_WITHIN_S)
        if self.address and self._control is None:
            said = msgspec.json.decode(self.program.paths.running.read_bytes(), type=remote.Running)
            assert said.pid == self.process.pid, "running.json speaks of another process"
            # One client for its whole life, and none of `remote`'s: those load the system's TLS roots for every order.
            self._control = httpx.AsyncClient(
                base_url=said.address,
                headers={"authorization": f"Bearer {said.control_token}"},
                timeout=remote.ANSWER_S,
                trust_env=False,
                verify=False,
            )
        return bool(self.address)

    def kill(self) -> None:
        """SIGKILL."""
        with suppress(ProcessLookupError):
            self.process.kill()

    def ask_to_end(self) -> None:
        """SIGTERM."""
        with suppress(ProcessLookupError):
            self.process.terminate()

    async def ended(self) -> int:
        """Wait for its end. Returns the exit code, or minus the signal that ended it."""
        code = await asyncio.wait_for(self.process.wait(), END_WITHIN_S)
        await asyncio.gather(*self._reading)
        if self._control:
            await self._control.aclose()
        return code

    @property
    def was_killed(self) -> bool:
        """It ended by SIGKILL."""
        return self.process.returncode == -signal.SIGKILL

    async def accounts(self) -> list[AccountView]:
        """What `tidegate list --json` asks the running instance. Raises as `order` does."""
        return msgspec.convert((await self.order("snapshot"))["accounts"], list[AccountView])

    async def order(self, command: str, /, **arguments: object) -> Any:
        """Pass an order on as the command line does. Raises TidegateError, or httpx.HTTPError when it was killed."""
        assert self._control, "nobody waited until it was ready"
        return remote._read(await self._control.post(f"/-/commands/{command}", json=arguments))

    async def _read_output(self) -> None:
        assert self.process.stdout
        while line := await self.process.stdout.readline():
            if found := re.search(r"listens on (http://\S+)", line.decode()):
                self.address, self.ready_s = found[1], time.monotonic() - self.began_at
                self._ready.set()
        self._ready.set()

    async def _read_errors(self) -> None:
        assert self.process.stderr
        while data := await self.process.stderr.read(65_536):
            self.said = (self.said + data.decode(errors="replace"))[-4_000:]
