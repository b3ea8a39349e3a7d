"""A whole Tidegate whose provider is a server of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from core.model import Settings, Standing
from core.simulator.provider import GO_PATH
from tests.raw import Client, Reply
from tests.stage import Stage, on_stage


@dataclass(frozen=True)
class Scene:
    """Tidegate with one API key, and what a client of it needs."""

    stage: Stage

    @property
    def port(self) -> int:
        return int(self.stage.url.rpartition(":")[2])

    @property
    def lines(self) -> bytes:
        """The lines without which nobody gets in."""
        return b"Host: 127.0.0.1:%d\r\nX-Api-Key: %s\r\n" % (self.port, self.stage.key.encode())

    def get(self, target: bytes = b"/v1/messages") -> bytes:
        return b"GET " + target + b" HTTP/1.1\r\n" + self.lines + b"\r\n"

    def post(self, body: bytes, target: bytes = b"/v1/messages") -> bytes:
        return b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (target, self.lines, len(body), body)

    async def ask(self, raw: bytes | None = None) -> Reply:
        """One request on a connection of its own."""
        async with Client.to(self.port) as client:
            await client.send(raw or self.get())
            return await client.reply()

    @property
    def blamed(self) -> list[str]:
        """The accounts that are not ready."""
        views = self.stage.core.engine.snapshot().accounts
        return [f"{view.label}: {view.detail}" for view in views if view.standing is not Standing.READY]


@asynccontextmanager
async def before(url: str, folder: Path, **options: Any) -> AsyncIterator[Scene]:
    """A Tidegate that asks the provider at `url`; `options` are those of `core.app`."""
    async with on_stage(folder, **options) as stage:
        await stage.api_key("Team")
        await point(stage, url)
        yield Scene(stage)


async def point(stage: Stage, url: str) -> None:
    """Have requests go to `url` from now on; accounts stay where they are."""
    now = stage.core.settings().endpoints
    endpoints = replace(now, anthropic_api_url=url, opencode_go_url=f"{url}{GO_PATH}")
    await stage.settle(endpoints=endpoints, hold_s=Settings().hold_s)
