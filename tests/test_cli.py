import json
import os
import pty
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner, Result

from core import __version__, app, threaded
from core.cli import main
from core.files import Paths
from core.model import ProviderLost, ProviderName, Settings, Strategy
from core.vault import Vault
from core.wording import TERMS
from tests.account_files import put
from tests.fakes import SimulatedProvider, allow, code_shown, simulator_in_thread
from tests.fakes_vault import MemoryBackend
from tests.instance import OFFLINE

KEY = "sk-ant-api03-EXAMPLE-0001"
OTHER_KEY = "sk-ant-api03-EXAMPLE-0002"


class Tidegate:
    """`tidegate` on an installation of its own, with nothing running."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder)
        self.environ = {"TIDEGATE_VAULT_KEY": "a passphrase of the tests", "NO_COLOR": "1", "COLUMNS": "120"}
        home = str(folder.parent / "home")  # nobody's accounts are found there
        self.environ |= {"HOME": home, "USERPROFILE": home, "CLAUDE_CONFIG_DIR": ""}
        self.environ |= {"XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", **OFFLINE}
        self.options = ["--data-dir", str(folder), "--vault", "file"]

    def __call__(self, *words: str, input: str = "") -> Result:  # noqa: A002 - as the runner calls it
        result = CliRunner(env=self.environ).invoke(main, [*self.options, *words], input=input)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def at_terminal(self, *words: str, answers: Sequence[tuple[str, str]] = ()) -> tuple[int, str]:
        """Run it as a person does: wait for each prompt, type the answer. Returns exit code and what was shown."""
        ours, theirs = pty.openpty()
        program = subprocess.Popen(
            [sys.executable, "-m", "core.cli", *self.options, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **self.environ},
            start_new_session=True,
        )
        os.close(theirs)
        shown = b""
        waiting = list(answers)
        try:
            while piece := os.read(ours, 1024):
                shown += piece
                if waiting and waiting[0][0].encode() in shown.rpartition(b"\n")[2]:
                    os.write(ours, waiting.pop(0)[1].encode() + b"\n")
        except OSError:  # Linux says EIO when the other side has closed
            pass
        os.close(ours)
        code = program.wait(60)
        assert not waiting, shown
        return code, shown.decode().replace("\r\n", "\n")

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").stdout)


@pytest.fixture
def tidegate(tmp_path: Path) -> Tidegate:
    return Tidegate(tmp_path / "tidegate")


@pytest.fixture
def two(tidegate: Tidegate) -> Tidegate:
    tidegate("add", "api-key", "--label", "Work", input=KEY)
    tidegate("add", "api-key", "--label", "Home", input=OTHER_KEY)
    return tidegate


@pytest.fixture
def core(tidegate: Tidegate) -> Iterator[app.Core]:
    """The same installation, running."""
    options = app.Options(vault=Vault(MemoryBackend()), port=0, environ=OFFLINE)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(app.running(tidegate.paths, options)) as core,
    ):
        yield core


@pytest.fixture
def sim() -> Iterator[SimulatedProvider]:
    with simulator_in_thread() as sim:
        yield sim


def test_help_and_version_load_neither_web_stack_nor_keyring() -> None:
    script = (
        "import sys; from core.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'asyncio', 'starlette', 'httpx', 'keyring', 'anyio', 'rich', 'msgspec', 'sqlite3', 'ssl', 'tray'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)

    assert shown.stdout.endswith("[]\n")
    assert "connect" in shown.stdout


def test_every_command_has_a_line_of_help(tidegate: Tidegate) -> None:
    for name in main.list_commands(click.Context(main)):
        command = main.get_command(click.Context(main), name)
        assert command, name
        assert command.help, name
        assert tidegate(name, "--help").exit_code == 0
    assert tidegate("--version").stdout == f"tidegate, version {__version__}\n"


def test_an_account_is_added_listed_and_described(tidegate: Tidegate) -> None:
    added = tidegate("add", "api-key", "--label", "Work", "--serves", "claude-code", input=f"{KEY}\n")

    assert added.exit_code == 0
    assert "Added Work" in added.stdout
    assert TERMS in added.stdout
    assert KEY not in added.output
    (listed,) = tidegate.json("list")
    assert (listed["label"], listed["kind"], listed["serves"]) == ("Work", "api-key", "claude-code")
    assert "Work" in tidegate("list").stdout
    assert "claude-code" in tidegate("info", "work").stdout
    assert tidegate.json("info", "1")["id"] == listed["id"]


def test_a_key_typed_at_a_terminal_is_not_shown(tidegate: Tidegate) -> None:
    code, shown = tidegate.at_terminal("add", "go", "--label", "Go", answers=[("Key", KEY)])

    assert code == 0
    assert "Added Go" in shown
    assert KEY not in shown


def test_the_same_key_again_is_nothing_to_do(two: Tidegate) -> None:
    again = two("add", "api-key", input=KEY)

    assert again.exit_code == 3
    assert again.stderr.startswith("Error: ")
    assert "Work" in again.stderr


def test_a_key_is_never_an_argument(tidegate: Tidegate) -> None:
    assert tidegate("add", "api-key", KEY).exit_code == 2


def test_a_subscription_is_added_by_pasting_its_code(tidegate: Tidegate, sim: SimulatedProvider) -> None:
    ada = sim.add_login("Ada")
    endpoints = sim.endpoints()
    tidegate.environ |= {
        "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": endpoints.anthropic_authorize_url,
        "TIDEGATE_ANTHROPIC_TOKEN_URL": endpoints.anthropic_token_url,
    }
    ours, theirs = os.pipe()
    program = subprocess.Popen(
        [sys.executable, "-m", "core.cli", *tidegate.options, "add", "claude", "--paste"],
        stdin=ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **tidegate.environ},
        text=True,
    )
    os.close(ours)
    assert program.stderr is not None
    said = []
    while not (line := program.stderr.readline()).startswith("http"):
        assert line, said
        said.append(line)
    with start_blocking_portal("asyncio") as portal:
        page = portal.call(allow, line.strip(), ada)
    os.write(theirs, code_shown(page.text).encode())
    os.close(theirs)
    out, _ = program.communicate(timeout=60)

    assert TERMS in "".join(said)
    assert out == "Added ada@example.org\n"
    assert program.returncode == 0
    assert [view["email"] for view in tidegate.json("list")] == [ada.email]


def test_a_code_that_is_refused_is_told(tidegate: Tidegate, sim: SimulatedProvider) -> None:
    tidegate.environ["TIDEGATE_ANTHROPIC_TOKEN_URL"] = sim.endpoints().anthropic_token_url

    result = tidegate("add", "claude", "--paste", input="ac_made_up")

    assert result.exit_code == 1
    assert "Hint: " in result.stderr


def test_status_says_when_nobody_is_ready(tidegate: Tidegate) -> None:
    empty = tidegate("status")
    assert empty.exit_code == 3
    assert "not running" in empty.stdout
    assert "tidegate add" in empty.stderr
    assert "No account yet" in tidegate("list").stdout

    tidegate("add", "go", input="sk-go")
    assert tidegate("status").exit_code == 0
    assert tidegate.json("status")["accounts"][0]["label"] == "OpenCode Go"

    tidegate("disable", "all")
    assert tidegate("status").exit_code == 3


def test_accounts_are_renamed_switched_ordered_and_removed(two: Tidegate) -> None:
    assert two("rename", "Work", "Job").stdout == "Work is now called Job\n"
    assert two("disable", "Job").stdout == "Job is disabled\n"
    assert two("enable", "all").stdout == "Job is enabled\n"
    assert two("order", "Home").stdout == "The order is now Home, Job\n"
    assert [view["label"] for view in two.json("list")] == ["Home", "Job"]

    assert two("remove", "Job", input="n\n").exit_code == 1
    assert two("remove", "Job", input="y\n").exit_code == 0
    assert two("remove", "--yes", "Home").stdout.startswith("Removed Home. The key itself stays valid")
    assert two.json("list") == []


def test_reset_serves_and_plan_limits_say_what_they_did(two: Tidegate) -> None:
    assert two("reset", "all").stdout == "Nothing is held against Work, Home any more\n"
    assert two("serves", "Work", "claude-code").stdout == "Work serves Claude Code only\n"
    assert two("serves", "Work", "claude-code").exit_code == 3
    assert two("serves", "Work", "emacs").exit_code == 2
    assert two("plan-limits", "Work", "on").exit_code == 2
    assert two("plan-limits", "Work", "perhaps").exit_code == 2
    assert "What was read of its quota stays" in " ".join(two("reset", "--help").stdout.split())


# --- at a terminal ---


@pytest.fixture
def signed_in(tidegate: Tidegate, sim: SimulatedProvider) -> Tidegate:
    """With Ada's login, which is Tidegate's own."""
    endpoints = sim.endpoints()
    tidegate.environ |= {
        "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": endpoints.anthropic_authorize_url,
        "TIDEGATE_ANTHROPIC_TOKEN_URL": endpoints.anthropic_token_url,
        "TIDEGATE_ANTHROPIC_API_URL": endpoints.anthropic_api_url,
    }
    ada = sim.add_login("Ada")
    options = app.Options(vault="file", environ=tidegate.environ)
    with start_blocking_portal("asyncio") as portal, threaded.alone_in_thread(tidegate.paths, options) as order:
        offer = order("begin_login", {"browser": False, "label": "Ada"})
        page = portal.call(allow, offer["paste_url"], ada)
        order("paste_login", {"id": offer["id"], "text": code_shown(page.text)})
    return tidegate


@pytest.mark.parametrize(("answer", "ended"), [("y", True), ("", False)])
def test_remove_asks_whether_to_end_the_login(
    signed_in: Tidegate, sim: SimulatedProvider, answer: str, ended: bool
) -> None:
    code, shown = signed_in.at_terminal(
        "remove", "Ada", answers=[("delete its credential?", "y"), ("at the provider too?", answer)]
    )

    assert code == 0, shown
    assert ("Its login was ended at the provider" in shown) is ended
    assert any(received.path == "/v1/oauth/revoke" for received in sim.received) is ended
    assert signed_in.json("list") == []


@pytest.mark.parametrize(("words", "ended"), [(["--yes"], False), (["--yes", "--revoke"], True)])
def test_script_ends_a_login_only_when_it_says_so(
    signed_in: Tidegate, sim: SimulatedProvider, words: list[str], ended: bool
) -> None:
    assert signed_in("remove", "Ada", *words).exit_code == 0
    assert any(received.path == "/v1/oauth/revoke" for received in sim.received) is ended


def test_what_info_shows_of_a_login_is_never_the_token(signed_in: Tidegate, sim: SimulatedProvider) -> None:
    (ada,) = sim.accounts
    shown = signed_in("info", "Ada").stdout

    for said in (ada.account_uuid, ada.organization_uuid, "Claude subscription (max 5x)", "generation 1", "ends at"):
        assert said in shown
    assert ada.access not in shown + json.dumps(signed_in.json("info", "Ada"))


def test_what_could_be_imported_is_said_before_the_first_account(tidegate: Tidegate) -> None:
    put(Path(tidegate.environ["HOME"]) / ".config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json")
    offer = "Found 2 accounts of opencode-go-multi-auth: `tidegate import` takes them over"

    listed, status = tidegate("list").stdout, tidegate("status").stdout
    _, adding = tidegate.at_terminal("add", "go", answers=[("Key", "sk-other")])
    _, more = tidegate.at_terminal("add", "api-key", answers=[("Key", KEY)])

    assert offer in listed
    assert offer in status
    assert adding.startswith(offer)
    assert offer not in more + tidegate("list").stdout


def test_a_pin_outlives_the_command(two: Tidegate) -> None:
    before = time.time()
    assert two("pin", "Home", "--for", "1h30m").stdout == "Home serves for 1 h 30 min\n"
    pinned = {view["label"]: view["pinned_until_at"] for view in two.json("list") if view["pinned"]}
    assert pinned.keys() == {"Home"}
    assert pinned["Home"] == pytest.approx(before + 5_400, abs=60)

    assert two("use", "Work").exit_code == 0
    assert [view["label"] for view in two.json("list") if view["pinned"]] == ["Work"]
    assert two("unpin").exit_code == 0
    assert two("unpin", "Work").exit_code == 3


def test_a_pause_outlives_the_command(two: Tidegate) -> None:
    assert two("resume").exit_code == 3
    assert two("pause", "--for", "1h").stdout == "Paused for 1 h 00 min: nothing is let through\n"

    assert "Paused until" in two("status").stdout
    assert two("explain").stdout.startswith("Paused until")
    assert two("resume").stdout == "Resumed: requests are let through\n"
    assert "Paused" not in two("status").stdout


def test_status_says_that_failover_is_off(two: Tidegate) -> None:
    two("config", "set", "failover", "off")

    assert "Failover is off: when an account cannot serve, you switch" in two("status").stdout


@pytest.mark.parametrize("text", ["", "1", "h", "1x", "-1h", "1.5h", "9999999h"])
def test_a_duration_that_does_not_read_is_a_usage_error(tidegate: Tidegate, text: str) -> None:
    result = tidegate("pin", "Work", "--for", text)

    assert result.exit_code == 2
    assert "is no duration" in result.stderr


def test_settings_are_shown_and_changed(tidegate: Tidegate) -> None:
    assert tidegate("config", "get", "port").stdout == "8433\n"
    assert tidegate("config", "set", "port", "9000").exit_code == 0
    assert "port = 9000" in tidegate("config", "get").stdout
    assert tidegate.json("config", "get")["port"] == "9000"
    bad = tidegate("config", "set", "port", "many")
    assert bad.exit_code == 2
    assert "1 to 65535" in bad.stderr

    cut = tidegate("config", "set", "token_bucket.max_tokens", "5000")
    assert cut.stdout == "token_bucket.max_tokens is now 1000.0; the nearest from 1 to 1000\n"


def test_strategies_are_listed_and_chosen(tidegate: Tidegate) -> None:
    listed = tidegate("strategy").stdout
    assert all(f"{name} " in listed for name in Strategy)
    assert f"*  {Settings().strategy} " in listed
    assert tidegate.json("strategy")["strategy"] == Settings().strategy
    assert tidegate.json("strategy")["strategies"].keys() == set(Strategy)

    assert tidegate("strategy", "sticky").exit_code == 0
    assert tidegate("strategy", "sticky").exit_code == 3
    assert "*  sticky " in tidegate("strategy").stdout
    assert tidegate("strategy", "best").exit_code == 2


def test_who_is_next_is_explained(two: Tidegate) -> None:
    two("disable", "Work")

    shown = two("explain", "--model", "claude-opus-5-5")

    assert shown.stdout.splitlines() == [
        "Anthropic, strategy balanced",
        "Next: Home - paid by use; no plan can serve",
        "Not:  Work - disabled",
    ]
    (line,) = two.json("explain", "--provider", "anthropic")["lines"]
    assert [turn["label"] for turn in line["turns"]] == ["Home", "Work"]
    assert two("explain", "--provider", "opencode-go").exit_code == 3
    assert two("explain", "--provider", "nobody").exit_code == 2


def test_what_happened_is_told_with_and_without_a_running_instance(tidegate: Tidegate) -> None:
    assert "Nothing has happened yet" in tidegate("history").stdout
    options = app.Options(vault=Vault(MemoryBackend()), port=0, environ=OFFLINE)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(app.running(tidegate.paths, options)) as core,
    ):
        for number in range(3):
            portal.call(core.bus.publish, ProviderLost(ProviderName.ANTHROPIC, f"trouble {number}"))
        running = tidegate("history", "-n", "2").stdout

    assert [line.split("  ")[-1] for line in running.splitlines()] == [
        "Anthropic could not be reached: trouble 2",
        "Anthropic could not be reached: trouble 1",
    ]
    assert [entry["kind"] for entry in tidegate.json("history")["entries"]] == ["ProviderLost"] * 3
    assert tidegate("history", "-n", "0").exit_code == 2


def test_an_account_is_muted(two: Tidegate) -> None:
    assert two("mute", "Work", "on").stdout.startswith("Work is muted")
    assert [view["muted"] for view in two.json("list")] == [True, False]
    assert two("mute", "Work", "on").exit_code == 3
    assert two("mute", "Work", "off").exit_code == 0


def test_an_unknown_account_is_a_usage_error_with_the_candidates(two: Tidegate) -> None:
    result = two("info", "Garage")

    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == "Error: There is no account 'Garage'"
    assert "Work" in result.stderr
    assert "Traceback" not in result.output


def test_a_bad_variable_is_told_by_name(tidegate: Tidegate) -> None:
    tidegate.environ["TIDEGATE_PORT"] = "many"

    result = tidegate("list")

    assert result.exit_code == 2
    assert "TIDEGATE_PORT" in result.stderr


def test_without_a_passphrase_the_file_vault_refuses(tidegate: Tidegate) -> None:
    del tidegate.environ["TIDEGATE_VAULT_KEY"]

    result = tidegate("list")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_token_and_connect_give_the_same_key(tidegate: Tidegate) -> None:
    tidegate("config", "set", "port", "9000")
    key = tidegate("token").stdout.strip()

    claude = tidegate("connect", "claude-code", "--print")
    opencode = tidegate("connect", "opencode", "--print")

    assert json.loads(claude.stdout)["env"] == {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9000",
        "ANTHROPIC_AUTH_TOKEN": key,
    }
    assert json.loads(opencode.stdout)["provider"]["anthropic"]["options"]["apiKey"] == key
    assert "~/.claude/settings.json" in claude.stderr
    assert tidegate("connect", "emacs", "--print").exit_code == 2


def test_connect_shows_what_it_would_change_asks_and_can_be_undone(tidegate: Tidegate) -> None:
    settings = Path(tidegate.environ["HOME"], ".claude", "settings.json")
    settings.parent.mkdir(parents=True)
    settings.write_text('{"model": "opus"}')

    shown = tidegate("connect", "claude-code", "--dry-run").stdout
    assert shown.startswith(f"{settings}:\n  env.ANTHROPIC_BASE_URL: not set -> ")
    assert "env.ANTHROPIC_AUTH_TOKEN: not set -> a key" in shown
    assert tidegate("connect", "claude-code", input="n\n").exit_code == 1
    assert settings.read_text() == '{"model": "opus"}'

    done = tidegate("connect", "claude-code", input="y\n")
    key = json.loads(settings.read_text())["env"]["ANTHROPIC_AUTH_TOKEN"]
    assert "Claude Code is connected. Undo: tidegate undo claude-code" in done.stdout
    assert "Nothing answers at" in done.stderr
    assert key not in done.output
    assert key != tidegate("token").stdout.strip()
    listed = {program["client"]: program for program in tidegate.json("connect")}
    assert (listed["claude-code"]["state"], listed["claude-code"]["file"]) == ("connected", str(settings))
    assert (listed["opencode"]["state"], listed["opencode"]["key_setting"]) == ("not connected", "")

    assert tidegate("undo").stdout == "Claude Code has its settings back\n"
    assert settings.read_text() == '{"model": "opus"}'
    nothing = tidegate("undo")
    assert (nothing.exit_code, nothing.stdout) == (3, "")
    assert nothing.stderr == "Error: No program is connected\nHint: See `tidegate connect`.\n"


def test_a_connected_program_has_a_key_of_its_own_until_it_is_undone(tidegate: Tidegate, core: app.Core) -> None:
    settings = Path(tidegate.environ["HOME"], ".claude", "settings.json")

    done = tidegate("connect", "claude-code", "--yes")
    key = json.loads(settings.read_text())["env"]["ANTHROPIC_AUTH_TOKEN"]

    def answer() -> int:
        return httpx.get(f"{core.engine.address}/v1/models", headers={"x-api-key": key}, trust_env=False).status_code

    assert done.stderr == ""
    assert answer() == 403  # it is let in, and there is no account
    tidegate("undo", "claude-code")
    assert answer() == 401
    assert not settings.exists()


def test_tools_and_status_line_are_added_kept_and_undone_with_their_program(tidegate: Tidegate) -> None:
    home = Path(tidegate.environ["HOME"])
    settings, state = home / ".claude" / "settings.json", home / ".claude.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"statusLine": {"type": "command", "command": "mine"}}')

    shown = tidegate("connect", "claude-code", "--mcp", "--statusline", "--dry-run").stdout
    assert [file in shown for file in (f"{settings}:", f"{state}:")] == [True, True]
    assert "mcpServers.tidegate: not set -> " in shown
    assert "Note: A status line of your own rests meanwhile." in shown
    assert not state.exists()

    tidegate("connect", "claude-code", "--mcp", "--statusline", "--yes")
    tidegate("connect", "claude-code", "--yes")  # anew, with what was added
    line = shlex.split(json.loads(settings.read_text())["statusLine"]["command"])
    assert line[-3:] == ["--data-dir", str(tidegate.paths.root), "statusline"]
    done = subprocess.run(line, input=b"", capture_output=True, env=tidegate.environ, timeout=60, check=True)
    assert done.stdout == b"Tidegate is not running\n"
    server = json.loads(state.read_text())["mcpServers"]["tidegate"]
    assert [server["command"], *server["args"][:-1]] == line[:-1]
    (claude, *_) = tidegate.json("connect")
    assert (claude["state"], claude["additions"]) == ("connected", ["mcp", "statusline"])
    listed = [line.strip() for line in tidegate("connect").stdout.splitlines()]
    assert listed[:2] == [
        "claude-code    connected, with mcp and statusline",
        "~/.claude/settings.json: env.ANTHROPIC_AUTH_TOKEN",
    ]

    assert tidegate("undo").exit_code == 0
    assert settings.read_text() == '{"statusLine": {"type": "command", "command": "mine"}}'
    assert not state.exists()


def test_what_a_program_cannot_have_is_refused_and_can_be_printed_for_those_that_can(tidegate: Tidegate) -> None:
    refused = tidegate("connect", "opencode", "--mcp", "--statusline")
    assert (refused.exit_code, "OpenCode cannot have --statusline" in refused.stderr) == (2, True)
    assert "That is for claude-code." in refused.stderr

    printed = tidegate("connect", "opencode", "--mcp", "--print")
    assert '"mcp": {' in printed.stdout
    assert printed.stderr.count("it contains the local key") == 1


def test_undo_needs_no_keychain(tidegate: Tidegate) -> None:
    tidegate("connect", "claude-code", "--yes")
    tidegate.environ.pop("TIDEGATE_VAULT_KEY")

    done = tidegate("undo")

    assert done.exit_code == 0
    assert "Its key stays good" in done.stderr
    assert not Path(tidegate.environ["HOME"], ".claude", "settings.json").exists()


def test_run_starts_one_program_and_ends_as_it_does(tidegate: Tidegate, capfd: pytest.CaptureFixture[str]) -> None:
    program = "import os, sys; print(os.environ['ANTHROPIC_AUTH_TOKEN']); sys.exit(int(sys.argv[1]))"

    done = tidegate("run", "--", sys.executable, "-c", program, "5")

    assert done.exit_code == 5
    assert capfd.readouterr().out == tidegate("token").stdout


def test_orders_go_to_the_running_instance(tidegate: Tidegate, core: app.Core) -> None:
    tidegate.environ.pop("TIDEGATE_VAULT_KEY")  # it would refuse to be alone

    assert tidegate("add", "go", "--label", "Go", input="sk-go").exit_code == 0
    assert [state.account.label for state in core.engine.pool.accounts] == ["Go"]
    assert f"running at {core.engine.address}" in tidegate("status").stdout
    assert tidegate("unpin").exit_code == 3
    assert tidegate("info", "nobody").exit_code == 2
    assert core.engine.address in tidegate("connect", "opencode", "--print").stdout


def test_serve_runs_until_it_is_asked_to_end_and_takes_orders_meanwhile(tidegate: Tidegate) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "core.cli", *tidegate.options, "serve", "--port", "0"],
        env={**os.environ, **tidegate.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    try:
        first = program.stdout.readline()
        assert tidegate("add", "go", "--label", "Go", input="sk-go").exit_code == 0
        status = tidegate("status")
        second = tidegate("serve")
    finally:
        program.terminate()
        program.communicate(timeout=60)

    assert "http://127.0.0.1:" in first
    assert "running at" in status.stdout
    assert (second.exit_code, second.stderr.splitlines()[0][:23]) == (1, "Error: Another Tidegate")
    assert program.returncode == 0
    assert [view["label"] for view in tidegate.json("list")] == ["Go"]


def test_a_config_that_was_broken_is_told_and_the_accounts_are_there(two: Tidegate) -> None:
    two.paths.config.write_text("{ oops")
    program = subprocess.Popen(
        [sys.executable, "-m", "core.cli", *two.options, "serve", "--port", "0"],
        env={**os.environ, **two.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    try:
        said = program.stdout.readline() + program.stdout.readline()
        labels = [view["label"] for view in two.json("list")]
    finally:
        program.terminate()
        program.communicate(timeout=60)

    assert "config.json.broken-1" in said
    assert labels == ["Work", "Home"]


def test_without_a_desktop_the_tray_points_to_serve(tidegate: Tidegate) -> None:
    desktop = {"DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"}
    shown = subprocess.run(
        [sys.executable, "-m", "core.cli", *tidegate.options],
        env={name: value for name, value in os.environ.items() if name not in desktop} | tidegate.environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert shown.returncode == 1
    assert "tidegate serve" in shown.stderr


def test_a_console_without_utf8_does_not_crash(two: Tidegate) -> None:
    two("rename", "Work", "Büro → 1")
    for encoding in ("ascii", "cp1252"):
        shown = subprocess.run(
            [sys.executable, "-m", "core.cli", *two.options, "status"],
            env={**os.environ, **two.environ, "PYTHONIOENCODING": encoding},
            check=True,
            capture_output=True,
            timeout=60,
        )
        assert b"ro ? 1" in shown.stdout
