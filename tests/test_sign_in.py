import io
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from core import app, sign_in, threaded
from core.cli.base import Session
from core.demo_run import Memory
from core.errors import SignInFailed
from core.files import Paths
from core.vault import Vault
from core.wording import TERMS
from tests.fakes import SimulatedAccount, SimulatedProvider, allow, simulator_in_thread

WISH = {"kind": "claude", "label": "Work"}


@pytest.fixture
def sim() -> Iterator[SimulatedProvider]:
    with simulator_in_thread() as sim:
        yield sim


@pytest.fixture
def ada(sim: SimulatedProvider) -> SimulatedAccount:
    return sim.add_login("Ada")


@pytest.fixture
def orders(sim: SimulatedProvider, tmp_path: Path) -> AbstractContextManager[Any]:
    endpoints = sim.endpoints()
    environ = {
        "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": endpoints.anthropic_authorize_url,
        "TIDEGATE_ANTHROPIC_TOKEN_URL": endpoints.anthropic_token_url,
        "TIDEGATE_ANTHROPIC_API_URL": endpoints.anthropic_api_url,
    }
    options = app.Options(vault=Vault(Memory()), environ=environ)

    class Orders(AbstractContextManager[Any]):
        def __enter__(self) -> Any:
            self._inner = threaded.alone_in_thread(Paths(tmp_path), options)
            run = self._inner.__enter__()
            return lambda command, /, **arguments: run(command, arguments)

        def __exit__(self, *exc: object) -> None:
            self._inner.__exit__(*exc)  # type: ignore[arg-type]

    return Orders()


class Browser:
    """Opens an address, and does what a person does there, in a thread of its own as a real one would."""

    def __init__(self, account: SimulatedAccount, decision: str = "allow") -> None:
        self._account = account
        self._decision = decision
        self.opened: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._visit: threading.Thread | None = None

    def open(self, url: str) -> bool:
        self.opened.put(url)

        def visit() -> None:
            back = anyio.run(lambda: allow(url, self._account, decision=self._decision)).headers["location"]
            httpx.get(back, trust_env=False)

        self._visit = threading.Thread(target=visit)
        self._visit.start()
        return True

    def close(self) -> None:
        if self._visit:
            self._visit.join(10)


def test_browser_signs_in_and_the_terminal_says_so(
    orders: AbstractContextManager[Any], ada: SimulatedAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    browser = Browser(ada)
    sign_in.run(orders, WISH, paste=False, open_browser=browser.open)
    browser.close()
    said = capsys.readouterr()
    assert said.out == "Added Work\n"
    assert TERMS in said.err
    assert "localhost" in browser.opened.get_nowait()


def test_person_who_declines_in_the_browser_gets_one_error(
    orders: AbstractContextManager[Any], ada: SimulatedAccount
) -> None:
    browser = Browser(ada, decision="deny")
    with pytest.raises(SignInFailed, match="declined"):
        sign_in.run(orders, WISH, paste=False, open_browser=browser.open)
    browser.close()


def test_without_a_browser_the_code_is_read(
    orders: AbstractContextManager[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing to read here: the sign-in fails with a sentence and does not hang."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(SignInFailed, match="no code"):
        sign_in.run(orders, WISH, paste=False, open_browser=lambda _: False)
    assert "/oauth/authorize?" in capsys.readouterr().err


def test_session_orders_go_to_one_installation_while_it_is_open(tmp_path: Path) -> None:
    session = Session(str(tmp_path), "keyring")
    with session.orders() as order:
        assert order("snapshot")["accounts"] == ()
        assert order("config_get", key="port") == {"port": "8433"}
