"""Connecting changes what it says and no more."""

import contextlib
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import connected
from core.clients import CLIENTS
from core.connected import Record, Write, records
from core.connecting import Change, Where, entries, here, plan, plans
from core.errors import TidegateError, UsageError
from core.files import Paths
from core.undoing import undo
from tests.desk import ADDRESS, AGAIN, FULL, OFFERED, THEIRS, TOGETHER, Desk, mode

SECONDS = 20.0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_plan_says_what_would_change_without_a_secret_and_changes_nothing(desk: Desk) -> None:
    desk.has('{"env": {"ANTHROPIC_BASE_URL": "https://old.example", "ANTHROPIC_AUTH_TOKEN": "sk-mine"}}')

    made = plan(desk.paths, "claude-code", desk.where, OFFERED)

    assert made.file == desk.settings
    assert [(change.path, change.before, change.after) for change in made.changes] == [
        ("env.ANTHROPIC_BASE_URL", '"https://old.example"', f'"{ADDRESS}"'),
        ("env.ANTHROPIC_AUTH_TOKEN", "a key", "a new key"),
    ]
    assert "tg-EXAMPLE-1" not in repr(made)
    assert "sk-mine" not in repr(made)
    assert desk.env()["ANTHROPIC_BASE_URL"] == "https://old.example"
    assert not desk.paths.connected.exists()


def test_only_the_keys_of_the_plan_change_and_the_file_is_its_owners(desk: Desk) -> None:
    desk.has(THEIRS)

    desk.connect()

    text = desk.settings.read_text()
    assert [part in text for part in ("// mine", "/* last */", '"hooks": []')] == [True, True, True]
    assert desk.env() == {"EDITOR": "vim", "ANTHROPIC_BASE_URL": ADDRESS, "ANTHROPIC_AUTH_TOKEN": "tg-EXAMPLE-1"}
    assert mode(desk.settings) == 0o600
    assert mode(desk.paths.connected) == 0o600
    assert mode(desk.paths.originals / "claude-code") == 0o600
    assert "tg-EXAMPLE-1" not in desk.paths.connected.read_text()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_program_without_settings_gets_some_and_loses_them_again(desk: Desk, client: str) -> None:
    before = sorted(desk.home.rglob("*"))

    file = desk.connect(client)
    assert "tg-EXAMPLE-1" in file.read_text()
    assert undo(desk.paths, client) == ()

    assert [path for path in sorted(desk.home.rglob("*")) if path.is_file()] == [p for p in before if p.is_file()]
    assert records(desk.paths) == {}
    assert not (desk.paths.originals / client).exists()


def test_a_symlink_stays_one(desk: Desk) -> None:
    desk.has(THEIRS)
    real = desk.home / "dotfiles.json"
    desk.settings.rename(real)
    desk.settings.symlink_to(real)

    desk.connect()
    assert desk.settings.is_symlink()
    assert "tg-EXAMPLE-1" in real.read_text()
    undo(desk.paths, "claude-code")

    assert desk.settings.is_symlink()
    assert real.read_text() == THEIRS


def test_opencodes_own_empty_file_is_the_one_that_is_changed(desk: Desk) -> None:
    folder = desk.home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text("{}")
    assert plan(desk.paths, "opencode", desk.where, OFFERED).file == folder / "opencode.json"

    (folder / "opencode.jsonc").write_text("")
    assert plan(desk.paths, "opencode", desk.where, OFFERED).file == folder / "opencode.jsonc"


@pytest.mark.parametrize("text", ["{", "[]", '{"env": 7}', '{"env": {"ANTHROPIC_BASE_URL": }}'])
def test_settings_that_do_not_read_are_left_alone(desk: Desk, text: str) -> None:
    desk.has(text)

    with pytest.raises(TidegateError, match="does not read"):
        plan(desk.paths, "claude-code", desk.where, OFFERED)

    assert desk.settings.read_text() == text


def test_a_file_that_is_not_text_is_left_alone(desk: Desk) -> None:
    desk.has("")
    desk.settings.write_bytes(b"\xff\xfe{}")

    with pytest.raises(TidegateError, match="not text in UTF-8"):
        plan(desk.paths, "claude-code", desk.where, OFFERED)


def test_a_place_that_cannot_be_written_is_told(desk: Desk) -> None:
    desk.settings.parent.mkdir()
    desk.settings.symlink_to("/proc/no-such-folder/settings.json")  # nobody can write there, root neither

    with pytest.raises(TidegateError, match="Cannot write"):
        desk.connect()

    assert desk.settings.is_symlink()


def test_connecting_again_keeps_the_first_original(desk: Desk) -> None:
    desk.has(THEIRS)
    desk.connect()

    desk.connect(offered=AGAIN)
    assert desk.env()["ANTHROPIC_AUTH_TOKEN"] == "tg-EXAMPLE-2"
    undo(desk.paths, "claude-code")

    assert desk.settings.read_text() == THEIRS


def test_an_addition_that_cannot_be_written_leaves_the_program_connected_and_says_so(desk: Desk) -> None:
    (desk.home / ".claude.json").symlink_to("/proc/no-such-folder/claude.json")  # nobody can write there

    with pytest.raises(TidegateError, match="Cannot write") as refused:
        desk.together(TOGETHER)

    assert refused.value.hint.startswith("Claude Code is connected, but without this.")
    assert desk.env()["ANTHROPIC_BASE_URL"] == ADDRESS
    assert undo(desk.paths, "claude-code") == ()
    assert not desk.settings.exists()


def test_what_was_added_before_is_done_again_with_its_program(desk: Desk) -> None:
    desk.together(TOGETHER)

    assert entries(desk.paths, "claude-code") == TOGETHER
    assert entries(desk.paths, "opencode") == ("opencode",)
    assert entries(desk.paths, "opencode", ["mcp"]) == ("opencode", "opencode-mcp")


def test_what_a_program_cannot_have_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="OpenCode cannot have --statusline"):
        entries(desk.paths, "opencode", ["statusline"])
    with pytest.raises(UsageError, match="no program 'emacs'"):
        entries(desk.paths, "emacs")


def test_what_is_there_already_is_no_change_but_the_key_is_new(desk: Desk) -> None:
    desk.together(TOGETHER)

    again = [change for made in plans(desk.paths, TOGETHER, desk.where, FULL) for change in made.changes]

    assert again == [Change("env.ANTHROPIC_AUTH_TOKEN", "a key", "a new key")]


def test_a_program_that_cannot_be_connected_again_keeps_its_key_and_what_was_added(desk: Desk) -> None:
    desk.together(TOGETHER)
    known, state = desk.known, (desk.home / ".claude.json").read_text()
    text = f"{desk.settings.read_text()}}}"
    desk.settings.write_text(text)

    with pytest.raises(TidegateError, match="does not read"):
        desk.together(TOGETHER)

    assert (desk.known, desk.settings.read_text(), (desk.home / ".claude.json").read_text()) == (known, text, state)
    assert [*records(desk.paths)] == [*TOGETHER]


def test_a_key_that_cannot_be_written_is_not_known(desk: Desk) -> None:
    desk.settings.parent.mkdir()
    desk.settings.symlink_to("/proc/no-such-folder/settings.json")  # nobody can write there, root neither

    with pytest.raises(TidegateError, match="Cannot write"):
        desk.together(["claude-code"])

    assert desk.known == ""


def test_a_program_of_no_known_place_is_told(desk: Desk) -> None:
    with pytest.raises(TidegateError, match="no place for the settings of Anthropic's SDKs"):
        plan(desk.paths, "anthropic-sdk", Where(desk.home, {}), OFFERED)


def test_a_project_is_the_folder_that_the_process_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PWD", raising=False)  # Windows sets none
    assert here().environ["PWD"] == str(tmp_path)


def test_another_file_of_the_same_program_has_to_wait_until_the_first_is_undone(desk: Desk) -> None:
    first = desk.connect("anthropic-sdk")
    project = desk.home / "project"
    project.mkdir()
    there = Where(desk.home, {**desk.where.environ, "PWD": str(project)})

    with pytest.raises(TidegateError, match="is connected by") as refused:
        plan(desk.paths, "anthropic-sdk", there, OFFERED)
    assert refused.value.hint == "First: tidegate undo anthropic-sdk"

    first.unlink()  # the project is gone
    assert plan(desk.paths, "anthropic-sdk", there, OFFERED).file == project / ".env"


# --- several at once -------------------------------------------------------------------------------


def test_programs_that_a_menu_and_a_command_line_connect_at_once_are_both_known(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, save = threading.Barrier(2), connected._save

    def slowly(paths: Paths, known: Mapping[str, Record], write: Write) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # until the other has read the records as well, if it may
        save(paths, known, write)

    monkeypatch.setattr(connected, "_save", slowly)
    with ThreadPoolExecutor() as pool:
        for deed in [pool.submit(desk.together, [client]) for client in ("claude-code", "opencode")]:
            deed.result(SECONDS)
    assert sorted(records(desk.paths)) == ["claude-code", "opencode"]

    both.reset()
    with ThreadPoolExecutor() as pool:
        for deed in [pool.submit(undo, desk.paths, client) for client in ("claude-code", "opencode")]:
            assert deed.result(SECONDS) == ()
    assert records(desk.paths) == {}
    assert not desk.settings.exists()


def test_who_waits_for_another_one_too_long_is_told_and_changes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connected, "CHANGE_WITHIN_S", 0.05)
    desk.has(THEIRS)

    with connected.changing(desk.paths), pytest.raises(TidegateError, match="Another Tidegate is connecting") as told:
        desk.together(["claude-code"])

    assert "try again" in told.value.hint
    assert desk.settings.read_text() == THEIRS
    assert desk.known == ""
