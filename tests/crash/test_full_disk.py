"""A disk that is full in the middle of a write: what was there stays, requests go on, and nothing new is lost."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import TidegateError
from tests.crash import figures
from tests.crash.checker import check
from tests.crash.figures import Tell
from tests.crash.full_disk import FileSizeLimit, FullDisk, may_mount, small_disk
from tests.crash.program import PASSPHRASE, TIDEGATE, Process, Program, until
from tests.crash.provider import storm_provider
from tests.crash.steps import Point
from tests.crash.storm import PAUSE_S, FullAt, Storm, storm
from tests.fakes import ASK, VERSION
from tests.instance import OFFLINE

pytestmark = pytest.mark.anyio

KINDS = (".intent", "recovery.bin", "vault.bin", "config.json", "config.json.bak")
"""The files that a renewal and a change of a setting write."""
FULL_S = 2.0
FULL_WITHIN_S = 20.0
SAVED_WITHIN_S = 60.0
"""What could not be saved is tried again after 5, 10, 20 … seconds."""


def writes(made: Storm, each: int, chance: random.Random) -> Sequence[Point]:
    """For every kind of file, `each` lines of the function that writes it, reached once the process is at work."""
    counts = json.loads(made.counts.read_bytes())
    points = []
    for kind in KINDS:
        lines = [name for name in counts if name.startswith("files:write_atomic:") and name.endswith(f":{kind}")]
        assert lines, f"a clean run did not write {kind}"
        points += [Point(name, chance.randint(1, max(1, counts[name] // 2))) for name in chance.sample(lines, each)]
    return points


async def served(made: Storm, process: Process, for_s: float) -> int:
    """How many of the requests in this time were answered well."""
    good, ends_at = 0, time.monotonic() + for_s
    headers = {**VERSION, "x-api-key": made.key}
    while time.monotonic() < ends_at:
        answer = await made.http.post(f"{process.address}/v1/messages", headers=headers, json=ASK)
        good += answer.status_code == 200
        await asyncio.sleep(PAUSE_S)
    return good


async def everything_saved(made: Storm) -> None:
    """Wait until the newest token of each account rests on disk."""

    async def all_good() -> bool:
        return all(made.provider.would_renew(rest.token) for rest in (await made.at_rest()).values())

    await until(all_good, SAVED_WITHIN_S)


async def endure(made: Storm, process: Process, disk: FullDisk) -> int:
    """Be at work while the disk is full, until there is room again and all is saved. Returns the requests served."""
    before = made.program.paths.config.read_bytes()
    good = await served(made, process, FULL_S)
    with pytest.raises(TidegateError, match="Cannot save"):
        await process.order("config_set", key="hold_s", text="7")
    assert (await process.order("config_get", key="hold_s"))["hold_s"] != "7.0"
    assert made.program.paths.config.read_bytes() == before
    assert len(await process.accounts()) == len(made.accounts)

    disk.free()
    await made.provider.quiet()
    await everything_saved(made)
    return good


async def proven(made: Storm, process: Process) -> None:
    """A kill now costs nothing, and the next start has everybody."""
    await made.kill(process)
    await made.look()
    await made.finish()


async def full_at(root: Path, seed: int, choose: Callable[[Storm, random.Random], Sequence[Point]]) -> dict[str, int]:
    """One installation, one process for each point at which its disk gets full."""
    chance, good, tried = random.Random(seed), 0, 0
    root.mkdir()
    async with storm_provider(chance, latency_s=0.01) as provider, storm(root, provider) as made:
        await made.live(None)
        for point in choose(made, chance):
            process = await made.begin(FullAt(point))
            disk = FileSizeLimit(process.process.pid)
            async with made.at_work(process):
                with suppress(TimeoutError):  # a line that is not reached again: then it gets full right here
                    await until(disk.is_full, FULL_WITHIN_S)
            disk.fill()
            good += await endure(made, process, disk)
            tried += 1
            await proven(made, process)
        verdict = check(provider.record, tuple(made.accounts))
    assert verdict.violations == []
    assert verdict.lost.total() == 0
    return {"n": tried, "violations": len(verdict.violations), "served_while_full": good}


async def test_a_disk_that_is_full_when_a_renewed_login_is_written_loses_nothing(
    tmp_path: Path, tell: Tell, seed: int
) -> None:
    began_at = time.monotonic()

    def vault_only(made: Storm, chance: random.Random) -> Sequence[Point]:
        return [point for point in writes(made, 1, chance) if point.name.endswith(":vault.bin")]

    came_to = await full_at(tmp_path / "a", seed, vault_only)

    tell(figures.line("T10 full disk, short", **came_to, seconds=time.monotonic() - began_at, seed=seed))
    assert came_to["n"] == 1
    assert came_to["served_while_full"] > 0


async def test_a_start_on_a_full_disk_names_the_file_and_the_next_one_has_everybody(tmp_path: Path) -> None:
    async with Program(tmp_path / "data", {**OFFLINE, **PASSPHRASE, "HOME": str(tmp_path)}) as program:
        first = await program.start()
        assert await first.ready(), first.said
        await first.order("add_key", kind="go", key="sk-example", label="Work")
        first.ask_to_end()
        assert await first.ended() == 0

        starved = await program.start(("prlimit", "--fsize=0:", *TIDEGATE))
        assert not await starved.ready()
        assert await starved.ended() == 1
        assert f"Error: Cannot write {program.paths.running}" in starved.said
        assert "Traceback" not in starved.said

        again = await program.start()
        assert await again.ready(), again.said
        assert [view.label for view in await again.accounts()] == ["Work"]
        again.ask_to_end()
        assert await again.ended() == 0


@pytest.mark.crash
@pytest.mark.timeout(900)
async def test_a_disk_that_is_full_at_any_write_of_a_renewal_or_a_setting_loses_nothing(
    tmp_path: Path, tell: Tell, seed: int
) -> None:
    began_at = time.monotonic()

    came_to = await full_at(tmp_path / "a", seed, lambda made, chance: writes(made, 2, chance))

    tell(figures.line("T10 full disk", **came_to, seconds=time.monotonic() - began_at, seed=seed))
    assert came_to["served_while_full"] > came_to["n"]


@pytest.mark.crash
@pytest.mark.timeout(300)
@pytest.mark.skipif(not may_mount(), reason="needs the right to mount a small file system")
async def test_a_small_file_system_that_fills_up_again_and_again_loses_nothing(
    tmp_path: Path, tell: Tell, seed: int
) -> None:
    began_at, chance, good, rounds = time.monotonic(), random.Random(seed), 0, 4
    with small_disk(tmp_path / "a") as disk:
        async with storm_provider(chance, latency_s=0.01) as provider, storm(tmp_path / "a", provider) as made:
            process = await made.begin()
            for _ in range(rounds):
                async with made.at_work(process):
                    await asyncio.sleep(chance.uniform(0.2, 1.0))
                    disk.fill()
                good += await endure(made, process, disk)
            await proven(made, process)
            verdict = check(provider.record, tuple(made.accounts))

    seconds = time.monotonic() - began_at
    tell(
        figures.line(
            "T10 small disk", n=rounds, violations=len(verdict.violations), seconds=seconds, seed=seed, good=good
        )
    )
    assert verdict.violations == []
    assert verdict.lost.total() == 0
    assert good > rounds
