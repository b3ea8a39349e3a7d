import json
import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from core import import_read
from core.errors import TidegateError, UsageError, VaultLocked
from core.import_read import PassphraseWanted, Where, below, everywhere
from core.imports import IMPORTERS
from core.imports.found import Finding, Found, KeychainItem, Problem
from tests.account_files import ADA, content, found_in, nowhere, put, put_claude_swap, state_of

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes, links, and locks that let others read")


def home_of_ada(home: Path) -> Path:
    """One with an account of every program that has a place."""
    for place, name in (
        (".claude/.credentials.json", "claude-code.json"),
        (".claude.json", "claude-code-config.json"),
        (".local/share/opencode/auth.json", "opencode-auth.json"),
        (".local/share/opencode/opencode.db", "opencode-2.sql"),
        (".config/opencode/anthropic-accounts.json", "anthropic-accounts-auth.json"),
        (".config/opencode/multi-auth.json", "multi-auth.json"),
        (".aidevops/oauth-pool.json", "oauth-pool.json"),
        (".config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json"),
        (".config/opencode/opencode-go-rotation.json", "opencode-go-rotation.json"),
        (".config/ccflare/ccflare.db", "ccflare.sql"),
        (".config/better-ccflare/better-ccflare.db", "better-ccflare.sql"),
        (".cli-proxy-api/claude-grace@example.org.json", "cliproxy-claude.json"),
        (".cli-proxy-api/codex-grace@example.org.json", "cliproxy-codex.json"),
    ):
        put(home / place, name)
    put_claude_swap(home / ".local/share/claude-swap")
    return home


def programs(found: list[Finding]) -> set[str]:
    return {one.program for one in found if isinstance(one, Found)}


def test_every_program_is_found_in_a_home_folder(tmp_path: Path) -> None:
    found = list(everywhere(nowhere(home=home_of_ada(tmp_path))))

    assert programs(found) == {
        *("Claude Code", "OpenCode", "opencode-anthropic-auth", "OpenCode multi-auth", "aidevops", "claude-swap"),
        *("opencode-go-multi-auth", "ccflare", "better-ccflare", "CLIProxyAPI"),
    }
    assert not any("form" in one.why for one in found if isinstance(one, Problem))


@pytest.mark.parametrize("name", [name for name, row in IMPORTERS.items() if row.places])
def test_one_program_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    found = list(everywhere(nowhere(home=home_of_ada(tmp_path)), name))

    assert programs(found)
    assert programs(found) <= {IMPORTERS[name].program, "better-ccflare"}


def test_nothing_of_theirs_is_changed(tmp_path: Path) -> None:
    home = home_of_ada(tmp_path)
    before = state_of(home)
    folders = sorted(path for path in home.rglob("*") if path.is_dir())

    list(everywhere(nowhere(home=home)))

    assert state_of(home) == before
    assert sorted(path for path in home.rglob("*") if path.is_dir()) == folders


def test_empty_home_has_nothing(tmp_path: Path) -> None:
    assert list(everywhere(nowhere(home=tmp_path))) == []


def test_name_that_nobody_has_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError, match="'emacs'") as caught:
        list(everywhere(nowhere(), "emacs"))

    assert "claude-code" in caught.value.hint


def test_places_move_with_the_environment(tmp_path: Path) -> None:
    put(tmp_path / "c" / ".credentials.json", "claude-code.json")
    put(tmp_path / "c" / ".claude.json", "claude-code-config.json")
    put(tmp_path / "elsewhere.db", "better-ccflare.sql")
    environ = {"CLAUDE_CONFIG_DIR": f"{tmp_path}/c", "BETTER_CCFLARE_DB_PATH": f"{tmp_path}/elsewhere.db"}

    found = list(everywhere(Where(tmp_path / "home", environ, "linux")))

    assert programs(found) == {"Claude Code", "better-ccflare"}
    assert {one.identity.account_uuid for one in found if isinstance(one, Found)} == {"", ADA[0]}


def test_one_file_in_two_places_is_read_once(tmp_path: Path) -> None:
    put(tmp_path / ".config/opencode/anthropic-accounts.json", "anthropic-accounts-multi-auth.json")
    environ = {"XDG_CONFIG_HOME": f"{tmp_path}/.config"}

    assert len(list(everywhere(Where(tmp_path, environ, "linux")))) == 1


# --- files that are not as they should be ---


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "it is not valid JSON"),
        (b"{ oops", "it is not valid JSON"),
        (b"\x00" * 100, "it is not valid JSON"),
        (b'{"name":"left-pad"}', "it is in no form that Tidegate knows"),
        (b"[1,2]", "it is in no form that Tidegate knows"),
        (b"SQLite format 3\0" + b"x" * 4096, "the database cannot be read"),
        (b" " * (import_read.MAX_FILE_BYTES + 1), "it is larger than 16 MiB"),
    ],
    ids=["empty", "cut", "zeros", "other", "list", "broken-database", "large"],
)
def test_bad_file_is_one_problem_and_the_others_are_read(tmp_path: Path, raw: bytes, why: str) -> None:
    bad = tmp_path / ".aidevops" / "oauth-pool.json"
    bad.parent.mkdir()
    bad.write_bytes(raw)
    put(tmp_path / ".local/share/opencode/auth.json", "opencode-auth.json")

    found = list(everywhere(nowhere(home=tmp_path)))

    (problem,) = [one for one in found if isinstance(one, Problem)]
    assert problem.path == str(bad)
    assert problem.why.startswith(why)
    assert programs(found) == {"OpenCode"}


def test_somebody_who_signed_out_of_everything_has_nothing(tmp_path: Path) -> None:
    put(tmp_path / ".claude" / ".credentials.json", "claude-code-mcp-only.json")
    auth = tmp_path / ".local/share/opencode/auth.json"
    auth.parent.mkdir(parents=True)
    auth.write_text("{}")

    assert list(everywhere(nowhere(home=tmp_path))) == []


@posix
def test_pipe_and_folder_are_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "auth.json")
    (tmp_path / "folder.json").mkdir()

    assert [one.why for one in found_in(tmp_path) if isinstance(one, Problem)] == ["it is not a file"] * 2


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="who is it that may read everything")
def test_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = put(tmp_path / "auth.json", "opencode-auth.json")
    path.chmod(0)

    (problem,) = found_in(path)

    assert isinstance(problem, Problem)
    assert "Permission denied" in problem.why


# --- a path ---


def test_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no"):
        list(below(tmp_path / "nothing", nowhere()))


def test_folder_is_read_file_by_file_and_may_hold_other_things(tmp_path: Path) -> None:
    put(tmp_path / "a.json", "cliproxy-claude.json")
    put(tmp_path / "b.db", "ccflare.sql")
    (tmp_path / "package.json").write_text('{"name":"left-pad"}')
    (tmp_path / "notes.txt").write_text("sk-ant-api03-not-looked-at")

    found = found_in(tmp_path)

    assert programs(found) == {"CLIProxyAPI", "ccflare"}
    assert not [one for one in found if isinstance(one, Problem)]


@pytest.mark.parametrize("name", ["config.yaml", "config.yml"])
def test_yaml_is_not_read_and_the_person_is_told_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("claude-api-key:\n  - api-key: sk-ant-api03-EXAMPLE\n")

    (problem,) = found_in(tmp_path / name)

    assert isinstance(problem, Problem)
    assert "`tidegate add api-key`" in problem.why


# --- sealed exports ---


def opened(path: Path, passphrase: str) -> list[Finding]:
    return list(below(path, Where(path.parent, {}, "linux", passphrase=passphrase)))


def test_passphrase_opens_a_sealed_export(tmp_path: Path) -> None:
    sealed = put(tmp_path / "export.json", "tidegate-export-sealed.json")
    plain = put(tmp_path / "plain.json", "tidegate-export.json")

    found = opened(sealed, "correct horse battery")

    assert [one for one in found if isinstance(one, Found)] == [
        one for one in found_in(plain) if isinstance(one, Found)
    ]
    assert len(found) == 4


def test_without_a_passphrase_a_sealed_export_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(PassphraseWanted):
        found_in(put(tmp_path / "export.json", "tidegate-export-sealed.json"))


def test_wrong_passphrase_and_a_changed_export_are_told_apart(tmp_path: Path) -> None:
    path = put(tmp_path / "export.json", "tidegate-export-sealed.json")
    with pytest.raises(TidegateError, match=r"This passphrase does not open export\.json"):
        opened(path, "incorrect horse")

    sealed = json.loads(path.read_text())
    sealed["sealed"]["content"] = sealed["sealed"]["content"][:-4]
    path.write_text(json.dumps(sealed))
    with pytest.raises(TidegateError, match="changed after it was made"):
        opened(path, "correct horse battery")


def test_sealed_export_in_a_folder_does_not_hide_the_others(tmp_path: Path) -> None:
    put(tmp_path / "a.json", "tidegate-export-sealed.json")
    put(tmp_path / "b.json", "cliproxy-claude.json")

    problem, other = found_in(tmp_path)

    assert problem == Problem(str(tmp_path / "a.json"), "it is a sealed export: import it by its name")
    assert isinstance(other, Found)


# --- databases ---


def test_database_larger_than_one_wants_to_copy_is_told(tmp_path: Path) -> None:
    path = put(tmp_path / "a.db", "ccflare.sql")

    (problem,) = below(path, Where(tmp_path, {}, "linux", max_database_bytes=1024))

    assert problem == Problem(str(path), "it is larger than 1,024 bytes")


@posix
def test_database_in_use_is_read_with_what_is_only_in_its_log(tmp_path: Path) -> None:
    path = tmp_path / "opencode.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as owner:
        owner.execute("PRAGMA journal_mode=WAL")
        owner.execute("PRAGMA wal_autocheckpoint=0")
        owner.executescript(content("opencode-2.sql").decode())
        owner.execute("BEGIN IMMEDIATE")  # a lock of ours would collide with it
        before = state_of(tmp_path)

        found = found_in(path)

        assert "opencode.db-wal" in before
        assert state_of(tmp_path) == before
        owner.execute("ROLLBACK")
    assert programs(found) == {"OpenCode"}
    assert len([one for one in found if isinstance(one, Found)]) == 3


def test_copy_of_a_database_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    assert found_in(put(tmp_path / "a.db", "ccflare.sql"))
    (tmp_path / "b.db").write_bytes(b"SQLite format 3\0" + b"x" * 4096)
    found_in(tmp_path / "b.db")

    assert list(scratch.iterdir()) == []


def test_view_is_no_table_and_values_that_are_no_text_are_told(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("CREATE TABLE accounts (name, provider, refresh_token, access_token, expires_at)")
        database.execute("INSERT INTO accounts VALUES (x'ff', 'anthropic', CAST(x'ff' AS TEXT), x'00', 'soon')")
        database.execute("INSERT INTO accounts VALUES ('Good', 'anthropic', 'sk-ant-api03-EXAMPLE', NULL, NULL)")
        database.execute("CREATE VIEW credential AS SELECT * FROM nowhere")
        database.commit()

    problem, good = found_in(tmp_path / "a.db")

    assert isinstance(problem, Problem)
    assert isinstance(good, Found)


# --- the keychain of macOS, as far as a dictionary can be one ---


def test_claude_codes_keychain_item_is_read_with_the_config_beside_its_folder(tmp_path: Path) -> None:
    put(tmp_path / ".claude.json", "claude-code-config.json")
    items = {
        KeychainItem("Claude Code-credentials", "ada"): content("claude-code.json").decode(),
        KeychainItem("Claude Code", "ada"): "sk-ant-api03-EXAMPLE-login",
    }

    login, bare = list(everywhere(nowhere("darwin", items, tmp_path), "claude-code"))[-2:]

    assert isinstance(login, Found)
    assert login.identity.account_uuid == ADA[0]
    assert isinstance(bare, Found)
    assert bare.secret == "sk-ant-api03-EXAMPLE-login"
    assert not programs(list(everywhere(nowhere("linux", items, tmp_path / "empty"), "claude-code")))


@posix
def test_config_above_a_linked_folder_is_the_one_above_the_link(tmp_path: Path) -> None:
    put(tmp_path / "dotfiles" / "claude" / ".credentials.json", "claude-code.json")
    put(tmp_path / "home" / ".claude.json", "claude-code-config.json")
    (tmp_path / "home" / ".claude").symlink_to(tmp_path / "dotfiles" / "claude")

    found = list(everywhere(nowhere(home=tmp_path / "home"), "claude-code"))

    assert [one.identity.account_uuid for one in found if isinstance(one, Found)] == [ADA[0], ""]


def test_claude_swaps_credentials_are_in_the_keychain(tmp_path: Path) -> None:
    put(tmp_path / ".claude-swap-backup" / "sequence.json", "claude-swap-sequence.json")
    items = {KeychainItem("claude-swap", "account-1-ada@example.org"): content("claude-code.json").decode()}

    found = list(everywhere(nowhere("darwin", items, tmp_path), "claude-swap"))

    assert [one.label for one in found if isinstance(one, Found)] == ["work"]
    assert len(found) == 4


def test_keychain_that_is_locked_or_odd_is_told(tmp_path: Path) -> None:
    def locked(_: KeychainItem) -> str:
        raise VaultLocked("The keychain is locked", "Unlock it.")

    put(tmp_path / ".claude-swap-backup" / "sequence.json", "claude-swap-sequence.json")
    told = list(everywhere(Where(tmp_path, {}, "darwin", locked)))
    odd = list(everywhere(Where(tmp_path, {}, "darwin", lambda _: "odd"), "claude-code"))

    assert [one.why for one in told if isinstance(one, Problem)][:2] == ["The keychain is locked"] * 2
    assert [one.why for one in odd if isinstance(one, Problem)] == ["it is in no form that Tidegate knows"] * 2
