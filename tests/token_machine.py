"""Several Tidegate processes over one keychain, one disk and one strict provider, run step by step in one thread.

The processes are real `Tokens`, each on an event loop of its own that runs only when it is told to, on a clock that
moves only when it is told to. Whatever has an effect outside of a process waits for one turn of its loop first, so that
a process that gets no more turns has crashed between two effects.
"""

import asyncio
import contextlib
import json
import resource
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from filelock import Timeout

from core.errors import TidegateError, VaultError, VaultLocked, VaultTimeout
from core.files import Paths
from core.model import AccountId, Credential, Endpoints, OAuthTokens
from core.recovery import _MAGIC, _NONCE_BYTES, KEY_NAME, Entry, _key
from core.server_clock import ServerClock
from core.token_intents import fingerprint
from core.token_locks import Lock
from core.tokens import Tokens
from core.vault import Stored
from core.vault_slots import Slots
from tests.fakes_vault import MemoryBackend

T = TypeVar("T")
NOW = 1_800_000_000.0
LIFE_S = 28_800.0
LONG = "x" * 1_300
"""Makes a credential two items long, so that a write can be torn."""


class Violation(AssertionError):
    """A promise was broken."""


# --- the provider ----------------------------------------------------------------------------------


@dataclass
class Family:
    """One sign-in and its rotations: a refresh token works once, an old one ends them all."""

    account: AccountId
    number: int
    newest: int = 0
    revoked: bool = False
    excused: str = ""
    """Why its newest token may be lost: what happened in flight."""

    @property
    def refresh(self) -> str:
        return f"refresh-{self.number}-{self.newest}"


class Provider:
    """Issues and rotates, as strictly as a provider can."""

    def __init__(self) -> None:
        self.families: list[Family] = []

    def sign_in(self, account: AccountId) -> Family:
        self.families.append(Family(account, len(self.families)))
        return self.families[-1]

    def tokens(self, family: Family, now: float) -> OAuthTokens:
        return OAuthTokens(f"access-{family.number}-{family.newest}{LONG}", family.refresh, now + LIFE_S)

    def family_of(self, token: str) -> Family:
        return self.families[int(token.split("-")[1])]

    def renew(self, refresh: str) -> Family | None:
        family = self.family_of(refresh)
        if family.revoked or refresh != family.refresh:
            family.revoked = True
            return None
        family.newest += 1
        return family


# --- what the processes share ----------------------------------------------------------------------


@dataclass
class World:
    """Disk, keychain, provider, time; and what must hold of them."""

    paths: Paths
    provider: Provider = field(default_factory=Provider)
    keychain: MemoryBackend = field(default_factory=MemoryBackend)
    fault: str = ""
    """Of the keychain: "locked", "full" (reads only), "hangs", or "torn" (the next write breaks in the middle)."""
    disk_full: bool = False
    disk_was_full: bool = False
    network: list[str] = field(default_factory=list)
    """What happens to the next requests to the provider."""
    late: list[tuple["Process", str, Stored, bool]] = field(default_factory=list)
    """Writes that hang; they land in order when the keychain answers again."""
    holders: dict[Path, "Process"] = field(default_factory=dict)
    true: float = NOW
    wall_off_s: float = 0.0
    processes: list["Process"] = field(default_factory=list)
    make_vault: Callable[["Process"], Any] = field(default_factory=lambda: MachineVault)
    exclusive: bool = True
    """False: a broken lock."""
    violations: list[str] = field(default_factory=list)

    # --- time ---

    def wall(self) -> float:
        return self.true + self.wall_off_s

    def steady(self) -> float:
        return self.true - NOW

    # --- what is on disk ---

    def vault(self, id_: AccountId) -> Stored | None:
        return Slots(self.keychain).newest(id_)

    def sealed(self, id_: AccountId) -> Stored | None:
        """What is sealed for an account, read by other means than the product's."""
        key = _key(Slots(self.keychain).newest(KEY_NAME))
        if key is None or not self.paths.recovery.exists():
            return None
        content = self.paths.recovery.read_bytes().removeprefix(_MAGIC)
        plain = AESGCM(key).decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], _MAGIC)
        entry = msgspec.json.decode(plain, type=dict[AccountId, Entry]).get(id_)
        return entry.stored if entry else None

    def durable(self, id_: AccountId) -> Stored:
        """The newest login that survives a crash of everybody."""
        found = [stored for stored in (self.vault(id_), self.sealed(id_)) if stored]
        if not found:
            raise Violation(f"{id_} is gone")
        return max(found, key=lambda stored: stored.generation)

    def is_durable(self, family: Family) -> bool:
        found = [stored.credential for stored in (self.vault(family.account), self.sealed(family.account)) if stored]
        return any(isinstance(tokens, OAuthTokens) and tokens.refresh == family.refresh for tokens in found)

    def intent_holds(self, id_: AccountId) -> bool:
        """The next start knows that this login is in doubt."""
        path = self.paths.account_lock(id_).with_suffix(".intent")
        stored = self.durable(id_)
        if not path.exists() or not isinstance(stored.credential, OAuthTokens):
            return False
        intent = json.loads(path.read_bytes())
        return (intent["generation"], intent["fingerprint"]) == (stored.generation, fingerprint(stored.credential))

    def heal(self) -> None:
        """The keychain answers again, first those who asked first."""
        self.fault = ""
        for process, name, stored, lands in self.late:
            if process.alive or lands:
                with contextlib.suppress(VaultError):
                    Slots(self.keychain).write(name, stored)
        self.late.clear()

    # --- what must hold ---

    def arrives(self, refresh: str) -> Family | None:
        """A refresh token arrives at the provider. None when it is not taken."""
        family = self.provider.family_of(refresh)
        stored_newer = refresh != family.refresh and self.is_durable(family)
        granted = self.provider.renew(refresh)
        if granted is None and (stored_newer or not family.excused):
            what = f"{family.refresh} was issued, stored: {stored_newer}, excuse: {family.excused or 'none'}"
            self.violations.append(f"{family.account}: {refresh} was sent; {what}")
        return granted

    def check(self) -> None:
        """Every account is there; what was issued last is stored, or somebody is at it, or its loss is known.

        Raises Violation.
        """
        if self.violations:
            raise Violation("; ".join(self.violations))
        for id_ in {family.account for family in self.provider.families}:
            stored = self.durable(id_)
            assert isinstance(stored.credential, OAuthTokens)
            family = self.provider.family_of(stored.credential.refresh)
            known = family.revoked or family.excused or any(process.is_at(id_) for process in self.processes)
            if not known and not self.is_durable(family):
                raise Violation(f"{id_}: {family.refresh} was issued and is nowhere")


class MachineVault:
    """The vault of one process: real slots over the shared keychain, with its faults."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._world = process.world

    async def load(self, name: str) -> Stored | None:
        await asyncio.sleep(0)
        if self._world.fault in {"locked", "hangs"}:
            raise VaultLocked("locked") if self._world.fault == "locked" else VaultTimeout("hangs")
        return Slots(self._world.keychain).newest(name)

    async def save(self, name: str, credential: Credential, generation: int) -> None:
        await asyncio.sleep(0)
        self.write(name, Stored(generation, credential))

    def write(self, name: str, stored: Stored) -> None:
        world = self._world
        match world.fault:
            case "locked":
                raise VaultLocked("locked")
            case "full":
                raise VaultError("full")
            case "hangs":
                world.late.append((self._process, name, stored, stored.generation % 2 == 0))
                raise VaultTimeout("hangs")
            case "torn":
                world.fault = ""
                Slots(_Torn(world.keychain)).write(name, stored)
            case _:
                Slots(world.keychain).write(name, stored)

    async def delete(self, name: str) -> None:
        raise NotImplementedError


class _Torn:
    """A keychain that breaks when the first half of something is written."""

    def __init__(self, keychain: MemoryBackend) -> None:
        self._keychain = keychain
        self.get = keychain.get

    def set(self, key: str, secret: str) -> None:
        self._keychain.set(key, secret[: len(secret) // 2])
        raise VaultError("torn")

    def delete(self, key: str) -> None:
        raise NotImplementedError


# --- one process -----------------------------------------------------------------------------------


class Loop(asyncio.SelectorEventLoop):
    """Runs when it is told to, by a clock that it does not own."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._world_clock = clock

    def time(self) -> float:
        return self._world_clock()

    def turn(self) -> None:
        """One pass over what is ready; never waits."""
        self.call_soon(self.stop)
        self.run_forever()


class MachineLock:
    """A kernel lock between the processes of a world; it can be taken again by who has it."""

    def __init__(self, process: "Process", path: Path) -> None:
        self._process = process
        self._path = path
        self._count = 0

    async def acquire(self, timeout: float) -> None:  # noqa: ASYNC109 - as filelock has it
        loop, holders = asyncio.get_running_loop(), self._process.world.holders
        until_at = loop.time() + timeout
        await asyncio.sleep(0)
        while self._process.world.exclusive and holders.get(self._path, self._process) is not self._process:
            if loop.time() >= until_at:
                raise Timeout(str(self._path))
            await asyncio.sleep(1.0)
        holders[self._path] = self._process
        self._count += 1

    async def release(self) -> None:
        if not self._process.alive:
            return  # the kernel did it
        self._count -= 1
        if self._count == 0:
            self._process.world.holders.pop(self._path, None)


class Client:
    """httpx as far as the token endpoint needs it, straight to the provider."""

    def __init__(self, process: "Process") -> None:
        self._process = process

    async def post(self, url: str, *, json: dict[str, str], **_: object) -> httpx.Response:
        world = self._process.world
        await asyncio.sleep(0)
        trouble = world.network.pop(0) if world.network else ""
        match trouble:
            case "unreachable":
                raise httpx.ConnectError(trouble)
            case "lost before":
                await asyncio.sleep(0)
                raise httpx.ReadError(trouble)
            case "429" | "503" | "500":
                await asyncio.sleep(0)
                return self._said(url, int(trouble))
        family = world.arrives(json["refresh_token"])
        if family is None:
            await asyncio.sleep(0)
            return self._said(url, 400, {"error": "invalid_grant"})
        answer = world.provider.tokens(family, world.true)
        if trouble:
            family.excused = family.excused or f"{trouble} of an answer"
        await asyncio.sleep(0)
        match trouble:
            case "lost after":
                raise httpx.ReadError(trouble)
            case "500 after":
                return self._said(url, 500)
            case "garbled":
                return self._said(url, 200, {"access": "?"})
        given = {"access_token": answer.access, "refresh_token": answer.refresh, "expires_in": LIFE_S}
        return self._said(url, 200, given)

    def _said(self, url: str, status: int, body: dict[str, object] | None = None) -> httpx.Response:
        self._process.clock.heed(formatdate(self._process.world.true, usegmt=True))
        return httpx.Response(status, json=body or {}, request=httpx.Request("POST", url))


class Process:
    """A Tidegate: its `Tokens`, and those who ask it for something."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.alive = True
        self.loop = Loop(world.steady)
        self.clock = ServerClock(world.wall, world.steady)
        self.callers: list[asyncio.Task[Any]] = []
        self.tokens = Tokens(
            world.make_vault(self),
            world.paths,
            Endpoints,
            lambda: Client(self),  # type: ignore[arg-type,return-value]  # as far as it is used
            self.clock,
            lambda: 0.0,
            lock_within_s=5.0,
            make_lock=self._lock,
            blocking=self._blocking,
        )

    def _lock(self, path: Path) -> Lock:
        return MachineLock(self, path)

    async def _blocking(self, call: Callable[[], T], /) -> T:
        await asyncio.sleep(0)
        if not self.world.disk_full:
            return call()
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            return call()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def begin(self, work: Callable[[], Awaitable[Any]]) -> "asyncio.Task[Any]":
        """Let somebody ask for something."""
        task = self.loop.create_task(_harmless(work))
        self.callers.append(task)
        return task

    def is_at(self, id_: AccountId) -> bool:
        """It has something of this account that is not on disk yet, and knows it."""
        return self.alive and (id_ in self.tokens._renewals or id_ in self.tokens.unsaved())

    def run(self, turns: int) -> None:
        for _ in range(turns):
            self.loop.turn()
        for task in [task for task in self.callers if task.done()]:
            self.callers.remove(task)
            if not task.cancelled():
                task.result()  # what is no TidegateError is a fault

    def crash(self) -> None:
        """It gets no more turns. What it had in flight may be lost, and only that."""
        for family in self.world.provider.families:
            in_flight = family.account in self.tokens._renewals or family.account in self.tokens.at_risk()
            if in_flight and not self.world.is_durable(family):
                family.excused = family.excused or "a crash in flight"
        self._end()
        for family in self.world.provider.families:
            stored = self.world.durable(family.account).credential
            known = family.revoked or self.world.is_durable(family) or self.world.intent_holds(family.account)
            current = isinstance(stored, OAuthTokens) and self.world.provider.family_of(stored.refresh) is family
            others = any(process.is_at(family.account) for process in self.world.processes)
            # A login that has ended is renewed also when no intent can be written: it has little to lose.
            if current and family.excused == "a crash in flight" and not (known or others or self.world.disk_was_full):
                raise Violation(f"{family.account}: a loss that the next start cannot know of")

    def _end(self) -> None:
        self.alive = False
        self.world.processes.remove(self)
        for path in [path for path, holder in self.world.holders.items() if holder is self]:
            del self.world.holders[path]
        self.loop.set_exception_handler(lambda _loop, _context: None)  # nobody is left to hear of anything
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is meant to be cut off
            task.get_coro().close()  # type: ignore[union-attr]  # without a turn of the loop: nothing has an effect
        self.loop.close()


async def _harmless(work: Callable[[], Awaitable[Any]]) -> Any:
    """What the caller of a Tidegate does: take the answer, or the error."""
    try:
        return await work()
    except TidegateError as exc:
        return exc


@contextlib.contextmanager
def world(root: Path, **broken: Any) -> Iterator[World]:
    """A world whose processes end with the block."""
    made = World(Paths(root), **broken)
    made.paths.create()
    try:
        yield made
    finally:
        for process in list(made.processes):
            process._end()
