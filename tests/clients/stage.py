"""The scene of every test here: a provider, Tidegate with its accounts, and the home of a person with both clients."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal
from msgspec.structs import replace

from core import app, connected
from core.demo_run import Memory, admit
from core.files import Paths
from core.model import Settings, Strategy
from core.simulator import Received, SimulatedAccount, SimulatedProvider, pieces_for
from core.vault import Vault
from tests.clients.recorder import Recorder, recording
from tests.stage import for_clients

ROOT = Path(__file__).parents[2]
RUN_S = 90.0
"""Claude Code takes 1 s for a prompt, OpenCode 5 s of pure computing: a busy machine needs many times that."""
SWITCHES: Mapping[str, str] = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
}
"""Both work without a network and without these; with them they do not even try."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that has ended."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Stage:
    """Methods are for the test's thread; everything runs on the island's."""

    portal: BlockingPortal
    sim: SimulatedProvider
    core: app.Core
    paths: Paths
    key: str = field(repr=False)
    home: Path

    @property
    def received(self) -> list[Received]:
        """What the provider received that the client has asked for. Connecting has asked for the models."""
        return [received for received in for_clients(self.sim) if not received.target.startswith("/v1/models?")]

    def account(self, label: str) -> SimulatedAccount:
        """One account at the provider."""
        return next(account for account in self.sim.accounts if account.label == label)

    def order(self, command: str, **arguments: object) -> Any:
        """Have Tidegate obey a command."""
        return self.portal.call(self.core.commands.run, command, arguments)

    def connect(self, client: str, address: str | None = None) -> None:
        """Do what a person does. `address` stands for Tidegate's own where something is to be seen on the way."""
        words = ["-m", "core.cli", "--data-dir", str(self.paths.root), "connect", client, "--yes"]
        done = self.run(sys.executable, *words, cwd=ROOT)
        assert (done.code, done.err) == (0, "")
        file = Path(connected.records(self.paths)[client].file)
        self.key = re.findall(r"tg-[\w-]{20,}", file.read_text())[0]
        file.write_text(file.read_text().replace(self.core.engine.address, address or self.core.engine.address))

    @contextmanager
    def recorded(self, client: str) -> Iterator[Recorder]:
        """Connect the client by way of a recorder."""
        with self.portal.wrap_async_context_manager(recording(self.core.engine.address)) as recorder:
            self.connect(client, recorder.address)
            yield recorder

    def run(self, *words: str | Path, given: str = "", cwd: Path | None = None) -> Finished:
        """Run a program of this person's to its end. Raises TimeoutError."""
        environ = {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
            "TERM": "dumb",
            "TMPDIR": str(self.home / "tmp"),
            **SWITCHES,
        }
        return self.portal.call(_run, words, environ, cwd or self.home / "project", given)

    def answer(self, prompt: str) -> str:
        """What a client prints when it got the whole answer to `prompt`."""
        return "".join(pieces_for(prompt, self.sim.pieces)) + "\n"

    def assert_key_stayed_here(self) -> None:
        """Nothing that arrived at the provider holds the local key."""
        secret = self.key.encode()
        assert self.received
        for received in self.received:
            assert secret not in received.body
            assert self.key not in received.target
            assert not [name for name, value in received.headers if secret in value]


@asynccontextmanager
async def on_stage(portal: BlockingPortal, folder: Path) -> AsyncIterator[Stage]:
    """Set the scene: two subscriptions, an API key, an OpenCode Go key; the first that is ready serves."""
    home = folder / "home"
    for name in ("project", "tmp"):
        (home / name).mkdir(parents=True)
    paths = Paths(folder / "tidegate")
    async with SimulatedProvider.running() as sim:
        options = app.Options(vault=Vault(Memory()), port=0, environ={})
        async with app.running(paths, options) as core:
            await core.config.change(
                lambda now: replace(now, settings=replace(now.settings, endpoints=sim.endpoints(), hold_s=0.0))
            )
            core.engine.configure(Settings(strategy=Strategy.STICKY))
            for account in (
                sim.add_login("Work"),
                sim.add_login("Home"),
                sim.add_api_key("Team"),
                sim.add_go_key("Go"),
            ):
                await admit(core, account)
            yield Stage(portal, sim, core, paths, (await core.commands.run("token", {}))["key"], home)


async def _run(words: tuple[str | Path, ...], environ: Mapping[str, str], cwd: Path, given: str) -> Finished:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *words, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, cwd=cwd, start_new_session=True
    )
    try:
        async with asyncio.timeout(RUN_S):
            out, err = await process.communicate(given.encode())
    finally:
        with suppress(ProcessLookupError):  # whatever it started ends with it
            os.killpg(process.pid, signal.SIGKILL)
        code = await process.wait()
    return Finished(code, out.decode(), err.decode())
