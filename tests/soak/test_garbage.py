"""A request that is over is freed at that moment, with its body: nothing of it waits for the garbage collector.

The collector counts objects and not their bytes. Sixty requests of 4 MB whose connection broke, kept alive by cycles
of a hundred small objects each, are 240 MB before it looks at them for the first time.
"""

import contextlib
import gc
import json
from typing import Any

import pytest

from core.link import Failure
from core.listener import Listener
from tests.fakes import ASK, VERSION, faults
from tests.garbage import in_cycles, no_collection
from tests.raw import Client, Reply, until
from tests.stage import Stage

pytestmark = pytest.mark.anyio

FEW = 3
"""One could be somebody else's last, that is kept until the next comes."""
LONG = 400
"""Pieces of an answer that a client leaves."""


def request(stage: Stage, **changes: Any) -> bytes:
    """A request on the wire."""
    body = json.dumps({**ASK, "stream": True, **changes}).encode()
    lines = {"host": stage.url.removeprefix("http://"), "x-api-key": stage.key, **VERSION, "content-length": len(body)}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode() + body


def port(stage: Stage) -> int:
    return int(stage.url.rpartition(":")[2])


async def reply(stage: Stage, **changes: Any) -> Reply:
    """The answer to a request on a connection of its own."""
    async with Client.to(port(stage)) as client:
        await client.send(request(stage, **changes))
        return await client.reply()


async def gone() -> None:
    """Wait until Tidegate has seen that every client has left."""
    listeners = [thing for thing in gc.get_objects() if isinstance(thing, Listener)]
    await until(lambda: not any(listener._shared.connections for listener in listeners))


@pytest.fixture
async def busy(stage: Stage) -> Stage:
    """A Tidegate that has served once: what is made for the first request is there."""
    await stage.api_key("Console")
    assert (await reply(stage)).status == 200
    await gone()
    return stage


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("coding", [None, "gzip"])
async def test_answer_that_was_served_leaves_nothing_to_the_collector(
    busy: Stage, streamed: bool, coding: str | None
) -> None:
    busy.sim.encode = coding
    with no_collection():
        async with Client.to(port(busy)) as client:
            for _ in range(FEW):
                await client.send(request(busy, stream=streamed))
                assert (await client.reply()).status == 200
            assert in_cycles() == []
        await gone()
        assert in_cycles() == []


FAULTS: dict[str, tuple[faults.Fault, int]] = {
    "refused": (faults.BadRequest(), 400),
    "overloaded": (faults.Overloaded(), 529),
    "failed": (faults.ServerError(), 500),
    "redirected": (faults.Redirect(), 502),
    "reset": (faults.ResetBeforeAnswer(), 502),
    "closed": (faults.CloseBeforeAnswer(), 502),
    "half a head": (faults.HalfHead(), 502),
    "no HTTP": (faults.GarbageHead(), 502),
    "an error first": (faults.ErrorFirst(), 529),
    "an error in the middle": (faults.ErrorMidStream(), 200),
    "cut": (faults.CutHard(), 200),
    "ended early": (faults.CutClean(), 200),
    "empty": (faults.EmptyStream(), 502),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_answer_that_failed_leaves_nothing_to_the_collector(busy: Stage, name: str) -> None:
    fault, status = FAULTS[name]
    (account,) = busy.sim.accounts
    account.always(fault)
    with no_collection():
        for _ in range(FEW):
            assert (await reply(busy)).status == status
            await busy.core.commands.run("reset", {"account": "all"})
        await gone()
        assert in_cycles() == []


@pytest.mark.parametrize("when", ["before the head", "in the middle"])
async def test_client_that_left_leaves_nothing_to_the_collector(busy: Stage, when: str) -> None:
    (account,) = busy.sim.accounts
    phase = faults.Phase.BEFORE_HEAD if when == "before the head" else faults.Phase.MID_STREAM
    account.always(faults.Stall(phase, 5))
    with no_collection():
        for _ in range(FEW):
            asked = len(busy.sim.received)
            async with Client.to(port(busy)) as client:
                await client.send(request(busy))
                if when == "in the middle":
                    await client.rest_of_head()
                else:
                    await busy.sim.wait_received(asked + 1)
                client.reset()
            await gone()
        assert in_cycles() == []


async def test_half_a_request_leaves_nothing_to_the_collector(busy: Stage) -> None:
    """Nor does one that is refused with its head."""
    with no_collection():
        for sent in (request(busy)[:-10], b"GET / HTTP/3\r\n\r\n", request(busy).replace(busy.key.encode(), b"wrong")):
            async with Client.to(port(busy)) as client:
                await client.send(sent)
                if sent[-1:] in {b"}", b"\n"}:
                    await client.reply()
            await gone()
        assert in_cycles() == []


def test_what_waits_for_the_collector_is_found() -> None:
    def kept() -> None:
        with contextlib.suppress(Failure):
            failure = Failure("kept by its own traceback", delivered=True)
            raise failure

    with no_collection():
        kept()
        assert in_cycles() == ["core.link.Failure"]
        assert in_cycles() == []
