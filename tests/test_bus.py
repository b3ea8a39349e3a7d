import asyncio

import pytest

from core.bus import STREAM_EVENTS, Bus, Missed, Stream
from core.model import Changed, Event

pytestmark = pytest.mark.anyio


async def test_everybody_who_subscribed_gets_the_event_until_they_unsubscribe() -> None:
    bus = Bus()
    first: list[Event] = []
    second: list[Event] = []
    leave = bus.subscribe(first.append)
    bus.subscribe(second.append)

    bus.publish(Changed("one"))
    leave()
    leave()
    bus.publish(Changed("two"))

    assert first == [Changed("one")]
    assert second == [Changed("one"), Changed("two")]


async def test_the_same_callback_may_subscribe_twice() -> None:
    bus = Bus()
    got: list[Event] = []
    leave = bus.subscribe(got.append)
    bus.subscribe(got.append)

    leave()
    bus.publish(Changed("one"))

    assert got == [Changed("one")]


async def test_one_that_fails_is_logged_and_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    bus = Bus()
    got: list[Event] = []

    def broken(_event: Event) -> None:
        raise RuntimeError("no")

    bus.subscribe(broken)
    bus.subscribe(got.append)
    bus.publish(Changed("one"))

    assert got == [Changed("one")]
    assert "A listener failed on Changed" in caplog.text


async def test_a_stream_waits_and_gives_events_in_order() -> None:
    bus = Bus()
    with bus.stream() as events:
        waiting = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        assert not waiting.done()
        bus.publish(Changed("one"))
        bus.publish(Changed("two"))

        assert await asyncio.wait_for(waiting, 5) == Changed("one")
        assert await asyncio.wait_for(anext(events), 5) == Changed("two")


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    bus = Bus()
    with bus.stream() as events:
        for number in range(STREAM_EVENTS + 3):
            bus.publish(Changed(str(number)))

        assert await anext(events) == Missed(3)
        assert await anext(events) == Changed("3")
        for _ in range(STREAM_EVENTS - 1):
            last = await anext(events)
        assert last == Changed(str(STREAM_EVENTS + 2))


async def test_a_closed_stream_is_no_longer_fed() -> None:
    bus = Bus()
    with bus.stream() as events:
        pass

    bus.publish(Changed("one"))

    assert not events._waiting


async def test_streams_end_when_they_are_told_to_after_what_still_waits() -> None:
    bus = Bus()
    with bus.stream() as events, bus.stream() as others:
        bus.publish(Changed("one"))
        reading = asyncio.create_task(_all(others))
        await asyncio.sleep(0)

        bus.end_streams()

        assert await asyncio.wait_for(_all(events), 5) == [Changed("one")]
        assert await asyncio.wait_for(reading, 5) == [Changed("one")]


async def _all(events: Stream) -> list[Event | Missed]:
    return [event async for event in events]
