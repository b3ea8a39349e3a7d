"""T16: what could be read in two ways reaches no provider, and what reaches it arrives once, framed anew.

Every shape goes to a whole Tidegate over a real connection: at once, in two pieces, byte by byte, and behind a good
request. Behind each stands one more request; a refused shape must take it along, an accepted one must not.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.hostile.recorder import Recorder
from tests.hostile.request_shapes import SHAPES, Served, Shape
from tests.hostile.scene import Scene, before
from tests.raw import Client

pytestmark = pytest.mark.anyio

LAST = Served(b"GET", b"/v1/last")
FIRST = Served(b"GET", b"/v1/first")
WAYS = ("at once", "two pieces", "by byte", "behind another")


@pytest.fixture(scope="module")
async def scene(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with before(recorder.url, tmp_path_factory.mktemp("data")) as scene:
        yield scene


def cut(raw: bytes, how: str) -> Sequence[bytes]:
    match how:
        case "two pieces":
            return raw[: len(raw) // 2], raw[len(raw) // 2 :]
        case "by byte":
            return [raw[at : at + 1] for at in range(len(raw))]
        case _:
            return (raw,)


async def statuses(client: Client, enough: int) -> list[int]:
    """The statuses of all answers, until Tidegate closes or has given enough of them."""
    found: list[int] = []
    while len(found) < enough:
        try:
            reply = await client.reply()
        except EOFError:
            return found
        assert reply.whole
        found.append(reply.status)
        if reply.headers.get("connection") == "close":
            break
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
async def test_shape_comes_to_what_it_must(scene: Scene, recorder: Recorder, shape: Shape) -> None:
    for how in WAYS:
        await sent(scene, recorder, shape, how)


async def sent(scene: Scene, recorder: Recorder, shape: Shape, how: str) -> None:
    recorder.arrived.clear()
    before_it = [FIRST] if how == "behind another" else []
    stays_open = bool(shape.served) and shape.goes_on
    served = [*before_it, *shape.served, *([LAST] if stays_open else [])]
    raw = shape.raw.replace(b"{H}", scene.lines) + scene.get(LAST.target)

    async with Client.to(scene.port) as client:
        reading = asyncio.create_task(statuses(client, len(served) + (not stays_open)))
        for piece in [*(scene.get(each.target) for each in before_it), *cut(raw, how)]:
            await client.send(piece)
            await asyncio.sleep(0)
        found = await reading
        closed = stays_open or await client.rest() == b""

    assert [(got.method, got.target, got.body) for got in recorder.arrived] == [
        (each.method, each.target, each.body) for each in served
    ]
    assert recorder.wrong == []
    assert found[: len(served)] == [200] * len(served)
    assert all(400 <= status <= 505 for status in found[len(served) :])
    assert closed
    assert shape.served or len(found) == len(served) + 1  # whoever is refused is told


async def test_no_account_is_blamed_for_what_clients_send(scene: Scene) -> None:
    assert scene.blamed == []
