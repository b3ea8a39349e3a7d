"""What the programs' settings really hold is what counts, also after a kill at any moment."""

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core import jsonc
from core.clients import CLIENTS
from core.connected import records
from core.connecting import Where
from core.connection_care import moved_to, programs, repair, still_ours
from core.local_keys import digest
from core.undoing import undo
from tests.desk import ADDRESS, OWN_LINE, THEIRS, TOGETHER, Desk, mode


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("name", ["claude-code", "claude-code-statusline", "opencode-mcp"])
def test_what_was_written_is_ours_until_somebody_changes_it(desk: Desk, name: str) -> None:
    file = desk.connect(name)
    record = records(desk.paths)[name]
    assert still_ours(name, record) is True

    file.write_text(jsonc.put(file.read_text(), ["model"], "opus"))
    assert still_ours(name, record) is True  # another setting

    file.write_text("{}")
    assert still_ours(name, record) is False
    file.unlink()
    assert still_ours(name, record) is None


def test_another_port_is_followed_with_the_key_that_is_there(desk: Desk) -> None:
    desk.has(THEIRS)
    for client in CLIENTS:
        desk.connect(client)

    assert set(moved_to(desk.paths, "http://127.0.0.1:9000")) == set(CLIENTS)

    assert desk.env()["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9000"
    assert desk.env()["ANTHROPIC_AUTH_TOKEN"] == "tg-EXAMPLE-1"
    assert moved_to(desk.paths, "http://127.0.0.1:9000") == ()
    for client in CLIENTS:
        assert ADDRESS not in Path(records(desk.paths)[client].file).read_text()
        assert undo(desk.paths, client) == ()
    assert desk.settings.read_text() == THEIRS


def test_an_address_that_the_person_has_changed_is_not_followed(desk: Desk) -> None:
    desk.connect()
    text = jsonc.put(desk.settings.read_text(), ["env", "ANTHROPIC_BASE_URL"], "https://new.example")
    desk.settings.write_text(text)

    moved_to(desk.paths, "http://127.0.0.1:9000")

    assert desk.env()["ANTHROPIC_BASE_URL"] == "https://new.example"


@pytest.mark.parametrize("damaged", ["record", "settings", "not UTF-8"])
def test_what_cannot_follow_to_another_port_is_logged_and_keeps_nobody_from_starting(
    desk: Desk, damaged: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk.connect()
    match damaged:
        case "record":
            desk.paths.connected.write_text("{")
        case "settings":
            desk.settings.write_text("{")
        case _:
            desk.settings.write_bytes(b"\xff\xfe{}")

    assert moved_to(desk.paths, "http://127.0.0.1:9000") == ()

    assert len(caplog.records) == 1


def test_additions_hold_no_address_and_stay_when_it_changes(desk: Desk) -> None:
    desk.together(TOGETHER)
    before = (desk.home / ".claude.json").read_text()

    assert moved_to(desk.paths, "http://127.0.0.1:9") == ("claude-code",)

    assert (desk.home / ".claude.json").read_text() == before
    assert jsonc.read(desk.settings.read_text())["statusLine"]["command"].endswith("statusline")
    assert undo(desk.paths, "claude-code") == ()


@pytest.mark.parametrize(
    ("since", "state"),
    [
        ("nothing", "connected"),
        ("changed", "changed since"),
        ("gone", "file is gone"),
        ("damaged", "does not read"),
        ("another key", "key is unknown"),
    ],
)
def test_each_program_is_told_with_its_state_file_key_and_additions(desk: Desk, since: str, state: str) -> None:
    desk.together(TOGETHER)
    match since:
        case "changed":
            desk.settings.write_text(jsonc.put(desk.settings.read_text(), ["env", "ANTHROPIC_AUTH_TOKEN"], "mine"))
        case "gone":
            desk.settings.unlink()
        case "damaged":
            desk.settings.write_text("{")
    known = {} if since == "another key" else {"claude-code": desk.known}

    claude, *others = programs(desk.paths, Where(desk.home, {}), known)

    expected = ("claude-code", state, str(desk.settings), "env.ANTHROPIC_AUTH_TOKEN", ("mcp", "statusline"))
    assert (claude.client, claude.state, claude.file, claude.key_setting, claude.additions) == expected
    assert {program.state for program in others} == {"not connected"}
    assert {program.client: program.file for program in others}["anthropic-sdk"] == ""  # no folder, no file


# --- after a kill ----------------------------------------------------------------------------------

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.chmod"}
"""What Python tells of before it is done, of all that changes the disk but for files that are not whole yet."""
KILLED = 9
ELSEWHERE = "http://127.0.0.1:9000"


def killed_before_change(number: int, deed: Callable[[], object]) -> bool:
    """Do something in a process that is killed before it changes the disk so many times. Returns whether it was."""
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in {0, KILLED}
        return code == KILLED
    seen = 0

    def hook(event: str, _: object) -> None:
        nonlocal seen
        seen += event in CHANGES
        if seen > number:
            os._exit(KILLED)

    code = 1
    try:
        sys.addaudithook(hook)
        deed()
        code = 0
    finally:
        os._exit(code)  # whatever pytest would do at its end is the parent's


def started_again(desk: Desk) -> None:
    """What the next start does."""
    found = repair(desk.paths, desk.where, {"claude-code": desk.known} if desk.known else {})
    if "claude-code" in found:
        desk.know(found["claude-code"])


def done(desk: Desk, deed: str) -> None:
    match deed:
        case "undo":
            undo(desk.paths, "claude-code")
        case "move":
            moved_to(desk.paths, ELSEWHERE)
        case _:
            desk.together(TOGETHER)


def settled(desk: Desk) -> bool:
    """Whether the program is connected with a key that is good, or has its own settings: nothing between the two."""
    (claude, *_) = programs(desk.paths, desk.where, {"claude-code": desk.known})
    if claude.state == "not connected":
        return desk.known == "" and desk.settings.read_text() == OWN_LINE
    return claude.state == "connected" and digest(desk.env()["ANTHROPIC_AUTH_TOKEN"]) == desk.known


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a process that it has forked")
@pytest.mark.parametrize("deed", ["connect", "connect again", "undo", "move"])
def test_after_a_kill_at_any_moment_the_next_start_mends_what_is_half_done(tmp_path: Path, deed: str) -> None:
    for number in itertools.count():
        desk = Desk(tmp_path / str(number))
        desk.has(OWN_LINE)
        if deed != "connect":
            desk.together(TOGETHER)

        killed = killed_before_change(number, lambda desk=desk: done(desk, deed))
        started_again(desk)
        if deed == "move":
            moved_to(desk.paths, ELSEWHERE)
            assert desk.env()["ANTHROPIC_BASE_URL"] == ELSEWHERE

        assert settled(desk), number
        assert [file.name for file in desk.settings.parent.iterdir()] == ["settings.json"], number
        if records(desk.paths):
            assert undo(desk.paths, "claude-code") == ()
        assert (desk.settings.read_text(), mode(desk.settings)) == (OWN_LINE, 0o644), number
        assert not (desk.home / ".claude.json").exists(), number
        if not killed:
            break
    assert number > 1
