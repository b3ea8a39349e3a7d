"""T15: who may use which route, over real connections. A route that this table does not know fails the test.

A refusal is 401, 403, 405 or 421 and reaches no provider; anything else means that the caller got through the door.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pytest
from msgspec.structs import replace

from core import app as core_app
from core import proxy, remote
from core.commands import COMMANDS
from core.control import PAGE_ORDERS
from core.files import Paths
from core.guard import PAGE_COOKIE, PAGE_KEY
from core.local_keys import digest
from tests.hostile.recorder import Recorder
from tests.hostile.scene import Scene, before
from tests.raw import Client
from tests.stage import Stage

pytestmark = pytest.mark.anyio

REFUSED = {401, 403, 405, 421}

CLIENTS = {"client key", "client key as bearer", "a program's key"}
VISITOR = {"cookie"}
PAGE = {"cookie and page key"}
PAGE_BY_POST = {"cookie and page key from its own origin"}
CONTROL = {"control token"}
NOBODY = {
    "nothing",
    "wrong key",
    "all but the last letter of the key",
    "the key's digest",
    "a program's key that was taken back",
    "a provider's key",
    "client key in the query",
    "client key in a cookie",
    "page key",
    "page key as bearer",
    "cookie and another page's key",
    "client key from a foreign origin",
    "control token from a foreign origin",
    "cookie and page key from a foreign origin",
    "cookie and page key from another port",
    "client key from a foreign site",
    "client key for another host",
    "control token for a rebound name",
}
CALLERS = sorted(CLIENTS | VISITOR | PAGE | PAGE_BY_POST | CONTROL | NOBODY)


@dataclass(frozen=True)
class Row:
    """What is asked of a route, and who gets through."""

    asked: tuple[tuple[bytes, bytes], ...]
    """Methods and targets."""
    allowed: frozenset[str]


def row(allowed: set[str], *asked: tuple[bytes, bytes]) -> Row:
    return Row(asked, frozenset(allowed))


WITHOUT_ORIGIN = {caller for caller in CALLERS if "origin" not in caller and "port" not in caller}
DOORSTEP = WITHOUT_ORIGIN - {
    "client key from a foreign site",
    "client key for another host",
    "control token for a rebound name",
}
"""What needs no key is still not for web pages, and not for other names."""
LOOKS = CLIENTS | PAGE | PAGE_BY_POST | CONTROL
LOADS = LOOKS | VISITOR

ROUTES: Mapping[str, Row] = {
    # the status page's own scripts may ask for these two as well
    "/-/health": row(DOORSTEP | PAGE_BY_POST, (b"GET", b"/-/health"), (b"HEAD", b"/-/health")),
    "/-/open": row(set(), (b"GET", b"/-/open?code=made-up"), (b"HEAD", b"/-/open")),  # a code is what opens it
    "/-/": row(LOADS, (b"GET", b"/-/"), (b"HEAD", b"/-/")),
    "/-/snapshot": row(LOOKS, (b"GET", b"/-/snapshot")),
    "/-/metrics": row(LOOKS, (b"GET", b"/-/metrics")),
    "/-/events": row(LOOKS, (b"GET", b"/-/events")),
    "/-/live": row(LOOKS, (b"GET", b"/-/live")),
    "/-/commands/show": row(CONTROL, (b"POST", b"/-/commands/show")),
    "/-/commands/{name}": row(
        CONTROL, *((b"POST", f"/-/commands/{name}".encode()) for name in sorted(set(COMMANDS) - PAGE_ORDERS))
    ),
    "/-/commands/{name}, of the page": row(
        CONTROL | PAGE_BY_POST, *((b"POST", f"/-/commands/{name}".encode()) for name in sorted(PAGE_ORDERS))
    ),
    "/-/views/{name}": row(CONTROL | PAGE | PAGE_BY_POST, (b"GET", b"/-/views/nothing")),
    "/-/{file:path}": row(LOADS, (b"GET", b"/-/page.js"), (b"GET", b"/-/nothing.js"), (b"GET", b"/-/a/b/../nothing")),
    "/v1/": row(
        CLIENTS,
        (b"POST", b"/v1/messages"),
        (b"GET", b"/v1/models"),
        (b"DELETE", b"/v1/files/file_1"),
        (b"HEAD", b"/v1/"),
    ),
    "/zen/go/v1/": row(CLIENTS, (b"POST", b"/zen/go/v1/chat/completions"), (b"GET", b"/zen/go/v1/models")),
    "/messages": row(CLIENTS, (b"POST", b"/messages"), (b"POST", b"/messages/count_tokens")),
    "/models": row(CLIENTS, (b"GET", b"/models")),
    "/": row(CLIENTS, (b"HEAD", b"/"), (b"GET", b"/"), (b"GET", b"/nobody/knows")),
    "/api/hello": row(CLIENTS, (b"HEAD", b"/api/hello"), (b"GET", b"/api/hello")),
}


@dataclass(frozen=True)
class Door:
    """A Tidegate with an account, and what each caller brings."""

    scene: Scene
    callers: Mapping[str, Sequence[bytes]]

    async def knock(self, method: bytes, target: bytes, caller: str) -> int:
        """The status for one request. Of an endless answer only the head is read."""
        lines = self.callers[caller]
        query = next((line for line in lines if line.startswith(b"?")), b"")
        host = b"" if any(line.startswith(b"Host:") for line in lines) else b"Host: 127.0.0.1:%d\r\n" % self.scene.port
        given = b"".join(line + b"\r\n" for line in lines if line and not line.startswith(b"?"))
        body = b"Content-Length: 2\r\n\r\n[]" if method == b"POST" else b"\r\n"
        async with Client.to(self.scene.port) as client:
            await client.send(method + b" " + target + query + b" HTTP/1.1\r\n" + host + given + body)
            return int((await client.rest_of_head()).split()[1])


@pytest.fixture(scope="module")
async def door(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    folder = tmp_path_factory.mktemp("data")
    async with before(recorder.url, folder) as scene:
        stage, core = scene.stage, scene.stage.core
        await stage.go_key("Go")
        own, taken_back = f"tg-{secrets.token_urlsafe(32)}", f"tg-{secrets.token_urlsafe(32)}"
        for keys in ({"opencode": digest(taken_back)}, {"opencode": digest(own)}):
            await core.config.change(lambda now, keys=keys: replace(now, client_keys=keys))
        page, other = (core.pages.redeem(core.pages.issue()) for _ in range(2))
        assert page
        assert other
        running = msgspec.json.decode(Paths(folder).running.read_bytes(), type=remote.Running)
        key, control = stage.key.encode(), running.control_token.encode()
        cookie = b"Cookie: %s=%s" % (PAGE_COOKIE.encode(), page.cookie.encode())
        page_key = PAGE_KEY + b": " + page.key.encode()
        mine, token = b"X-Api-Key: " + key, b"Authorization: Bearer " + control
        foreign, cross = b"Origin: https://evil.example", b"Sec-Fetch-Site: cross-site"
        here, same = b"Origin: http://127.0.0.1:%d" % scene.port, b"Sec-Fetch-Site: same-origin"
        yield Door(
            scene,
            {
                "client key": [mine],
                "client key as bearer": [b"Authorization: Bearer " + key],
                "a program's key": [b"X-Api-Key: " + own.encode()],
                "control token": [token],
                "cookie": [cookie],
                "cookie and page key": [cookie, page_key],
                "cookie and page key from its own origin": [cookie, page_key, here, same],
                "nothing": [],
                "wrong key": [b"X-Api-Key: tg-" + b"x" * 43],
                "all but the last letter of the key": [mine[:-1]],
                "the key's digest": [b"X-Api-Key: " + digest(stage.key).encode()],
                "a program's key that was taken back": [b"X-Api-Key: " + taken_back.encode()],
                "a provider's key": [b"X-Api-Key: sk-ant-api03-of-the-callers-own"],
                "client key in the query": [b"?api_key=" + key + b"&key=" + key],
                "client key in a cookie": [b"Cookie: x-api-key=%s; %s=%s" % (key, PAGE_COOKIE.encode(), key)],
                "page key": [page_key],
                "page key as bearer": [b"Authorization: Bearer " + page.key.encode()],
                "cookie and another page's key": [cookie, PAGE_KEY + b": " + other.key.encode()],
                "client key from a foreign origin": [mine, foreign],
                "control token from a foreign origin": [token, foreign, same],
                "cookie and page key from a foreign origin": [cookie, page_key, foreign, cross],
                "cookie and page key from another port": [
                    cookie,
                    page_key,
                    b"Origin: http://127.0.0.1:1",
                    b"Sec-Fetch-Site: same-site",
                ],
                "client key from a foreign site": [mine, cross],
                "client key for another host": [mine, b"Host: localhost.evil.example:%d" % scene.port],
                "control token for a rebound name": [token, b"Host: rebind.test:%d" % scene.port],
            },
        )


def served_by(stage: Stage) -> set[str]:
    """Every route there is: the control API's, the proxy's prefixes, and what the front answers by itself."""
    routes = {route.path for route in core_app._control(stage.core).routes}  # type: ignore[attr-defined]
    prefixes = {prefix.decode() for prefix, _ in proxy._PREFIXES}
    return routes | prefixes | {f"/{name.decode()}" for name in proxy._WITHOUT_V1} | {"/", "/api/hello"}


async def test_every_route_is_in_the_table(door: Door) -> None:
    assert {name.partition(",")[0] for name in ROUTES} == served_by(door.scene.stage)


async def test_every_caller_is_in_the_table(door: Door) -> None:
    assert sorted(door.callers) == CALLERS


@pytest.mark.parametrize("route", ROUTES)
async def test_callers_get_through_where_the_table_says_and_nowhere_else(
    door: Door, recorder: Recorder, route: str
) -> None:
    for caller in CALLERS:
        await knocked(door, recorder, route, caller)


async def knocked(door: Door, recorder: Recorder, route: str, caller: str) -> None:
    recorder.arrived.clear()
    rotated, core = door.scene.stage.sim.received_in_all, door.scene.stage.core
    before = core.engine.pool, core.config.current

    statuses = {target: await door.knock(method, target, caller) for method, target in ROUTES[route].asked}

    if caller in ROUTES[route].allowed:
        assert {target: status for target, status in statuses.items() if status in REFUSED} == {}
    else:
        assert {target: status for target, status in statuses.items() if status not in REFUSED} == {}
        assert recorder.arrived == []
        assert door.scene.stage.sim.received_in_all == rotated
        assert (core.engine.pool, core.config.current) == before


@pytest.mark.parametrize("method", [b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"POST", b"HEAD", b"GET"])
async def test_without_a_key_no_method_opens_anything_but_the_doorstep(door: Door, method: bytes) -> None:
    for name, route in ROUTES.items():
        for _, target in route.asked:
            status = await door.knock(method, target, "nothing")
            is_open = name == "/-/health" and method in {b"GET", b"HEAD"}
            assert (status in REFUSED) is not is_open, (method, target, status)
