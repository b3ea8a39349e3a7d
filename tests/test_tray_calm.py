"""Often asked for, seldom done."""

import asyncio

import anyio
import pytest

from tray.calm import Calm

pytestmark = pytest.mark.anyio


async def test_a_thousand_askings_at_once_are_one_deed() -> None:
    done: list[int] = []
    state = [0]
    calm = Calm(lambda: done.append(state[0]), 0.0)

    for number in range(1000):
        state[0] = number
        calm.ask()
    await anyio.wait_all_tasks_blocked()
    await asyncio.sleep(0)

    assert done == [999]


async def test_first_asking_is_answered_at_once_and_the_next_after_the_interval() -> None:
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    at: list[float] = []

    def deed() -> None:
        at.append(loop.time())
        news.set()

    calm, began_at = Calm(deed, 0.05), loop.time()
    calm.ask()
    await asyncio.wait_for(news.wait(), 5)
    news.clear()
    calm.ask()
    await asyncio.wait_for(news.wait(), 5)

    assert at[0] - began_at < 0.05
    assert at[1] - at[0] >= 0.05


async def test_asking_while_it_is_done_has_it_done_again() -> None:
    done: list[str] = []
    ready = asyncio.Event()

    def deed() -> None:
        done.append("done")
        if len(done) == 1:
            calm.ask()
        else:
            ready.set()

    calm = Calm(deed, 0.0)
    calm.ask()
    await asyncio.wait_for(ready.wait(), 5)

    assert done == ["done", "done"]
