"""Calls that wait, in a thread: their value, their error, and a caller who is cancelled meanwhile."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable

import pytest

from core.blocking import blocking
from tests.garbage import in_cycles, no_collection

pytestmark = pytest.mark.anyio

SECONDS = 20.0


async def test_the_value_comes_back_from_another_thread() -> None:
    def add(one: int, other: int) -> tuple[int, threading.Thread]:
        return one + other, threading.current_thread()

    total, thread = await blocking(add, 1, 2)

    assert total == 3
    assert thread is not threading.current_thread()


async def test_the_error_comes_back() -> None:
    with pytest.raises(OSError, match="no space"):
        await blocking(fail)


async def test_what_belongs_to_the_request_is_known_in_the_thread() -> None:
    name = contextvars.ContextVar("name", default="nobody")
    name.set("this request")

    assert await blocking(name.get) == "this request"


class Held:
    """A call that waits until it is let go."""

    def __init__(self, ends: Callable[[], object]) -> None:
        self._ends = ends
        self._began, self._may_end = threading.Event(), threading.Event()

    def __call__(self) -> object:
        self._began.set()
        assert self._may_end.wait(SECONDS)
        return self._ends()

    async def began(self) -> None:
        assert await blocking(self._began.wait, SECONDS)

    def let_go(self) -> None:
        self._may_end.set()


def fail() -> str:
    raise OSError("no space")


@pytest.mark.parametrize("times", [1, 3])
async def test_who_is_cancelled_waits_for_the_call_and_is_cancelled_then(times: int) -> None:
    done: list[str] = []
    write = Held(lambda: done.append("written"))
    caller = asyncio.create_task(blocking(write))
    await write.began()
    for _ in range(times):
        caller.cancel()
        await asyncio.sleep(0.01)
        assert not caller.done()
    write.let_go()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done == ["written"]


async def test_an_error_of_a_call_that_nobody_waits_for_goes_with_the_cancellation() -> None:
    failing = Held(fail)
    caller = asyncio.create_task(blocking(failing))
    await failing.began()
    caller.cancel()
    await asyncio.sleep(0.01)
    failing.let_go()

    with pytest.raises(asyncio.CancelledError) as cancelled:
        await caller
    assert isinstance(cancelled.value.__cause__, OSError)


async def test_a_time_limit_counts_as_passed_when_the_call_has_ended() -> None:
    late = Held(lambda: "late")

    async def within_a_moment() -> None:
        async with asyncio.timeout(0.05):
            await blocking(late)

    caller = asyncio.create_task(within_a_moment())
    await late.began()
    await asyncio.sleep(0.1)
    assert not caller.done()
    late.let_go()

    with pytest.raises(TimeoutError):
        await caller


async def test_a_call_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    async def failing() -> None:
        with contextlib.suppress(OSError):
            await blocking(fail)

    async def cancelled() -> None:
        held = Held(fail)
        caller = asyncio.create_task(blocking(held))
        await held.began()
        caller.cancel()
        await asyncio.sleep(0)
        held.let_go()
        with contextlib.suppress(asyncio.CancelledError):
            await caller

    await failing()
    with no_collection():
        for _ in range(10):
            await failing()
            await cancelled()
        assert in_cycles() == []


def test_the_end_of_the_loop_waits_for_the_call_too() -> None:
    told: list[str] = []
    write = Held(lambda: told.append("written"))

    async def keep_the_lock() -> None:
        try:
            await blocking(write)
        finally:
            told.append("released")

    async def end() -> None:
        keeper = asyncio.create_task(keep_the_lock())
        await write.began()
        asyncio.get_running_loop().call_later(0.05, write.let_go)
        assert not keeper.done()

    asyncio.run(end())

    assert told == ["written", "released"]
