"""A Tidegate at work in a storm: killed at random moments, at named lines and on the wire, and started again.

The storm only writes down what happens; whether it was right is for `checker` to say, from the record alone.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from core.errors import TidegateError
from core.model import AccountView, LoginState, Standing
from core.simulator import SimulatedAccount
from tests.crash.disk import Disk, OnDisk
from tests.crash.program import PASSPHRASE, TIDEGATE, Process, Program
from tests.crash.provider import STEPS, StormProvider, Trap
from tests.crash.record import (
    Ended,
    Failed,
    Found,
    Killed,
    Listed,
    Obeyed,
    Ordered,
    Rest,
    Shown,
    Started,
    Unsettled,
)
from tests.crash.steps import Point, choose
from tests.fakes import ASK, VERSION, allow, code_shown

ACCOUNTS = 5
LIST_EVERY = 8
"""Every so many processes are asked by a process of the command line, which takes longer than they live."""
CALLERS = 2
PAUSE_S = 0.03
"""Between two requests of a caller, and between two orders."""
SETTLED_WITHIN_S = 10.0
LOOK_EVERY_S = 0.1
DEAD_WITHIN_S = 2.0
"""How long a killed process may still count as alive."""
FULL_LIFE_S = 2.0
LIFE_S = 6.0
"""How long a process that waits for its kill is kept at work before it is asked to end, which is work as well."""


@dataclass(frozen=True)
class AtRandom:
    """SIGKILL so long after the process was started, or after all of its logins were good."""

    after_s: float
    since: Literal["start", "mended"]


@dataclass(frozen=True)
class AtLine:
    """SIGKILL by the process's own hand, at a line of it."""

    point: Point


@dataclass(frozen=True)
class OnWire:
    """SIGKILL when a renewal has come to this step on the provider's side for the `nth` time."""

    step: str
    nth: int


@dataclass(frozen=True)
class FullAt:
    """The disk is full from this line on: no kill, for `begin` only."""

    point: Point


Plan = AtRandom | AtLine | OnWire


@dataclass
class Storm:
    """One installation, its provider, and what happens to them."""

    program: Program
    provider: StormProvider
    accounts: dict[str, SimulatedAccount]
    http: httpx.AsyncClient
    counts: Path
    """How often a clean run reached each line."""
    key: str = field(default="", repr=False)
    answers: int = 0
    """Requests that were served."""
    missed: int = 0
    """Processes that never came to the point of their kill."""
    signed_in: int = 0
    temporary: int = 0
    """Files that were being written, at the last look."""
    _at_rest: dict[str, Rest] = field(default_factory=dict)
    _value: int = 0

    def __post_init__(self) -> None:
        self._disk = Disk(self.program)
        self._mended = asyncio.Event()

    # --- before ------------------------------------------------------------------------------------

    async def set_up(self) -> None:
        """Sign in to every account."""
        process = await self.begin()
        self.key = (await process.order("token"))["key"]
        await process.order("config_set", key="strategy", text="round-robin")
        for label in self.accounts:
            await self._sign_in(process, label, add=True)
        await self.end(process)

    # --- one life ----------------------------------------------------------------------------------

    async def live(self, plan: Plan | None) -> None:
        """Start a process, give it work, and let it come to its end; then look at what it has left.

        Without a plan it ends in order, and counts the lines that it reaches, for `at_lines`.
        """
        run = self.provider.next_run()
        self._mended = asyncio.Event()
        process = await self.program.start(_launcher(plan, self.counts))
        fate = asyncio.create_task(self._strike(plan, process))
        try:
            if await process.ready():
                self._note(Started(run, process.ready_s))
                async with self.at_work(process):
                    await self._serve(process, None if isinstance(plan, AtRandom) else LIFE_S if plan else FULL_LIFE_S)
            code = await process.ended()
        finally:
            fate.cancel()
            self.provider.trap = None
        self._write_end(process, plan, code)
        await self.provider.quiet()
        await self.look()

    async def finish(self) -> None:
        """One more life: every login is renewed by order, and the end is orderly."""
        process = await self.begin()
        await self.settle(process)
        with suppress(TidegateError):  # what cannot be renewed is told by the next look
            await process.order("refresh", account="all")
        await self.end(process)
        await self.look()

    async def begin(self, fate: FullAt | None = None) -> Process:
        """Start a process and wait until it listens."""
        run = self.provider.next_run()
        process = await self.program.start(_launcher(fate, self.counts) if fate else TIDEGATE)
        if not await process.ready():
            await process.ended()
            raise RuntimeError(f"tidegate did not start: {process.said}")
        self._note(Started(run, process.ready_s))
        return process

    async def end(self, process: Process) -> None:
        """Ask it to end, and wait."""
        process.ask_to_end()
        self._note(Ended(self.provider.run, await process.ended()))

    async def kill(self, process: Process) -> None:
        """SIGKILL now, when nothing is under way."""
        process.kill()
        await process.ended()
        self._note(Killed(self.provider.run, "at rest"))

    async def _strike(self, plan: Plan | None, process: Process) -> None:
        match plan:
            case AtRandom(after_s=after_s, since=since):
                if since == "mended":
                    await self._mended.wait()
                await asyncio.sleep(after_s)
                process.kill()
            case OnWire(step=step, nth=nth):
                await self._mended.wait()
                self.provider.trap = Trap(step, nth, process.kill)
            case AtLine() | None:
                pass  # it does it itself, or nobody does

    async def _serve(self, process: Process, life_s: float | None) -> None:
        """Look at it when it listens and when it has tried every login, mend what is lost, and let it live its time."""
        run = self.provider.run
        try:
            self._note(Listed(run, await self._listed(process)))
            for label in await self.settle(process):
                await self._sign_in(process, label)
            self._mended.set()
            await self._sign_in(process, self.provider.chance.choice(list(self.accounts)))
        except (TidegateError, httpx.HTTPError) as exc:
            # Killed meanwhile; had it ended by itself, its exit code would say so.
            with suppress(TimeoutError):
                await asyncio.wait_for(process.process.wait(), DEAD_WITHIN_S)
            if process.process.returncode is None:
                self._note(Failed(run, f"an order: {exc}"))
        finally:
            self._mended.set()
        ending = asyncio.create_task(process.process.wait())
        await asyncio.wait({ending}, timeout=life_s)
        if not ending.done():
            process.ask_to_end()
        await ending

    async def _listed(self, process: Process) -> tuple[str, ...]:
        """The labels of `tidegate list --json`: the real command now and then, else what it would ask."""
        if self.provider.run % LIST_EVERY:
            return tuple(view.label for view in await process.accounts())
        code, out, err = await self.program.run("list", "--json")
        if code != 0:
            raise TidegateError(err)
        return tuple(account["label"] for account in json.loads(out))

    async def settle(self, process: Process) -> Sequence[str]:
        """Wait until every login was tried, and write down what is shown. Returns who must sign in again.

        An account that is shown as signed out with a good login gets its time to be tried as well.
        """
        everybody, shown_as_gone = set(self.accounts), set[str]()
        good = {label for label, rest in self._at_rest.items() if self.provider.would_renew(rest.token)}
        run = self.provider.run
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_WITHIN_S):
                while process.process.returncode is None:
                    views = await process.accounts()
                    shown_as_gone = {view.label for view in views if _asks_for_sign_in(view)}
                    if shown_as_gone | self.provider.renewed >= everybody and not shown_as_gone & good:
                        break
                    await asyncio.sleep(LOOK_EVERY_S)
        if process.process.returncode is not None:
            return ()
        if untold := everybody - shown_as_gone - self.provider.renewed:
            self._note(Unsettled(run, tuple(sorted(untold))))
        self._note(Shown(run, tuple(sorted(shown_as_gone)), tuple(sorted(everybody - shown_as_gone))))
        return sorted(shown_as_gone)

    # --- its work ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def at_work(self, process: Process) -> AsyncIterator[None]:
        """Requests and orders, until the block ends."""
        tasks = [asyncio.create_task(self._call(process)) for _ in range(CALLERS)]
        tasks.append(asyncio.create_task(self._change_a_setting(process)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    async def _call(self, process: Process) -> None:
        """Ask again and again; every request finds a login that is about to end."""
        headers = {**VERSION, "x-api-key": self.key}
        while process.process.returncode is None:
            with suppress(httpx.HTTPError):
                answer = await self.http.post(f"{process.address}/v1/messages", headers=headers, json=ASK)
                self.answers += answer.status_code == 200
            await asyncio.sleep(PAUSE_S)

    async def _change_a_setting(self, process: Process) -> None:
        """Each order sets another value, so that the file tells which one was the last to be saved."""
        while process.process.returncode is None:
            self._value += 1
            value = self._value / 1_000
            self._note(Ordered(self.provider.run, value))
            with suppress(TidegateError, httpx.HTTPError):
                await process.order("config_set", key="hold_s", text=f"{value:.3f}")
                self._note(Obeyed(self.provider.run, value))
            await asyncio.sleep(5 * PAUSE_S)

    async def _sign_in(self, process: Process, label: str, *, add: bool = False) -> None:
        """Sign in as a person does: open the page, press Allow, paste the code."""
        offer = await process.order("begin_login", kind="claude", label=label if add else "", browser=False)
        page = await allow(offer["paste_url"], self.accounts[label])
        await process.order("paste_login", id=offer["id"], text=code_shown(page.text))
        self.signed_in += not add

    # --- what is left ------------------------------------------------------------------------------

    def _note(self, event: Any) -> None:
        self.provider.record.append(event)

    def _write_end(self, process: Process, plan: Plan | None, code: int) -> None:
        run = self.provider.run
        if "Traceback" in process.said or (code != 0 and not process.was_killed):
            self._note(Failed(run, f"exit code {code}: {process.said}"))
        elif process.was_killed:
            self._note(Killed(run, _where(plan, process)))
        else:
            self.missed += plan is not None
            self._note(Ended(run, code))

    async def look(self) -> None:
        """Write down what lies on disk, when nobody is at work on it."""
        names = [path.name for folder in (self.program.root, self.program.root / "locks") for path in folder.iterdir()]
        self.temporary = sum(name.startswith(".") for name in names)
        found = await self._disk.found()
        self._at_rest = self._rests(found)
        self._note(Found(self.provider.run, self._at_rest, found.setting, found.broken))

    async def at_rest(self) -> Mapping[str, Rest]:
        """What lies on disk beside a process that is at work."""
        return self._rests(await self._disk.found())

    def _rests(self, found: OnDisk) -> dict[str, Rest]:
        token = self.provider.token
        return {
            label: Rest(token(lying.refresh), lying.generation, lying.in_doubt, lying.sign_in)
            for label, lying in found.accounts.items()
        }

    async def close(self) -> None:
        """Let go of the vault."""
        await self._disk.close()


def _launcher(plan: Plan | FullAt | None, counts: Path) -> Sequence[str]:
    stop_at = (TIDEGATE[0], "-m", "tests.crash.stop_at")
    match plan:
        case None:
            return (*stop_at, "count", str(counts), "--")
        case AtLine(point=point):
            return (*stop_at, "kill", point.name, str(point.nth), "--")
        case FullAt(point=point):
            return (*stop_at, "full", point.name, str(point.nth), "--")
        case AtRandom() | OnWire():
            return TIDEGATE


def _asks_for_sign_in(view: AccountView) -> bool:
    """The person is told to sign in: now, or before the token that still serves has ended."""
    return view.standing is Standing.SIGN_IN or view.login.state is LoginState.ENDING


def _where(plan: Plan | None, process: Process) -> str:
    match plan:
        case AtLine(point=point):
            return f"line · {point.step}"
        case OnWire(step=step):
            return f"wire · {step}"
        case _:
            return f"random · {'serving' if process.address else 'starting'}"


@asynccontextmanager
async def storm(
    root: Path,
    provider: StormProvider,
    environment: Mapping[str, str] = PASSPHRASE,
    vault: Literal["file", "keyring"] = "file",
) -> AsyncIterator[Storm]:
    """An installation below `root`, with `ACCOUNTS` logins. `environment` is what its processes see."""
    program = Program(root / "data", {"HOME": str(root), **environment, **provider.environment()}, vault)
    accounts = {label: provider.add(label) for label in (f"Account {n}" for n in range(1, ACCOUNTS + 1))}
    async with program, httpx.AsyncClient(trust_env=False, timeout=10) as http:
        made = Storm(program, provider, accounts, http, root / "counts.json")
        try:
            await made.set_up()
            yield made
        finally:
            await made.close()


def at_random(number: int, chance: random.Random, serving_s: float = 1.2, starting_s: float = 0.8) -> list[Plan]:
    """Kills at uniformly random moments; every fourth one strikes a process that has just been started."""
    return [
        AtRandom(chance.uniform(0, starting_s), "start")
        if n % 4 == 3
        else AtRandom(chance.uniform(0, serving_s), "mended")
        for n in range(number)
    ]


def on_wire(number: int, chance: random.Random) -> list[Plan]:
    """Kills while a renewal is on its way, at each of its steps."""
    return [OnWire(STEPS[n % len(STEPS)], chance.randint(1, 8)) for n in range(number)]


def at_lines(number: int, chance: random.Random, counts: Path) -> list[Plan]:
    """Kills at lines that a clean run reached."""
    return [AtLine(point) for point in choose(json.loads(counts.read_bytes()), number, chance)]
