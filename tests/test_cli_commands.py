"""Every command, with Tidegate running and without: it ends, says what came of it, prints what its reader can read."""

import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner, Result

from core import app
from core.cli import main
from core.files import Paths
from core.vault import Vault
from tests.fakes_vault import MemoryBackend
from tests.instance import OFFLINE

OK, ERROR, USAGE, NOTHING = 0, 1, 2, 3
KEY = "sk-ant-api03-EXAMPLE-000"
PYTHON = sys.executable


@dataclass(frozen=True)
class Row:
    """One command line and the exit code that it ends with; `alone` when another without a running Tidegate."""

    words: str
    code: int = OK
    alone: int | None = None
    json: bool = False
    """Whether standard output is JSON."""
    stdin: str = ""
    says_more: bool = False
    """Whether it tells the person more on standard error than one line of error and hint."""
    more: tuple[str, ...] = ()
    """Words with spaces, or that are known only then."""

    def code_when(self, *, running: bool) -> int:
        return self.code if running or self.alone is None else self.alone


ROWS = (
    # In this order: some rows undo what others did.
    Row("--help"),
    Row("--version"),
    Row("frobnicate", USAGE, says_more=True),
    Row("list", OK),
    Row("list --json", json=True),
    Row("status", NOTHING),
    Row("status --json", NOTHING, json=True),
    Row("info 1", USAGE),
    Row("add", USAGE, says_more=True),
    Row("add api-key --label Work", stdin=f"{KEY}1\n"),
    Row("add api-key --label Home", stdin=f"{KEY}2\n"),
    Row("add go --label Spare", stdin="sk-go-example\n"),
    Row("add api-key --label Work", USAGE, stdin=f"{KEY}3\n"),
    Row("list"),
    Row("list --json", json=True),
    Row("status"),
    Row("status --json", json=True),
    Row("info Work"),
    Row("info Work --json", json=True),
    Row("info nobody", USAGE),
    Row("info nobody --json", USAGE),
    Row("explain"),
    Row("explain --json", json=True),
    Row("explain --provider nobody", USAGE, says_more=True),
    Row("history"),
    Row("history --json", json=True),
    Row("history --requests"),
    Row("history -n 0", USAGE, says_more=True),
    Row("usage"),
    Row("usage --plot"),
    Row("usage --json", json=True),
    Row("usage --days 0", USAGE, says_more=True),
    Row("token"),
    Row("rename Home Cottage"),
    Row("rename Cottage Cottage", NOTHING),
    Row("rename Cottage Work", USAGE),
    Row("disable Cottage"),
    Row("disable Cottage", NOTHING),
    Row("pin Cottage", USAGE),
    Row("enable all"),
    Row("enable all", NOTHING),
    Row("pin Work --for 1h"),
    Row("pin Work --for soon", USAGE, says_more=True),
    Row("use Cottage"),
    Row("unpin"),
    Row("unpin", NOTHING),
    Row("order Cottage Work"),
    Row("order Cottage Work", NOTHING),
    Row("order Cottage Cottage", USAGE),
    Row("strategy"),
    Row("strategy --json", json=True),
    Row("strategy sticky"),
    Row("strategy sticky", NOTHING),
    Row("strategy magic", USAGE),
    Row("pause --for 30m"),
    Row("resume"),
    Row("resume", NOTHING),
    Row("serves Work claude-code"),
    Row("serves Work claude-code", NOTHING),
    Row("serves Work nobody", USAGE, says_more=True),
    Row("plan-limits Work on", USAGE),
    Row("mute Work on"),
    Row("mute Work on", NOTHING),
    Row("refresh all", NOTHING),
    Row("reset all"),
    Row("config get"),
    Row("config get --json", json=True),
    Row("config get port"),
    Row("config get nothing", USAGE),
    Row("config set hold_s 5"),
    Row("config set hold_s 5", NOTHING),
    Row("config set nothing 5", USAGE),
    Row("config set hold_s -5", USAGE),
    Row("config set health_score.rate_limit_penalty -12"),
    Row("config", USAGE, says_more=True),
    Row("connect"),
    Row("connect --json", json=True),
    Row("connect emacs", USAGE, says_more=True),
    Row("connect claude-code --json", USAGE),
    Row("connect claude-code --dry-run"),
    Row("connect claude-code --print", json=True, says_more=True),
    Row("connect claude-code --yes --mcp --statusline", says_more=True),
    Row("connect"),
    Row("undo opencode", NOTHING),
    Row("undo"),
    Row("undo", NOTHING),
    Row("run", USAGE, says_more=True),
    Row("run --", more=(PYTHON, "-c", "raise SystemExit(0)"), says_more=True),
    Row("run -- /no/such/program", ERROR, says_more=True),
    Row("doctor", ERROR),
    Row("doctor --json", ERROR, json=True),
    Row("doctor --report", ERROR),
    Row("logs"),
    Row("logs --json -n 3"),
    Row("completion zsh"),
    Row("completion tcsh", USAGE, says_more=True),
    Row("dashboard", alone=ERROR),
    Row("statusline", stdin="{}"),
    Row("mcp"),
    Row("autostart", USAGE, says_more=True),
    Row("autostart status"),
    Row("autostart status --json", json=True),
    Row("autostart on"),
    Row("autostart off"),
    Row("autostart off", NOTHING),
    Row("import --dry-run --yes", NOTHING),
    Row("import --dry-run --json", NOTHING),
    Row("import /no/such/file --yes", USAGE),
    Row("export", json=True, says_more=True),
    Row("export --json", USAGE, says_more=True),
    Row("remove Spare --yes"),
    Row("remove Spare --yes", USAGE),
    Row("demo --frobnicate", USAGE, says_more=True),  # tests/test_demo_run.py plays it
    Row("serve --port 70000", USAGE, says_more=True),
    Row("serve --port", ERROR, more=("TAKEN",), says_more=True),
)


def test_the_table_has_every_command() -> None:
    context = click.Context(main)
    asked = {tuple(row.words.split()[:2]) for row in ROWS}
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        inner = command.list_commands(context) if isinstance(command, click.Group) else ()
        for words in [(name, sub) for sub in inner] or [(name,)]:
            interactive = {("add", "claude"), ("add", "console")}  # tests/test_cli.py signs in
            assert words in interactive or any(line[: len(words)] == words for line in asked), words


def problems(row: Row, done: Result, *, running: bool) -> Iterator[str]:
    """What is wrong with what a command printed and how it ended."""
    code = row.code_when(running=running)
    if done.exception and not isinstance(done.exception, SystemExit):
        yield f"{done.exception!r}"
    if done.exit_code != code:
        yield f"ends with {done.exit_code}, not {code}: {done.output}"
    for name, printed in (("output", done.stdout_bytes), ("errors", done.stderr_bytes)):
        if not printed.isascii() or any(byte < ord(" ") and byte not in b"\n\t" for byte in printed):
            yield f"{name} that an ASCII console cannot show: {printed!r}"
    if row.json:
        try:
            json.loads(done.stdout)
        except ValueError as exc:
            yield f"no JSON: {exc}: {done.stdout}"
    errors = done.stderr.splitlines()
    if not row.says_more and code == OK and errors:
        yield f"complains: {done.stderr}"
    told = [line.partition(" ")[0] for line in errors]
    if not row.says_more and code in {USAGE, NOTHING} and told not in (["Error:"], ["Error:", "Hint:"], []):
        yield f"says more than one clear line: {done.stderr}"


@pytest.fixture(params=[True, False], ids=["running", "alone"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[bool]:
    """Whether the installation in `tmp_path` runs meanwhile."""
    if not request.param:
        yield False
        return
    options = app.Options(vault=Vault(MemoryBackend()), port=0, environ=OFFLINE)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(app.running(Paths(tmp_path / "tidegate"), options)),
    ):
        yield True


def test_every_command_ends_with_its_code_and_prints_what_its_reader_can_read(tmp_path: Path, *, running: bool) -> None:
    home = str(tmp_path / "home")
    environ = {
        **OFFLINE,
        "TIDEGATE_VAULT_KEY": "a passphrase of the tests",
        "NO_COLOR": "1",
        "COLUMNS": "80",
        "HOME": home,
        "USERPROFILE": home,
        "PATH": "/no/programs",  # no browser is opened and no service is asked
        "DISPLAY": "",
        **dict.fromkeys(("CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CONFIG_DIRS"), ""),
    }
    wrong = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for row in ROWS:
            words = [*row.words.split(), *row.more]
            words = [str(taken.getsockname()[1]) if word == "TAKEN" else word for word in words]
            done = CliRunner(charset="ascii", env=environ).invoke(
                main, ["--data-dir", str(tmp_path / "tidegate"), "--vault", "file", *words], input=row.stdin
            )
            wrong += [f"{row.words}: {problem}" for problem in problems(row, done, running=running)]

    assert not wrong, "\n".join(wrong)
