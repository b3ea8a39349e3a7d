"""Connecting changes what it says and no more; undoing gives back what was there, whatever happened in between."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import connecting, jsonc
from core.clients import CLIENTS, Offered
from core.connecting import Where, carry_out, carry_out_together, connected, moved_to, plan, still_ours, undo
from core.errors import NothingToDo, TidegateError
from core.files import Paths, write_atomic

ADDRESS = "http://127.0.0.1:8433"
OFFERED = Offered(ADDRESS, "tg-EXAMPLE-1")
AGAIN = Offered(ADDRESS, "tg-EXAMPLE-2")
THEIRS = '{\n  // mine\n  "env": {"EDITOR": "vim"}, /* last */\n  "hooks": []\n}\n'
MODE = 0o777


class Desk:
    """A person's home and an installation."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder / "tidegate")
        self.home = folder / "home"
        self.home.mkdir()
        self.where = Where(self.home, {"SHELL": "/bin/bash", "PWD": str(self.home), "APPDATA": str(self.home / "r")})
        self.settings = self.home / ".claude" / "settings.json"

    def has(self, text: str, mode: int = 0o644) -> None:
        self.settings.parent.mkdir(exist_ok=True)
        self.settings.write_text(text)
        self.settings.chmod(mode)

    def connect(self, client: str = "claude-code", offered: Offered = OFFERED) -> Path:
        made = plan(self.paths, client, self.where, offered)
        carry_out(self.paths, made)
        return made.file

    def env(self) -> Mapping[str, str]:
        return jsonc.read(self.settings.read_text()).get("env", {})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def mode(file: Path) -> int:
    return file.stat().st_mode & MODE


# --- connect ---------------------------------------------------------------------------------------


def test_the_plan_says_what_would_change_without_a_secret_and_changes_nothing(desk: Desk) -> None:
    desk.has('{"env": {"ANTHROPIC_BASE_URL": "https://old.example", "ANTHROPIC_AUTH_TOKEN": "sk-mine"}}')

    made = plan(desk.paths, "claude-code", desk.where, OFFERED)

    assert made.file == desk.settings
    assert [(change.path, change.before, change.after) for change in made.changes] == [
        ("env.ANTHROPIC_BASE_URL", '"https://old.example"', f'"{ADDRESS}"'),
        ("env.ANTHROPIC_AUTH_TOKEN", "a key", "a key"),
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
    assert connected(desk.paths) == {}
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


# --- undo ------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", ["claude-code", "claude-code-statusline", "opencode-mcp"])
def test_what_was_written_is_ours_until_somebody_changes_it(desk: Desk, name: str) -> None:
    file = desk.connect(name)
    record = connected(desk.paths)[name]
    assert still_ours(name, record) is True

    file.write_text(jsonc.put(file.read_text(), ["model"], "opus"))
    assert still_ours(name, record) is True  # another setting

    file.write_text("{}")
    assert still_ours(name, record) is False
    file.unlink()
    assert still_ours(name, record) is None


def test_a_file_that_is_gone_is_no_trouble(desk: Desk) -> None:
    desk.has(THEIRS)
    desk.connect()
    desk.settings.unlink()

    assert undo(desk.paths, "claude-code") == ()

    assert not desk.settings.exists()
    assert connected(desk.paths) == {}


@pytest.mark.parametrize("name", ["claude-code", "nobody"])
def test_what_is_not_connected_is_nothing_to_do(desk: Desk, name: str) -> None:
    with pytest.raises(NothingToDo, match="is not connected"):
        undo(desk.paths, name)


# --- again, elsewhere, after a crash ----------------------------------------------------------------


def test_connecting_again_keeps_the_first_original(desk: Desk) -> None:
    desk.has(THEIRS)
    desk.connect()

    desk.connect(offered=AGAIN)
    assert desk.env()["ANTHROPIC_AUTH_TOKEN"] == "tg-EXAMPLE-2"
    undo(desk.paths, "claude-code")

    assert desk.settings.read_text() == THEIRS


def test_settings_that_a_lost_tidegate_has_left_are_not_kept_as_the_persons_own(desk: Desk) -> None:
    desk.has(THEIRS)
    desk.connect()
    desk.paths.connected.unlink()  # the record is lost, the settings are not

    desk.connect(offered=AGAIN)
    undo(desk.paths, "claude-code")

    assert desk.env() == {"EDITOR": "vim"}


class Killed(BaseException):
    """What a kill is to the code that it ends."""


@pytest.mark.parametrize("connected_before", [False, True])
@pytest.mark.parametrize("steps", range(4))
def test_a_kill_at_any_write_leaves_what_undo_can_give_back(desk: Desk, steps: int, *, connected_before: bool) -> None:
    desk.has(THEIRS)
    if connected_before:
        desk.connect()
    left = iter(range(steps))

    def until_killed(path: Path, content: bytes) -> None:
        if next(left, None) is None:
            raise Killed
        write_atomic(path, content)

    made = plan(desk.paths, "claude-code", desk.where, AGAIN)
    try:
        carry_out(desk.paths, made, until_killed)
    except Killed:
        assert steps < 3
    else:
        assert steps == 3

    if connected(desk.paths):
        assert undo(desk.paths, "claude-code") == ()
    assert desk.settings.read_text() == THEIRS


def test_another_port_is_followed_with_the_key_that_is_there(desk: Desk) -> None:
    desk.has(THEIRS)
    for client in CLIENTS:
        desk.connect(client)

    assert set(moved_to(desk.paths, "http://127.0.0.1:9000")) == set(CLIENTS)

    assert desk.env()["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9000"
    assert desk.env()["ANTHROPIC_AUTH_TOKEN"] == "tg-EXAMPLE-1"
    assert moved_to(desk.paths, "http://127.0.0.1:9000") == ()
    for client in CLIENTS:
        assert ADDRESS not in Path(connected(desk.paths)[client].file).read_text()
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


def test_a_record_that_does_not_read_says_where_the_originals_are(desk: Desk) -> None:
    desk.has(THEIRS)
    desk.connect()
    desk.paths.connected.write_text("{")

    with pytest.raises(TidegateError) as raised:
        undo(desk.paths, "claude-code")

    assert str(desk.paths.originals) in raised.value.hint


# --- one process -----------------------------------------------------------------------------------


def test_a_program_is_run_with_tidegate_in_its_environment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-mine")
    monkeypatch.setenv("TIDEGATE_VAULT_KEY", "secret")
    told = tmp_path / "told"
    names = ["ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "TIDEGATE_VAULT_KEY"]
    told_by = f"open({str(told)!r}, 'w').write(json.dumps([os.environ.get(name) for name in {names}]))"
    program = f"import json, os, sys; {told_by}; sys.exit(7)"

    assert connecting.run([sys.executable, "-c", program], OFFERED) == 7

    assert json.loads(told.read_text()) == [ADDRESS, "tg-EXAMPLE-1", None, None]


def test_a_program_that_cannot_be_started_says_so() -> None:
    with pytest.raises(TidegateError, match="Cannot start no-such-program-anywhere"):
        connecting.run(["no-such-program-anywhere"], OFFERED)


def test_an_address_where_nobody_answers_is_told() -> None:
    assert "Nothing answers" in connecting.tried(Offered("http://127.0.0.1:1", "tg-EXAMPLE"))


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


# --- what is added to a program --------------------------------------------------------------------

FULL = Offered(ADDRESS, "tg-EXAMPLE-1", command=("/opt/tidegate", "--data-dir", "/data"))
TOGETHER = ("claude-code", "claude-code-mcp", "claude-code-statusline")
OWN_LINE = '{\n  "statusLine": {"type": "command", "command": "~/line.sh"}, // mine\n  "model": "opus"\n}\n'
STATE = '{"projects": {}, "mcpServers": {"other": {"command": "x"}}}'


@pytest.mark.parametrize("had", [True, False])
@pytest.mark.parametrize("times", [1, 2])
def test_a_program_and_its_additions_are_undone_byte_for_byte(desk: Desk, *, had: bool, times: int) -> None:
    state = desk.home / ".claude.json"
    if had:
        desk.has(OWN_LINE)
        state.write_text(STATE)

    for _ in range(times):
        carry_out_together(desk.paths, TOGETHER, desk.where, FULL)
    settings, servers = jsonc.read(desk.settings.read_text()), jsonc.read(state.read_text())["mcpServers"]
    assert settings["statusLine"]["command"] == "/opt/tidegate --data-dir /data statusline"
    assert settings["env"]["ANTHROPIC_BASE_URL"] == ADDRESS
    assert servers["tidegate"]["args"] == ["--data-dir", "/data", "mcp"]
    assert undo(desk.paths, "claude-code") == ()

    assert desk.settings.exists() is state.exists() is had
    if had:
        assert (desk.settings.read_text(), mode(desk.settings)) == (OWN_LINE, 0o644)
        assert state.read_text() == STATE
    assert connected(desk.paths) == {}


def test_opencode_and_its_tools_share_a_file(desk: Desk) -> None:
    carry_out_together(desk.paths, ("opencode", "opencode-mcp"), desk.where, FULL)
    (file,) = {Path(record.file) for record in connected(desk.paths).values()}
    assert set(jsonc.read(file.read_text())) == {"provider", "mcp"}

    undo(desk.paths, "opencode")
    assert not file.exists()


def test_an_addition_can_go_alone_and_what_others_wrote_since_stays(desk: Desk) -> None:
    desk.has(OWN_LINE)
    carry_out_together(desk.paths, TOGETHER, desk.where, FULL)
    state = desk.home / ".claude.json"
    state.write_text(jsonc.put(state.read_text(), ["numStartups"], 7))  # the program keeps its own state there

    undo(desk.paths, "claude-code-mcp")
    assert jsonc.read(state.read_text()) == {"numStartups": 7}
    desk.connect("claude-code", AGAIN)  # the menu connects the program alone
    assert undo(desk.paths, "claude-code") == ()

    assert jsonc.read(desk.settings.read_text()) == jsonc.read(OWN_LINE)


def test_additions_that_a_lost_tidegate_has_left_are_not_kept_as_the_persons_own(desk: Desk) -> None:
    carry_out_together(desk.paths, TOGETHER, desk.where, FULL)
    desk.paths.connected.unlink()

    carry_out_together(desk.paths, TOGETHER, desk.where, FULL)
    undo(desk.paths, "claude-code")

    assert jsonc.read(desk.settings.read_text()) == jsonc.read((desk.home / ".claude.json").read_text()) == {}


def test_an_addition_that_cannot_be_written_leaves_the_program_connected_and_says_so(desk: Desk) -> None:
    (desk.home / ".claude.json").symlink_to("/proc/no-such-folder/claude.json")  # nobody can write there

    with pytest.raises(TidegateError, match="Cannot write") as refused:
        carry_out_together(desk.paths, TOGETHER, desk.where, FULL)

    assert refused.value.hint.startswith("Claude Code is connected, but without this.")
    assert desk.env()["ANTHROPIC_BASE_URL"] == ADDRESS
    assert undo(desk.paths, "claude-code") == ()
    assert not desk.settings.exists()


def test_additions_hold_no_address_and_stay_when_it_changes(desk: Desk) -> None:
    carry_out_together(desk.paths, TOGETHER, desk.where, FULL)
    before = (desk.home / ".claude.json").read_text()

    assert moved_to(desk.paths, "http://127.0.0.1:9") == ("claude-code",)

    assert (desk.home / ".claude.json").read_text() == before
    assert jsonc.read(desk.settings.read_text())["statusLine"]["command"].endswith("statusline")
    assert undo(desk.paths, "claude-code") == ()
