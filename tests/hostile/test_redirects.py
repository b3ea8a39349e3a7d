"""T12: wherever a provider's or a token endpoint's answer points to, nothing of ours ever goes there."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from core.errors import TidegateError
from core.model import Endpoints
from tests.hostile.scene import Scene
from tests.raw import Peer, Played, answer, played
from tests.stage import Stage, on_stage

pytestmark = pytest.mark.anyio

STATUSES = (300, 301, 302, 303, 305, 307, 308)
PLACES = (
    "http://127.0.0.1:{port}{path}",
    "//127.0.0.1:{port}{path}",
    "http://localhost:{port}{path}",
    "HTTP://127.0.0.1:{port}/\t{path}",
)


@dataclass
class Pointing:
    """A provider that answers everything with a redirect."""

    status: int = 301
    location: str = ""

    async def __call__(self, peer: Peer) -> None:
        while True:
            await peer.request()
            lines = [b"location: " + self.location.encode(), b"content-type: text/html"]
            await peer.send(answer(b"moved", *lines, status=b"%d Moved" % self.status))


class Clock:
    """Both clocks of a machine on which an hour passes when a test says so: usage endpoints are asked but rarely."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wall(self) -> float:
        return time.time() + self.ahead_s

    def steady(self) -> float:
        return time.monotonic() + self.ahead_s


@dataclass(frozen=True)
class Trap:
    """A Tidegate with one account of each kind, whose provider points to `elsewhere`."""

    stage: Stage
    provider: Played
    pointing: Pointing
    elsewhere: Played
    clock: Clock


async def _take(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.send(answer(b'{"access_token":"stolen","refresh_token":"stolen","expires_in":28800}'))


@pytest.fixture(scope="module")
async def trap(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trap]:
    pointing, clock, folder = Pointing(), Clock(), tmp_path_factory.mktemp("data")
    async with (
        played(pointing) as provider,
        played(_take) as elsewhere,
        on_stage(folder, clock=clock.wall, steady=clock.steady) as stage,
    ):
        await stage.login("Work")
        await stage.api_key("Team")
        await stage.go_key("Go")
        url = provider.url
        endpoints = Endpoints(url, f"{url}/authorize", f"{url}/authorize", f"{url}/v1/oauth/token", f"{url}/zen/go/v1")
        await stage.settle(endpoints=endpoints, hold_s=0.0)
        yield Trap(stage, provider, pointing, elsewhere, clock)


async def everything(trap: Trap) -> list[int]:
    """Have every credential sent that there is; the statuses that clients saw."""
    stage = trap.stage
    scene = Scene(stage)
    statuses = [
        (await scene.ask(scene.post(b"{}", target))).status
        for target in (b"/v1/messages", b"/v1/files", b"/zen/go/v1/chat/completions")
    ]
    for order in (
        ("refresh", {"account": "Work"}),
        ("add_key", {"kind": "api-key", "key": "sk-ant-api03-canary-of-a-new-key", "label": "New"}),
        ("add_key", {"kind": "go", "key": "sk-canary-of-a-new-go-key", "label": "New Go"}),
    ):
        try:
            await stage.core.commands.run(*order)
        except TidegateError:
            continue
        if order[0] == "add_key":  # it is not known whose the key is, and it is kept
            await stage.core.commands.run("remove", {"account": order[1]["label"]})
    offer = await stage.core.commands.run("begin_login", {"browser": False})
    state = parse_qs(urlsplit(offer["paste_url"]).query)["state"][0]
    with pytest.raises(TidegateError):
        await stage.core.commands.run("paste_login", {"id": offer["id"], "text": f"canary-code#{state}"})
    with pytest.raises(TidegateError):
        await stage.core.commands.run("await_login", {"id": offer["id"], "for_s": 0})
    trap.clock.ahead_s += 3_600
    for state in stage.core.engine.pool.accounts:
        await stage.core.poller.read_now(state.account.id)
    return statuses


@pytest.mark.parametrize(
    ("status", "place"), [*((each, PLACES[0]) for each in STATUSES), *((307, each) for each in PLACES[1:])]
)
async def test_no_credential_and_no_prompt_goes_where_a_redirect_points(trap: Trap, status: int, place: str) -> None:
    trap.pointing.status = status
    trap.pointing.location = place.format(port=trap.elsewhere.port, path="/v1/messages")
    statuses = await everything(trap)

    assert trap.elsewhere.accepted == 0
    assert set(statuses) == {502}
    assert len(trap.stage.core.config.current.accounts) == 3


async def test_all_that_sends_a_credential_was_pointed_elsewhere(trap: Trap) -> None:
    await everything(trap)

    targets = {got.lines[0].split()[1].partition(b"?")[0] for got in trap.provider.requests}
    assert targets >= {b"/v1/messages", b"/v1/oauth/token", b"/api/oauth/usage", b"/v1/models", b"/zen/go/v1/usage"}


async def test_a_trap_that_is_asked_would_show_it(trap: Trap) -> None:
    async with played(trap.elsewhere.script) as other:
        scene = Scene(trap.stage)
        now = trap.stage.core.settings().endpoints
        await trap.stage.settle(endpoints=replace(now, anthropic_api_url=other.url))
        await scene.ask(scene.post(b"{}"))
        await trap.stage.settle(endpoints=now)
        assert other.accepted
