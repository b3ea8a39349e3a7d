"""Acts a scenario out: a whole Tidegate, its provider and its client on real sockets, and writes down what happens."""

import asyncio
import logging
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import cache
from pathlib import Path

import anyio
from msgspec.structs import replace

from core import app
from core.errors import InstanceRunning, TidegateError, VaultLocked
from core.files import Paths
from core.history import History
from core.model import Account, AccountId, AccountKind, Changed, Event, Identity, OAuthTokens, SignIn, Strategy
from core.recovery import Recovery
from core.token_intents import Intents
from core.token_locks import Locks, kernel_lock
from core.vault import Vault
from tests.faults.client import Client, Numbers
from tests.faults.failing import Seam, no_room, seam
from tests.faults.provider import HOURS_8, Ledger, Server, credential, is_key, serves_well
from tests.faults.record import AnyFact, Broke, Happened, Record, Row, Stood
from tests.faults.record import Told as ToldFact
from tests.faults.script import (
    Answered,
    Arrived,
    Begun,
    Clock,
    Connects,
    Done,
    Fate,
    Happening,
    Left,
    Line,
    Mark,
    Moment,
    Order,
    Pause,
    Ready,
    Renewing,
    Scenario,
    Slept,
    Told,
    UnderWay,
    When,
)
from tests.hurry import Hurried
from tests.raw import a_few_turns
from tests.test_upstream import certificate

WITHIN_S = 25.0
"""Of real time, for one scenario."""
QUIET_WITHIN_S = 20.0
"""Until no request is under way any more after the scripts are over."""
BEGAN_AT = 1_800_000_000.0


class Keychain:
    """A vault's back end in memory that can be locked, and that can hang. The vault calls it from its thread."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.locked = False
        self._free = threading.Event()
        self._free.set()

    def hang(self) -> None:
        self._free.clear()

    def free(self) -> None:
        self.locked = False
        self._free.set()

    def get(self, key: str) -> Sequence[str]:
        self._call()
        return [self.items[key]] if key in self.items else []

    def set(self, key: str, secret: str) -> None:
        self._call()
        self.items[key] = secret

    def delete(self, key: str) -> None:
        self._call()
        self.items.pop(key, None)

    def _call(self) -> None:
        self._free.wait()
        if self.locked:
            raise VaultLocked("The keychain is locked", "Unlock it.")


class Play:
    """One scenario being played."""

    def __init__(self, scenario: Scenario, folder: Path, disk: Seam) -> None:
        self.record = Record()
        self._scenario = scenario
        self._paths = Paths(folder / "tidegate")
        self._disk = disk
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._set_by = 0.0
        self._slept = 0.0
        self._keychain = Keychain()
        self._ledger = Ledger()
        self._api = Server("api", scenario.upstream, serves_well, scenario.line)
        self._tokens = Server("tokens", scenario.tokens, serves_well, scenario.token_line)
        self._elsewhere = Server("elsewhere", (), serves_well, Line.OPEN)
        self._clients: list[Client] = []
        self._core: app.Core
        self._living: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._done: set[str] = set()
        self._key = ""

    # --- the clocks --------------------------------------------------------------------------------

    def _clock(self) -> float:
        return BEGAN_AT + self._steady() + self._set_by

    def _steady(self) -> float:
        return self._loop.time() - self._began + self._slept

    # --- the whole ---------------------------------------------------------------------------------

    async def run(self, act: "Callable[[Play], Awaitable[None]] | None" = None) -> Record:
        """Play all of it; `act` in place of the client's script."""
        tasks = asyncio.all_tasks()
        async with AsyncExitStack() as stack:
            heard = _Heard(self)
            stack.enter_context(heard)
            for server in (self._api, self._tokens, self._elsewhere):
                server.note, server.wait, server.ledger = self._note, self._until, self._ledger
                server.mark, server.elsewhere = self._done.add, self._elsewhere.url
                if server.line is Line.FALSE_TLS:
                    server.tls = _false_certificate()
                await server.connects(server.line)
                stack.push_async_callback(server.close)
            stack.push_async_callback(self._end)
            await self._start()
            await self._admit()
            meanwhile = asyncio.create_task(self._all(self._scenario.meanwhile))
            await (act(self) if act else self._client())
            await meanwhile
            await self._quiet()
            await self._close()
        await self._look_back()
        await a_few_turns()
        for task in asyncio.all_tasks() - tasks:
            self._note(Broke(at=self._loop.time(), text=f"a task stayed: {task.get_name()} {task.get_coro()}"))
        return self.record

    def _note(self, fact: AnyFact) -> None:
        self.record.facts.append(fact)

    def _happened(self, what: str) -> None:
        self._done.add(what)
        self._note(Happened(at=self._loop.time(), what=what))

    @property
    def url(self) -> str:
        """Tidegate's."""
        return self._core.engine.address

    @property
    def key(self) -> str:
        """The local one."""
        return self._key

    async def _client(self) -> None:
        client = Client(lambda: int(self.url.rpartition(":")[2]), self._key, self._note, self._until, self._done.add)
        self._clients.append(client)
        await client.play(self._scenario.client, Numbers())

    # --- when --------------------------------------------------------------------------------------

    async def _until(self, when: When) -> None:
        while not self._holds(when.moment):  # noqa: ASYNC110 - most of these moments set no event
            await asyncio.sleep(0.002)

    def _holds(self, moment: Moment) -> bool:
        match moment:
            case Arrived(count=count):
                return self._api.arrived >= count
            case Renewing(count=count):
                return self._tokens.arrived >= count
            case Begun(request=request):
                return any(request in client.begun for client in self._clients)
            case Answered(request=request):
                return any(request in client.answered for client in self._clients)
            case Left(count=count):
                return self._api.left + self._tokens.left >= count
            case Told(event=event):
                return any(fact.event == event for fact in self.record.all(ToldFact))
            case Done(what=what):
                return what in self._done
            case Ready(account=account):
                states = self._core.engine.pool.accounts
                return any(one.account.label == account and one.sign_in is SignIn.OK for one in states)
            case UnderWay(count=count):
                return sum(state.in_flight for state in self._core.engine.pool.accounts) >= count

    async def _quiet(self) -> None:
        """Wait until nothing is under way: no request, no renewal."""
        async with asyncio.timeout(QUIET_WITHIN_S):
            while any(state.in_flight for state in self._core.engine.pool.accounts):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.002)

    # --- Tidegate ----------------------------------------------------------------------------------

    def _options(self) -> app.Options:
        environ = {
            "TIDEGATE_ANTHROPIC_API_URL": self._api.url,
            "TIDEGATE_ANTHROPIC_TOKEN_URL": f"{self._tokens.url}/v1/oauth/token",
            "TIDEGATE_STRATEGY": Strategy.STICKY.value,
        }
        return app.Options(
            vault=Vault(self._keychain),
            port=0,
            environ=environ,
            clock=self._clock,
            steady=self._steady,
            patience=self._scenario.patience,
            limits=self._scenario.limits,
        )

    async def _start(self) -> None:
        ready: asyncio.Future[app.Core] = self._loop.create_future()
        self._stop.clear()

        async def live() -> None:
            try:
                async with app.running(self._paths, self._options()) as core:
                    ready.set_result(core)
                    await self._stop.wait()
                    self._happened("stopping")
            except BaseException as exc:
                if ready.done():
                    raise
                ready.set_exception(exc)

        self._living = asyncio.create_task(live(), name="tidegate")
        self._core = await ready
        self._core.bus.subscribe(self._heed)

    def _heed(self, event: Event) -> None:
        if not isinstance(event, Changed):
            account = str(getattr(event, "account", ""))
            self._note(ToldFact(at=self._loop.time(), event=type(event).__name__, account=account))

    async def _close(self) -> None:
        """Have it stopped."""
        self._stop.set()
        if self._living:
            await self._living
            self._living = None
        self._happened("stopped")

    async def _end(self) -> None:
        """Whatever came before: nothing hangs."""
        self._keychain.free()
        self._disk.fails = lambda _kind, _number: False
        self._stop.set()
        if self._living:
            with suppress(Exception):
                await self._living

    async def _admit(self) -> None:
        """Bring the accounts in as if a person had added them."""
        self._key = self.record.local_key = (await self._core.commands.run("token", {}))["key"]
        for label in self._scenario.accounts:
            self._ledger.newest[label] = 1
            kind = AccountKind.API_KEY if is_key(label) else AccountKind.CLAUDE
            account = Account(AccountId(label.lower()), label, kind, Identity(label, label, plan="max"))
            ends_at = self._clock() + self._scenario.ends_in_s.get(label, HOURS_8)
            await self._core.tokens.store(account.id, credential(label, 1, ends_at))
            await self._core.config.change(lambda now, new=account: replace(now, accounts=(*now.accounts, new)))
            self._core.engine.add(account)

    # --- what happens to it ------------------------------------------------------------------------

    async def _all(self, happenings: tuple[Happening, ...]) -> None:
        for happening in happenings:
            match happening:
                case When():
                    await self._until(happening)
                case Pause(seconds=seconds):
                    await asyncio.sleep(seconds)
                case Mark(name=name):
                    self._done.add(name)
                case Clock(by_s=by_s):
                    self._set_by += by_s
                    self._happened("clock")
                case Connects(to=to):
                    await self._api.connects(to)
                    self._happened(to.value)
                case Slept(for_s=for_s):
                    self._slept += for_s
                    await self._core.woke()
                    self._happened("slept")
                case Order():
                    await self._order(happening)
                case _:
                    await self._befalls(happening)
                    self._happened(happening.value)

    async def _order(self, order: Order) -> None:
        try:
            await self._core.commands.run(order.name, order.arguments)
        except TidegateError as exc:
            if not order.fails:
                self._note(Broke(at=self._loop.time(), text=f"{order.name} failed: {exc.title}"))
        else:
            if order.fails:
                self._note(Broke(at=self._loop.time(), text=f"{order.name} did not fail"))
        self._happened(order.name)

    async def _befalls(self, fate: Fate) -> None:
        match fate:
            case Fate.STOP:
                self._stop.set()
            case Fate.RESTART:
                self._stop.set()
                assert self._living
                await self._living
                await self._start()
            case Fate.SUSPEND:
                await self._core.checkpoint(2.0)
            case Fate.DISK_FULL:
                self._disk.make = no_room
                self._disk.fails = lambda kind, _number: kind in {"write", "fsync", "sqlite"}
            case Fate.DISK_BACK:
                self._disk.fails = lambda _kind, _number: False
            case Fate.LOCK_VAULT:
                self._keychain.locked = True
            case Fate.HANG_VAULT:
                self._keychain.hang()
            case Fate.FREE_VAULT:
                self._keychain.free()
            case Fate.SECOND_COPY:
                with suppress(InstanceRunning):
                    async with app.running(self._paths, self._options()):
                        self._note(Broke(at=self._loop.time(), text="a second copy ran beside the first"))
            case Fate.OTHER_RENEWS | Fate.OTHER_SPENDS:
                await self._other(leaves=fate is Fate.OTHER_RENEWS)

    async def _other(self, *, leaves: bool) -> None:
        """Another program of the same person renews the first account's login under its lock, as Tidegate would."""
        label = self._scenario.accounts[0]
        number = self._ledger.newest[label] = self._ledger.newest[label] + 1
        if not leaves:
            return
        vault = Vault(self._keychain)
        stored = await vault.load(label.lower())
        assert stored
        await vault.save(label.lower(), credential(label, number, self._clock() + HOURS_8), stored.generation + 1)
        await vault.close()

    # --- afterwards --------------------------------------------------------------------------------

    async def _look_back(self) -> None:
        """What the files say when all is over."""
        history = History.open(self._paths.history)
        try:
            for row in reversed(await history.requests(1_000)):
                at = row.at - BEGAN_AT + self._began + row.duration_s
                label = next((a for a in self._scenario.accounts if a.lower() == row.account), "")
                self._note(Row(at=at, outcome=row.outcome, attempts=row.attempts, status=row.status, account=label))
        finally:
            await history.close()
        vault = Vault(self._keychain)
        intents = Intents(self._paths)
        recovery = Recovery(vault, self._paths, Locks(self._paths, 1.0, kernel_lock), anyio.to_thread.run_sync)
        try:
            for state in self._core.engine.pool.accounts:
                label = state.account.label
                id_ = AccountId(label.lower())
                stored, entry = await vault.load(id_), await recovery.entry(id_)
                newest = credential(label, self._ledger.newest[label], 0)
                held = [one.credential for one in (stored, entry and entry.stored) if one]
                doubt = bool(stored and await intents.holds(id_, stored.generation, stored.credential))
                self._note(
                    Stood(
                        at=self._loop.time(),
                        account=label,
                        sign_in=state.sign_in.value,
                        rests=tuple(rest.cause.value for rest in state.cooldowns if rest.until_at > self._clock()),
                        failures=state.failures,
                        enabled=state.account.enabled,
                        login=state.login.state.value,
                        newest=any(_same(one, newest) for one in held),
                        known_doubt=doubt or state.sign_in is SignIn.NEEDED,
                    )
                )
        finally:
            await vault.close()


class _Heard(logging.Handler):
    """Tracebacks in the log: what Tidegate had no words for."""

    def __init__(self, play: Play) -> None:
        super().__init__(logging.ERROR)
        self._play = play

    def __enter__(self) -> None:
        logging.getLogger().addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            text = f"{record.getMessage()}: {record.exc_info[1]!r}"
            self._play.record.facts.append(Broke(at=self._play._loop.time(), text=text))


def _same(one: object, other: object) -> bool:
    """Whether it is the same credential, whenever it ends."""
    if isinstance(one, OAuthTokens) and isinstance(other, OAuthTokens):
        return one.refresh == other.refresh
    return one == other


@cache
def _false_certificate() -> ssl.SSLContext:
    """A server's, with a certificate that nobody has signed."""
    import tempfile  # noqa: PLC0415 - for this alone

    with tempfile.TemporaryDirectory() as folder:
        return certificate(Path(folder), ["127.0.0.1"])[0]


def play(scenario: Scenario, folder: Path, act: Callable[[Play], Awaitable[None]] | None = None) -> Record:
    """Play a scenario in a loop of its own. Raises TimeoutError when it hangs."""

    async def within() -> Record:
        with seam(folder / "tidegate") as disk:
            within_s = WITHIN_S * (10 if scenario.hurried else 1)
            async with asyncio.timeout(within_s):
                return await Play(scenario, folder, disk).run(act)

    with asyncio.Runner(loop_factory=Hurried if scenario.hurried else None) as runner:
        return runner.run(within())
