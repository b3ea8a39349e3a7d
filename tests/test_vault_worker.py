import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import pytest

from core.errors import VaultLocked, VaultTimeout
from core.vault_worker import Worker
from tests.fakes_vault import once_it_answers

pytestmark = pytest.mark.anyio
SOON_S = 0.05
LONG_S = 20.0


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker("test-worker")
    yield worker
    worker.close()


async def test_an_answer_and_an_exception_reach_the_caller(worker: Worker) -> None:
    def refuse() -> None:
        raise VaultLocked("locked")

    assert await worker.run(lambda: 42, LONG_S) == 42
    with pytest.raises(VaultLocked):
        await worker.run(refuse, LONG_S)


async def test_a_hung_call_costs_its_caller_the_deadline_and_the_next_ones_nothing(worker: Worker) -> None:
    go_on = threading.Event()
    ran: list[str] = []

    with pytest.raises(VaultTimeout):
        await worker.run(go_on.wait, SOON_S)
    async with asyncio.timeout(LONG_S / 2):  # far below the deadlines of the calls
        for _ in range(20):
            with pytest.raises(VaultTimeout):
                await worker.run(lambda: ran.append("late"), LONG_S)
    threads = [thread for thread in threading.enumerate() if thread.name == "test-worker"]
    go_on.set()

    assert await once_it_answers(lambda: worker.run(lambda: "recovered", LONG_S)) == "recovered"
    assert ran == []
    assert len(threads) == 1


async def test_callers_in_line_behind_a_hung_call_fail_with_it(worker: Worker) -> None:
    go_on = threading.Event()

    line = [asyncio.create_task(worker.run(go_on.wait, SOON_S)) for _ in range(50)]
    failures = await asyncio.gather(*line, return_exceptions=True)
    go_on.set()

    assert {type(failure) for failure in failures} == {VaultTimeout}


async def test_many_quick_calls_in_line_do_not_time_out(worker: Worker) -> None:
    pause = threading.Event()

    line = [asyncio.create_task(worker.run(lambda: pause.wait(0.01), 1.0)) for _ in range(150)]

    assert set(await asyncio.gather(*line)) == {False}


async def test_a_cancelled_caller_leaves_its_call_the_rest_of_its_time(worker: Worker) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go_on.wait()

    caller = asyncio.create_task(worker.run(slow, LONG_S))
    await asyncio.to_thread(begun.wait, LONG_S)
    caller.cancel()
    following = asyncio.create_task(worker.run(lambda: "after it", LONG_S))
    await asyncio.wait({caller})
    assert not following.done()
    go_on.set()

    assert await following == "after it"


def test_a_hung_call_keeps_no_process_from_ending() -> None:
    program = """
import asyncio, threading
from core.errors import VaultTimeout
from core.vault_worker import Worker
async def main():
    try:
        await Worker("hung").run(threading.Event().wait, 0.05)
    except VaultTimeout:
        print("gave up")
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert ended.stdout == "gave up\n"
    assert ended.stderr == ""


def test_a_call_that_returns_after_its_loop_has_closed_disturbs_nobody() -> None:
    go_on, done = threading.Event(), threading.Event()
    worker = Worker("test-worker")

    async def give_up() -> None:
        with pytest.raises(VaultTimeout):
            await worker.run(go_on.wait, SOON_S)

    asyncio.run(give_up())
    go_on.set()
    worker._calls.put(done.set)

    assert done.wait(LONG_S)
    worker.close()
