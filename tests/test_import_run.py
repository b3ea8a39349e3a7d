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
from core.errors import LoginNeeded, NothingToDo, RefreshFailed, TidegateError, UsageError
from core.import_run import wanted
from core.imports import tidegate as tidegate_export
from core.known import identity_of
from core.model import Account, AccountId, ApiKey, Credential, OAuthTokens, Serves, Settings, SignIn, Strategy
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


# --- exports of Tidegate ---


PASSPHRASE = "correct horse battery"


async def write_export(path: Path, held: list[tuple[Account, Credential | None]], **settings: str) -> str:
    await anyio.Path(path).write_text(json.dumps(tidegate_export.document(held, settings, NOW)))
    return str(path)


def exported(simulated: SimulatedAccount, **more: Any) -> Account:
    return Account(AccountId("x"), simulated.label, simulated.kind, simulated.identity, **more)


async def test_exported_account_comes_with_what_the_person_chose(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    ada, team = sim.add_login("Ada"), sim.add_api_key("Team")
    key = Account(AccountId("y"), "Team", team.kind, identity_of(team.key), enabled=False, muted=True)
    login = exported(ada, serves=Serves.CLAUDE_CODE, plan_limits_only=True)
    path = await write_export(tmp_path / "e.json", [(login, ada.credential), (key, ApiKey(team.key))])

    lines = await take(here, tmp_path, path=path)

    first, second = here.config.current.accounts
    assert [outcome for outcome, _ in lines] == ["import", "import"]
    assert (first.label, first.serves, first.plan_limits_only) == ("Ada", Serves.CLAUDE_CODE, True)
    assert (second.label, second.enabled, second.muted) == ("Team", False, True)
    assert second.identity.organization_uuid == team.organization_uuid
    assert await here.tokens.secret(second.id) == team.key


async def test_exported_login_is_borrowed_and_never_renewed(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    ada = sim.add_login("Ada")
    path = await write_export(tmp_path / "e.json", [(exported(ada), ada.credential)])

    await take(here, tmp_path, path=path)

    assert only(here).borrowed_from == "another Tidegate"
    assert await here.tokens.secret(only(here).id) == ada.access
    with pytest.raises(RefreshFailed):
        await here.tokens.refresh(only(here).id)
    assert not any(ada.refresh in item for item in here.vault.items.values())


async def test_account_without_its_credential_waits_and_signing_in_completes_it(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    ada = sim.add_login("Ada")
    path = await write_export(tmp_path / "e.json", [(exported(ada, serves=Serves.CLAUDE_CODE), None)])

    ((outcome, text),) = await take(here, tmp_path, path=path)
    again = await take(here, tmp_path, path=path)
    offer = await here.commands.run("begin_login", {"kind": "claude", "browser": False})
    shown = code_shown((await allow(offer["paste_url"], ada)).text)
    await here.commands.run("paste_login", {"id": offer["id"], "text": shown})

    assert (outcome, text) == (
        "import",
        "Added Ada: Claude subscription from Tidegate's export; sign in to let it serve",
    )
    assert [outcome for outcome, _ in again] == ["skip"]
    assert (only(here).label, only(here).serves) == ("Ada", Serves.CLAUDE_CODE)
    assert here.engine.pool.accounts[0].sign_in is SignIn.OK


async def test_login_that_was_signed_out_meanwhile_comes_without_it(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    ada = sim.add_login("Ada")
    gone = OAuthTokens("sk-ant-oat01-EXAMPLE-gone", "", sim.clock() + 3_600)
    path = await write_export(tmp_path / "e.json", [(exported(ada), gone)])

    await take(here, tmp_path, path=path)

    assert (only(here).label, only(here).borrowed_from, here.vault.items) == ("Ada", "", {})
    assert here.engine.pool.accounts[0].sign_in is SignIn.NEEDED


async def test_waiting_account_takes_its_login_from_another_program(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    ada = sim.add_login("Ada")
    await take(here, tmp_path, path=await write_export(tmp_path / "e.json", [(exported(ada), None)]))
    await lay_login(tmp_path, ada, sim.clock() + 3_600)

    ((outcome, _),) = await take(here, tmp_path)

    assert outcome == "update"
    assert (only(here).label, only(here).borrowed_from) == ("Ada", "OpenCode")
    assert await here.tokens.secret(only(here).id) == ada.access
    assert here.engine.pool.accounts[0].sign_in is SignIn.OK


async def test_settings_that_nobody_changed_here_are_taken_over_at_once(
    here: Instance, sim: SimulatedProvider, tmp_path: Path
) -> None:
    await here.commands.run("config_set", {"key": "hold_s", "text": "5"})
    told = {"strategy": "sticky", "hold_s": "30.0", "notifications": "perhaps", "port": "1", "no_such": "x"}
    path = await write_export(tmp_path / "e.json", [(exported(sim.add_login("Ada")), None)], **told)

    planned = await take(here, tmp_path, path=path, dry_run=True)
    assert here.engine.pool.strategy is not Strategy.STICKY
    lines = await take(here, tmp_path, path=path)
    again = await take(here, tmp_path, path=path)

    assert planned[-1] == ("settings", "Would take over strategy sticky")
    assert lines[-1] == ("settings", "Took over strategy sticky")
    assert again[-1] == ("skip", "Settings stay as they are here")
    assert here.engine.pool.strategy is Strategy.STICKY
    assert (here.config.current.settings.hold_s, here.config.current.settings.port) == (5.0, 8433)


async def test_sealed_export_asks_for_its_passphrase_and_a_wrong_one_changes_nothing(
    here: Instance, tmp_path: Path
) -> None:
    path = str(put(tmp_path / "e.json", "tidegate-export-sealed.json"))

    asked = await here.commands.run("import", {"home": str(tmp_path), "path": path})
    with pytest.raises(TidegateError, match="does not open"):
        await take(here, tmp_path, path=path, passphrase="incorrect horse")
    assert here.labels == []
    lines = await take(here, tmp_path, path=path, passphrase=PASSPHRASE, dry_run=True)

    assert (asked["sealed"], list(asked["lines"])) == (True, [])
    assert [outcome for outcome, _ in lines] == ["import", "import", "import", "settings"]


def test_only_settings_that_can_be_set_are_wanted() -> None:
    here = Settings(hold_s=5.0)

    assert wanted({"strategy": "sticky", "hold_s": "7", "log": "loud", "x": "y"}, here) == {"strategy": "sticky"}
    assert wanted({"strategy": str(here.strategy)}, here) == {}


def test_whole_installation_moves_with_its_keys(tidegate: Tidegate, tmp_path: Path) -> None:
    for label, kind, key in (("Team", "api-key", "sk-ant-api03-EXAMPLE-1"), ("Go", "go", "sk-EXAMPLE-2")):
        tidegate("add", kind, "--label", label, input=key)
    tidegate("order", "Go")
    tidegate("disable", "Team")
    tidegate("serves", "Team", "claude-code")
    path = tmp_path / "moved.json"

    done = tidegate("export", str(path), "--with-credentials", input=f"{PASSPHRASE}\n")
    there = Tidegate(tmp_path / "there")
    there.environ = tidegate.environ
    refused = there("import", str(path), input="not the passphrase")
    moved = there("import", str(path), input=f"{PASSPHRASE}\n")
    again = there("import", str(path), input=PASSPHRASE)

    assert done.exit_code == 0, done.output
    assert (refused.exit_code, refused.stderr.splitlines()[0]) == (
        1,
        "Error: This passphrase does not open moved.json",
    )
    assert moved.exit_code == 0, moved.output
    assert again.exit_code == 3
    kept = ("label", "kind", "enabled", "serves")
    assert [[view[name] for name in kept] for view in there.json("list")] == [
        [view[name] for name in kept] for view in tidegate.json("list")
    ]
    assert there("add", "go", input="sk-EXAMPLE-2").exit_code == 3
    assert SIGN not in done.output + refused.output + moved.output + path.read_text()
