"""A soak: one `tidegate serve` at work for a long time, in bad weather, under observation; then its accounts."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from core.errors import NothingToDo
from core.logs import Entry, read
from core.model import Standing
from core.simulator import SimulatedProvider
from tests.browser.person import endpoints_of
from tests.crash.program import PASSPHRASE, Process, Program, until
from tests.fakes import ASK, VERSION, allow, code_shown
from tests.soak.clients import Town, everybody
from tests.soak.gauges import Sample, sampled
from tests.soak.ledger import Ledger
from tests.soak.weather import bad, good_again

LOGINS = ("Work", "Home", "Team")
KEYS = ("Console", "Spare")
GO = ("Go one", "Go two")
ACCESS_LIFE_S = 120.0
"""A login is renewed when half of it is over."""
PIECES, GAP_S = 30, 0.02
"""A stream takes two thirds of a second, or less where it asks for fewer tokens."""
SAMPLES = 60
LOOK_AT_LEAST_S, LOOK_AT_MOST_S = 1.0, 15.0
CALM_WITHIN_S = 120.0
"""What waits for an account that rests has its answer by then."""
FDS_OF_CHANCE = 3
"""SQLite opens a file more or less, as it needs it."""


@dataclass
class Soak:
    """One run."""

    sim: SimulatedProvider
    process: Process
    keys: tuple[str, ...] = field(repr=False)
    chance: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    samples: list[Sample] = field(default_factory=list)

    @property
    def labels(self) -> tuple[str, ...]:
        return (*LOGINS, *KEYS, *GO)

    async def look(self) -> Sample:
        """What it takes now. A machine that is busy may keep one look waiting, not the soak."""
        control = self.process._control
        assert control
        answer = await control.get("/-/metrics")
        pid, paths = self.process.process.pid, self.process.program.paths
        at_s = time.monotonic() - self.ledger.began_at
        return sampled(answer.text, pid, paths, at_s, self.ledger.requests)

    async def endure(self, seconds: float) -> None:
        """Clients and weather for so long, with a look at it now and then."""
        town = Town(self.process, self.sim, self.keys, self.ledger, self.chance)
        work = everybody(town, self.labels) + bad(self.process, self.sim, self.ledger, self.chance)
        tasks = [asyncio.ensure_future(one) for one in work]
        every_s = min(LOOK_AT_MOST_S, max(LOOK_AT_LEAST_S, seconds / SAMPLES))
        end_at = time.monotonic() + seconds
        try:
            while (left_s := end_at - time.monotonic()) > 0:
                done, _ = await asyncio.wait(tasks, timeout=min(every_s, left_s), return_when="FIRST_COMPLETED")
                for task in done:
                    task.result()  # none ends by itself: this raises what stopped it
                self.samples.append(await self.look())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            good_again(self.sim)

    async def calm(self, before: Sample) -> None:
        """When nobody asks any more, it holds what it held before anybody did."""

        async def is_calm() -> bool:
            self.sim.drop_idle_connections()
            now = await self.look()
            return now.tasks <= before.tasks and now.fds <= before.fds + FDS_OF_CHANCE and now.pending == 0

        try:
            await until(is_calm, CALM_WITHIN_S)
        except TimeoutError:
            now = await self.look()
            self.ledger.fault(f"at rest it holds more than before: {now} against {before}")

    async def every_account_serves(self) -> None:
        """None is lost: each one is there, signed in, and answers."""
        await self.process.order("reset", account="all")
        shown = {view.label: view for view in await self.process.accounts()}
        if set(shown) != set(self.labels):
            self.ledger.fault(f"the accounts are {sorted(shown)}")
        for label, view in shown.items():
            if view.standing is Standing.SIGN_IN:
                self.ledger.fault(f"{label} must sign in again: {view}")
                continue
            with suppress(NothingToDo):  # it is enabled, unless the end came between two orders
                await self.process.order("enable", account=label)
            await self.process.order("pin", account=label)
            path, model = ("/zen/go/v1/messages", "glm-5.3") if label in GO else ("/v1/messages", ASK["model"])
            headers = {"x-api-key": self.keys[0], "x-opencode-session": "the last one", **VERSION}
            async with httpx.AsyncClient(base_url=self.process.address, trust_env=False, timeout=60) as http:
                answer = await http.post(path, headers=headers, json={**ASK, "model": model})
            if (answer.status_code, answer.headers.get("x-tidegate-account")) != (200, label):
                self.ledger.fault(f"{label} does not serve: {answer.status_code} {answer.text[:200]}")
            await self.process.order("unpin", account=label)

    async def end(self) -> None:
        """It ends in order, and neither it nor its log tells of anything that went wrong inside it."""
        self.process.ask_to_end()
        if (code := await self.process.ended()) != 0:
            self.ledger.fault(f"exit code {code}")
        if "Traceback" in self.process.said:
            self.ledger.fault(f"on standard error: {self.process.said[-500:]}")
        for entry in log_of(self.process.program.paths.log):
            if is_alarming(entry):
                self.ledger.fault(f"log: {entry.level} {entry.text[-400:]}")


def log_of(path: Path) -> list[Entry]:
    """Every entry that rotation has left."""
    files = sorted(path.parent.glob(f"{path.name}*"), reverse=True)  # .3 is the oldest
    return [entry for file in files for entry in read(file.read_text(encoding="utf-8").splitlines())]


def is_alarming(entry: Entry) -> bool:
    """Nothing in this weather is an error of Tidegate's, nor an exception that nobody expected."""
    return entry.level in {"ERROR", "CRITICAL"} or "Traceback (most recent call last)" in entry.text


@asynccontextmanager
async def soak(folder: Path, chance: random.Random) -> AsyncIterator[Soak]:
    """An installation with accounts of every kind and two connected programs, serving."""
    home = folder / "home"
    (home / ".claude").mkdir(parents=True)
    config_home = {name: str(home / name.lower()) for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")}
    async with SimulatedProvider.running() as sim:
        sim.pieces, sim.gap_s = PIECES, GAP_S
        environment = {"HOME": str(home), **config_home, **PASSPHRASE, **endpoints_of(sim)}
        async with Program(folder / "data", environment) as program:
            process = await program.start()
            if not await process.ready():
                raise RuntimeError(f"tidegate did not start: {process.said}")
            await _come_in(process, sim)
            keys = [str((await process.order("token"))["key"])]
            connected = await process.order("connect", client="claude-code")
            keys += re.findall(r"tg-[\w-]+", Path(connected["file"]).read_text(encoding="utf-8"))
            yield Soak(sim, process, tuple(keys), chance)


async def _come_in(process: Process, sim: SimulatedProvider) -> None:
    """Every account, as a person adds it."""
    for label in LOGINS:
        account = sim.add_login(label, access_lifetime_s=ACCESS_LIFE_S)
        offer = await process.order("begin_login", kind="claude", label=label, browser=False)
        page = await allow(offer["paste_url"], account)
        await process.order("paste_login", id=offer["id"], text=code_shown(page.text))
    for kind, labels, add in (("api-key", KEYS, sim.add_api_key), ("go", GO, sim.add_go_key)):
        for label in labels:
            await process.order("add_key", kind=kind, key=add(label).key, label=label)


def minutes(samples: Sequence[Sample], lines: int = 30) -> list[tuple[object, ...]]:
    """The course of it, in about so many lines."""
    every = max(1, len(samples) // lines)
    return [
        (
            f"{one.at_s / 60:.1f}",
            one.requests,
            f"{one.rss_kib / 1024:.1f}",
            *(int(value) for value in (one.fds, one.threads, one.tasks, one.pending, one.history_kib, one.log_kib)),
        )
        for one in samples[every - 1 :: every]
    ]
