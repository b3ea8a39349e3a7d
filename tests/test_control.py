import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import __version__, control
from core.commands import COMMANDS
from core.control import MAX_ORDER_BYTES, PAGE_ORDERS, application
from core.doorbell import Shown
from core.guard import PAGE_COOKIE, Caller
from core.model import Changed, Snapshot
from core.page.settings import ON_THE_PAGE
from core.sessions import Sessions
from core.settings import SETTINGS, setting_texts
from tests.account_files import put
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


def ring() -> Shown:
    return Shown(by_icon=False, url="http://127.0.0.1:8433/-/open?code=once")


def measured() -> str:
    return "tidegate_accounts_ready 1\n"


@pytest.fixture
def app(here: Instance, sessions: Sessions) -> App:
    return application(
        here.commands, here.engine.snapshot, here.bus, sessions, ring, metrics=measured, heartbeat_s=0.05
    )


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


PARTS = {"/-/", "/-/page.css", "/-/page.js", "/-/vendor/uPlot.min.css"}
PICTURES = {"/-/snapshot", "/-/metrics", "/-/events", "/-/live"}
ORDERS = {f"/-/commands/{name}" for name in COMMANDS}
PAGES = {f"/-/commands/{name}" for name in PAGE_ORDERS}
VIEWS = {f"/-/views/{name}" for name in ("charts", "activity", "log", "settings")}
ALLOWED = {
    Caller.CONTROL: PARTS | PICTURES | VIEWS | ORDERS,
    Caller.CLIENT: PARTS | PICTURES,
    Caller.PAGE: PARTS | PICTURES | VIEWS | PAGES,
    Caller.VISITOR: PARTS,
}


@pytest.mark.parametrize("caller", [None, *Caller])
@pytest.mark.parametrize("path", sorted(PARTS | PICTURES | VIEWS | ORDERS))
async def test_who_may_look_and_who_may_order(app: App, caller: Caller | None, path: str) -> None:
    allowed = caller is not None and path in ALLOWED.get(caller, set())
    if allowed and path in {"/-/events", "/-/live"}:
        return  # an endless answer: see the tests below
    async with _as(app, caller) as client:
        answer = await (client.post(path, content=b"[]") if path in ORDERS else client.get(path))

    if path in ORDERS:  # an order that cannot be read is refused after the question who gives it
        assert answer.status_code == (400 if allowed else 403)
    else:
        assert answer.status_code == (200 if allowed else 403)


@pytest.mark.parametrize("caller", [None, *Caller])
async def test_link_to_the_page_is_for_who_may_order_everything_anyway(app: App, caller: Caller | None) -> None:
    async with _as(app, caller) as client:
        answer = await client.post("/-/commands/show")

    if caller is Caller.CONTROL:
        assert answer.json() == {"by_icon": False, "url": ring().url}
    else:
        assert answer.status_code == 403
        assert "code=" not in answer.text


def test_what_the_page_may_order_is_there_and_gives_no_secret_away() -> None:
    assert set(COMMANDS) >= PAGE_ORDERS
    assert "token" not in PAGE_ORDERS
    assert not any("export" in name for name in PAGE_ORDERS)


@pytest.mark.parametrize("key", [*SETTINGS, "nothing", "Log", " log", "log ", "endpoints", ["log"], None])
async def test_the_page_changes_what_can_do_no_harm_and_no_other_setting(app: App, here: Instance, key: object) -> None:
    given: dict[str, object] = {"text": setting_texts(here.config.current.settings).get(str(key), "on")}
    async with _as(app, Caller.PAGE) as client:
        answer = await client.post("/-/commands/config_set", json=given if key is None else given | {"key": key})

    if str(key) in ON_THE_PAGE:
        assert answer.status_code == 409, "it has this value already"
    else:
        assert answer.status_code == 403
        assert answer.json()["title"] == "Not from this page"


@pytest.mark.parametrize(
    "body",
    [
        '{"key": "log", "key": "port", "text": "1"}',
        '{"key": "port", "text": "1", "extra": "log"}',
        '{"\\u006bey": "port", "text": "1"}',
        '{"key": "p\\u006frt", "text": "1"}',
        '[{"key": "port", "text": "1"}]',
    ],
)
async def test_no_writing_of_an_order_hides_a_setting_from_the_page(app: App, here: Instance, body: str) -> None:
    before = here.config.current.settings
    async with _as(app, Caller.PAGE) as client:
        answer = await client.post("/-/commands/config_set", content=body)

    assert answer.status_code in {400, 403}
    assert here.config.current.settings == before


async def test_the_page_changes_a_setting_and_reads_why_a_value_is_not_taken(app: App, here: Instance) -> None:
    async with _as(app, Caller.PAGE) as client:
        done = await client.post("/-/commands/config_set", json={"key": "hold_s", "text": "5"})
        refused = await client.post("/-/commands/config_set", json={"key": "hold_s", "text": "soon"})

    assert done.status_code == 200
    assert here.config.current.settings.hold_s == 5
    assert refused.status_code == 400
    assert refused.json()["hint"] == "It must be a number of seconds from 0 to 300."


async def test_a_view_that_is_not_there_or_asked_for_wrongly_is_refused(app: App) -> None:
    async with _as(app, Caller.PAGE) as client:
        for place in ("nothing", "charts?days=2", "charts?days=x", "log?level=loud"):
            assert (await client.get(f"/-/views/{place}")).status_code == 400, place


@pytest.mark.parametrize("name", sorted(PAGE_ORDERS))
async def test_no_order_is_obeyed_by_looking(app: App, name: str) -> None:
    async with _as(app, Caller.PAGE) as client:
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            assert (await client.request(method, f"/-/commands/{name}")).status_code in {404, 405}


async def test_the_page_imports_from_where_its_person_is_and_from_nowhere_else(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    put(tmp_path / ".config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json")
    elsewhere = put(tmp_path / "elsewhere" / "multi-auth.json", "multi-auth.json")
    async with _as(app, Caller.PAGE) as client:
        answer = await client.post(
            "/-/commands/import", json={"dry_run": True, "home": "/nowhere", "path": str(elsewhere)}
        )

    assert answer.status_code == 200
    assert answer.json()["dry_run"]
    lines = answer.json()["lines"]
    assert {line["program"] for line in lines if line["outcome"] == "import"} == {"opencode-go-multi-auth"}
    assert "elsewhere" not in str(lines)


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


async def test_a_link_opens_the_page_once_with_its_two_secrets(app: App, sessions: Sessions) -> None:
    code = sessions.issue()
    async with _as(app, Caller.NOBODY) as client:
        first = await client.get(f"/-/open?code={code}")
        second = await client.get(f"/-/open?code={code}")

    assert first.status_code == 200
    cookie = first.headers["set-cookie"]
    value = cookie.split(";")[0].removeprefix(f"{PAGE_COOKIE}=")
    found = re.search(r'<meta name="tidegate-key" content="([^"]+)">', first.text)
    assert found
    assert sessions.holds(value, found[1])
    assert {"HttpOnly", "Path=/-/", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert value not in first.text
    assert second.status_code == 403
    assert "set-cookie" not in second.headers
    assert "tidegate-key" not in second.text
    assert "used" in second.text


async def test_a_page_that_is_loaded_again_gets_no_key(app: App) -> None:
    async with _as(app, Caller.VISITOR) as client:
        answer = await client.get("/-/")

    assert answer.status_code == 200
    assert "tidegate-key" not in answer.text


async def test_looking_at_a_link_does_not_use_it_up(app: App, sessions: Sessions) -> None:
    code = sessions.issue()
    async with _as(app, Caller.NOBODY) as client:
        assert "set-cookie" not in (await client.head(f"/-/open?code={code}")).headers
        assert (await client.get(f"/-/open?code={code}")).status_code == 200


async def test_the_page_comes_in_parts_that_its_policy_allows(app: App) -> None:
    async with _as(app, Caller.VISITOR) as client:
        document = await client.get("/-/")
        parts = {name: await client.get(name) for name in re.findall(r'(?:src|href)="(/-/[^"]+)"', document.text)}

    assert "script-src 'self'" in document.headers["content-security-policy"]
    assert {name: part.headers["content-type"] for name, part in parts.items()} == {
        "/-/icon.svg": "image/svg+xml",
        "/-/page.css": "text/css; charset=utf-8",
        "/-/page.js": "text/javascript; charset=utf-8",
        "/-/vendor/uPlot.min.css": "text/css; charset=utf-8",
    }
    assert all(part.status_code == 200 and part.content for part in parts.values())


async def test_every_script_that_a_script_asks_for_is_served(app: App) -> None:
    wanted, seen = ["page.js"], set[str]()
    async with _as(app, Caller.VISITOR) as client:
        while wanted:
            name = wanted.pop()
            answer = await client.get(f"/-/{name}")
            assert answer.status_code == 200, name
            seen.add(name)
            found = re.findall(r'from "\./([^"]+)"|"/-/(vendor/[^"]+\.js)"', answer.text)
            wanted += [other for either in found for other in either if other and other not in seen]

    folder = Path(control.__file__).parent / "dashboard"
    assert seen == {path.relative_to(folder).as_posix() for path in folder.rglob("*.js")}


@pytest.mark.parametrize(
    "name",
    [
        "page.html",
        "..%2fcontrol.py",
        "nothing.js",
        "page.js/x",
        "PAGE.JS",
        "vendor/README.md",
        "vendor/..%2fpage.html",
    ],
)
async def test_nothing_but_the_pages_parts_is_served(app: App, name: str) -> None:
    async with _as(app, Caller.CONTROL) as client:
        answer = await client.get(f"/-/{name}")

    assert answer.status_code == 404


# --- the event stream, read as ASGI messages: httpx's transport waits for the end of an answer ---


@asynccontextmanager
async def _events(app: App, path: str = "/-/events") -> AsyncIterator["asyncio.Queue[bytes]"]:
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
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


async def _next_picture(pieces: "asyncio.Queue[bytes]", name: str = "snapshot") -> Any:
    async with asyncio.timeout(10):
        while (piece := await pieces.get()).startswith(b":"):
            pass
    event, data = piece.decode().strip().split("\n")
    assert event == f"event: {name}"
    return json.loads(data.removeprefix("data: "))


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


async def test_the_pages_stream_sends_the_view_whenever_it_reads_otherwise(app: App, here: Instance) -> None:
    async with _events(app, "/-/live") as pieces:
        assert "No account yet" in await _next_picture(pieces, "view")
        here.bus.publish(Changed("nothing that is shown"))
        assert await _next_picture(pieces, "changed") is None
        await here.commands.run("add_key", {"kind": "go", "key": "sk-go", "label": "Go & Co"})

        assert "Go &amp; Co" in await _next_picture(pieces, "view")


async def test_the_pages_stream_tells_what_changes_by_time_alone(here: Instance, sessions: Sessions) -> None:
    shown = [Snapshot(at=0.0, version="before"), Snapshot(at=0.0, version="after")]

    def snapshot() -> Snapshot:
        return shown.pop(0) if len(shown) > 1 else shown[0]

    app = application(here.commands, snapshot, here.bus, sessions, ring, metrics=measured, heartbeat_s=0.05)
    async with _events(app, "/-/live") as pieces:
        assert "before" in await _next_picture(pieces, "view")
        assert "after" in await _next_picture(pieces, "view")


# --- code of others --------------------------------------------------------------------------------


def test_code_of_others_is_what_was_published_and_has_its_licence() -> None:
    folder = Path(control.__file__).parent / "dashboard" / "vendor"
    told = dict(re.findall(r"\| `([^`]+)` \| [\d.]+ \| `([0-9a-f]{64})` \|", (folder / "README.md").read_text()))

    files = {path.name for path in folder.iterdir()} - {"README.md", "LICENSE"}
    assert {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files} == told
    assert (folder / "LICENSE").read_text().startswith("The MIT License")
