"""T11: a clock that is set, and a machine that sleeps: no login is lost or renewed by it, nobody rests for ever."""

import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.model import LoginState, SignIn
from tests.fakes import ASK, SimulatedProvider, faults
from tests.hostile.scene import Scene
from tests.raw import until
from tests.stage import Stage, in_front_of

pytestmark = pytest.mark.anyio

HOUR_S = 3_600.0
DAY_S = 86_400.0
BEGAN_AT = 1_800_000_000.0
JUMPS_S = (365 * DAY_S, -DAY_S, -400 * DAY_S, 400 * DAY_S, HOUR_S, -HOUR_S, 0.0)


@dataclass
class Machine:
    """True time, which the provider has, and a wall clock that somebody sets."""

    true: float = BEGAN_AT
    wrong_by_s: float = 0.0

    def wall(self) -> float:
        return self.true + self.wrong_by_s

    def steady(self) -> float:
        return self.true - BEGAN_AT + 17.0


@dataclass
class Slept:
    """A Tidegate with two logins on such a machine."""

    machine: Machine
    stage: Stage

    @property
    def renewals(self) -> int:
        return sum(received.path == "/v1/oauth/token" for received in self.stage.sim.received)

    async def ask(self) -> int:
        scene = Scene(self.stage)
        raw = scene.post(json.dumps(ASK).encode()).replace(b"\r\n", b"\r\nanthropic-version: 2023-06-01\r\n", 1)
        return (await scene.ask(raw)).status

    def signed_in(self) -> bool:
        views = self.stage.core.engine.snapshot().accounts
        fine = all(view.login.state in {LoginState.FINE, LoginState.RENEWING} for view in views)
        return fine and all(state.sign_in is SignIn.OK for state in self.stage.core.engine.pool.accounts)


@pytest.fixture
async def slept(tmp_path: Path) -> AsyncIterator[Slept]:
    machine = Machine()
    async with (
        SimulatedProvider.running(clock=lambda: machine.true) as sim,
        in_front_of(sim, tmp_path / "data", clock=machine.wall, steady=machine.steady) as stage,
    ):
        await stage.login("Work")
        await stage.login("Home")
        yield Slept(machine, stage)


async def test_a_clock_that_is_set_to_any_time_renews_nothing_and_everybody_serves_on(slept: Slept) -> None:
    assert await slept.ask() == 200
    for jump_s in JUMPS_S:
        slept.machine.wrong_by_s = jump_s
        slept.machine.true += 60
        await slept.stage.core.poller.look()
        assert [await slept.ask() for _ in range(3)] == [200, 200, 200]
        assert slept.signed_in()
    assert slept.renewals == 0
    assert [row.status for row in await slept.stage.core.history.requests(100)] == [200] * (1 + 3 * len(JUMPS_S))


async def test_a_hundred_jumps_and_sleeps_cost_one_renewal_for_each_login_and_sleep(slept: Slept) -> None:
    chance, sleeps = random.Random(11), 0
    assert await slept.ask() == 200
    for _ in range(100):
        before = slept.renewals
        slept.machine.wrong_by_s = chance.choice(JUMPS_S) + chance.uniform(-600, 600)
        asleep = chance.random() < 0.2
        slept.machine.true += 9 * HOUR_S if asleep else 60
        sleeps += asleep
        await slept.stage.core.woke()
        if asleep:
            await until(lambda before=before: slept.renewals == before + 2)
        assert await slept.ask() == 200
        assert slept.renewals == before + 2 * asleep
        assert slept.signed_in()
    assert sleeps > 10


@pytest.mark.parametrize("jump_s", JUMPS_S)
async def test_a_rest_ends_when_its_time_is_over_whatever_the_clock_says(slept: Slept, jump_s: float) -> None:
    """Both are told to wait an hour; then somebody sets the clock; then the hour passes."""
    for account in slept.stage.sim.accounts:
        account.script(faults.QuotaRejected("5h", HOUR_S))
    assert await slept.ask() == 429
    slept.machine.wrong_by_s = jump_s
    await slept.stage.core.poller.look()
    slept.machine.true += HOUR_S + 601
    await slept.stage.core.poller.look()
    assert await slept.ask() == 200
    assert slept.signed_in()
