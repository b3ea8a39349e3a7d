import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import RefreshFailed
from core.files import Paths
from core.model import AccountId
from core.token_locks import Locks, kernel_lock

pytestmark = pytest.mark.anyio
ANNA, BERT = AccountId("anna"), AccountId("bert")
LONG_S = 20.0


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "data")
    paths.create()
    return paths


def process(paths: Paths, within_s: float = LONG_S) -> Locks:
    """The locks as another process would have them."""
    return Locks(paths, within_s, kernel_lock)


async def test_in_one_process_everybody_waits_for_their_turn(paths: Paths) -> None:
    locks = process(paths)
    inside: list[int] = []
    most = 0

    async def enter(number: int) -> None:
        nonlocal most
        async with locks.alone(ANNA):
            inside.append(number)
            most = max(most, len(inside))
            await asyncio.sleep(0)
            inside.remove(number)

    await asyncio.gather(*map(enter, range(20)))

    assert most == 1


async def test_another_process_waits_no_longer_than_it_may_and_other_accounts_are_free(paths: Paths) -> None:
    other = process(paths)
    async with process(paths).alone(ANNA):
        with pytest.raises(RefreshFailed, match="busy with this login"):
            async with other.alone(ANNA, within_s=0.0):
                pass
        async with other.alone(BERT, within_s=0.0):
            pass

    async with other.alone(ANNA, within_s=0.0):
        pass


async def test_what_is_kept_beyond_its_block_keeps_others_out_until_it_is_freed(paths: Paths) -> None:
    mine, other = process(paths), process(paths, 0.0)
    async with mine.alone(ANNA):
        await mine.keep(ANNA)
    async with mine.alone(ANNA):
        pass

    with pytest.raises(RefreshFailed):
        async with other.alone(ANNA):
            pass
    await mine.free(ANNA)

    async with other.alone(ANNA):
        pass


async def test_a_crash_frees_what_it_had(paths: Paths) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from core.files import Paths
from core.model import AccountId
from core.token_locks import Locks, kernel_lock
async def main():
    async with Locks(Paths(Path(sys.argv[1])), 9.0, kernel_lock).alone(AccountId("anna")):
        print("locked", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    command = [sys.executable, "-c", program, str(paths.root)]
    other = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert other.stdout
        assert await other.stdout.readline() == b"locked\n"
        with pytest.raises(RefreshFailed):
            async with process(paths).alone(ANNA, within_s=0.0):
                pass
    finally:
        other.kill()
        await other.wait()

    async with process(paths).alone(ANNA, within_s=0.0):
        pass


async def test_a_lock_that_cannot_be_made_is_told(paths: Paths) -> None:
    paths.account_lock(ANNA).mkdir()

    with pytest.raises(RefreshFailed, match="cannot be locked"):
        async with process(paths).alone(ANNA):
            pass
