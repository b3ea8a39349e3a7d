"""T12: behind a certificate that is wrong nobody gets a byte from us, and no account is blamed for it."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core import trust
from core.errors import TidegateError
from core.model import Endpoints
from tests.hostile.certificates import Maker
from tests.hostile.scene import Scene
from tests.raw import Peer, Played, answer, played
from tests.stage import Stage, on_stage

pytestmark = pytest.mark.anyio

DAY = dt.timedelta(days=1)
TROUBLES = ("its own maker", "an unknown maker", "for another address", "expired", "not valid yet")


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    """The only maker that this process trusts while the test runs, as OpenSSL is told by the system."""
    made = Maker.made(tmp_path / "maker")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    trust.context.cache_clear()
    yield made
    trust.context.cache_clear()


@pytest.fixture
async def stage(tmp_path: Path, maker: Maker) -> AsyncIterator[Stage]:
    assert maker.bundle.exists()  # before the first connection: the roots are read once
    async with on_stage(tmp_path / "data") as stage:
        await stage.login("Work")
        await stage.api_key("Team")
        yield stage


async def _provider(peer: Peer) -> None:
    await peer.request()
    await peer.send(answer(b'{"type":"message"}', b"content-type: application/json", b"connection: close"))


def tls(trouble: str, maker: Maker, folder: Path) -> ssl.SSLContext:
    match trouble:
        case "its own maker":
            return Maker.made(folder / "self").server()
        case "an unknown maker":
            return Maker.made(folder / "other").server()
        case "for another address":
            return maker.server("127.0.0.2")
        case "expired":
            return maker.server(begins=-3 * DAY, ends=-DAY)
        case "not valid yet":
            return maker.server(begins=DAY, ends=3 * DAY)
        case _:
            return maker.server()


async def asked(stage: Stage, server: Played) -> list[int]:
    """Have every kind of credential sent to a server; the statuses that clients saw."""
    url = server.url
    endpoints = Endpoints(url, f"{url}/authorize", f"{url}/authorize", f"{url}/v1/oauth/token", f"{url}/zen/go/v1")
    await stage.settle(endpoints=endpoints, hold_s=0.0)
    scene = Scene(stage)
    statuses = [(await scene.ask(scene.post(b"{}"))).status for _ in range(3)]
    for name, arguments in (
        ("refresh", {"account": "Work"}),
        ("add_key", {"kind": "api-key", "key": "sk-ant-api03-canary", "label": "New"}),
    ):
        with suppress(TidegateError):  # what comes of it is no matter: nothing may have been sent
            await stage.core.commands.run(name, arguments)
    return statuses


async def test_a_good_certificate_is_taken_so_that_refusing_all_would_show(stage: Stage, maker: Maker) -> None:
    async with played(_provider, tls=maker.server()) as server:
        assert await asked(stage, server) == [200, 200, 200]
    assert {got.lines[0].split()[1].partition(b"?")[0] for got in server.requests} >= {
        b"/v1/messages",
        b"/v1/oauth/token",
    }


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_wrong_certificate_gets_nothing_and_no_account_is_blamed(
    stage: Stage, maker: Maker, tmp_path: Path, trouble: str
) -> None:
    async with played(_provider, tls=tls(trouble, maker, tmp_path)) as server:
        assert await asked(stage, server) == [502, 502, 502]
    assert server.requests == []
    assert Scene(stage).blamed == []
    assert stage.core.tokens.ready(stage.core.engine.pool.accounts[0].account.id)
