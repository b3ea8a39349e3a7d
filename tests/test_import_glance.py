import os
from pathlib import Path

import pytest

from core.import_glance import MAX_DATABASE_BYTES, Glance, arguments_for, glance, here
from core.import_read import Where
from core.imports.found import KeychainItem
from tests.account_files import ENDS_AT, nowhere, put

BEFORE = ENDS_AT - 3_600.0


def test_accounts_and_the_programs_that_have_them_are_counted(tmp_path: Path) -> None:
    put(tmp_path / ".claude/.credentials.json", "claude-code.json")
    put(tmp_path / ".config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json")

    seen = glance(nowhere(home=tmp_path), BEFORE)

    assert seen.programs == ("Claude Code", "opencode-go-multi-auth")
    assert seen.accounts > 1


def test_where_nothing_can_be_imported_there_is_nothing_to_offer(tmp_path: Path) -> None:
    put(tmp_path / ".claude/.credentials.json", "claude-code.json")
    (tmp_path / ".local/share/opencode").mkdir(parents=True)
    (tmp_path / ".local/share/opencode/auth.json").write_text("{ not json")

    after_its_end = glance(nowhere(home=tmp_path), ENDS_AT + 1)

    assert after_its_end == Glance()


def test_large_database_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path / ".config/ccflare/ccflare.db", "ccflare.sql")
    small = glance(nowhere(home=tmp_path), BEFORE)
    with (tmp_path / ".config/ccflare/ccflare.db").open("ab") as file:
        file.truncate(MAX_DATABASE_BYTES + 1)

    assert small.accounts
    assert glance(nowhere(home=tmp_path), BEFORE) == Glance()


def test_no_keychain_is_asked(tmp_path: Path) -> None:
    asked: list[KeychainItem] = []
    put(tmp_path / ".local/share/claude-swap/sequence.json", "claude-swap-sequence.json")

    glance(Where(tmp_path, {"USER": "ada"}, "darwin", keychain=asked.append), BEFORE)  # type: ignore[arg-type]

    assert asked == []


def test_the_programs_are_those_of_this_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere/else")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-EXAMPLE")

    order = arguments_for(here())

    assert order["home"] == str(Path.home())
    assert order["environ"].items() >= {("XDG_DATA_HOME", "/somewhere/else")}  # type: ignore[attr-defined]
    assert "ANTHROPIC_API_KEY" in os.environ
    assert "ANTHROPIC_API_KEY" not in order["environ"]  # type: ignore[operator]
