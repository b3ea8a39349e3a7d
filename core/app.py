"""All parts wired together: `running` a whole instance, `alone` for one order without one."""

import asyncio
import functools
import gc
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from core import __version__, asgi, config, descriptors, remote, trust
from core.blocking import blocking
from core.bus import Bus
from core.doorbell import Doorbell, Shown
from core.engine import MOVES_KEPT, Engine
from core.errors import TidegateError
from core.files import Paths, instance_lock
from core.front import Front
from core.guard import Guard
from core.history import EventRow, History
from core.link import Patience
from core.listener import Limits, Listener
from core.local_keys import EVERYBODY, LocalKeys, digest
from core.logs import FORM_VARIABLE, start_logging
from core.metrics import Metrics
from core.model import AccountId, ApiKey, Changed, Event, Identity, Notification, Settings
from core.policy import alerts
from core.poller import Poller
from core.proxy import Proxy
from core.sampling import Sampler
from core.server_clock import ServerClock, steady
from core.sessions import Sessions
from core.settings import effective
from core.tokens import Tokens
from core.upstream import Upstream
from core.usage_reading import UsageEndpoint
from core.vault import Stored, Vault, open_vault

if TYPE_CHECKING:
    import httpx

    from core.commands import Commands
    from core.connections import Connections

log = logging.getLogger(__name__)

VaultKind = Literal["keyring", "file"]
LOCAL_KEY = "local-key"
GRACE_S = 15.0
"""What answers in progress get when Tidegate stops."""


class Options(msgspec.Struct, frozen=True):
    """How to start: what the command line says, and what tests and the demo replace."""

    vault: VaultKind | Vault = "keyring"
    port: int | None = None
    """None: the one from the settings."""
    environ: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(os.environ))
    clock: Callable[[], float] = time.time
    steady: Callable[[], float] = steady
    demo: bool = False
    limits: Limits = msgspec.field(default_factory=Limits)
    patience: Patience = msgspec.field(default_factory=Patience)


class Core(msgspec.Struct, frozen=True):
    """A running instance, on its own event loop."""

    engine: Engine
    bus: Bus
    config: config.ConfigFile
    history: History
    pages: Sessions
    tokens: Tokens
    poller: Poller
    settings: Callable[[], Settings]
    problems: tuple[str, ...]
    """What the person should read at the start: a file that was moved aside, history that cannot be saved."""
    clock: Callable[[], float]
    ordered: "_Ordered"
    """Where `commands` come from."""
    doorbell: Doorbell = msgspec.field(default_factory=Doorbell)
    metrics: Metrics = msgspec.field(default_factory=Metrics)

    @property
    def commands(self) -> "Commands":
        """What can be ordered."""
        return self.ordered.commands()

    def measured(self) -> str:
        """What a Prometheus server reads."""
        return self.metrics.text(self.engine.snapshot(), self.history.pending, len(asyncio.all_tasks()))

    def show(self) -> Shown:
        """Somebody wants to see this instance: by its icon, or where there is none by the status page."""
        return Shown(by_icon=True) if self.doorbell.ring() else Shown(by_icon=False, url=self.page_link())

    def page_link(self) -> str:
        """The status page for the person's own browser; good once and for a minute."""
        return f"{self.engine.address}/-/open?code={self.pages.issue()}"

    async def checkpoint(self, within_s: float) -> None:
        """Have everything on the disk that was learned, as far as `within_s` allows; renew no login meanwhile."""
        self.poller.calm()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.history.flush()
                await self.tokens.save(within_s)

    async def woke(self) -> None:
        """The machine has slept."""
        self.poller.woke()

    def on_notification(self, show: Callable[[Notification], None]) -> Callable[[], None]:
        """Call `show` with each message for the person. Returns what ends it."""

        def tell(event: Event) -> None:
            message = alerts.notification(event, self.engine.pool, self.clock())
            quiet = alerts.is_quiet(self.engine.quiet_hours, self.clock())
            if message and self.engine.notifications and not quiet:
                show(message)

        return self.bus.subscribe(tell)


def settle() -> None:
    """Once a process serves: what its start has made stays, so the garbage collector need not go over it again.

    Requests leave it next to nothing (tests/soak/test_garbage.py), so it may look seldom.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(5_000, 10, 10)


def keep_log(paths: Paths, options: Options) -> None:
    """Log into the installation's file, as settings and environment say. Raises TidegateError."""
    level = effective(config.glance(paths.config), options.environ).log
    form = options.environ.get(FORM_VARIABLE, "").strip().lower()
    start_logging(paths, level, to_terminal=False, form=form)


@asynccontextmanager
async def running(paths: Paths, options: Options) -> AsyncIterator[Core]:
    """A whole instance: owns `paths`, listens, serves.

    Raises InstanceRunning, PortTaken, VaultError or TidegateError.
    """
    async with AsyncExitStack() as stack:
        core, vault = await _wired(stack, paths, options)
        await _local_key_made(vault, core.config)
        if problem := await core.tokens.open():
            core = replace(core, problems=(*core.problems, problem))
        upstream = Upstream(trust.context, options.patience)
        core.poller.on_wake = upstream.drop_idle
        stack.callback(upstream.close)
        local_keys = LocalKeys(_keys_by_digest(core.config))
        proxy = Proxy(core.engine, core.tokens, upstream, core.history, core.settings, core.clock)

        def strangers_welcome() -> bool:
            return core.settings().passthrough and not core.engine.pool.accounts

        front = Front(proxy, lambda: _control(core))
        listener = Listener(front, options.limits)
        stack.push_async_callback(listener.close, GRACE_S)
        stack.callback(core.bus.end_streams)  # before it: these answers have no end of their own
        descriptors.allow(options.limits.connections)
        await listener.start(core.settings().port if options.port is None else options.port)
        token = secrets.token_urlsafe(32)
        front.guard = Guard(listener.port, local_keys, token, core.pages.holds, strangers_welcome)
        core.engine.address = f"http://127.0.0.1:{listener.port}"
        remote.announce(paths, remote.Running(os.getpid(), listener.port, token))
        stack.callback(remote.withdraw, paths)
        if paths.connected.exists() or core.config.current.client_keys:
            core = await _programs_led(core, paths)
        polling = asyncio.create_task(core.poller.run(), name="poller")
        stack.push_async_callback(_cancelled, polling)
        log.info("Tidegate %s listens on %s", __version__, core.engine.address)
        yield core


@asynccontextmanager
async def alone(paths: Paths, options: Options) -> AsyncIterator["Commands"]:
    """The commands of an installation that is not running. Raises InstanceRunning when it is."""
    async with AsyncExitStack() as stack:
        core, _ = await _wired(stack, paths, options)
        yield core.commands


async def _wired(stack: AsyncExitStack, paths: Paths, options: Options) -> tuple[Core, Vault]:
    """Everything but the network side. What `stack` unwinds comes in the order of dependence."""
    lock = instance_lock(paths)
    stack.callback(lock.release)
    loaded = await blocking(config.load, paths.config)
    config_file = config.ConfigFile(paths.config, loaded.config)
    settings = _settings(config_file, options.environ)
    settings()  # a bad value in the environment is told before anything else starts
    history = await blocking(History.open, paths.history)
    stack.push_async_callback(history.close)
    vault = await _vault(paths, loaded.config.install_id, options)
    stack.push_async_callback(vault.close)
    server_clock = ServerClock(options.clock, options.steady)
    http = _HttpClient(server_clock)
    stack.push_async_callback(http.close)
    tokens = Tokens(
        vault,
        paths,
        lambda: settings().endpoints,
        http,
        server_clock,
        on_health=lambda id_, health: engine.login_health(
            id_, replace(health, ends_at=server_clock.on_wall(health.ends_at))
        ),
        on_owner=lambda id_, owner: _renewed(id_, owner, engine, ordered),
        on_end=lambda id_, exc: engine.without_secret(id_, exc),  # noqa: PLW0108 - there is no engine yet
    )

    bus = Bus()
    engine = Engine(
        bus,
        options.clock,
        saved=history.save_pool,
        moved=lambda move: history.record(EventRow(move.at, move, move.text)),
        moves=await history.moves(MOVES_KEPT),
        read=Sampler(history.sample).take,
        demo=options.demo,
    )
    engine.restore(config_file.current.accounts, await history.load_pool(), settings().strategy)
    engine.configure(settings())
    bus.subscribe(lambda event: _remember(history, event, options.clock()))

    usage = UsageEndpoint(lambda: settings().endpoints, http, options.clock)
    poller = Poller(engine, tokens, usage, options.clock, steady=options.steady)
    bus.subscribe(poller.heed)

    async def local_key() -> str:
        await _local_key_made(vault, config_file)
        return await _local_key(vault, config_file.current.local_key_sha256)

    def commands(connections: "Connections") -> "Commands":
        from core import log_reading  # noqa: PLC0415 - as `_Ordered` says
        from core.commands import Commands  # noqa: PLC0415 - as `_Ordered` says

        return Commands(
            engine=engine,
            config=config_file,
            tokens=tokens,
            settings=settings,
            http=http,
            local_key=local_key,
            past=history,
            read_quota=poller.read_now,
            connections=connections,
            read_log=functools.partial(log_reading.recent, paths),
            now=options.clock,
        )

    ordered = _Ordered(engine, config_file, paths, commands)

    async def finish() -> None:
        await ordered.finish()
        await tokens.close()
        await ordered.finish()  # what the last renewals began

    stack.push_async_callback(finish)
    metrics = Metrics()
    history.on_record = metrics.count
    problems = tuple(text for text in (loaded.problem, history.problem) if text)
    for text in problems:
        log.warning("%s", text)
    core = Core(
        engine,
        bus,
        config_file,
        history,
        Sessions(),
        tokens,
        poller,
        settings,
        problems,
        options.clock,
        ordered,
        metrics=metrics,
    )
    return core, vault


def _renewed(id_: AccountId, owner: Identity, engine: Engine, ordered: "_Ordered") -> None:
    """A login was renewed. One that turns out to be another's is kept, for it is all there is, and told in the log."""
    state = engine.pool.state(id_)
    before = state.account.identity if state else Identity()
    pairs = ((before.account_uuid, owner.account_uuid), (before.organization_uuid, owner.organization_uuid))
    if any(known and told and known != told for known, told in pairs):
        log.warning("%s: the renewed login is another person's or organisation's than before", engine.label(id_))
    ordered.commands().renewed(id_)


async def _programs_led(core: Core, paths: Paths) -> Core:
    """Connected programs find this instance, also after a kill half-way and at another address."""
    from core import connection_care  # noqa: PLC0415 - as `_Ordered` says
    from core.clients import CLIENTS  # noqa: PLC0415 - as `_Ordered` says

    await core.ordered.connections().repair()
    moved = await blocking(connection_care.moved_to, paths, core.engine.address)
    if not moved:
        return core
    names = ", ".join(CLIENTS[name].name for name in moved)
    log.info("connected programs now use %s: %s", core.engine.address, names)
    return replace(core, problems=(*core.problems, f"{names} now uses {core.engine.address}"))


def _control(core: Core) -> asgi.App:
    """The control API. Loads the web stack, so it is made when somebody asks."""
    from core.control import application  # noqa: PLC0415 - costs 12 MB and 60 ms

    return application(core.commands, core.engine.snapshot, core.bus, core.pages, core.show, metrics=core.measured)


def _settings(config_file: config.ConfigFile, environ: Mapping[str, str]) -> Callable[[], Settings]:
    """The settings in force: the saved ones with the environment's on top, worked out when they change."""
    known: tuple[Settings, Settings] | None = None

    def settings() -> Settings:
        nonlocal known
        saved = config_file.current.settings
        if known is None or known[0] is not saved:
            known = saved, effective(saved, environ)
        return known[1]

    return settings


def _remember(history: History, event: Event, now: float) -> None:
    if not isinstance(event, Changed):
        history.record(EventRow(now, event))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


# --- what is made once -----------------------------------------------------------------------------


async def _vault(paths: Paths, install_id: str, options: Options) -> Vault:
    if isinstance(options.vault, Vault):
        return options.vault
    return await blocking(open_vault, options.vault, paths, install_id, options.environ)


async def _local_key_made(vault: Vault, config_file: config.ConfigFile) -> None:
    """Make the local key at the very first start: the vault keeps it, the config a digest to know it by."""
    if config_file.current.local_key_sha256:
        return
    stored = await vault.load(LOCAL_KEY)
    if stored is None or not isinstance(stored.credential, ApiKey):
        stored = Stored(1, ApiKey(config.new_local_key()))
        await vault.save(LOCAL_KEY, stored.credential, stored.generation)
    known_by = digest(_key(stored))
    await config_file.change(lambda now: replace(now, local_key_sha256=known_by))


def _keys_by_digest(config_file: config.ConfigFile) -> Callable[[], Mapping[str, str]]:
    """The programs by the digests of their keys, worked out when the config changes: every request asks."""
    known: tuple[config.Config, Mapping[str, str]] | None = None

    def keys() -> Mapping[str, str]:
        nonlocal known
        now = config_file.current
        if known is None or known[0] is not now:
            of_programs = {sha256: name for name, sha256 in now.client_keys.items()}
            known = now, {now.local_key_sha256: EVERYBODY, **of_programs}
        return known[1]

    return keys


async def _local_key(vault: Vault, sha256: str) -> str:
    stored = await vault.load(LOCAL_KEY)
    if stored is None or digest(_key(stored)) != sha256:
        raise TidegateError(
            "The keychain no longer holds this installation's local key",
            "Remove local_key_sha256 from config.json and start Tidegate again: it makes a new key.",
        )
    return _key(stored)


def _key(stored: Stored) -> str:
    return stored.credential.key if isinstance(stored.credential, ApiKey) else ""


class _Ordered:
    """What serves orders and connected programs, each loaded when it is first needed.

    An instance that only serves needs neither: they would be 50 ms of its start and 2 MB (2026-11).
    """

    def __init__(
        self, engine: Engine, config_file: config.ConfigFile, paths: Paths, make: "Callable[[Connections], Commands]"
    ) -> None:
        self._engine = engine
        self._config = config_file
        self._paths = paths
        self._make = make
        self._connections: Connections | None = None
        self._commands: Commands | None = None

    def connections(self) -> "Connections":
        if self._connections is None:
            from core.connections import Connections  # noqa: PLC0415 - that is the point

            self._connections = Connections(self._engine, self._config, self._paths)
        return self._connections

    def commands(self) -> "Commands":
        if self._commands is None:
            self._commands = self._make(self.connections())
        return self._commands

    async def finish(self) -> None:
        if self._commands is not None:
            await self._commands.finish()


class _HttpClient:
    """httpx for the control plane, honest about who asks, not redirected, not proxied.

    It is loaded when it is first used (10 MB, 150 ms): an instance that has nothing but API keys never does.

    Every answer sets the clock by which logins are judged.
    """

    def __init__(self, clock: ServerClock) -> None:
        self._client: httpx.AsyncClient | None = None
        self._clock = clock

    def __call__(self) -> "httpx.AsyncClient":
        if self._client is None:
            from core import control_http  # noqa: PLC0415 - that is the point

            self._client = control_http.client(self._heed_date)
        return self._client

    async def _heed_date(self, response: "httpx.Response") -> None:
        self._clock.heed(response.headers.get("date"))

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
