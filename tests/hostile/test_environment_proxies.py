"""T12: whatever the environment says of proxies, credentials go to the provider's own address and to nobody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core import remote
from core.files import Paths
from tests.hostile.scene import Scene
from tests.raw import Peer, Played, answer, played
from tests.stage import on_stage

pytestmark = pytest.mark.anyio

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "WS_PROXY")


async def _proxy(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.send(answer(b'{"error":"a proxy answered"}'))


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Played]:
    """A proxy that the environment names in every way, and credentials of the person's in ~/.netrc."""
    async with played(_proxy) as server:
        for name in NAMES:
            monkeypatch.setenv(name, server.url)
            monkeypatch.setenv(name.lower(), server.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary password canary\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        yield server


async def test_neither_requests_nor_renewals_nor_questions_go_to_a_proxy(proxy: Played, tmp_path: Path) -> None:
    async with on_stage(tmp_path / "data") as stage:
        work = await stage.login("Work")
        await stage.go_key("Go")
        await Scene(stage).ask(Scene(stage).post(b"{}", b"/v1/messages"))
        await Scene(stage).ask(Scene(stage).post(b"{}", b"/zen/go/v1/chat/completions"))
        before = work.access
        await stage.core.commands.run("refresh", {"account": "Work"})
        assert work.access != before
        key = stage.sim.add_api_key("New").key
        await stage.core.commands.run("add_key", {"kind": "api-key", "key": key, "label": "New"})
        await stage.sim.wait_until(lambda: any(r.path == "/api/oauth/usage" for r in stage.sim.received))
        asked = {received.path for received in stage.sim.received}
        assert asked >= {"/v1/messages", "/v1/oauth/token", "/api/oauth/usage", "/v1/models", "/zen/go/v1/usage"}
    assert proxy.accepted == 0


async def test_the_command_line_reaches_its_own_instance_past_a_proxy(proxy: Played, tmp_path: Path) -> None:
    async with on_stage(tmp_path / "data"):
        running = await asyncio.to_thread(remote.find, Paths(tmp_path / "data"))
        assert running
        assert (await asyncio.to_thread(remote.snapshot, running)).accounts == ()
    assert proxy.accepted == 0
