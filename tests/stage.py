"""A whole Tidegate in front of the simulated provider, in the test's own loop: the fixture `stage`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
from msgspec.structs import replace

from core import app
from core.demo_run import Memory, admit
from core.files import Paths
from core.model import Settings
from core.simulator import Received, SimulatedAccount, SimulatedProvider
from core.vault import Vault

MODEL = "claude-sonnet-5"
PROMPT: Any = [{"role": "user", "content": "hello there"}]


TIDEGATES_OWN = frozenset({"/api/oauth/usage", "/api/oauth/profile", "/v1/oauth/token", "/zen/go/v1/usage"})


def for_clients(sim: SimulatedProvider) -> list[Received]:
    """What the provider received that clients have asked for."""
    return [received for received in sim.received if received.path not in TIDEGATES_OWN]


@dataclass(slots=True)
class Stage:
    """The two programs, and what a client of Tidegate needs."""

    sim: SimulatedProvider
    core: app.Core
    key: str = field(repr=False)
    clients: list[anthropic.AsyncAnthropic] = field(default_factory=list)

    async def login(self, label: str, **options: Any) -> SimulatedAccount:
        """Add a subscription to both."""
        account = self.sim.add_login(label, **options)
        await admit(self.core, account)
        return account

    async def api_key(self, label: str) -> SimulatedAccount:
        """Add an API key to both."""
        account = self.sim.add_api_key(label)
        await admit(self.core, account)
        return account

    async def go_key(self, label: str) -> SimulatedAccount:
        """Add an OpenCode Go key to both."""
        account = self.sim.add_go_key(label)
        await admit(self.core, account)
        return account

    async def settle(self, **changes: Any) -> None:
        """Change settings."""
        await self.core.config.change(lambda now: replace(now, settings=replace(now.settings, **changes)))
        self.core.engine.configure(self.core.settings())

    @property
    def url(self) -> str:
        return self.core.engine.address

    def sdk(self, **options: Any) -> anthropic.AsyncAnthropic:
        """The real SDK, pointed at Tidegate; it retries nothing unless told to."""
        given: Mapping[str, Any] = {"api_key": self.key, "max_retries": 0, "timeout": 20.0} | options
        client = anthropic.AsyncAnthropic(base_url=self.url, **given)
        self.clients.append(client)
        return client

    @property
    def asked(self) -> list[Received]:
        """What the provider received for clients, without what Tidegate asks for itself."""
        return [
            r for r in self.sim.received if r.path.startswith(("/v1/", "/zen/")) and not r.path.startswith("/v1/oauth")
        ]

    def served(self, label: str) -> int:
        """How many generation requests this account received."""
        return sum(r.account == label and r.path == "/v1/messages" for r in self.sim.received)


@asynccontextmanager
async def on_stage(folder: Path, memory: Memory | None = None, **options: Any) -> AsyncIterator[Stage]:
    """Start both, end both. `memory` is the vault's back end."""
    async with SimulatedProvider.running() as sim, in_front_of(sim, folder, memory, **options) as stage:
        yield stage


@asynccontextmanager
async def in_front_of(
    sim: SimulatedProvider, folder: Path, memory: Memory | None = None, **options: Any
) -> AsyncIterator[Stage]:
    """Start a Tidegate and end it; the provider goes on."""
    chosen = app.Options(vault=Vault(memory or Memory()), port=0, environ={}, **options)
    async with app.running(Paths(folder), chosen) as core:
        stage = Stage(sim, core, (await core.commands.run("token", {}))["key"])
        await stage.settle(endpoints=sim.endpoints(), hold_s=Settings().hold_s)
        try:
            yield stage
        finally:
            for client in stage.clients:
                await client.close()
