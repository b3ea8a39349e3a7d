"""Which lines a storm strikes at; and that a line that is struck is the end of the process."""

import json
import random
import signal
from pathlib import Path

import pytest

from tests.crash.program import PASSPHRASE, TIDEGATE, Program
from tests.crash.steps import Point, choose
from tests.instance import OFFLINE

COUNTS = {
    "files:write_atomic:80:vault.bin": 30,
    "files:write_atomic:80:.intent": 9,
    "tokens:Tokens._send:200:": 3,
    "config:save:90:": 2,
    "app:running:60:": 1,
}


def test_the_lines_of_the_refresh_protocol_are_struck_first_and_all_of_them() -> None:
    chosen = choose(COUNTS, 3, random.Random(1))

    assert {point.name for point in chosen} == {name for name in COUNTS if name.startswith(("files", "tokens"))}


def test_every_line_is_struck_before_one_is_struck_twice_and_never_later_than_it_is_reached() -> None:
    chosen = choose(COUNTS, 10, random.Random(2))

    assert sorted(point.name for point in chosen) == sorted([*COUNTS, *COUNTS])
    assert all(1 <= point.nth <= COUNTS[point.name] for point in chosen)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("files:write_atomic:80:vault.bin", "sealed vault: write, sync, rename"),
        ("files:write_atomic:80:.intent", "intent file: write, sync, rename"),
        ("tokens:Tokens._send:200:", "renewal: before and after the send"),
        ("config:save:90:", "config: read, change, save"),
        ("files:instance_lock:150:", "start and end of the process"),
    ],
)
def test_a_line_says_what_it_is_part_of(name: str, step: str) -> None:
    assert Point(name, 1).step == step


@pytest.mark.anyio
async def test_a_process_dies_before_its_fated_line_and_not_sooner(tmp_path: Path) -> None:
    async with Program(tmp_path / "data", {**OFFLINE, **PASSPHRASE, "HOME": str(tmp_path)}) as program:
        stop_at = (TIDEGATE[0], "-m", "tests.crash.stop_at")
        counts = tmp_path / "counts.json"
        counted = await program.start((*stop_at, "count", str(counts), "--"))
        assert await counted.ready(), counted.said
        counted.ask_to_end()
        assert await counted.ended() == 0
        # The only function that takes running.json away.
        name = next(name for name in json.loads(counts.read_bytes()) if name.startswith("remote:withdraw:"))

        struck = await program.start((*stop_at, "kill", name, "1", "--"))
        assert await struck.ready(), struck.said
        struck.ask_to_end()

        assert await struck.ended() == -signal.SIGKILL
        assert program.paths.running.exists()
