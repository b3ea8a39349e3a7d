"""The control API under `/-/`: the picture, its changes, orders, and a page for the browser.

The guard has decided who is calling and says so in `request.state.caller`. A client's key may look; orders take the
control token of this run, and some of them the status page's two secrets. Answers are never stored, never framed and
never for other origins; none holds a credential, except the answer to `token`.
"""

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from core import __version__, page, views
from core.blocking import blocking
from core.bus import Bus
from core.commands import COMMANDS, Commands
from core.doorbell import Shown
from core.errors import UNREADABLE, NothingToDo, TidegateError, UsageError
from core.guard import PAGE_COOKIE, Caller
from core.import_glance import arguments_for, here
from core.metrics import CONTENT_TYPE as METRICS_TYPE
from core.model import Snapshot
from core.page import accounts
from core.page.settings import ON_THE_PAGE
from core.ports import user_of
from core.sessions import SESSION_LIFE_S, Sessions

MAX_ORDER_BYTES = 64 * 1024
HEARTBEAT_S = 30.0
QUIET_S = 0.1
"""Changes that come together are shown together."""

_STATUS = {UsageError.exit_code: 400, NothingToDo.exit_code: 409}
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": page.CONTENT_SECURITY_POLICY,
}
_LOOKS = frozenset({Caller.CONTROL, Caller.CLIENT, Caller.PAGE})
_LOADS = _LOOKS | {Caller.VISITOR}
"""Who gets the page without what it shows: a browser sends no key when it loads a document or a script."""
_ORDERS = frozenset({Caller.CONTROL, Caller.PAGE})
_SHOWS = frozenset({Caller.CONTROL})
"""Who gets a link to the page: that is worth the page's own rights."""
PAGE_ORDERS = frozenset(
    {
        "add_key",
        "begin_login",
        "await_login",
        "paste_login",
        "cancel_login",
        "import",
        "rename",
        "remove",
        "enable",
        "disable",
        "plan_limits",
        "mute",
        "serves",
        "refresh",
        "reset",
        "pin",
        "unpin",
        "pause",
        "resume",
        "failover",
        "config_set",
        "connection_plan",
        "connect",
        "undo",
        "order",
        "strategy",
    }
)
"""What the page may order. Not `token`: a browser has no use for the local key. Of `config_set` only some settings."""
_PAGE_FILES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def application(
    commands: Commands,
    snapshot: Callable[[], Snapshot],
    bus: Bus,
    sessions: Sessions,
    ring: Callable[[], Shown],
    *,
    metrics: Callable[[], str],
    heartbeat_s: float = HEARTBEAT_S,
) -> Starlette:
    """The ASGI app. Expects the guard's verdict in `scope["state"]["caller"]`; without it everybody is nobody.

    `ring` lets somebody who started a second Tidegate see this one; `metrics` is what a Prometheus server reads.
    """

    async def health(_: Request) -> Response:
        return _json({"name": "tidegate", "version": __version__, "pid": os.getpid()})

    async def picture(_: Request) -> Response:
        return _json(snapshot())

    async def events(_: Request) -> Response:
        return StreamingResponse(
            _pictures(snapshot, bus, heartbeat_s), headers=_HEADERS, media_type="text/event-stream"
        )

    async def order(request: Request) -> Response:
        return await _obeyed(request, commands)

    async def shown(_: Request) -> Response:
        return _json(ring())

    async def show(_: Request) -> Response:
        return _document()

    async def live(_: Request) -> Response:
        drawn = _views(lambda: accounts.view(snapshot()), bus, heartbeat_s)
        return StreamingResponse(drawn, headers=_HEADERS, media_type="text/event-stream")

    async def viewed(request: Request) -> Response:
        drawn = await views.drawn(request.path_params["name"], request.query_params, commands.run)
        return HTMLResponse(drawn, headers=_HEADERS)

    async def part(request: Request) -> Response:
        file = _page_files().get(request.path_params["file"])
        return Response(file[0], headers=_HEADERS, media_type=file[1]) if file else _error(_NOTHING_HERE, 404)

    async def enter(request: Request) -> Response:
        if await blocking(_is_another_user, request.scope):
            text = page.message("This link is another user's", "Only who started Tidegate can open its status page.")
            return HTMLResponse(text, 403, headers=_HEADERS)
        session = sessions.redeem(request.query_params.get("code", "")) if request.method == "GET" else None
        if session is None:
            text = page.message("This link has been used or is too old", "Open the page from Tidegate's menu again.")
            return HTMLResponse(text, 403, headers=_HEADERS)
        answer = _document(session.key)
        answer.set_cookie(
            PAGE_COOKIE, session.cookie, max_age=int(SESSION_LIFE_S), path="/-/", httponly=True, samesite="strict"
        )
        return answer

    return Starlette(
        routes=[
            Route("/-/health", health),
            Route("/-/open", enter),
            Route("/-/", _only(_LOADS, show)),
            Route("/-/snapshot", _only(_LOOKS, picture)),
            Route("/-/metrics", _only(_LOOKS, _measured(metrics))),
            Route("/-/events", _only(_LOOKS, events)),
            Route("/-/live", _only(_LOOKS, live)),
            Route("/-/commands/show", _only(_SHOWS, shown), methods=["POST"]),
            Route("/-/commands/{name}", _only(_ORDERS, order), methods=["POST"]),
            Route("/-/views/{name}", _only(_ORDERS, viewed)),
            Route("/-/{file:path}", _only(_LOADS, part)),
        ],
        exception_handlers={TidegateError: _told, 404: _no_such_page, 405: _no_such_page},
    )


async def _obeyed(request: Request, commands: Commands) -> Response:
    """Carry an order out, if it may come from where it comes from."""
    name = request.path_params["name"]
    from_page = request.state.caller is Caller.PAGE
    if from_page and name not in PAGE_ORDERS:
        return _error(_NOT_FROM_HERE, 403)
    if name not in COMMANDS:
        return _error(UsageError(f"There is no command {name!r}", f"Commands: {', '.join(COMMANDS)}."), 404)
    body = await request.body()
    if len(body) > MAX_ORDER_BYTES:
        return _error(UsageError("This order is too long"), 413)
    given = _arguments(body)
    if from_page and name == "config_set" and str(given.get("key")) not in ON_THE_PAGE:
        return _error(_NOT_FROM_HERE, 403)
    return _json(await commands.run(name, _completed(name, given) if from_page else given))


Endpoint = Callable[[Request], Awaitable[Response]]


def _only(callers: frozenset[Caller], endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        if getattr(request.state, "caller", Caller.NOBODY) not in callers:
            return _error(TidegateError("Not with this key", "Orders are for the tray and `tidegate`."), 403)
        return await endpoint(request)

    return guarded


def _measured(metrics: Callable[[], str]) -> Endpoint:
    async def measured(_: Request) -> Response:
        return Response(metrics(), headers=_HEADERS, media_type=METRICS_TYPE)

    return measured


async def _pictures(snapshot: Callable[[], Snapshot], bus: Bus, heartbeat_s: float) -> AsyncIterator[bytes]:
    """The picture now and after each change."""
    async for changed in _pulse(bus, heartbeat_s):
        yield _event("snapshot", snapshot()) if changed else _STILL_HERE


async def _views(view: Callable[[], str], bus: Bus, heartbeat_s: float) -> AsyncIterator[bytes]:
    """The view of the accounts now and whenever it reads otherwise: after a change, or because time went by.

    A change that it does not show is told as such: another view may.
    """
    last = None
    async for changed in _pulse(bus, heartbeat_s):
        now = view()
        if now != last:
            yield _event("view", now)
        else:
            yield _event("changed", None) if changed else _STILL_HERE
        last = now


async def _pulse(bus: Bus, heartbeat_s: float) -> AsyncIterator[bool]:
    """True now and after changes, False when there was none for a while, so that a dead peer is noticed.

    It ends with the instance.
    """
    with bus.stream() as changes:
        yield True
        while True:
            try:
                async with asyncio.timeout(heartbeat_s):
                    if await anext(changes, None) is None:
                        return
            except TimeoutError:
                yield False
            else:
                await asyncio.sleep(QUIET_S)
                changes.skip()
                yield True


_STILL_HERE = b": still here\n\n"


def _event(name: str, what: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(what))


@functools.cache
def _page_files() -> Mapping[str, tuple[bytes, str]]:
    """The page's parts by name, with their types."""
    folder = resources.files("core").joinpath("dashboard")
    return {
        f"{prefix}{entry.name}": (entry.read_bytes(), _PAGE_FILES[suffix])
        for prefix, place in (("", folder), ("vendor/", folder.joinpath("vendor")))
        for entry in place.iterdir()
        if (suffix := entry.name.rpartition(".")[2]) in _PAGE_FILES
    }


def _is_another_user(scope: Mapping[str, Any]) -> bool:
    """Whether it is known that another user asks: a link stands in a browser's arguments, for everybody to read."""
    client, ours = scope["client"], scope["server"]
    user = user_of(client[1], ours[1]) if client and ours else None
    return user is not None and user != os.getuid()


@functools.cache
def _template() -> str:
    return resources.files("core").joinpath("dashboard/page.html").read_text(encoding="utf-8")


def _document(key: str = "") -> Response:
    headers = _HEADERS | {"content-security-policy": page.DOCUMENT_POLICY}
    return HTMLResponse(page.document(_template(), key), headers=headers)


def _completed(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The page's order as the command takes it. An import looks where this person's programs are, nowhere else."""
    if name != "import":
        return given
    return {"dry_run": given.get("dry_run", True), **arguments_for(here())}


def _arguments(body: bytes) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except UNREADABLE as exc:
        raise UsageError("The arguments are not a JSON object", f"{exc}.") from exc


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, headers=_HEADERS, media_type="application/json")


def _error(error: TidegateError, status: int) -> Response:
    return _json({"title": error.title, "hint": error.hint, "exit_code": error.exit_code}, status)


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, TidegateError)  # noqa: S101 - Starlette's signature is wider than its promise
    return _error(error, _STATUS.get(error.exit_code, 500))


async def _no_such_page(_: Request, error: Exception) -> Response:
    return _error(_NOTHING_HERE, getattr(error, "status_code", 404))


_NOT_FROM_HERE = TidegateError("Not from this page", "Use the tray's menu or `tidegate`.")
_NOTHING_HERE = UsageError("There is nothing here", "See `tidegate --help`.")
