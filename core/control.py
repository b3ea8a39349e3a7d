"""The control API under `/-/`: the picture, its changes, orders, and a page for the browser.

The guard has decided who is calling and says so in `request.state.caller`. A client's key and a page's cookie may look;
orders take the control token of this run. Answers are never stored, never framed and never for other origins; none
holds a credential, except the answer to `token`.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from core import __version__, page
from core.bus import Bus
from core.commands import COMMANDS, Commands
from core.errors import NothingToDo, TidegateError, UsageError
from core.guard import PAGE_COOKIE, Caller
from core.model import Snapshot
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
_ORDERS = frozenset({Caller.CONTROL})
_LOOKS = frozenset({Caller.CONTROL, Caller.CLIENT, Caller.PAGE})
_WATCHES = frozenset({Caller.CONTROL, Caller.CLIENT})


def application(
    commands: Commands,
    snapshot: Callable[[], Snapshot],
    bus: Bus,
    sessions: Sessions,
    *,
    heartbeat_s: float = HEARTBEAT_S,
) -> Starlette:
    """The ASGI app. Expects the guard's verdict in `scope["state"]["caller"]`; without it everybody is nobody."""

    async def health(_: Request) -> Response:
        return _json({"name": "tidegate", "version": __version__, "pid": os.getpid()})

    async def picture(_: Request) -> Response:
        return _json(snapshot())

    async def events(_: Request) -> Response:
        return StreamingResponse(
            _pictures(snapshot, bus, heartbeat_s), headers=_HEADERS, media_type="text/event-stream"
        )

    async def order(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in COMMANDS:
            return _error(UsageError(f"There is no command {name!r}", f"Commands: {', '.join(COMMANDS)}."), 404)
        body = await request.body()
        if len(body) > MAX_ORDER_BYTES:
            return _error(UsageError("This order is too long"), 413)
        return _json(await commands.run(name, _arguments(body)))

    async def show(_: Request) -> Response:
        return HTMLResponse(page.render(snapshot()), headers=_HEADERS)

    async def enter(request: Request) -> Response:
        cookie = sessions.redeem(request.query_params.get("code", "")) if request.method == "GET" else None
        if cookie is None:
            text = page.message("This link has been used or is too old", "Open the page from Tidegate's menu again.")
            return HTMLResponse(text, 403, headers=_HEADERS)
        answer = RedirectResponse("/-/", 303, headers=_HEADERS)
        answer.set_cookie(
            PAGE_COOKIE, cookie, max_age=int(SESSION_LIFE_S), path="/-/", httponly=True, samesite="strict"
        )
        return answer

    return Starlette(
        routes=[
            Route("/-/health", health),
            Route("/-/open", enter),
            Route("/-/", _only(_LOOKS, show)),
            Route("/-/snapshot", _only(_LOOKS, picture)),
            Route("/-/events", _only(_WATCHES, events)),
            Route("/-/commands/{name}", _only(_ORDERS, order), methods=["POST"]),
        ],
        exception_handlers={TidegateError: _told, 404: _no_such_page, 405: _no_such_page},
    )


Endpoint = Callable[[Request], Awaitable[Response]]


def _only(callers: frozenset[Caller], endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        if getattr(request.state, "caller", Caller.NOBODY) not in callers:
            return _error(TidegateError("Not with this key", "Orders are for the tray and `tidegate`."), 403)
        return await endpoint(request)

    return guarded


async def _pictures(snapshot: Callable[[], Snapshot], bus: Bus, heartbeat_s: float) -> AsyncIterator[bytes]:
    """The picture now and after each change; a comment when nothing changes, so that a dead peer is noticed."""
    with bus.stream() as changes:
        yield _event(snapshot())
        while True:
            with anyio.move_on_after(heartbeat_s) as silence:
                await anext(changes)
            if silence.cancelled_caught:
                yield b": still here\n\n"
                continue
            await anyio.sleep(QUIET_S)
            changes.skip()
            yield _event(snapshot())


def _event(snapshot: Snapshot) -> bytes:
    return b"event: snapshot\ndata: " + msgspec.json.encode(snapshot) + b"\n\n"


def _arguments(body: bytes) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise UsageError("The arguments are not a JSON object", f"{exc}.") from exc


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, headers=_HEADERS, media_type="application/json")


def _error(error: TidegateError, status: int) -> Response:
    return _json({"title": error.title, "hint": error.hint, "exit_code": error.exit_code}, status)


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, TidegateError)  # noqa: S101 - Starlette's signature is wider than its promise
    return _error(error, _STATUS.get(error.exit_code, 500))


async def _no_such_page(_: Request, error: Exception) -> Response:
    return _error(UsageError("There is nothing here", "See `tidegate --help`."), getattr(error, "status_code", 404))
