"""`tidegate demo`: a whole Tidegate on throw-away state in front of a simulated provider, with agents at work.

`staged` builds it for the terminal and for the tray alike; `in_terminal` shows it as a live view.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import structs
from rich.console import Console, RenderableType
from rich.live import Live

from core import app, demo, demo_past
from core.blocking import blocking
from core.demo_view import render
from core.files import Paths
from core.history import History
from core.history_samples import SampleRow
from core.model import Account, AccountId, Identity, QuotaWindow
from core.policy import timing
from core.policy.plan import name_of
from core.simulator import SimulatedAccount, SimulatedProvider
from core.simulator.accounts import RATE_LIMIT_TIERS
from core.terminal import screen
from core.vault import Vault

REFRESH_PER_S = 8
ONCE = demo.Plan()
ENDLESS = demo.Plan(rounds=None, pause_s=1.5)


class Memory:
    """A vault's back end that forgets: the demo's credentials open nothing."""

    def __init__(self) -> None:
        self._items: dict[str, str] = {}

    def get(self, key: str) -> Sequence[str]:
        """What is stored under `key`."""
        return [self._items[key]] if key in self._items else []

    def set(self, key: str, secret: str) -> None:
        """Keep it until the process ends."""
        self._items[key] = secret

    def delete(self, key: str) -> None:
        """Forget it."""
        self._items.pop(key, None)


@dataclass(slots=True)
class Stage:
    """A running demo. `progress` is the traffic's newest."""

    core: app.Core
    key: str = field(repr=False)
    progress: demo.Progress | None = None

    async def play(self, plan: demo.Plan) -> demo.Summary:
        """Let the agents work until the plan is done."""
        progress = demo.Progress(plan.requests)
        async with aclosing(demo.traffic(self.core.engine.address, self.key, plan)) as states:
            async for progress in states:
                self.progress = progress
        return demo.Summary.of(progress)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """A simulated provider with its accounts, and a Tidegate that has them too; all gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="tidegate-demo-") as folder:
        async with SimulatedProvider.running() as sim:
            scenario = demo.Scenario.on(sim)
            await _remember(Paths(Path(folder)), scenario, sim.clock())
            options = app.Options(vault=Vault(Memory()), port=0, environ={}, demo=True)
            async with app.running(Paths(Path(folder)), options) as core:
                await core.config.change(
                    lambda now: structs.replace(now, settings=structs.replace(now.settings, endpoints=sim.endpoints()))
                )
                for simulated in (scenario.work, scenario.home, scenario.team):
                    await admit(core, simulated)
                key = (await core.commands.run("token", {}))["key"]
                yield Stage(core, key)


async def _remember(paths: Paths, scenario: demo.Scenario, now: float) -> None:
    """Give the installation that is about to begin a past: before it counts what happens."""
    paths.create()
    members = (_member(scenario.work, 0.8), _member(scenario.home, 0.75), _member(scenario.team))
    history = await blocking(History.open, paths.history)
    for row in demo_past.past(members, now, time.localtime(now).tm_gmtoff):
        if isinstance(row, SampleRow):
            history.sample(row)
        else:
            history.record(row)
    await history.close()


def _member(simulated: SimulatedAccount, share: float = 1.0) -> demo_past.Member:
    windows = (
        demo_past.Window(name, length_s, window.utilization, window.resets_at)
        for name, window in simulated.quota.items()
        if (length_s := timing.length_s(QuotaWindow(name))) is not None
    )
    return demo_past.Member(_id(simulated), simulated.label, tuple(windows), share)


def _id(simulated: SimulatedAccount) -> AccountId:
    return AccountId(simulated.label.lower())


async def admit(core: app.Core, simulated: SimulatedAccount) -> None:
    """Give the simulated account to Tidegate as if the person had added it."""
    named = name_of(simulated.plan, RATE_LIMIT_TIERS.get(simulated.plan, ""))
    identity = Identity(simulated.account_uuid, simulated.organization_uuid, simulated.email, named)
    account = Account(_id(simulated), simulated.label, simulated.kind, identity)
    await core.tokens.store(account.id, simulated.credential)
    await core.config.change(lambda now: structs.replace(now, accounts=(*now.accounts, account)))
    core.engine.add(account)


def in_terminal(*, once: bool) -> int:
    """Show the demo in the terminal. Returns the exit code: 0 only if every answer arrived whole."""
    try:
        return asyncio.run(_in_terminal(ONCE if once else ENDLESS))
    except KeyboardInterrupt:
        return 0


async def _in_terminal(plan: demo.Plan) -> int:
    console = screen()
    async with staged() as stage:
        address = stage.core.engine.address
        console.print("Demo: a simulated provider and three accounts; all of it is gone at the end.", soft_wrap=True)
        console.print(f"Try it: ANTHROPIC_BASE_URL={address} ANTHROPIC_API_KEY={stage.key} claude", soft_wrap=True)
        console.print(f"See it: {stage.core.page_link()} (opens once, within a minute)", soft_wrap=True)
        if not console.is_terminal:  # a live view would only fill a file
            return _told(await stage.play(plan), console, stage)
        with Live(console=console, get_renderable=lambda: _picture(stage), refresh_per_second=REFRESH_PER_S):
            summary = await stage.play(plan)
        return _told(summary, console, stage)


def _picture(stage: Stage) -> RenderableType:
    return render(stage.core.engine.snapshot(), stage.progress, time.time())


def _told(summary: demo.Summary, console: Console, stage: Stage) -> int:
    if not console.is_terminal:
        console.print(_picture(stage))
    console.print(summary.text)
    for problem in summary.problems:
        console.print(problem)
    return 0 if summary.ok else 1
