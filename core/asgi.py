"""The listener's requests as ASGI sees them: for the control API, where comfort matters more than speed."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from core.exchange import Answer, Incoming

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


async def serve(app: App, incoming: Incoming, answer: Answer) -> None:
    """Let `app` answer one request. A client that leaves cancels it, as it does every request."""
    path, _, query = incoming.target.partition(b"?")
    client, ours = answer.ends or (None, None)
    lines = zip(incoming.headers.names, incoming.headers.raw, strict=True)
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": incoming.method.decode("ascii"),
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name, value) for name, (_, value) in lines],
        "client": client,
        "server": ours,
        "state": {"caller": incoming.note},
    }
    body: bytes | None = incoming.body
    room = asyncio.Event()

    async def receive() -> Message:
        nonlocal body
        if body is None:
            await asyncio.Event().wait()  # the next thing to hear is that the client left, and that cancels us
        whole, body = body, None
        return {"type": "http.request", "body": whole, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
            length = next((int(v) for n, v in message["headers"] if n.lower() == b"content-length"), None)
            answer.start(message["status"], headers, length)
            answer.on_room = lambda free: room.set() if free else room.clear()
            asyncio.get_running_loop().call_soon(answer.flush)
            return
        answer.write(message.get("body", b""))
        if not message.get("more_body", False):
            answer.finish()
        elif not answer.room:
            room.clear()
            await room.wait()

    await app(scope, receive, send)
