"""`tidegate export`, and what `tidegate import` makes of it elsewhere."""

import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core import config, export
from core.config import Config
from core.errors import NothingToDo, TidegateError, UsageError, VaultError
from core.files import Paths
from core.import_plan import Import, plan
from core.import_read import Where, below
from core.imports import tidegate
from core.imports.found import Document
from core.known import identity_of
from core.model import (
    Account,
    AccountId,
    AccountKind,
    ApiKey,
    Credential,
    Identity,
    OAuthTokens,
    Serves,
    Settings,
    Strategy,
)
from core.sealing import unseal
from core.vault import open_vault

pytestmark = pytest.mark.anyio

NOW = 1_767_225_600.0
PASSPHRASE = "correct horse battery"
ENVIRON = {"TIDEGATE_VAULT_KEY": "a passphrase of the tests"}
WORK = Account(
    AccountId("a1"),
    "Work",
    AccountKind.CLAUDE,
    Identity("ada", "org", "ada@example.org", "max"),
    serves=Serves.CLAUDE_CODE,
    plan_limits_only=True,
)
BORROWED = Account(AccountId("b2"), "Home", AccountKind.CLAUDE, Identity("eve", "org"), borrowed_from="Claude Code")
TEAM = Account(AccountId("c3"), "Team", AccountKind.API_KEY, identity_of("sk-ant-api03-SECRET"), enabled=False)
EMPTY = Account(AccountId("d4"), "Later", AccountKind.GO, identity_of("sk-go-SECRET"))
CREDENTIALS: dict[AccountId, Credential] = {
    WORK.id: OAuthTokens("sk-ant-oat01-SECRET-work", "sk-ant-ort01-SECRET-work", NOW + 3_600, ("user:inference",)),
    BORROWED.id: OAuthTokens("sk-ant-oat01-SECRET-home", "", NOW + 1_800),
    TEAM.id: ApiKey("sk-ant-api03-SECRET"),
}


@pytest.fixture
async def paths(tmp_path: Path) -> AsyncIterator[Paths]:
    """An installation with an account of each sort."""
    paths = Paths(tmp_path / "data")
    paths.create()
    chosen = Settings(port=9_000, strategy=Strategy.STICKY)
    config.save(paths.config, Config("install", settings=chosen, accounts=(WORK, BORROWED, TEAM, EMPTY)))
    vault = open_vault("file", paths, "install", ENVIRON)
    for id_, credential in CREDENTIALS.items():
        await vault.save(id_, credential, 1)
    yield paths
    await vault.close()


async def exported(paths: Paths, passphrase: str | None = None) -> export.Exported:
    return await export.export(paths, "file", ENVIRON, NOW, passphrase)


def imported(path: Path, passphrase: str = "") -> list[Import]:
    found = below(path, Where(path.parent, {}, "linux", passphrase=passphrase))
    return [step for step in plan(found, [], NOW) if isinstance(step, Import)]


async def test_export_without_credentials_holds_no_secret_and_asks_no_vault(paths: Paths) -> None:
    made = await export.export(paths, "file", {}, NOW)

    assert b"SECRET" not in made.content
    assert [entry["label"] for entry in json.loads(made.content)["accounts"]] == ["Work", "Home", "Team", "Later"]
    assert made.notes[0] == "Exported Work, Home, Team, Later without credentials"


async def test_accounts_come_back_as_they_were_and_wait_for_their_credentials(paths: Paths, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    export.write(path, (await exported(paths)).content, force=False)

    steps = imported(path)

    assert [(s.label, s.kind, s.identity, s.enabled, s.credential) for s in steps] == [
        (account.label, account.kind, account.identity, account.enabled, None)
        for account in (WORK, BORROWED, TEAM, EMPTY)
    ]
    assert (steps[0].choices.serves, steps[0].choices.plan_limits_only) == (Serves.CLAUDE_CODE, True)


async def test_nothing_can_be_read_in_a_sealed_export(paths: Paths) -> None:
    made = await exported(paths, PASSPHRASE)

    assert json.loads(made.content).keys() == {"tidegate_export", "sealed"}
    assert b"SECRET" not in made.content
    assert b"ada@example.org" not in made.content
    assert "SECRET" not in repr(made)


async def test_keys_come_back_whole_and_logins_without_what_could_renew_them(paths: Paths, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    export.write(path, (await exported(paths, PASSPHRASE)).content, force=False)

    work, home, team, later = imported(path, PASSPHRASE)

    assert work.credential == OAuthTokens("sk-ant-oat01-SECRET-work", "", NOW + 3_600, ("user:inference",))
    assert home.credential == CREDENTIALS[BORROWED.id]
    assert (team.credential, later.credential) == (CREDENTIALS[TEAM.id], None)
    assert [step.borrowed_from for step in (work, home, team, later)] == ["another Tidegate", "Claude Code", "", ""]
    assert (team.identity, team.enabled) == (identity_of("sk-ant-api03-SECRET"), False)


async def test_no_refresh_token_is_in_the_seal(paths: Paths) -> None:
    made = await exported(paths, PASSPHRASE)

    opened = unseal(json.loads(made.content)["sealed"], PASSPHRASE)

    assert b"SECRET-work" in opened
    assert b"ort01" not in opened


async def test_person_is_told_what_becomes_of_each_credential(paths: Paths) -> None:
    notes = " ".join((await exported(paths, PASSPHRASE)).notes)

    assert "Exported with their keys: Team" in notes
    assert "Work: its login serves there until" in notes
    assert "is renewed here only. Sign in there once" in notes
    assert "the vault holds none: Later" in notes


async def test_login_that_has_ended_is_told(paths: Paths) -> None:
    made = await export.export(paths, "file", ENVIRON, NOW + 7_200, PASSPHRASE)

    assert any(note.startswith("Work: its login cannot be taken along now") for note in made.notes)


async def test_settings_of_the_person_go_along_and_those_of_the_machine_stay(paths: Paths) -> None:
    assert json.loads((await exported(paths)).content)["settings"] == {"strategy": "sticky"}


async def test_export_changes_nothing(paths: Paths) -> None:
    before = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()}

    await exported(paths, PASSPHRASE)

    assert {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("passphrase", ["", "short"])
async def test_passphrase_that_is_soon_guessed_is_refused(paths: Paths, passphrase: str) -> None:
    with pytest.raises(UsageError, match="too short"):
        await exported(paths, passphrase)


async def test_vault_that_does_not_open_exports_nothing(paths: Paths) -> None:
    with pytest.raises(VaultError):
        await export.export(paths, "file", {"TIDEGATE_VAULT_KEY": "another one"}, NOW, PASSPHRASE)


async def test_without_an_account_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo):
        await export.export(Paths(tmp_path), "file", {}, NOW)


async def test_config_that_does_not_read_is_told_and_left_where_it_is(paths: Paths) -> None:
    paths.config.write_text("{ oops")

    with pytest.raises(TidegateError, match="cannot be read"):
        await exported(paths)
    assert paths.config.read_text() == "{ oops"


# --- the file ---


def test_file_is_for_its_owner_only_and_replaces_nothing_unasked(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    before = os.umask(0)
    try:
        export.write(path, b"one", force=False)
    finally:
        os.umask(before)

    with pytest.raises(UsageError, match="is there already"):
        export.write(path, b"two", force=False)
    assert path.read_bytes() == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    export.write(path, b"three", force=True)
    assert path.read_bytes() == b"three"
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(TidegateError, match="cannot be written"):
        export.write(tmp_path / "nowhere" / "export.json", b"", force=False)


# --- there and back ---


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9 ]{0,8}[A-Za-z]", fullmatch=True)


@st.composite
def installations(draw: Callable[[Any], Any]) -> list[tuple[Account, Credential | None]]:
    """Accounts with labels and identities of their own, as an installation has them."""
    labels = draw(st.lists(NAMES, max_size=5, unique_by=str.casefold))
    held: list[tuple[Account, Credential | None]] = []
    for number, label in enumerate(labels):
        kind = draw(st.sampled_from(AccountKind))
        if kind is AccountKind.CLAUDE:
            refresh = draw(st.sampled_from(["", f"sk-ant-ort01-{number}"]))
            credential: Credential = OAuthTokens(f"sk-ant-oat01-{number}", refresh, NOW + 3_600)
            identity = Identity(f"person-{number}", "org", f"{number}@example.org")
        else:
            credential = ApiKey(f"sk-{number}")
            identity = identity_of(f"sk-{number}")
        account = Account(
            AccountId(str(number)),
            label,
            kind,
            identity,
            draw(st.booleans()),
            draw(st.sampled_from(Serves)),
            plan_limits_only=draw(st.booleans()),
            muted=draw(st.booleans()),
        )
        held.append((account, draw(st.sampled_from([credential, None]))))
    return held


@given(installations())
def test_what_is_exported_here_is_the_same_elsewhere(held: list[tuple[Account, Credential | None]]) -> None:
    raw = msgspec.json.encode(tidegate.document(held, {}, NOW))

    steps = plan(tidegate.read(Document("export.json", msgspec.json.decode(raw))), [], NOW)

    assert len(steps) == len(held)
    for (account, credential), step in zip(held, steps, strict=True):
        assert isinstance(step, Import)
        choices = step.choices
        assert (step.label, step.kind, step.identity) == (account.label, account.kind, account.identity)
        assert (step.enabled, choices.serves, choices.plan_limits_only, choices.muted) == (
            account.enabled,
            account.serves,
            account.plan_limits_only,
            account.muted,
        )
        kept = replace(credential, refresh="") if isinstance(credential, OAuthTokens) else credential
        assert step.credential == kept
