"""Calls that wait, in a thread: their value, their error, and a caller who is cancelled meanwhile."""

import asyncio
import contextvars
import threading

import pytest

from core.blocking import blocking

pytestmark = pytest.mark.anyio

SECONDS = 20.0


async def test_the_value_comes_back_from_another_thread() -> None:
    def add(one: int, other: int) -> tuple[int, threading.Thread]:
        return one + other, threading.current_thread()

    total, thread = await blocking(add, 1, 2)

    assert total == 3
    assert thread is not threading.current_thread()


async def test_the_error_comes_back() -> None:
    def fail() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        await blocking(fail)


async def test_what_belongs_to_the_request_is_known_in_the_thread() -> None:
    name = contextvars.ContextVar("name", default="nobody")
    name.set("this request")

    assert await blocking(name.get) == "this request"


@pytest.mark.parametrize("times", [1, 3])
async def test_who_is_cancelled_waits_for_the_call_and_is_cancelled_then(times: int) -> None:
    began, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def write() -> None:
        began.set()
        assert go_on.wait(SECONDS)
        done.append("written")

    caller = asyncio.create_task(blocking(write))
    await blocking(began.wait, SECONDS)
    for _ in range(times):
        caller.cancel()
        await asyncio.sleep(0.01)
        assert not caller.done()
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done == ["written"]


async def test_an_error_of_a_call_that_nobody_waits_for_goes_with_the_cancellation() -> None:
    began, go_on = threading.Event(), threading.Event()

    def fail() -> None:
        began.set()
        assert go_on.wait(SECONDS)
        raise OSError("no space")

    caller = asyncio.create_task(blocking(fail))
    await blocking(began.wait, SECONDS)
    caller.cancel()
    await asyncio.sleep(0.01)
    go_on.set()

    with pytest.raises(asyncio.CancelledError) as cancelled:
        await caller
    assert isinstance(cancelled.value.__cause__, OSError)


async def test_a_time_limit_counts_as_passed_when_the_call_has_ended() -> None:
    began, go_on = threading.Event(), threading.Event()

    def wait() -> str:
        began.set()
        assert go_on.wait(SECONDS)
        return "late"

    async def within_a_moment() -> None:
        async with asyncio.timeout(0.05):
            await blocking(wait)

    caller = asyncio.create_task(within_a_moment())
    await blocking(began.wait, SECONDS)
    await asyncio.sleep(0.1)
    assert not caller.done()
    go_on.set()

    with pytest.raises(TimeoutError):
        await caller


def test_the_end_of_the_loop_waits_for_the_call_too() -> None:
    began, go_on = threading.Event(), threading.Event()
    told: list[str] = []

    def write() -> None:
        began.set()
        assert go_on.wait(SECONDS)
        told.append("written")

    async def keep_the_lock() -> None:
        try:
            await blocking(write)
        finally:
            told.append("released")

    async def end() -> None:
        keeper = asyncio.create_task(keep_the_lock())
        await blocking(began.wait, SECONDS)
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        assert not keeper.done()

    asyncio.run(end())

    assert told == ["written", "released"]
