"""`tidegate import`, from the command line to the vault and to what the account then serves with."""

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from core import app
from core.errors import LoginNeeded, NothingToDo, RefreshFailed, UsageError
from core.model import Account
from core.vault import Vault
from core.wording import TERMS, clock_time
from tests.account_files import SIGN, put, state_of
from tests.fakes import SimulatedAccount, SimulatedProvider, allow, code_shown
from tests.fakes_vault import MemoryBackend
from tests.instance import NOBODY, Instance, instance
from tests.test_cli import Tidegate
from tests.test_import_read import home_of_ada

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0


# --- through the command line, with nobody to ask ---


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Every program, with logins that live for two hours more."""
    home = home_of_ada(tmp_path / "home")
    soon = int(time.time()) + 7_200
    for path in home.rglob("*"):
        if path.suffix == ".json" and path.is_file():
            path.write_bytes(re.sub(rb"\b1767225600(?=\d{3}\b|\b)", str(soon).encode(), path.read_bytes()))
    return home


@pytest.fixture
def tidegate(tmp_path: Path, home: Path) -> Tidegate:
    made = Tidegate(tmp_path / "tidegate")
    made.environ |= {"HOME": str(home), "USERPROFILE": str(home)}
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR"):
        made.environ[name] = ""
    return made


def test_dry_run_tells_everything_and_does_nothing(tidegate: Tidegate, home: Path) -> None:
    before = state_of(home)

    shown = tidegate("import", "--dry-run")

    assert shown.exit_code == 0, shown.output
    assert "Would add work, borrowed from Claude Code: it serves until " in shown.stdout
    assert "or until you sign out there; `tidegate add claude --paste` makes it Tidegate's own" in shown.stdout
    assert "Would add Work 2: OpenCode Go from opencode-go-multi-auth" in shown.stdout
    assert "disabled as it is there" in shown.stdout
    assert "Skipped" in shown.stdout
    assert "account 4: its credential is missing" in shown.stderr
    assert TERMS in shown.stdout
    assert tidegate.json("list") == []
    assert state_of(home) == before
    assert SIGN not in shown.output


def test_import_adds_says_what_is_borrowed_and_a_second_one_has_nothing_to_do(tidegate: Tidegate, home: Path) -> None:
    before = state_of(home)
    planned = tidegate.json("import", "--dry-run")["lines"]

    done = tidegate("import", "--json")
    again = tidegate("import", "--json")

    lines = json.loads(done.stdout)["lines"]
    assert [(line["outcome"], line["label"]) for line in lines] == [(li["outcome"], li["label"]) for li in planned]
    added = [line for line in lines if line["outcome"] == "import"]
    listed = tidegate.json("list")
    assert [view["label"] for view in listed] == [line["label"] for line in added]
    assert {view["label"]: view["borrowed_from"] for view in listed} == {
        line["label"]: line["program"] if line["borrowed"] else "" for line in added
    }
    assert {"Home": False, "Work 2": True}.items() <= {view["label"]: view["enabled"] for view in listed}.items()
    assert "borrowed from" in tidegate("list").stdout
    assert "Claude Code" in tidegate("info", "work").stdout

    outcomes = {line["outcome"] for line in json.loads(again.stdout)["lines"]}
    assert outcomes == {"skip", "problem"}
    assert again.exit_code == 1
    assert tidegate.json("list") == listed
    assert state_of(home) == before


def test_no_token_is_in_any_output_or_file(tidegate: Tidegate, caplog: pytest.LogCaptureFixture) -> None:
    outputs = [tidegate(*words).output for words in (["import", "--dry-run"], ["import"], ["import"], ["list"])]
    outputs += [tidegate(*words, "--json").output for words in (["import"], ["list"], ["status"])]
    files = [path.read_bytes().decode(errors="replace") for path in tidegate.paths.root.rglob("*") if path.is_file()]

    assert len(files) > 2
    assert SIGN not in "".join([*outputs, *files, caplog.text])


def test_one_program_and_one_path_can_be_named(tidegate: Tidegate, home: Path) -> None:
    assert [line["program"] for line in tidegate.json("import", "--from", "opencode", "--dry-run")["lines"]] == [
        "OpenCode",
        "OpenCode",
    ]
    export = put(home / "export.json", "claude-swap-export-encrypted.json")
    encrypted = tidegate("import", str(export))
    assert encrypted.exit_code == 1
    assert encrypted.stderr == f"{export}: it is encrypted; export it without a passphrase\n"

    ended = tidegate("import", str(put(home / "old.json", "cliproxy-claude.json")))
    assert ended.exit_code == 3
    assert ended.stdout.startswith("Skipped grace@example.org from CLIProxyAPI: it ended at ")

    assert tidegate("import", str(export), "--from", "opencode").exit_code == 2
    assert tidegate("import", "--from", "emacs").exit_code == 2
    assert tidegate("import", str(home / "nothing.json")).exit_code == 2


def test_empty_home_is_nothing_to_do(tidegate: Tidegate, tmp_path: Path) -> None:
    tidegate.environ["HOME"] = tidegate.environ["USERPROFILE"] = str(tmp_path / "empty")

    nothing = tidegate("import")

    assert nothing.exit_code == 3
    assert "tidegate import PATH" in nothing.stderr


def test_running_instance_imports_from_where_the_person_is(tidegate: Tidegate, home: Path) -> None:
    options = app.Options(vault=Vault(MemoryBackend()), port=0, environ={"TIDEGATE_ANTHROPIC_API_URL": NOBODY})
    put(home / "moved" / "opencode" / "auth.json", "opencode-auth.json", time.time() + 7_200)
    tidegate.environ["XDG_DATA_HOME"] = str(home / "moved")
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(app.running(tidegate.paths, options)) as core,
    ):
        shown = tidegate("import", "--from", "opencode", "--dry-run")
        accounts = core.engine.pool.accounts

    assert shown.exit_code == 0
    assert "Would add OpenCode Go: OpenCode Go from OpenCode" in shown.stdout
    assert accounts == ()


# --- with a provider that knows the accounts ---


@pytest.fixture
async def here(tmp_path: Path, sim: SimulatedProvider) -> AsyncIterator[Instance]:
    async with instance(tmp_path, sim.endpoints(), sim.clock) as made:
        yield made


async def take(here: Instance, home: Path, **more: Any) -> list[tuple[str, str]]:
    answer = await here.commands.run("import", {"home": str(home), **more})
    return [(line["outcome"], line["text"]) for line in answer["lines"]]


async def lay(home: Path, access: str, refresh: str, ends_at: float, place: str = "opencode") -> None:
    path = anyio.Path(home / ".local" / "share" / place / "auth.json")
    await path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"type": "oauth", "access": access, "refresh": refresh, "expires": int(ends_at * 1000)}
    await path.write_text(json.dumps({"anthropic": entry}))


async def lay_login(home: Path, login: SimulatedAccount, ends_at: float) -> None:
    await lay(home, login.access, login.refresh, ends_at)


def only(here: Instance) -> Account:
    (account,) = here.config.current.accounts
    return account


async def test_login_is_known_by_the_provider_and_serves_until_it_ends(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    ada, ends_at = sim.add_login("Ada"), sim.clock() + 3_600
    await lay_login(tmp_path, ada, ends_at)

    ((outcome, text),) = await take(here, tmp_path)

    account = only(here)
    assert outcome == "import"
    assert f"it serves until {clock_time(ends_at, sim.clock())}" in text
    assert (account.identity.account_uuid, account.identity.organization_uuid) == (
        ada.account_uuid,
        ada.organization_uuid,
    )
    assert (account.label, account.borrowed_from) == (ada.email, "OpenCode")
    assert await here.tokens.secret(account.id) == ada.access
    assert here.tokens.expires_at(account.id) == ends_at


async def test_borrowed_login_is_never_renewed(here: Instance, sim: SimulatedProvider, tmp_path: Path) -> None:
    ada = sim.add_login("Ada")
    await lay_login(tmp_path, ada, sim.clock() + 3_600)
    await take(here, tmp_path)
    account = only(here)

    with pytest.raises(RefreshFailed):
        await here.tokens.refresh(account.id)
    assert await here.tokens.secret(account.id) == ada.access

    assert not [received for received in sim.received if "token" in received.path]
    assert not any(ada.refresh in item for item in here.vault.items.values())


async def test_importing_again_takes_the_newer_token_of_the_same_account_and_never_an_older_one(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    ada = sim.add_login("Ada")
    await lay_login(tmp_path, ada, sim.clock() + 1_800)
    await take(here, tmp_path)
    account = only(here)

    await lay_login(tmp_path, ada, sim.clock() + 3_600)
    ((planned, _),) = await take(here, tmp_path, dry_run=True)
    assert here.tokens.expires_at(account.id) == sim.clock() + 1_800
    ((newer, text),) = await take(here, tmp_path)
    await lay_login(tmp_path, ada, sim.clock() + 900)
    ((older, _),) = await take(here, tmp_path)

    assert (planned, newer, older) == ("update", "update", "skip")
    assert text.startswith(f"Updated {account.label}, borrowed from OpenCode: it serves until ")
    assert here.tokens.expires_at(account.id) == sim.clock() + 3_600
    assert only(here) == account


async def test_own_sign_in_makes_a_borrowed_login_tidegates_own(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    ada = sim.add_login("Ada")
    await lay_login(tmp_path, ada, sim.clock() + 3_600)
    await take(here, tmp_path)

    offer = await here.commands.run("begin_login", {"kind": "claude", "browser": False})
    shown = code_shown((await allow(offer["paste_url"], ada)).text)
    await here.commands.run("paste_login", {"id": offer["id"], "text": shown})

    assert only(here).borrowed_from == ""
    await lay_login(tmp_path, ada, sim.clock() + 300 * 86_400)
    assert await take(here, tmp_path) == [("skip", f"Skipped {ada.email} from OpenCode: it is here already")]


async def test_login_that_is_signed_out_is_told_and_not_added(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    await lay(tmp_path, "sk-ant-oat01-EXAMPLE-revoked", "sk-ant-ort01-EXAMPLE", sim.clock() + 3_600)

    ((outcome, text),) = await take(here, tmp_path)

    assert (outcome, here.labels, here.vault.items) == ("problem", [], {})
    assert "The provider refuses this login" in text
    assert SIGN not in text


async def test_key_that_the_provider_refuses_is_told_and_the_others_are_added(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    good = sim.add_go_key("Go").key
    path = anyio.Path(tmp_path / "go.json")
    entries = [{"apiKey": "sk-nobodys", "label": "Bad"}, {"apiKey": good, "label": "Good", "enabled": False}]
    await path.write_text(json.dumps({"accounts": entries}))

    lines = await take(here, tmp_path, path=str(path))

    assert [outcome for outcome, _ in lines] == ["problem", "import"]
    assert lines[0][1].startswith("Bad from opencode-go-multi-auth was left out: The provider refused this key")
    assert (only(here).label, only(here).enabled) == ("Good", False)
    assert await here.tokens.secret(only(here).id) == good


async def test_locked_keychain_adds_nothing_and_is_told(here: Instance, sim: SimulatedProvider, tmp_path: Path) -> None:
    await lay_login(tmp_path, sim.add_login("Ada"), sim.clock() + 3_600)
    here.lock()

    ((outcome, text),) = await take(here, tmp_path)

    assert (outcome, here.labels) == ("problem", [])
    assert "The keychain is locked" in text


async def test_without_a_name_from_the_provider_the_same_token_is_still_the_same_account(tmp_path: Path) -> None:
    async with instance(tmp_path, clock=lambda: NOW) as offline:
        await lay(tmp_path, "sk-ant-oat01-EXAMPLE-1", "sk-ant-ort01-EXAMPLE-1", NOW + 3_600)
        first = await take(offline, tmp_path)
        again = await take(offline, tmp_path)

        assert [outcome for outcome, _ in first + again] == ["import", "skip"]
        assert only(offline).label == "Claude subscription"


async def test_nothing_anywhere_and_a_wrong_name_are_told(here: Instance, tmp_path: Path) -> None:
    with pytest.raises(NothingToDo):
        await take(here, tmp_path / "empty")
    with pytest.raises(UsageError, match="emacs"):
        await take(here, tmp_path, source="emacs")


async def test_borrowed_login_ends_when_it_ends(tmp_path: Path) -> None:
    now = [NOW]
    async with instance(tmp_path, clock=lambda: now[0]) as offline:
        await lay(tmp_path, "sk-ant-oat01-EXAMPLE-1", "sk-ant-ort01-EXAMPLE-1", NOW + 120)
        await take(offline, tmp_path)
        now[0] += 180

        with pytest.raises(LoginNeeded):
            await offline.tokens.secret(only(offline).id)
