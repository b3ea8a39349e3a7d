"""No secret anywhere but in the vault, in memory and in one header: every place is searched after a whole life.

Every secret in play is known to the test (`life`) and searched in every form in which it could hide (`evidence`).
"""

import base64
import contextlib
import json
import logging
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anthropic
import httpx
import msgspec
import pytest

from core.errors import TidegateError
from core.files import Paths
from core.guard import PAGE_COOKIE
from core.import_glance import Glance
from core.logs import start_logging
from core.model import Notification
from tests.fakes import ASK, VERSION, faults, query_of
from tests.integration.evidence import files_below, hits, processes_below
from tests.integration.life import SETTINGS, Life, begun, play
from tests.stage import MODEL, PROMPT, Stage, on_stage
from tray import menu

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]  # a whole life takes 20 s, on a busy machine minutes

ROOT = Path(__file__).parents[2]
CONTROL_TOKEN = "control token of the first run"
CANARY = "sk-ant-ort01-Zt3vQ8xL2mKp7RwB1nYc5DfG9hJs4TuV6aXe0"


# --- a whole life of the real program --------------------------------------------------------------


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with begun(tmp_path_factory.mktemp("life")) as life:
        play(life)
        yield life


def test_every_sort_of_secret_was_in_play(life: Life) -> None:
    known = life.all_secrets()
    sorts = {
        "sk-ant-oat01-": 6,
        "sk-ant-ort01-": 6,
        "sk-ant-api03-": 3,
        "ac_": 4,
        "tg-": 1,
    }
    for prefix, least in sorts.items():
        assert sum(secret.startswith(prefix) for secret in known.values()) >= least, prefix
    assert {"key of Console key", "key of Go", CONTROL_TOKEN, "vault passphrase", "recovery key"} <= known.keys()
    assert sum(name.startswith("code_verifier") for name in known) >= 4


def test_no_file_holds_a_secret_when_all_is_over(life: Life) -> None:
    files = life.files()
    assert {"config.json", "history.db", "tidegate.log", "vault.bin", "settings", "all"} <= {
        Path(name).name for name in files
    }
    assert hits(files, life.all_secrets()) == []


def test_after_a_crash_only_the_file_for_the_faces_holds_the_token_of_the_run(life: Life) -> None:
    running = life.paths.running
    assert {str(running), str(life.paths.recovery), f"{life.paths.history}-wal"} <= life.left_by_crash.keys()
    assert any(name.endswith(".intent") for name in life.left_by_crash)
    assert hits(life.left_by_crash, life.all_secrets()) == [f"{running}: {CONTROL_TOKEN} as plain"]


def test_every_file_and_folder_is_its_owners_only(life: Life) -> None:
    kept = {path.name for path in life.modes}
    assert {"config.json", "history.db", "tidegate.log", "vault.bin", "running.json", "recovery.bin"} <= kept
    assert {"locks", "connected.json", "settings.json", "settings", "all", ".config"} <= kept
    assert {str(path): oct(mode) for path, mode in life.modes.items() if mode & 0o077} == {}


def test_key_of_a_connected_program_is_in_its_own_settings_and_nowhere_else(life: Life) -> None:
    keys = {f"key of {name}": life.secrets[f"key of {name}"] for name in SETTINGS}
    expected = {f"{life.home / path}: key of {name} as plain" for name, path in SETTINGS.items()}
    assert set(hits(life.connected, keys)) == expected


def test_nothing_that_was_printed_holds_a_secret(life: Life) -> None:
    assert any(b"Added Console" in said for said in life.outputs.values())
    assert any(b"Error: " in said for said in life.outputs.values())
    assert any(b"'doctor', '--report'" in name.encode() for name in life.outputs)
    assert hits(life.outputs, life.all_secrets()) == []


def test_no_answer_holds_a_secret(life: Life) -> None:
    assert len(life.answers) > 100
    assert b"tidegate_accounts_ready" in life.answers["GET /-/metrics of the tray"]
    assert b"event: snapshot" in life.answers["GET /-/events of the tray"]
    assert b"event: view" in life.answers["GET /-/live of the tray"]
    assert hits(life.answers, life.all_secrets()) == []


def test_no_process_shows_a_secret_but_the_passphrase_that_it_was_given(life: Life) -> None:
    shown = hits(life.processes, life.all_secrets())
    assert shown
    assert all("environ of" in one and one.endswith("vault passphrase as plain") for one in shown), shown


def test_program_that_tidegate_starts_is_given_no_secret(life: Life) -> None:
    started = life.browser.started_with.read_bytes()
    assert b"/oauth/authorize?" in started
    assert hits({"the browser": started}, life.all_secrets()) == []


def test_providers_learn_neither_the_local_key_nor_what_is_between_tidegates_own_programs(life: Life) -> None:
    ours = {name: life.secrets[name] for name in ("local key", CONTROL_TOKEN, "vault passphrase")}
    received = {
        f"{number} {request.target}": request.body + repr(request.headers).encode() + request.target.encode()
        for number, request in enumerate(life.sim.received)
    }
    assert len(received) > 20
    assert hits(received, ours) == []


# --- the search itself -----------------------------------------------------------------------------


def percent(raw: bytes) -> bytes:
    return "".join(f"%{byte:02x}" for byte in raw).encode()


PLANTED = {
    "as it is": CANARY.encode(),
    "cut short": CANARY[:40].encode(),
    "without its beginning": CANARY[-25:].encode(),
    "base64": base64.b64encode(CANARY.encode()),
    "base64, one byte later": base64.b64encode(b"{" + CANARY.encode() + b"}"),
    "base64, two bytes later": base64.b64encode(b'{"' + CANARY.encode() + b'"}'),
    "base64 for addresses": base64.urlsafe_b64encode(b"??>" + CANARY.encode()),
    "hex": CANARY.encode().hex().encode(),
    "hex in capitals": CANARY.encode().hex().upper().encode(),
    "percent": percent(CANARY.encode()),
    "percent in capitals": percent(CANARY.encode()).upper(),
    "UTF-16 of Windows": CANARY.encode("utf-16-le"),
    "UTF-16 of networks": CANARY.encode("utf-16-be"),
    "JSON in JSON": json.dumps(json.dumps({"token": CANARY})).encode(),
}


@pytest.mark.parametrize("form", PLANTED.values(), ids=PLANTED)
def test_secret_that_lies_somewhere_is_found(tmp_path: Path, form: bytes) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\x00before " + form + b" after\xff")
    found = hits(files_below(tmp_path), {"canary": CANARY})
    assert found
    assert all(one.startswith(f"{tmp_path}/deep/file: canary as ") for one in found)
    assert hits(files_below(tmp_path), {"another": CANARY[::-1]}) == []


def test_secret_in_a_database_that_was_not_closed_is_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "history.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE said (text TEXT)")
        database.execute("INSERT INTO said VALUES (?)", [f"refused {CANARY} today"])
        database.commit()
        found = hits(files_below(tmp_path), {"canary": CANARY})
    assert f"{tmp_path}/history.db-wal: canary as plain" in found


def test_secret_in_the_arguments_or_the_environment_of_a_child_is_found() -> None:
    """Of a grandchild, to be exact: a program that starts another one."""
    program = "import subprocess, sys; subprocess.run(['sleep', '60'], env={'CANARY': sys.argv[1]})"
    child = subprocess.Popen([sys.executable, "-c", program, CANARY], start_new_session=True)
    try:
        where = set()
        while where != {"cmdline", "environ"}:
            assert child.poll() is None
            where = {one.partition(" of ")[0] for one in hits(processes_below(child.pid), {"canary": CANARY})}
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


# --- in one process, for what only a running instance can be asked ---------------------------------


@pytest.fixture
def logging_to(tmp_path: Path) -> Iterator[Path]:
    """Log everything into the installation, as `serve` does; and put the root logger back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    folder = tmp_path / "data"
    start_logging(Paths(folder), "debug", to_terminal=False)
    yield folder
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.handlers, root.level = before, level


async def test_secrets_of_the_status_page_are_told_once_and_kept_nowhere(logging_to: Path) -> None:
    answers: dict[str, bytes] = {}
    async with on_stage(logging_to) as stage, httpx.AsyncClient(trust_env=False) as browser:
        await stage.login("Work")
        link = stage.core.page_link()
        opened = await browser.get(link)
        cookie = opened.cookies[PAGE_COOKIE]
        secrets = {"code": query_of(link)["code"], "cookie": cookie}
        if key := re.search(r'name="tidegate-key" content="([^"]+)"', opened.text):
            secrets["key"] = key[1]
        for path in (link, f"{stage.url}/-/", f"{stage.url}/-/snapshot", f"{stage.url}/-/nothing"):
            answer = await browser.get(path)
            answers[path.partition("?")[0]] = answer.content + repr(answer.headers.multi_items()).encode()
        answers["the pages in memory"] = repr(vars(stage.core.pages)).encode()
    assert hits(answers, secrets) == []
    assert hits(files_below(logging_to), secrets) == []


async def test_what_is_printed_of_a_value_holds_no_secret(stage: Stage) -> None:
    """For a debugger, and for a log line that somebody writes in a hurry."""
    work, team = await stage.login("Work"), await stage.api_key("Team")
    secrets = {"access": work.access, "refresh": work.refresh, "key": team.key, "local key": stage.key}
    core = stage.core
    shown = (core, core.engine.pool, core.tokens, vars(core.tokens), core.config.current, core.commands, stage)
    assert hits({str(number): repr(value).encode() for number, value in enumerate(shown)}, secrets) == []


class Bomb:
    """A clock that goes off inside a request, at the moment when `secret` is in some local variable."""

    def __init__(self) -> None:
        self.secret = ""
        self.says = ""
        self.seen: bytes = b""

    def __call__(self) -> float:
        frame = sys._getframe().f_back
        while self.secret and frame:
            in_request = frame.f_code.co_filename.endswith("attempt.py")  # others look after the account as well
            if in_request and self.secret in (held := repr(frame.f_locals)):
                self.seen, self.secret = held.encode(), ""
                raise ZeroDivisionError(self.says)
            frame = frame.f_back
        return time.time()


@pytest.mark.parametrize("says", ["by accident", "cannot send {}"], ids=["beside-it", "in-its-words"])
async def test_exception_inside_a_request_tells_what_went_wrong_without_the_credential(
    logging_to: Path, says: str
) -> None:
    bomb = Bomb()
    async with on_stage(logging_to, clock=bomb) as stage, httpx.AsyncClient(trust_env=False) as client:
        work = await stage.login("Work")
        bomb.secret, bomb.says = work.access, says.format(work.access)
        answer = await client.post(f"{stage.url}/v1/messages", headers={"x-api-key": stage.key, **VERSION}, json=ASK)
    canary = {"access": work.access}
    assert hits({"local variables": bomb.seen}, canary), "it did not go off where the credential is"
    log = files_below(logging_to)[str(Paths(logging_to).log)]
    assert b"Traceback (most recent call last)" in log
    assert b"ZeroDivisionError" in log
    assert answer.status_code == 500
    assert hits({"log": log, "answer": answer.content, **files_below(logging_to)}, canary) == []


async def test_menu_messages_and_tooltip_hold_no_secret(stage: Stage) -> None:
    """What goes to the panel over D-Bus and to the notification service; the clipboard gets a key by a click only."""
    work, team, go = await stage.login("Work"), await stage.api_key("Team"), await stage.go_key("Go")
    told: list[Notification] = []
    stage.core.on_notification(told.append)
    work.script(faults.QuotaRejected())
    team.script(faults.Unauthorized(f"invalid x-api-key {team.key}"))
    for _ in range(3):
        with contextlib.suppress(anthropic.APIStatusError):
            await stage.sdk().messages.create(model=MODEL, max_tokens=64, messages=PROMPT)
    work.revoke()
    with contextlib.suppress(TidegateError):
        await stage.core.commands.run("refresh", {"account": "Work"})
    picture, now = stage.core.engine.snapshot(), time.time()
    items = menu.build(picture, now, Glance(1, ("Claude Code",)))
    shown = {
        "menu": repr(items).encode(),
        "tooltip": menu.tooltip(picture, now).encode(),
        "messages": repr(told).encode(),
        "snapshot": msgspec.json.encode(picture),
        "metrics": stage.core.measured().encode(),
    }
    assert told
    assert b"Team" in shown["menu"]
    secrets = {"access": work.access, "refresh": work.refresh, "key": team.key, "go": go.key, "local key": stage.key}
    assert hits(shown, {name: secret for name, secret in secrets.items() if secret}) == []


# --- the memory of the real program ----------------------------------------------------------------

_MEMORY = """
import sys
for name in ("environ", "maps", "mem"):
    try:
        open(f"/proc/{sys.argv[1]}/{name}", "rb")
        print("open", name)
    except PermissionError:
        pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux closes a process's memory so")
@pytest.mark.parametrize("private", [True, False], ids=["tidegate", "another-program"])
def test_running_instance_is_closed_to_the_persons_other_programs_and_leaves_no_dump(
    tmp_path: Path, private: bool
) -> None:
    as_a_person = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    passphrase = {"TIDEGATE_VAULT_KEY": CANARY}
    serve = ["-m", "core", "--data-dir", str(tmp_path / "data"), "--vault", "file", "serve", "--port", "0"]
    other = ["-c", "print('Stop with Ctrl-C.', flush=True); input()"]
    program = subprocess.Popen(
        [*as_a_person, sys.executable, *(serve if private else other)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **passphrase},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    )
    try:
        assert program.stdout
        assert any(b"Stop with" in line for line in iter(program.stdout.readline, b""))
        reader = [*as_a_person, sys.executable, "-c", _MEMORY, str(program.pid)]
        told = subprocess.run(reader, capture_output=True, text=True, check=True, timeout=60).stdout.split()
        _, most = resource.prlimit(program.pid, resource.RLIMIT_CORE)
        if not private:
            resource.prlimit(program.pid, resource.RLIMIT_CORE, (most, most))
        program.send_signal(signal.SIGABRT)
        _, status = os.waitpid(program.pid, 0)
        program.returncode = -signal.SIGABRT
    finally:
        program.kill()
        program.communicate()
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert (told == []) is private
    assert not (private and os.WCOREDUMP(status))
    assert hits(files_below(tmp_path), {"passphrase": CANARY}) == [] or not private
