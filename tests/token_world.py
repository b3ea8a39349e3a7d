"""Credentials of one account, a scripted token endpoint, a keychain in memory, and a clock that stands still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from msgspec.structs import replace

from core.files import Paths
from core.model import AccountId, Credential, Identity, LoginHealth, LoginState
from core.tokens import Tokens
from core.vault import Stored, Vault
from tests.fakes_vault import MemoryBackend
from tests.token_server import HOUR_S, TokenServer, token_server

ANNA = AccountId("anna")
NOW = 1_800_000_000.0


@dataclass
class World:
    """A Tidegate's credentials, the provider's token endpoint, and the time both live in."""

    tokens: Tokens
    server: TokenServer
    backend: MemoryBackend
    paths: Paths
    http: httpx.AsyncClient
    healths: list[LoginHealth] = field(default_factory=list)
    """How anna's login was doing, each change."""
    owners: list[Identity] = field(default_factory=list)
    ended: list[AccountId] = field(default_factory=list)

    @property
    def vault(self) -> Vault:
        """A view of what is stored, beside the one that Tokens uses."""
        return Vault(self.backend)

    @property
    def intent(self) -> Path:
        return self.paths.account_lock(ANNA).with_suffix(".intent")

    @property
    def states(self) -> list[LoginState]:
        return [health.state for health in self.healths]

    async def stored(self) -> Stored | None:
        return await self.vault.load(ANNA)

    async def keep(self, credential: Credential, generation: int) -> None:
        """Store a credential as another process would."""
        await self.vault.save(ANNA, credential, generation)

    async def living(self, life_s: float = 4 * HOUR_S) -> None:
        """Give anna's login, in vault and memory, another `life_s`."""
        tokens = replace(self.server.newest(), expires_at=self.server.now + life_s)
        await self.tokens.store(ANNA, tokens)

    def restarted(self, *, lock_within_s: float = 20.0) -> Tokens:
        """The Tokens of a new process over the same store."""
        return Tokens(
            Vault(self.backend),
            self.paths,
            self.server.endpoints,
            lambda: self.http,
            lambda: self.server.now,
            lambda: 0.0,
            on_health=lambda _, health: self.healths.append(health),
            on_owner=lambda _, owner: self.owners.append(owner),
            on_end=lambda id_, _: self.ended.append(id_),
            lock_within_s=lock_within_s,
            save_again_s=0.01,
        )

    async def crash(self) -> Tokens:
        """Leave what a process leaves that is killed, and start another one."""
        savers = list(self.tokens._keeping._savers.values())
        for saver in savers:
            saver.cancel()
        await asyncio.gather(*savers, return_exceptions=True)
        self.tokens = self.restarted()
        return self.tokens


@asynccontextmanager
async def token_world(root: Path) -> AsyncIterator[World]:
    """An account `anna` with a login that has ended, generation 1."""
    async with token_server(NOW) as server, httpx.AsyncClient(trust_env=False) as http:
        world = World(None, server, MemoryBackend(), Paths(root), http)  # type: ignore[arg-type]  # made next
        world.tokens = world.restarted()
        await world.keep(replace(server.newest(), expires_at=NOW - 1), 1)
        yield world
        await world.tokens.close()
