"""Any order of renewals, crashes, faults, sign-ins and clocks, over several processes: no login is lost unnoticed.

`TIDEGATE_MACHINE_EXAMPLES=2000 pytest tests/test_tokens_machine.py` looks longer, and by chance.
"""

import asyncio
import logging
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.errors import LoginNeeded
from core.model import AccountId, Credential
from core.vault import Stored
from tests.token_machine import LIFE_S, MachineVault, Process, Violation, World, world

EXAMPLES = int(os.environ.get("TIDEGATE_MACHINE_EXAMPLES", "0"))
"""0: the few of every run, which are the same each time."""
STEPS = 40
ACCOUNTS = (AccountId("anna"), AccountId("bert"))
WHO = st.sampled_from(ACCOUNTS)
WHICH = st.integers(0, 2)
MEMORY = Path("/dev/shm")
DAY_S = 86_400.0


# Named, because hypothesis parses the source of a lambda each time it describes one.
def somebody_runs(machine: "TokensMachine") -> bool:
    return bool(machine.world.processes)


def few_run(machine: "TokensMachine") -> bool:
    return len(machine.world.processes) < 3


class TokensMachine(RuleBasedStateMachine):
    """Two accounts, up to three processes at a time."""

    broken: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-", dir=MEMORY if MEMORY.is_dir() else None))
        self.stack = ExitStack()
        self.world: World = self.stack.enter_context(world(self.folder / "data", **self.broken))

    @initialize()
    def begin(self) -> None:
        """Both accounts are signed in, and two processes serve them."""
        for _ in range(2):
            self.start()
        first, second = self.world.processes
        first.begin(first.tokens.open)
        for id_ in ACCOUNTS:
            tokens = self.world.provider.tokens(self.world.provider.sign_in(id_), self.world.true)
            first.begin(lambda id_=id_, tokens=tokens: first.tokens.store(id_, tokens))
        first.run(60)
        for id_ in ACCOUNTS:
            second.begin(lambda id_=id_: second.tokens.secret(id_))
        second.run(20)

    def process(self, which: int) -> Process:
        return self.world.processes[which % len(self.world.processes)]

    # --- processes ---

    @precondition(few_run)
    @rule()
    def start(self) -> None:
        self.world.processes.append(Process(self.world))

    @precondition(somebody_runs)
    @rule(which=WHICH, turns=st.integers(1, 30))
    def step(self, which: int, turns: int) -> None:
        self.process(which).run(turns)

    @precondition(somebody_runs)
    @rule(turns=st.integers(1, 30))
    def step_in_turn(self, turns: int) -> None:
        for _ in range(turns):
            for process in self.world.processes:
                process.run(1)

    @precondition(somebody_runs)
    @rule(which=WHICH)
    def crash(self, which: int) -> None:
        self.process(which).crash()

    @precondition(somebody_runs)
    @rule(which=WHICH)
    def close(self, which: int) -> None:
        """An orderly end; who is told that a login exists in memory only, and ends all the same, loses it."""
        process = self.process(which)
        closing = process.begin(process.tokens.close)
        for _ in range(200):
            process.run(3)
            if closing.done():
                break
            self.world.true += 0.5
        process.crash()

    # --- what they are asked for ---

    @precondition(somebody_runs)
    @rule(which=WHICH, id_=WHO)
    def ask(self, which: int, id_: AccountId) -> None:
        process = self.process(which)
        process.begin(lambda: process.tokens.secret(id_))

    @precondition(somebody_runs)
    @rule(which=WHICH, id_=WHO)
    def reject(self, which: int, id_: AccountId) -> None:
        """The provider's API answers 401 to what is served."""
        process = self.process(which)
        if secret := process.tokens.ready(id_):
            process.begin(lambda: process.tokens.renew(id_, secret))

    @precondition(somebody_runs)
    @rule(which=WHICH, id_=WHO)
    def refresh(self, which: int, id_: AccountId) -> None:
        process = self.process(which)
        process.begin(lambda: process.tokens.refresh(id_))

    @precondition(somebody_runs)
    @rule(id_=WHO)
    def refresh_everywhere(self, id_: AccountId) -> None:
        for process in self.world.processes:
            process.begin(lambda process=process: process.tokens.refresh(id_))

    @precondition(somebody_runs)
    @rule(which=WHICH)
    def look(self, which: int) -> None:
        """What the poller does."""
        process = self.process(which)
        for id_ in process.tokens.due():
            process.begin(lambda id_=id_: process.tokens.refresh(id_))

    @precondition(somebody_runs)
    @rule(which=WHICH, id_=WHO)
    def sign_in(self, which: int, id_: AccountId) -> None:
        process = self.process(which)
        tokens = self.world.provider.tokens(self.world.provider.sign_in(id_), self.world.true)
        process.begin(lambda: process.tokens.store(id_, tokens))

    @precondition(somebody_runs)
    @rule(which=WHICH, caller=st.integers(0, 5))
    def abort(self, which: int, caller: int) -> None:
        """A client hangs up."""
        callers = self.process(which).callers
        if callers:
            callers[caller % len(callers)].cancel()

    # --- what befalls them ---

    @rule(fault=st.sampled_from(["locked", "full", "hangs", "torn"]))
    def keychain_fails(self, fault: str) -> None:
        self.world.heal()
        self.world.fault = fault

    @rule()
    def keychain_heals(self) -> None:
        self.world.heal()

    @rule(full=st.booleans())
    def disk_fills_or_gets_room(self, full: bool) -> None:
        self.world.disk_full = full
        self.world.disk_was_full = full or self.world.disk_was_full

    @rule(
        trouble=st.lists(
            st.sampled_from(
                ["unreachable", "lost before", "lost after", "500", "500 after", "503", "429", "garbled", ""]
            ),
            min_size=1,
            max_size=3,
        )
    )
    def network_fails(self, trouble: list[str]) -> None:
        self.world.network[:] = trouble

    @rule(seconds=st.sampled_from([1.0, 6.0, 61.0, 400.0, 4_000.0, LIFE_S - 1_000, LIFE_S + 1]))
    def time_passes(self, seconds: float) -> None:
        self.world.true += seconds

    @rule(days=st.sampled_from([-400.0, -1.0, -0.05, 0.0, 0.05, 1.0, 400.0]))
    def somebody_sets_the_clock(self, days: float) -> None:
        self.world.wall_off_s = days * DAY_S

    # --- what must hold ---

    @invariant()
    def nothing_is_lost_unnoticed(self) -> None:
        if self.world.provider.families:
            self.world.check()

    def teardown(self) -> None:
        try:
            if self.world.provider.families:
                self.the_next_start_has_every_login_or_says_which_one_is_lost()
        finally:
            self.stack.close()
            shutil.rmtree(self.folder)

    def the_next_start_has_every_login_or_says_which_one_is_lost(self) -> None:
        for process in list(self.world.processes):
            process.crash()
        self.world.heal()
        self.world.disk_full = False
        self.world.network.clear()
        self.world.wall_off_s = 0.0
        self.world.true += LIFE_S + 1
        self.start()
        (process,) = self.world.processes
        for id_ in ACCOUNTS:
            asked = process.begin(lambda id_=id_: process.tokens.secret(id_))
            while not asked.done():
                process.run(10)
            process.run(30)
            self.judge(id_, asked)
        self.world.check()

    def judge(self, id_: AccountId, asked: "asyncio.Task[Any]") -> None:
        answer = asked.result()
        stored = self.world.durable(id_).credential
        family = self.world.provider.family_of(stored.refresh)  # type: ignore[union-attr]  # all are logins
        if isinstance(answer, LoginNeeded):
            assert family.excused, f"{id_}: {family.refresh} died of nothing"
        else:
            assert isinstance(answer, str), answer
            assert self.world.is_durable(self.world.provider.family_of(answer)), f"{id_} lives on what is not stored"


def run(machine: type[TokensMachine], examples: int, **more: Any) -> None:
    """Look for a broken promise."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        **more,
    )
    run_state_machine_as_test(machine, settings=chosen)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="core")


@pytest.mark.timeout(100 + EXAMPLES)
def test_in_any_order_of_events_no_login_is_lost_unnoticed() -> None:
    if EXAMPLES:
        run(TokensMachine, EXAMPLES)
    else:
        run(TokensMachine, 30, derandomize=True)


# --- the machine can fail --------------------------------------------------------------------------


class LateVault(MachineVault):
    """Says that it has stored something, and stores it a little later."""

    async def save(self, name: str, credential: Credential, generation: int) -> None:
        await asyncio.sleep(0)
        asyncio.get_running_loop().create_task(self._later(name, Stored(generation, credential)))

    async def _later(self, name: str, stored: Stored) -> None:
        for _ in range(12):
            await asyncio.sleep(0)
        self.write(name, stored)


class ForgetfulVault(MachineVault):
    """Reads once, and takes it that nobody else writes."""

    def __init__(self, process: Process) -> None:
        super().__init__(process)
        self._read: dict[str, Stored | None] = {}

    async def load(self, name: str) -> Stored | None:
        if name not in self._read:
            self._read[name] = await super().load(name)
        return self._read[name]


class Late(TokensMachine):
    broken: ClassVar[dict[str, Any]] = {"make_vault": LateVault}


class WithoutReadingAgain(TokensMachine):
    broken: ClassVar[dict[str, Any]] = {"make_vault": ForgetfulVault}


class WithoutALock(TokensMachine):
    broken: ClassVar[dict[str, Any]] = {"exclusive": False}


@pytest.mark.parametrize("machine", [Late, WithoutReadingAgain, WithoutALock])
def test_the_machine_finds_what_is_broken(machine: type[TokensMachine]) -> None:
    with pytest.raises((Violation, AssertionError)):
        run(machine, 1_000, derandomize=True, phases=[Phase.generate], verbosity=Verbosity.quiet)
