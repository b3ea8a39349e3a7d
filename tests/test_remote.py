import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from core import app, remote
from core.doorbell import Shown
from core.errors import NothingToDo, TidegateError, UsageError
from core.files import Paths
from core.model import Snapshot
from core.remote import Running
from core.vault import Vault
from tests.fakes_vault import MemoryBackend
from tests.instance import OFFLINE


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "tidegate")
    paths.create()
    return paths


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture
def core(paths: Paths, portal: BlockingPortal) -> Iterator[app.Core]:
    options = app.Options(vault=Vault(MemoryBackend()), port=0, environ=OFFLINE)
    with portal.wrap_async_context_manager(app.running(paths, options)) as core:
        yield core


@pytest.fixture
def running(paths: Paths, core: app.Core) -> Running:
    running = remote.find(paths)
    assert running is not None
    assert running.address == core.engine.address
    return running


def test_the_running_instance_is_found_and_its_file_is_private(paths: Paths, running: Running) -> None:
    assert running.pid == os.getpid()
    assert paths.running.stat().st_mode & 0o777 == 0o600
    assert running.control_token not in repr(running)


def test_without_a_file_nothing_runs(paths: Paths) -> None:
    assert remote.find(paths) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"pid": 1}', b'{"pid": 1, "port": 99999, "control_token": "x"}']
)
def test_a_file_that_does_not_read_is_not_believed(paths: Paths, content: bytes) -> None:
    paths.running.write_bytes(content)

    assert remote.find(paths) is None


def test_after_the_end_nothing_is_left(paths: Paths, portal: BlockingPortal) -> None:
    options = app.Options(vault=Vault(MemoryBackend()), port=0, environ=OFFLINE)
    with portal.wrap_async_context_manager(app.running(paths, options)):
        assert paths.running.exists()

    assert not paths.running.exists()
    assert remote.find(paths) is None
    remote.withdraw(paths)


def test_what_cannot_be_withdrawn_does_not_disturb_the_end(paths: Paths) -> None:
    paths.running.mkdir()  # so that it cannot be deleted as a file

    remote.withdraw(paths)

    assert remote.find(paths) is None


def test_a_place_that_cannot_be_written_is_named(paths: Paths) -> None:
    paths.running.mkdir()

    with pytest.raises(TidegateError, match=r"Cannot write .*running\.json") as refused:
        remote.announce(paths, Running(pid=1, port=2, control_token="secret"))

    assert "disk" in refused.value.hint


@contextmanager
def _other(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[int, list[str]]]:
    """Another program on the port. Gives the port and the credentials it was sent."""
    sent: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(self.headers.get("authorization", ""))
            answer(self)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, sent
        finally:
            server.shutdown()
            thread.join()


def _says(status: int, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"name": "tidegate", "pid": 1}', b'{"name": "tidegate", "pid": "1234"}']
)
def test_a_stranger_on_the_port_is_not_believed_and_gets_no_token(paths: Paths, body: bytes) -> None:
    with _other(_says(200, body)) as (port, sent):
        remote.announce(paths, Running(pid=1234, port=port, control_token="secret"))

        assert remote.find(paths) is None
    assert sent == [""]


def _provider(*answers: tuple[int, object]) -> Callable[[BaseHTTPRequestHandler], None]:
    """An instance that asks a provider for its models, which answers so, time after time."""
    left = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        told = (200, {"pid": 7}) if handler.path == "/-/health" else left.pop(0)
        _says(told[0], json.dumps(told[1]).encode())(handler)

    return answer


OPUS = {"data": [{"id": "claude-opus-6", "display_name": "Claude Opus 6"}, {"id": "claude-x"}]}
LISTED = {"claude-opus-6": "Claude Opus 6", "claude-x": "claude-x"}


def test_the_models_are_asked_for_and_those_of_last_time_told_when_nobody_answers(paths: Paths) -> None:
    with _other(_provider((503, {}), (200, OPUS), (503, {}), (200, {"data": []}))) as (port, _):
        remote.announce(paths, Running(pid=7, port=port, control_token="secret"))
        assert [remote.models(paths, "tg-key") for _ in range(4)] == [{}, LISTED, LISTED, LISTED]
    assert remote.models(paths, "tg-key") == LISTED, "nor does anything run"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b"[" * 5_000])
def test_a_list_of_models_that_does_not_read_is_none(paths: Paths, content: bytes) -> None:
    paths.models.write_bytes(content)
    assert remote.models(paths, "tg-key") == {}


def test_a_redirect_is_not_followed(paths: Paths) -> None:
    with (
        _other(_says(200, json.dumps({"pid": 7}).encode())) as (target, sent),
        _other(_says(307, b"", location=f"http://127.0.0.1:{target}/-/health")) as (port, _),
    ):
        remote.announce(paths, Running(pid=7, port=port, control_token="secret"))

        assert remote.find(paths) is None
        with pytest.raises(TidegateError, match="307"):
            remote.call(Running(7, port, "secret"), "snapshot", {})
    assert sent == []


def test_an_order_is_obeyed_there(running: Running, core: app.Core) -> None:
    done = remote.call(running, "add_key", {"kind": "api-key", "key": "sk-1", "label": "Work"})

    assert done["text"].startswith("Added Work")
    assert [state.account.label for state in core.engine.pool.accounts] == ["Work"]
    assert remote.snapshot(running).accounts[0].label == "Work"


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("unpin", {}, NothingToDo),
        ("rename", {}, UsageError),
        ("dance", {}, UsageError),
        ("remove", {"account": "nobody"}, UsageError),
    ],
)
def test_errors_arrive_as_they_were_raised(
    running: Running, name: str, arguments: dict[str, str], kind: type[TidegateError]
) -> None:
    with pytest.raises(kind) as caught:
        remote.call(running, name, arguments)

    assert type(caught.value) is kind
    assert caught.value.title


def test_a_wrong_token_is_told(running: Running) -> None:
    with pytest.raises(TidegateError, match="401"):
        remote.call(Running(running.pid, running.port, "wrong"), "snapshot", {})


def test_an_instance_that_has_gone_is_told(running: Running) -> None:
    with _other(_says(200, b"")) as (port, _):
        pass

    gone = Running(running.pid, port, "secret")
    for ask in (
        lambda: remote.call(gone, "snapshot", {}),
        lambda: remote.snapshot(gone),
        lambda: next(remote.events(gone)),
    ):
        with pytest.raises(TidegateError, match="does not answer"):
            ask()


def test_events_are_pictures_until_the_instance_ends(running: Running) -> None:
    pictures = remote.events(running)

    first = next(pictures)
    assert isinstance(first, Snapshot)
    assert first.accounts == ()
    remote.call(running, "add_key", {"kind": "go", "key": "sk-go", "label": "Go"})
    assert next(pictures).accounts[0].label == "Go"
    pictures.close()


def test_events_for_a_wrong_token_are_refused(running: Running) -> None:
    with pytest.raises(TidegateError, match="401"):
        next(remote.events(Running(running.pid, running.port, "wrong")))


def test_somebody_who_starts_it_again_is_sent_to_the_icon_and_without_one_to_the_page(
    running: Running, core: app.Core
) -> None:
    rung: list[None] = []
    with core.doorbell.answered(lambda: rung.append(None)):
        assert remote.show(running) == Shown(by_icon=True)

    shown = remote.show(running)

    assert len(rung) == 1
    assert not shown.by_icon
    assert shown.url.startswith(f"{running.address}/-/open?code=")
