"""A Tidegate without its network side, for tests of orders: all of it real, on a keychain in memory."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
from msgspec import structs

from core import log_reading
from core.bus import Bus
from core.commands import Commands
from core.config import Config, ConfigFile
from core.connecting import Where
from core.connections import Connections
from core.engine import Engine
from core.errors import VaultLocked
from core.files import Paths
from core.history import EventRow, History
from core.model import AccountId, Changed, Endpoints, Event, Pool
from core.settings import effective
from core.tokens import Tokens
from core.vault import Vault
from tests.fakes_vault import MemoryBackend

LOCAL_KEY = "tg-local-key-of-the-tests"
NOBODY = "http://127.0.0.1:9"
OFFLINE = {
    "TIDEGATE_ANTHROPIC_API_URL": NOBODY,
    "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": NOBODY,
    "TIDEGATE_ANTHROPIC_TOKEN_URL": NOBODY,
    "TIDEGATE_OPENCODE_GO_URL": NOBODY,
}
NOBODY_ANSWERS = Endpoints(NOBODY, NOBODY, NOBODY, NOBODY, NOBODY)
"""So that a made-up key asks no provider."""


@dataclass
class Instance:
    """The parts, for a test to look at."""

    commands: Commands
    engine: Engine
    config: ConfigFile
    tokens: Tokens
    vault: MemoryBackend
    bus: Bus
    events: list[Event] = field(default_factory=list)
    quota_read: list[AccountId] = field(default_factory=list)
    """Accounts whose quota the person wanted to be read."""

    def lock(self) -> None:
        """Lock the keychain."""
        self.vault.reading_fails = self.vault.writing_fails = VaultLocked("The keychain is locked", "Unlock it.")

    @property
    def labels(self) -> list[str]:
        """The accounts by label, in order, as saved and as served: a test that asks finds them equal."""
        saved = [account.label for account in self.config.current.accounts]
        served = [state.account.label for state in self.engine.pool.accounts]
        assert saved == served
        return saved


@asynccontextmanager
async def instance(
    folder: Path,
    endpoints: Endpoints | Callable[[], Endpoints] = NOBODY_ANSWERS,
    clock: Callable[[], float] = lambda: 1_000_000.0,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Instance]:
    """Its files are below `folder`; the provider is at `endpoints`, which may move."""
    paths = Paths(folder / "tidegate")
    paths.create()
    backend, bus = MemoryBackend(), Bus()
    history = History.open(paths.history)

    def remember(event: Event) -> None:
        if not isinstance(event, Changed):
            history.record(EventRow(clock(), event))

    async def read_quota(id_: AccountId) -> None:
        made.quota_read.append(id_)

    vault = Vault(backend)
    engine = Engine(bus, clock, saved=lambda _: None, moved=lambda _: None)
    engine.restore((), Pool(), engine.pool.strategy)
    config = ConfigFile(paths.config, Config(install_id="test"))
    find = endpoints if callable(endpoints) else lambda: endpoints
    async with httpx.AsyncClient(trust_env=False) as http:
        tokens = Tokens(vault, paths, find, lambda: http, clock, on_owner=lambda id_, _: commands.renewed(id_))

        async def local_key() -> str:
            return LOCAL_KEY

        commands = Commands(
            engine=engine,
            config=config,
            tokens=tokens,
            settings=lambda: structs.replace(effective(config.current.settings, environ or {}), endpoints=find()),
            http=lambda: http,
            local_key=local_key,
            past=history,
            read_quota=read_quota,
            connections=Connections(engine, config, paths, lambda: Where(folder / "home", {})),
            read_log=partial(log_reading.recent, paths),
            now=clock,
        )
        made = Instance(commands, engine, config, tokens, backend, bus)
        bus.subscribe(made.events.append)
        bus.subscribe(remember)
        try:
            yield made
        finally:
            await commands.finish()
            await tokens.close()
            await vault.close()
            await history.close()
