"""What a person can order, once, for everybody who passes an order on: tray, command line and control API.

Each command saves what it changes before it answers; when that fails, nothing has changed and the person is told. A
caller who hangs up does not stop a command half-way. Answers hold no credential, except `token`: the local key.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec.structs import replace

from core import oauth
from core.admission import Admission
from core.answers import AccountInfo, Connected, ConnectionPlan, Done, Imported, KnownBefore, LocalKey, Offer, Pending
from core.care import Care, Past
from core.clients import CLIENTS
from core.config import Config, ConfigFile
from core.connections import Connections, planned
from core.engine import Engine
from core.errors import NothingToDo, TidegateError, UsageError
from core.import_run import Imports
from core.login import SignIns
from core.logs import Entry
from core.model import (
    Account,
    AccountId,
    AccountKind,
    Endpoints,
    Serves,
    Settings,
    Snapshot,
)
from core.naming import ALL, labels, refuse_taken, resolve, valid_label
from core.orders import (
    AddKey,
    AwaitLogin,
    BeginLogin,
    CancelLogin,
    ChooseStrategy,
    Explain,
    GetSetting,
    ImportFrom,
    KnowClient,
    LimitToPlan,
    Mute,
    Named,
    Nothing,
    Order,
    PasteLogin,
    Pause,
    PinTo,
    Recount,
    RecountLog,
    RecountQuota,
    RecountRequests,
    RecountUsage,
    Remove,
    Rename,
    ServeClients,
    SetSetting,
    SwitchFailover,
    ToClient,
    Unpin,
)
from core.policy.pool import paused
from core.questions import Questions, Story
from core.settings import cut_note, setting_texts, with_setting
from core.tokens import Tokens
from core.wording import span

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 30.0
"""For the end of a sign-in, in one order; who waits longer asks again."""
READ_AT_START = frozenset({"port", "log"})
"""Settings that count from the next start; the others count at once."""


class Memory(Past, Story, Protocol):
    """What history tells, of one account and of all."""


class Commands:
    """All commands of one instance. `run` takes them by name, with arguments as they come from JSON.

    `settings` are those in force, with what the environment overrides; `past` is asked what happened, and `read_quota`
    reads one account's quota if its provider can be asked. `read_log` gives the log's last entries of these levels.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        config: ConfigFile,
        tokens: Tokens,
        settings: Callable[[], Settings],
        http: "Callable[[], httpx.AsyncClient]",
        local_key: Callable[[], Awaitable[str]],
        past: Memory,
        read_quota: Callable[[AccountId], Awaitable[None]],
        connections: Connections,
        read_log: Callable[[int, Sequence[str]], Sequence[Entry]],
        now: Callable[[], float] = time.time,
    ) -> None:
        def endpoints() -> Endpoints:
            return settings().endpoints

        self._engine = engine
        self._config = config
        self._settings = settings
        self.questions = Questions(lambda: engine.pool, past, read_log, now)
        self._tokens = tokens
        self._admission = Admission(engine, config, tokens, endpoints=endpoints, http=http, now=now)
        self._imports = Imports(
            engine,
            config,
            tokens,
            self._admission,
            endpoints=endpoints,
            http=http,
            now=now,
            set_setting=lambda key, text: self.config_set(SetSetting(key, text)),
        )
        self._sign_ins = SignIns(tokens.exchange, endpoints)
        self._local_key = local_key
        self._care = Care(engine, tokens, self._admission, past, read_quota)
        self._connections = connections
        self._now = now
        self._running: set[asyncio.Task[object]] = set()

    async def run(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Obey, and answer with what JSON can say. Raises TidegateError; UsageError when the order itself is wrong."""
        command = COMMANDS.get(name)
        if command is None:
            raise UsageError(f"There is no command {name!r}", f"Commands: {', '.join(COMMANDS)}.")
        try:
            given = msgspec.convert(dict(arguments), command.arguments)
        except msgspec.ValidationError as exc:
            raise UsageError(f"{name} does not take these arguments", f"{exc}.") from exc
        # A caller that hangs up must not leave a key in the vault without its account, or a code spent for nothing.
        work = asyncio.create_task(self._logged(name, command.obey(self, given)), name=f"command {name}")
        self._running.add(work)
        work.add_done_callback(self._running.discard)
        return msgspec.to_builtins(await asyncio.shield(work))

    async def finish(self) -> None:
        """End the sign-ins, and wait for the commands whose callers have gone."""
        await self._sign_ins.close()
        await asyncio.gather(*self._running, return_exceptions=True)

    def renewed(self, id_: AccountId) -> None:
        """An account's login was renewed: remember when, and ask which plan pays for it if nobody knows."""
        self._engine.renewed(id_)
        work = asyncio.create_task(self._described(id_), name=f"describe {id_}")
        self._running.add(work)
        work.add_done_callback(self._running.discard)

    async def _described(self, id_: AccountId) -> None:
        try:
            await self._admission.describe(id_)
        except TidegateError as exc:  # it is asked again at the next renewal
            log.info("%s: what is known of its plan was not saved: %s", self._engine.label(id_), exc.title)

    async def _logged(self, name: str, work: Awaitable[object]) -> object:
        try:
            answer = await work
        except TidegateError as exc:
            log.info("%s: %s", name, exc.title)
            raise
        if isinstance(answer, Done):
            log.info("%s: %s", name, answer.text)
        return answer

    # Questions.

    async def snapshot(self, _: Nothing) -> Snapshot:
        """The whole picture."""
        return self._engine.snapshot()

    async def info(self, order: Named) -> AccountInfo:
        """Everything about one account."""
        return await self._care.info(self._account(order.account))

    async def know_client(self, order: KnowClient) -> KnownBefore:
        """A program gets a key of its own, of which only the digest is told, or loses it."""
        return KnownBefore(await self._connections.know(order.client, order.sha256))

    async def connection_plan(self, order: ToClient) -> ConnectionPlan:
        """What connecting a program would change."""
        return planned(await self._connections.plan(order.client))

    async def connect(self, order: ToClient) -> Connected:
        """Point a program at this instance."""
        deed = await self._connections.connect(order.client)
        done = planned(deed.plans)
        notes = (*done.notes, deed.problem) if deed.problem else done.notes
        settings = tuple(change.setting for change in done.changes)
        return Connected(f"{done.name} is connected", done.file, settings, notes)

    async def undo(self, order: ToClient) -> Done:
        """Give a program its settings back."""
        left = await self._connections.undo(order.client)
        return Done(". ".join([f"{CLIENTS[order.client].name} has its settings back", *left]))

    async def token(self, _: Nothing) -> LocalKey:
        """The local key."""
        return LocalKey(await self._local_key())

    async def config_get(self, order: GetSetting) -> dict[str, str]:
        """Settings by name, as they are saved."""
        texts = setting_texts(self._config.current.settings)
        if order.key is None:
            return texts
        if order.key not in texts:
            raise UsageError(f"There is no setting {order.key!r}", f"Settings: {', '.join(texts)}.")
        return {order.key: texts[order.key]}

    # Accounts that come and go.

    async def add_key(self, order: AddKey) -> Done:
        """A new account with a key, when the provider takes it."""
        return await self._admission.key(order)

    async def begin_login(self, order: BeginLogin) -> Offer:
        """Where to sign in. What comes of it is told by `await_login`."""
        match order.kind:
            case AccountKind.CLAUDE:
                purpose, admit = oauth.Purpose.SUBSCRIPTION, self._admission.login
            case AccountKind.API_KEY:
                purpose, admit = oauth.Purpose.CONSOLE, self._admission.console
            case AccountKind.GO:
                raise UsageError("OpenCode Go has no sign-in", "Use `tidegate add go` with its key.")
        return await self._sign_ins.begin(purpose, lambda grant: admit(order, grant), browser=order.browser)

    async def await_login(self, order: AwaitLogin) -> Done | Pending:
        """How a sign-in ended."""
        return await self._sign_ins.wait(order.id, min(order.for_s, LONGEST_WAIT_S)) or Pending()

    async def paste_login(self, order: PasteLogin) -> Done | Pending:
        """End a sign-in with what the page showed."""
        await self._sign_ins.paste(order.id, order.text)
        return await self._sign_ins.wait(order.id, 0) or Pending()

    async def cancel_login(self, order: CancelLogin) -> Done:
        """End a sign-in without an account."""
        self._sign_ins.cancel(order.id)
        return Done("The sign-in was cancelled")

    async def take_over(self, order: ImportFrom) -> Imported:
        """Accounts that other programs have."""
        return await self._imports.run(order)

    async def remove(self, order: Remove) -> Done:
        """An account goes, and its credential with it; with `revoke` its login also ends at the provider."""
        return await self._care.remove(self._account(order.account), revoke=order.revoke)

    # What an account is and does.

    async def rename(self, order: Rename) -> Done:
        """Another label."""
        account = self._account(order.account)
        label = valid_label(order.label)
        if label == account.label:
            raise NothingToDo(f"It is called {label} already")

        def relabelled(account: Account) -> Account:
            refuse_taken((other for other in self._config.current.accounts if other.id != account.id), label)
            return replace(account, label=label)

        await self._admission.change([account.id], relabelled)
        return Done(f"{account.label} is now called {label}", account.id)

    async def serves(self, order: ServeClients) -> Done:
        """Which clients an account may serve."""
        account = self._account(order.account)
        whom = "Claude Code only" if order.serves is Serves.CLAUDE_CODE else "every client"
        if account.serves is order.serves:
            raise NothingToDo(f"{account.label} serves {whom} already")
        await self._admission.change([account.id], lambda account: replace(account, serves=order.serves))
        return Done(f"{account.label} serves {whom}", account.id)

    async def plan_limits(self, order: LimitToPlan) -> Done:
        """Whether a subscription stops where its plan ends."""
        account = self._account(order.account)
        if account.kind is not AccountKind.CLAUDE:
            raise UsageError(f"{account.label} has no plan with extra usage", "Plan limits are for subscriptions.")
        does = "rests when its plan is spent" if order.on else "may go on into paid extra usage"
        if account.plan_limits_only is order.on:
            raise NothingToDo(f"{account.label} {does} already")
        await self._admission.change([account.id], lambda account: replace(account, plan_limits_only=order.on))
        return Done(f"{account.label} {does}", account.id)

    async def mute(self, order: Mute) -> Done:
        """Whether notifications leave an account out."""
        account = self._account(order.account)
        does = "is muted: you are told only what you must do" if order.on else "is told about again"
        if account.muted is order.on:
            raise NothingToDo(f"{account.label} is {'muted' if order.on else 'not muted'} already")
        await self._admission.change([account.id], lambda account: replace(account, muted=order.on))
        return Done(f"{account.label} {does}", account.id)

    async def enable(self, order: Named) -> Done:
        """An account, or all, may serve."""
        return await self._switch(order.account, enabled=True)

    async def disable(self, order: Named) -> Done:
        """An account, or all, may not serve."""
        return await self._switch(order.account, enabled=False)

    async def refresh(self, order: Named) -> Done:
        """Renew a login now, or all. Keys need none."""
        return await self._care.refresh(self._accounts(order.account))

    async def reset(self, order: Named) -> Done:
        """Forget what is held against an account, or all."""
        return await self._care.reset(self._accounts(order.account))

    # Who serves.

    async def pin(self, order: PinTo) -> Done:
        """One account serves its provider."""
        account = self._account(order.account)
        if not account.enabled:
            raise UsageError(f"{account.label} is disabled", f"First `tidegate enable {account.label}`.")
        for_s = _length(order.for_s, "A pin", "--for 1h")
        self._engine.pin(account.id, None if for_s is None else self._now() + for_s)
        length = "until unpinned" if for_s is None else f"for {span(for_s)}"
        return Done(f"{account.label} serves {length}", account.id)

    async def unpin(self, order: Unpin) -> Done:
        """One pin ends, or every pin."""
        pins = self._engine.pool.pins
        provider = order.provider
        if order.account is not None:
            account = self._account(order.account)
            provider = account.kind.provider
            if provider not in pins or pins[provider].account != account.id:
                raise NothingToDo(f"{account.label} is not pinned")
        if not pins or (provider is not None and provider not in pins):
            raise NothingToDo("Nothing is pinned")
        self._engine.unpin(provider)
        return Done("Unpinned: Tidegate chooses")

    async def pause(self, order: Pause) -> Done:
        """Nothing is let through. What is under way comes to its end."""
        for_s = _length(order.for_s, "A pause", "--for 1h")
        self._engine.pause(None if for_s is None else self._now() + for_s)
        length = "until resumed" if for_s is None else f"for {span(for_s)}"
        return Done(f"Paused {length}: nothing is let through")

    async def resume(self, _: Nothing) -> Done:
        """Requests are let through again."""
        if not paused(self._engine.pool, self._now()):
            raise NothingToDo("Tidegate is not paused")
        self._engine.resume()
        return Done("Resumed: requests are let through")

    async def order(self, order: Order) -> Done:
        """The accounts in the person's order."""
        front = tuple(resolve(self._engine.pool, text) for text in order.accounts)
        if not front or len(set(front)) != len(front):
            raise UsageError("Name each account once", "For example: tidegate order Work Home.")

        def edit(now: Config) -> Config:
            places = {id_: place for place, id_ in enumerate(front)}
            return replace(now, accounts=tuple(sorted(now.accounts, key=lambda a: places.get(a.id, len(places)))))

        before = self._config.current
        config = await self._config.change(edit)
        if config == before:
            raise NothingToDo(f"The order is already {labels(config.accounts)}")
        self._engine.reorder(tuple(account.id for account in config.accounts))
        return Done(f"The order is now {labels(config.accounts)}")

    async def strategy(self, order: ChooseStrategy) -> Done:
        """Which account goes first."""
        if order.name is None:
            return Done(str(self._engine.pool.strategy))
        return await self.config_set(SetSetting("strategy", order.name))

    async def failover(self, order: SwitchFailover) -> Done:
        """Whether others serve when an account cannot."""
        return await self.config_set(SetSetting("failover", "on" if order.on else "off"))

    async def config_set(self, order: SetSetting) -> Done:
        """Another value for a setting."""
        before = self._config.current.settings
        with_setting(before, order.key, order.text)
        config = await self._config.change(
            lambda now: replace(now, settings=with_setting(now.settings, order.key, order.text))
        )
        if config.settings == before:
            raise NothingToDo(f"{order.key} is {setting_texts(before)[order.key]} already")
        in_force = self._settings()
        self._engine.configure(in_force)
        said = [f"{order.key} is now {setting_texts(config.settings)[order.key]}"]
        if note := cut_note(order.key, order.text):
            said.append(note)
        if order.key in READ_AT_START:
            said.append("it counts from the next start")
        elif (text := setting_texts(in_force)[order.key]) != setting_texts(config.settings)[order.key]:
            said.append(f"the environment overrides it with {text}")
        return Done("; ".join(said))

    # How they do it.

    def _account(self, text: str) -> Account:
        id_ = resolve(self._engine.pool, text)
        return next(state.account for state in self._engine.pool.accounts if state.account.id == id_)

    def _accounts(self, text: str) -> list[Account]:
        if text.casefold() == ALL:
            return [state.account for state in self._engine.pool.accounts]
        return [self._account(text)]

    async def _switch(self, text: str, *, enabled: bool) -> Done:
        word = "enabled" if enabled else "disabled"
        chosen = [account for account in self._accounts(text) if account.enabled != enabled]
        if not chosen:
            raise NothingToDo(f"{'Every account' if text.casefold() == ALL else text} is {word} already")
        await self._admission.change(
            [account.id for account in chosen], lambda account: replace(account, enabled=enabled)
        )
        return Done(f"{labels(chosen)} {'is' if len(chosen) == 1 else 'are'} {word}")


def _length(for_s: float | None, what: str, example: str) -> float | None:
    """How long something shall last, None for ever. Raises UsageError when it is no length."""
    if for_s is not None and not (for_s > 0 and math.isfinite(for_s)):
        raise UsageError(f"{what} lasts longer than no time", f"For example {example}.")
    return for_s


@dataclass(frozen=True, slots=True)
class Command:
    """One row of `COMMANDS`: how its arguments read, and who obeys."""

    arguments: type[msgspec.Struct]
    obey: Callable[[Commands, Any], Awaitable[object]]


def _asks(question: Callable[[Questions, Any], Awaitable[object]]) -> Callable[[Commands, Any], Awaitable[object]]:
    return lambda commands, order: question(commands.questions, order)


COMMANDS: Mapping[str, Command] = {
    "snapshot": Command(Nothing, Commands.snapshot),
    "info": Command(Named, Commands.info),
    "explain": Command(Explain, _asks(Questions.explain)),
    "history": Command(Recount, _asks(Questions.history)),
    "requests": Command(RecountRequests, _asks(Questions.requests)),
    "usage": Command(RecountUsage, _asks(Questions.usage)),
    "quota": Command(RecountQuota, _asks(Questions.quota)),
    "log": Command(RecountLog, _asks(Questions.log)),
    "add_key": Command(AddKey, Commands.add_key),
    "begin_login": Command(BeginLogin, Commands.begin_login),
    "await_login": Command(AwaitLogin, Commands.await_login),
    "paste_login": Command(PasteLogin, Commands.paste_login),
    "cancel_login": Command(CancelLogin, Commands.cancel_login),
    "rename": Command(Rename, Commands.rename),
    "serves": Command(ServeClients, Commands.serves),
    "plan_limits": Command(LimitToPlan, Commands.plan_limits),
    "mute": Command(Mute, Commands.mute),
    "import": Command(ImportFrom, Commands.take_over),
    "remove": Command(Remove, Commands.remove),
    "enable": Command(Named, Commands.enable),
    "disable": Command(Named, Commands.disable),
    "pin": Command(PinTo, Commands.pin),
    "unpin": Command(Unpin, Commands.unpin),
    "failover": Command(SwitchFailover, Commands.failover),
    "connect": Command(ToClient, Commands.connect),
    "undo": Command(ToClient, Commands.undo),
    "connection_plan": Command(ToClient, Commands.connection_plan),
    "know_client": Command(KnowClient, Commands.know_client),
    "pause": Command(Pause, Commands.pause),
    "resume": Command(Nothing, Commands.resume),
    "order": Command(Order, Commands.order),
    "strategy": Command(ChooseStrategy, Commands.strategy),
    "config_get": Command(GetSetting, Commands.config_get),
    "config_set": Command(SetSetting, Commands.config_set),
    "token": Command(Nothing, Commands.token),
    "refresh": Command(Named, Commands.refresh),
    "reset": Command(Named, Commands.reset),
}
