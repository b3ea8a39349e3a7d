"""Undoing gives back what was there, whatever happened in between."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import jsonc
from core.connected import records
from core.errors import NothingToDo, TidegateError
from core.undoing import undo
from tests.desk import ADDRESS, AGAIN, OWN_LINE, STATE, THEIRS, TOGETHER, Desk, mode


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_undo_gives_back_byte_for_byte_with_the_mode(desk: Desk) -> None:
    desk.has(THEIRS)

    desk.connect()
    assert undo(desk.paths, "claude-code") == ()

    assert desk.settings.read_text() == THEIRS
    assert mode(desk.settings) == 0o644


def test_what_the_person_changed_meanwhile_stays(desk: Desk) -> None:
    desk.has('{"env": {"ANTHROPIC_BASE_URL": "https://old.example"}}')
    desk.connect()
    text = desk.settings.read_text()
    text = jsonc.put(text, ["model"], "opus")
    desk.settings.write_text(jsonc.put(text, ["env", "ANTHROPIC_BASE_URL"], "https://new.example"))

    left = undo(desk.paths, "claude-code")

    assert left == ("env.ANTHROPIC_BASE_URL was changed since and stays as it is",)
    assert jsonc.read(desk.settings.read_text()) == {
        "env": {"ANTHROPIC_BASE_URL": "https://new.example"},
        "model": "opus",
    }


def test_what_was_made_around_a_setting_goes_when_it_is_empty(desk: Desk) -> None:
    desk.has('{\n  "hooks": {}\n}')
    desk.connect()
    desk.settings.write_text(jsonc.put(desk.settings.read_text(), ["model"], "opus"))

    undo(desk.paths, "claude-code")

    assert jsonc.read(desk.settings.read_text()) == {"hooks": {}, "model": "opus"}


def test_others_entries_of_a_list_stay(desk: Desk) -> None:
    file = desk.home / ".config" / "Code" / "User" / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"claudeCode.environmentVariables": [{"name": "EDITOR", "value": "vim"}]}')
    assert desk.connect("vscode") == file
    entries = jsonc.read(file.read_text())["claudeCode.environmentVariables"]
    assert [entry["name"] for entry in entries] == ["EDITOR", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"]
    file.write_text(jsonc.put(file.read_text(), ["claudeCode.environmentVariables"], [*entries, {"name": "X"}]))

    undo(desk.paths, "vscode")

    left = jsonc.read(file.read_text())["claudeCode.environmentVariables"]
    assert [entry["name"] for entry in left] == ["EDITOR", "X"]


def test_a_file_that_is_gone_is_no_trouble(desk: Desk) -> None:
    desk.has(THEIRS)
    desk.connect()
    desk.settings.unlink()

    assert undo(desk.paths, "claude-code") == ()

    assert not desk.settings.exists()
    assert records(desk.paths) == {}


@pytest.mark.parametrize("name", ["claude-code", "nobody"])
def test_what_is_not_connected_is_nothing_to_do(desk: Desk, name: str) -> None:
    with pytest.raises(NothingToDo, match="is not connected"):
        undo(desk.paths, name)


def test_settings_that_a_lost_tidegate_has_left_are_not_kept_as_the_persons_own(desk: Desk) -> None:
    desk.has(THEIRS)
    desk.connect()
    desk.paths.connected.unlink()  # the record is lost, the settings are not

    desk.connect(offered=AGAIN)
    undo(desk.paths, "claude-code")

    assert desk.env() == {"EDITOR": "vim"}


@pytest.mark.parametrize("had", [True, False])
@pytest.mark.parametrize("times", [1, 2])
def test_a_program_and_its_additions_are_undone_byte_for_byte(desk: Desk, *, had: bool, times: int) -> None:
    state = desk.home / ".claude.json"
    if had:
        desk.has(OWN_LINE)
        state.write_text(STATE)

    for _ in range(times):
        desk.together(TOGETHER)
    settings, servers = jsonc.read(desk.settings.read_text()), jsonc.read(state.read_text())["mcpServers"]
    assert settings["statusLine"]["command"] == "/opt/tidegate --data-dir /data statusline"
    assert settings["env"]["ANTHROPIC_BASE_URL"] == ADDRESS
    assert servers["tidegate"]["args"] == ["--data-dir", "/data", "mcp"]
    assert undo(desk.paths, "claude-code") == ()

    assert desk.settings.exists() is state.exists() is had
    if had:
        assert (desk.settings.read_text(), mode(desk.settings)) == (OWN_LINE, 0o644)
        assert state.read_text() == STATE
    assert records(desk.paths) == {}


def test_opencode_and_its_tools_share_a_file(desk: Desk) -> None:
    desk.together(("opencode", "opencode-mcp"))
    (file,) = {Path(record.file) for record in records(desk.paths).values()}
    assert set(jsonc.read(file.read_text())) == {"provider", "mcp"}

    undo(desk.paths, "opencode")
    assert not file.exists()


def test_an_addition_can_go_alone_and_what_others_wrote_since_stays(desk: Desk) -> None:
    desk.has(OWN_LINE)
    desk.together(TOGETHER)
    state = desk.home / ".claude.json"
    state.write_text(jsonc.put(state.read_text(), ["numStartups"], 7))  # the program keeps its own state there

    undo(desk.paths, "claude-code-mcp")
    assert jsonc.read(state.read_text()) == {"numStartups": 7}
    desk.connect("claude-code", AGAIN)  # the menu connects the program alone
    assert undo(desk.paths, "claude-code") == ()

    assert jsonc.read(desk.settings.read_text()) == jsonc.read(OWN_LINE)


def test_additions_that_a_lost_tidegate_has_left_are_not_kept_as_the_persons_own(desk: Desk) -> None:
    desk.together(TOGETHER)
    desk.paths.connected.unlink()

    desk.together(TOGETHER)
    undo(desk.paths, "claude-code")

    assert jsonc.read(desk.settings.read_text()) == jsonc.read((desk.home / ".claude.json").read_text()) == {}


# --- whatever the file -----------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "env", "b"]), inner, max_size=2),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["env", "model", "hooks"]), values, max_size=3)


@settings(deadline=None, max_examples=60)  # it writes files
@given(documents, documents, st.booleans())
def test_whatever_is_there_and_whatever_comes_it_is_there_afterwards(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, object], added: dict[str, object], indented: bool
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    text = json.dumps(before, indent=2 if indented else None)
    desk.has(text)
    try:
        desk.connect()
    except TidegateError:
        assert not isinstance(before.get("env", {}), dict)
        assert desk.settings.read_text() == text
        return
    now = desk.settings.read_text()
    for key, value in added.items():
        if key != "env":
            now = jsonc.put(now, [key], value)
    desk.settings.write_text(now)

    undo(desk.paths, "claude-code")

    expected = {**before, **{key: value for key, value in added.items() if key != "env"}}
    assert jsonc.read(desk.settings.read_text()) == expected
