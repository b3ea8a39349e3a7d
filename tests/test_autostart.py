"""Autostart: one promise for three systems, and what each of them writes."""

import configparser
import json
import os
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from core import cli
from core.autostart import Autostart, Entry, Status, installation, of_this_system, program
from core.autostart.launch_agent import LABEL, LaunchAgent
from core.autostart.run_key import APPROVED, LONGEST, NAME, RUN, RunKey
from core.autostart.systemd import UserUnit
from core.autostart.xdg import DesktopEntry
from core.errors import NothingToDo, TidegateError

ROOT = Path(__file__).parents[1]
AWKWARD = ('/opt/my $apps "x"/tidegate', "--data-dir", '/home/a b/$HOME "x" `y` \\z;&| 100 % %f')
PLAIN = ("/usr/bin/tidegate",)


class FakeRegistry:
    """HKEY_CURRENT_USER in memory."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str | bytes] = {}

    def get(self, key: str, name: str) -> str | bytes | None:
        return self.values.get((key, name))

    def set_text(self, key: str, name: str, text: str) -> None:
        self.values[key, name] = text

    def delete(self, key: str, name: str) -> None:
        self.values.pop((key, name), None)


class Deaf(FakeRegistry):
    """Takes everything and keeps nothing, as some administrators want it."""

    def set_text(self, key: str, name: str, text: str) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_systemctl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # the machine's own manager is none of our business


MAKERS: dict[str, Callable[[Path], Entry]] = {
    "linux": lambda folder: DesktopEntry(folder / "config", [folder / "etc"]),
    "linux headless": lambda folder: UserUnit(folder / "config"),
    "macos": lambda folder: LaunchAgent(folder / "Library/LaunchAgents"),
    "windows": lambda _: RunKey(FakeRegistry()),
}


@pytest.fixture(params=MAKERS.values(), ids=MAKERS)
def entry(request: pytest.FixtureRequest, tmp_path: Path) -> Entry:
    made: Entry = request.param(tmp_path)
    return made


# --- what all systems promise ----------------------------------------------------------------------


def test_nothing_starts_at_first(entry: Entry) -> None:
    assert entry.read() is None
    entry.remove()
    assert entry.read() is None
    assert entry.place


@pytest.mark.parametrize("command", [PLAIN, AWKWARD, ("/a b/c", "")], ids=["plain", "awkward", "empty argument"])
def test_what_was_written_is_read_back(entry: Entry, command: tuple[str, ...]) -> None:
    entry.write(("/somewhere/else",))
    entry.write(command)

    assert entry.read() == entry.line(command)

    entry.remove()
    entry.remove()
    assert entry.read() is None


def test_a_switch_tells_how_it_is_afterwards(entry: Entry) -> None:
    switch = Autostart(entry, None, PLAIN)

    assert switch.status() == Status(on=False, place=entry.place)
    assert switch.switch_on() == Status(on=True, place=entry.place)
    assert switch.switch_on().on, "twice is fine"
    assert switch.switch_off() == Status(on=False, place=entry.place)
    with pytest.raises(NothingToDo):
        switch.switch_off()


def test_another_program_in_our_place_is_told(entry: Entry) -> None:
    entry.write(("/old/tidegate",))

    status = Autostart(entry, None, PLAIN).status()

    assert status.on
    assert "/old/tidegate" in status.other
    assert "/old/tidegate" in status.text


def test_a_write_that_did_not_stay_is_an_error() -> None:
    with pytest.raises(TidegateError, match="not as it was written"):
        Autostart(RunKey(Deaf()), None, PLAIN).switch_on()


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "autostart").write_text("in the way")
    switch = Autostart(DesktopEntry(tmp_path, []), None, PLAIN)

    with pytest.raises(TidegateError, match="Autostart"):
        switch.switch_on()
    with pytest.raises(TidegateError, match="cannot be read"):
        switch.status()


def test_icon_and_service_take_turns_because_they_would_compete_for_the_port(tmp_path: Path) -> None:
    tray, service = DesktopEntry(tmp_path, []), UserUnit(tmp_path)
    switch = Autostart(tray, service, PLAIN)

    switch.switch_on()
    assert switch.switch_on(headless=True) == Status(on=True, place=service.place, headless=True)
    assert tray.read() is None
    assert service.read() == "/usr/bin/tidegate serve"
    assert not switch.switch_on().headless
    assert service.read() is None


def test_without_systemd_there_is_no_headless_autostart() -> None:
    with pytest.raises(TidegateError, match="Without an icon"):
        Autostart(RunKey(FakeRegistry()), None, PLAIN).switch_on(headless=True)


# --- Linux -----------------------------------------------------------------------------------------


def exec_words(line: str) -> list[str]:
    """The arguments of `Exec`, by the letter of the specification: unescape the value, unquote, then field codes."""
    value = line.replace("\\\\", "\\")
    words: list[str] = []
    word, quoted, begun = "", False, False
    characters = iter(value)
    for character in characters:
        if quoted and character == "\\":
            word += next(characters)
        elif character == '"':
            quoted, begun = not quoted, True
        elif character == " " and not quoted:
            words += [word] if begun or word else []
            word, begun = "", False
        else:
            word += character
    words += [word] if begun or word else []
    return [word.replace("%%", "%") for word in words]


@pytest.mark.parametrize("command", [PLAIN, AWKWARD, ("a", "", "%f", "~", "#", "'", "\\\\", "ü")])
def test_exec_reads_as_the_desktop_entry_specification_says(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert exec_words(DesktopEntry(tmp_path, []).line(command)) == list(command)


@pytest.mark.parametrize("program", ["/opt/100 %/tidegate", "/opt/a=b/tidegate"])
def test_program_that_no_entry_can_start_is_refused(tmp_path: Path, program: str) -> None:
    with pytest.raises(TidegateError, match="cannot be started"):
        Autostart(DesktopEntry(tmp_path, []), None, (program,)).switch_on()

    DesktopEntry(tmp_path, []).write(PLAIN)
    assert Autostart(DesktopEntry(tmp_path, []), None, (program,)).status().other == "/usr/bin/tidegate"


def test_exec_takes_no_line_break(tmp_path: Path) -> None:
    for entry in (DesktopEntry(tmp_path, []), UserUnit(tmp_path)):
        with pytest.raises(TidegateError, match="cannot be started"):
            entry.line(("/bin/true", "a\nExec=b"))


@pytest.mark.skipif(sys.platform != "linux", reason="the checker is a program of Linux desktops")
@pytest.mark.parametrize("command", [PLAIN, AWKWARD], ids=["plain", "awkward"])
def test_desktop_entry_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("PATH", os.defpath + ":/usr/bin")
    checker = shutil.which("desktop-file-validate")
    assert checker, "apt-get install desktop-file-utils"
    entry = DesktopEntry(tmp_path, [])
    entry.write(command)

    done = subprocess.run([checker, entry.place], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="GLib starts the entries of Linux desktops")
def test_glib_starts_what_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath + ":/usr/bin")
    gio = shutil.which("gio")
    assert gio, "apt-get install libglib2.0-bin"
    program = tmp_path / 'my $HOME "x" `y`'
    program.write_text(f'#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word"; done > "{tmp_path}/new"\n')
    program.chmod(0o755)
    os.mkfifo(tmp_path / "new")
    entry = DesktopEntry(tmp_path, [])
    entry.write((str(program), *AWKWARD[1:], "", "ü"))

    with subprocess.Popen([gio, "launch", entry.place]) as launching:
        told = (tmp_path / "new").read_text()
        assert launching.wait(10) == 0

    assert told.split("\0")[:-1] == [*AWKWARD[1:], "", "ü"]


@pytest.mark.parametrize("line", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_entry_that_a_desktop_switched_off_is_off(tmp_path: Path, line: str) -> None:
    entry = DesktopEntry(tmp_path, [])
    entry.write(PLAIN)
    file = Path(entry.place)
    file.write_text(f"{file.read_text().replace('X-GNOME-Autostart-enabled=true', '')}{line}\n")

    assert entry.read() is None
    entry.write(PLAIN)
    assert entry.read() == "/usr/bin/tidegate"


def test_entry_of_the_administrator_is_hidden_and_not_deleted(tmp_path: Path) -> None:
    shared = DesktopEntry(tmp_path / "etc", [])
    shared.write(("/usr/bin/tidegate",))
    entry = DesktopEntry(tmp_path / "config", [tmp_path / "etc"])
    assert entry.read() == "/usr/bin/tidegate"

    entry.remove()

    assert entry.read() is None
    assert shared.read() == "/usr/bin/tidegate"
    entry.write(PLAIN)
    assert entry.read() == "/usr/bin/tidegate"


def test_unit_of_the_package_is_the_one_that_is_written_for_a_person(tmp_path: Path) -> None:
    packaged = (ROOT / "packaging/systemd/tidegate.service").read_text()

    assert packaged == UserUnit(tmp_path).text(("/usr/bin/tidegate", "serve"))


def test_unit_that_a_package_brought_and_somebody_enabled_is_seen_and_can_be_switched_off(tmp_path: Path) -> None:
    packaged = tmp_path / "usr/lib/systemd/user/tidegate.service"
    packaged.parent.mkdir(parents=True)
    packaged.write_text(UserUnit(tmp_path).text(("/usr/bin/tidegate", "serve")))
    link = tmp_path / "config/systemd/user/default.target.wants/tidegate.service"
    link.parent.mkdir(parents=True)
    link.symlink_to(packaged)
    unit = UserUnit(tmp_path / "config")

    assert unit.read() == "/usr/bin/tidegate serve"
    unit.remove()

    assert unit.read() is None
    assert packaged.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="systemd")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath + ":/usr/bin")
    analyze = shutil.which("systemd-analyze")
    assert analyze, "apt-get install systemd"
    home = tmp_path / "run"
    home.mkdir(mode=0o700)
    unit = tmp_path / "tidegate.service"
    unit.write_text(UserUnit(tmp_path).text((sys.executable, 'a "quoted" $word', "100 %")))

    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(home)}
    done = subprocess.run(
        [analyze, "verify", "--user", "--man=no", unit],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="systemd")
@pytest.mark.parametrize("name", ["tide gate", "100 %", 'a "quoted" $word'])
def test_unit_is_passed_over_once_its_program_is_gone(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = UserUnit(tmp_path).text((str(program), "serve"))
    condition = next(line for line in text.splitlines() if line.startswith("Condition"))
    analyze = shutil.which("systemd-analyze", path=f"{os.defpath}:/usr/bin")
    assert analyze, "apt-get install systemd"

    def holds() -> bool:
        return subprocess.run([analyze, "condition", condition], capture_output=True, check=False).returncode == 0

    assert holds()
    program.unlink()
    assert not holds()


# --- macOS -----------------------------------------------------------------------------------------


def test_launch_agent_gets_each_argument_by_itself(tmp_path: Path) -> None:
    agent = LaunchAgent(tmp_path)
    agent.write(AWKWARD)

    told = plistlib.loads((tmp_path / f"{LABEL}.plist").read_bytes())

    assert told["ProgramArguments"] == list(AWKWARD)
    assert told["RunAtLoad"] is True
    assert told["Label"] == LABEL
    assert "KeepAlive" not in told


@pytest.mark.parametrize("content", [b"", b"no plist", plistlib.dumps([1]), plistlib.dumps({"Label": "x"})])
def test_agent_that_does_not_read_starts_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{LABEL}.plist").write_bytes(content)

    assert LaunchAgent(tmp_path).read() is None


def test_agent_that_is_disabled_is_off(tmp_path: Path) -> None:
    agent = LaunchAgent(tmp_path)
    agent.write(PLAIN)
    told = plistlib.loads(Path(agent.place).read_bytes())
    Path(agent.place).write_bytes(plistlib.dumps({**told, "Disabled": True}))

    assert agent.read() is None


# --- Windows ---------------------------------------------------------------------------------------


def test_run_key_quotes_as_windows_splits() -> None:
    registry = FakeRegistry()
    RunKey(registry).write((r"C:\Program Files\Tidegate\tidegate.exe", "--data-dir", "C:\\my data\\"))

    assert registry.values[RUN, NAME] == r'"C:\Program Files\Tidegate\tidegate.exe" --data-dir "C:\my data\\"'


@pytest.mark.parametrize(("mark", "on"), [(b"\x03" + bytes(11), False), (b"\x02" + bytes(11), True), (b"", True)])
def test_what_the_task_manager_switched_off_is_off_until_switched_on_here(mark: bytes, on: bool) -> None:
    registry = FakeRegistry()
    key = RunKey(registry)
    key.write(PLAIN)
    registry.values[APPROVED, NAME] = mark

    assert (key.read() is not None) is on

    key.write(PLAIN)
    assert key.read() == "/usr/bin/tidegate"


def test_command_that_windows_would_not_start_is_refused() -> None:
    with pytest.raises(TidegateError, match=str(LONGEST)):
        Autostart(RunKey(FakeRegistry()), None, ("x" * LONGEST, "y")).switch_on()


# --- what is started -------------------------------------------------------------------------------


def test_frozen_program_on_windows_starts_without_a_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "tidegate.exe"))
    assert program({}) == (str(tmp_path / "tidegate.exe"),)

    (tmp_path / "tidegatew.exe").touch()
    assert program({}) == (str(tmp_path / "tidegatew.exe"),)


def test_frozen_program_starts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/tidegate/tidegate")

    assert program({}) == ("/opt/tidegate/tidegate",)
    assert program({"APPIMAGE": "/home/me/Tidegate.AppImage"}) == ("/home/me/Tidegate.AppImage",)


def test_python_starts_its_script_and_without_one_the_module_wherever_it_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))

    assert program({}) == (sys.executable, "-P", "-m", "core")
    (tmp_path / "tidegate").touch()
    assert program({}) == (str(tmp_path / "tidegate"),)


@pytest.mark.skipif(sys.platform != "linux", reason="XDG folders")
def test_command_line_switches_it_for_the_installation_that_is_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli.main, ["--data-dir", str(tmp_path / "my data"), "--vault", "file", *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    assert run("autostart", "status") == "Autostart is off.\n"
    assert "Autostart is on: " in run("autostart", "on")
    entry = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    entry.read(tmp_path / "config/autostart/tidegate.desktop")
    assert exec_words(entry["Desktop Entry"]["Exec"])[-4:] == [
        *("--data-dir", str(tmp_path / "my data")),
        *("--vault", "file"),
    ]
    assert json.loads(run("autostart", "status", "--json"))["on"] is True
    assert "systemctl --user start" in run("autostart", "on", "--headless")
    assert "serve" in (tmp_path / "config/systemd/user/tidegate.service").read_text()
    assert run("autostart", "off") == "Autostart is off.\n"
    assert not list((tmp_path / "config").rglob("tidegate.*"))
    assert CliRunner().invoke(cli.main, ["autostart", "off"]).exit_code == NothingToDo.exit_code
    assert not (tmp_path / "my data").exists(), "asking makes no installation"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG folders")
def test_without_xdg_variables_the_usual_folders_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert of_this_system((), {}).tray.place == str(tmp_path / ".config/autostart/tidegate.desktop")


def test_what_other_programs_start_names_the_installation(tmp_path: Path) -> None:
    assert installation(tmp_path, {}) == (*program({}), "--data-dir", str(tmp_path))
