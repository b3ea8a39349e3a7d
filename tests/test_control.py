import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import __version__
from core.control import MAX_ORDER_BYTES, application
from core.guard import PAGE_COOKIE, Caller
from core.model import Changed
from core.sessions import Sessions
from tests.instance import LOCAL_KEY, Instance, instance

pytestmark = pytest.mark.anyio

KEY = "sk-ant-api03-EXAMPLE-0001"
App = Any


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Instance]:
    async with instance(tmp_path) as made:
        yield made


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def app(here: Instance, sessions: Sessions) -> App:
    return application(here.commands, here.engine.snapshot, here.bus, sessions, heartbeat_s=0.05)


@asynccontextmanager
async def _as(app: App, caller: Caller | None) -> AsyncIterator[httpx.AsyncClient]:
    """A client that the guard found to be `caller`; None: nobody asked the guard."""

    async def judged(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if caller is not None:
            scope["state"] = {"caller": caller}
        await app(scope, receive, send)

    transport = httpx.ASGITransport(judged, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8433") as client:
        yield client


async def test_health_tells_name_version_and_pid_to_everybody(app: App) -> None:
    async with _as(app, Caller.NOBODY) as client:
        answer = await client.get("/-/health")

    assert answer.status_code == 200
    assert answer.json().keys() == {"name", "version", "pid"}
    assert answer.json()["version"] == __version__


LOOKS = {"/-/", "/-/snapshot"}


@pytest.mark.parametrize("caller", [None, *Caller])
@pytest.mark.parametrize("path", ["/-/", "/-/snapshot", "/-/events", "/-/commands/snapshot", "/-/commands/token"])
async def test_who_may_look_and_who_may_order(app: App, caller: Caller | None, path: str) -> None:
    order = path.startswith("/-/commands")
    allowed = (
        {
            Caller.CONTROL: True,
            Caller.CLIENT: not order,
            Caller.PAGE: path in LOOKS,
        }.get(caller, False)
        if caller
        else False
    )
    if path == "/-/events" and allowed:
        return  # an endless answer: see the tests below
    async with _as(app, caller) as client:
        answer = await (client.post(path, json={}) if order else client.get(path))

    assert answer.status_code == (200 if allowed else 403)
    assert allowed or LOCAL_KEY not in answer.text


async def test_every_answer_is_private(app: App) -> None:
    async with _as(app, Caller.CONTROL) as client:
        answers = [
            await client.get("/-/health"),
            await client.get("/-/"),
            await client.get("/-/open?code=x"),
            await client.get("/-/snapshot", headers={"origin": "http://example.org"}),
            await client.post("/-/commands/snapshot"),
            await client.post("/-/commands/rename", json={}),
            await client.get("/-/nothing"),
            await client.get("/-/commands/snapshot"),
        ]
    async with _as(app, Caller.NOBODY) as client:
        answers.append(await client.get("/-/snapshot"))

    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert not any(name.startswith("access-control") for name in answer.headers)


async def test_an_order_is_obeyed_and_answered(app: App, here: Instance) -> None:
    async with _as(app, Caller.CONTROL) as client:
        answer = await client.post("/-/commands/add_key", json={"kind": "api-key", "key": KEY, "label": "Work"})
        picture = (await client.get("/-/snapshot")).json()
        token = await client.post("/-/commands/token")

    assert answer.json()["account"] == here.config.current.accounts[0].id
    assert answer.json()["text"].startswith("Added Work")
    assert picture["accounts"][0]["label"] == "Work"
    assert KEY not in json.dumps(picture)
    assert token.json() == {"key": LOCAL_KEY}


@pytest.mark.parametrize(
    ("name", "body", "status", "exit_code"),
    [
        ("dance", b"{}", 404, 2),
        ("rename", b"{}", 400, 2),
        ("rename", b"not json", 400, 2),
        ("rename", b"[1]", 400, 2),
        ("remove", b'{"account": "nobody"}', 400, 2),
        ("unpin", b"{}", 409, 3),
        ("snapshot", b" " * (MAX_ORDER_BYTES + 1), 413, 2),
    ],
)
async def test_errors_carry_title_hint_and_exit_code(
    app: App, name: str, body: bytes, status: int, exit_code: int
) -> None:
    async with _as(app, Caller.CONTROL) as client:
        answer = await client.post(f"/-/commands/{name}", content=body)

    assert answer.status_code == status
    assert answer.json().keys() == {"title", "hint", "exit_code"}
    assert answer.json()["exit_code"] == exit_code


async def test_a_vault_that_is_locked_is_a_server_error_with_its_hint(app: App, here: Instance) -> None:
    here.lock()

    async with _as(app, Caller.CONTROL) as client:
        answer = await client.post("/-/commands/add_key", json={"kind": "api-key", "key": KEY})

    assert answer.status_code == 500
    assert answer.json() == {"title": "The keychain is locked", "hint": "Unlock it.", "exit_code": 1}


async def test_a_link_opens_the_page_once(app: App, sessions: Sessions) -> None:
    code = sessions.issue()
    async with _as(app, Caller.NOBODY) as client:
        first = await client.get(f"/-/open?code={code}")
        second = await client.get(f"/-/open?code={code}")

    assert first.status_code == 303
    assert first.headers["location"] == "/-/"
    cookie = first.headers["set-cookie"]
    value = cookie.split(";")[0].removeprefix(f"{PAGE_COOKIE}=")
    assert sessions.holds(value)
    assert {"HttpOnly", "Path=/-/", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert second.status_code == 403
    assert "set-cookie" not in second.headers
    assert "used" in second.text


async def test_looking_at_a_link_does_not_use_it_up(app: App, sessions: Sessions) -> None:
    code = sessions.issue()
    async with _as(app, Caller.NOBODY) as client:
        assert "set-cookie" not in (await client.head(f"/-/open?code={code}")).headers
        assert (await client.get(f"/-/open?code={code}")).status_code == 303


# --- the event stream, read as ASGI messages: httpx's transport waits for the end of an answer ---


@asynccontextmanager
async def _events(app: App) -> AsyncIterator["asyncio.Queue[bytes]"]:
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/-/events",
        "raw_path": b"/-/events",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [],
        "client": None,
        "server": ("127.0.0.1", 8433),
        "state": {"caller": Caller.CONTROL},
    }

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert (b"content-type", b"text/event-stream; charset=utf-8") in message["headers"]
        elif message["body"]:
            await pieces.put(message["body"])

    serving = asyncio.create_task(app(scope, receive, send))
    try:
        yield pieces
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _picture(piece: bytes) -> dict[str, Any]:
    name, data = piece.decode().strip().split("\n")
    assert name == "event: snapshot"
    picture: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return picture


async def _next_picture(pieces: "asyncio.Queue[bytes]") -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (piece := await pieces.get()).startswith(b":"):
            pass
    return _picture(piece)


async def test_the_stream_begins_with_the_picture_and_sends_it_after_changes(app: App, here: Instance) -> None:
    async with _events(app) as pieces:
        assert (await _next_picture(pieces))["accounts"] == []
        await here.commands.run("add_key", {"kind": "go", "key": "sk-go", "label": "Go"})

        assert (await _next_picture(pieces))["accounts"][0]["label"] == "Go"


async def test_many_changes_at_once_are_one_picture(app: App, here: Instance) -> None:
    async with _events(app) as pieces:
        await _next_picture(pieces)
        for number in range(1_000):
            here.bus.publish(Changed(str(number)))
        await _next_picture(pieces)
        async with asyncio.timeout(10):
            following = await pieces.get()

    assert following.startswith(b":")


async def test_silence_is_filled_with_comments(app: App) -> None:
    async with _events(app) as pieces:
        await _next_picture(pieces)
        async with asyncio.timeout(10):
            assert await pieces.get() == b": still here\n\n"


async def test_a_reader_that_leaves_is_forgotten(app: App, here: Instance) -> None:
    async with _events(app) as pieces:
        await _next_picture(pieces)
        before = len(here.bus._callbacks)

    assert len(here.bus._callbacks) == before - 1
