"""The parts of packaging that need no build: what is said of the program, and that other systems' scripts are whole."""

import hashlib
import plistlib
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import fill
import manpage
import parts
import pytest
from facts import APP_ID, Facts

from core import __version__
from core.cli import main as command_line
from tray.notify import APP_NAME

PACKAGING = Path(__file__).parent.parent / "packaging"
WORKFLOW = PACKAGING.parent / ".github/workflows/release.yml"


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> Facts:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return Facts()


# --- facts -----------------------------------------------------------------------------------------


def test_version_is_written_down_once(facts: Facts) -> None:
    assert facts.version == __version__
    assert __version__ not in (PACKAGING.parent / "pyproject.toml").read_text("utf-8").split("[project.optional")[0]


def test_date_of_the_sources_is_the_one_that_is_asked_for(facts: Facts) -> None:
    assert facts.made_on == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_date_of_the_sources_is_that_of_the_newest_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    who = ["-c", "user.name=N", "-c", "user.email=n@example.org"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(
        ["git", "-C", tmp_path, *who, "commit", "-q", "--allow-empty", "-m", "first"],
        env={"GIT_COMMITTER_DATE": "1600000000 +0000", "PATH": "/usr/bin:/bin"},
        check=True,
    )
    assert Facts(tmp_path).made_at == 1_600_000_000


def test_changes_are_those_of_the_version(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/__init__.py").write_text('__version__ = "1.2.0"\n')
    sections = [
        "# Changes",
        "## Unreleased\n- Later.",
        "## 1.2.0\n### Added\n- One thing\n  in two lines.\n- Two.",
        "## 1.1.0\n- Old.",
    ]
    (tmp_path / "CHANGELOG.md").write_text("\n\n".join(sections))
    assert Facts(tmp_path).changes == ("One thing in two lines.", "Two.")


# --- manual page -----------------------------------------------------------------------------------


def test_manual_page_tells_every_command_and_option(facts: Facts) -> None:
    page = manpage.page(command_line, facts.version, facts.made_on, "one icon")
    told = page.replace("\\-", "-")
    assert {"serve", "add api-key", "config set"} <= {path for path, _ in commands(command_line)}
    for path, command in commands(command_line):
        assert re.search(rf"^\.SS {path}\b", told, re.MULTILINE), path
        for option in (o for o in command.params if isinstance(o, click.Option) and not o.hidden):
            assert option.opts[-1] in told, f"{path} {option.opts}"
    assert page.startswith(f'.TH TIDEGATE 1 "2023-11-14" "tidegate {__version__}"')


def commands(group: click.Group, path: str = "") -> list[tuple[str, click.Command]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command, inner = group.get_command(context, name), f"{path} {name}".strip()
        assert command
        found += commands(command, inner) if isinstance(command, click.Group) else [(inner, command)]
    return [(name, command) for name, command in found if not command.hidden]


def test_words_that_mean_something_in_a_manual_page_do_not_there() -> None:
    @click.command(help=".B is no macro\n\n'quoted' C:\\new -- end")
    def odd() -> None: ...

    page = manpage.page(click.Group("odd", commands={"odd": odd}), "1", datetime(2026, 1, 1, tzinfo=UTC), "x")
    assert "\n\\&.B is no macro\n" in page
    assert "\n\\&'quoted' C:\\enew \\-\\- end\n" in page


# --- what is inside --------------------------------------------------------------------------------


def test_parts_are_what_the_build_took(tmp_path: Path) -> None:
    (tmp_path / "PYZ-00.toc").write_text(repr(("PYZ-00.pyz", [("click", click.__file__, "PYMODULE")])))
    (tmp_path / "COLLECT-00.toc").write_text(repr(([("core/page.css", "/nowhere/page.css", "DATA")],)))
    found = {part.name: part for part in parts.parts(tmp_path, starter="pystray")}
    assert {"click", "CPython", "uPlot"} <= set(found)
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["uPlot"].version)
    assert found["click"].licence == "BSD-3-Clause"
    assert "Redistribution and use" in parts.notices(tuple(found.values()))
    assert "pillow" not in found


# --- templates -------------------------------------------------------------------------------------


def test_template_with_something_unknown_is_not_filled() -> None:
    with pytest.raises(KeyError):
        fill.filled("@VERSION@ @NOBODY_KNOWS@", {"VERSION": "1"})


@pytest.fixture
def release(tmp_path: Path, facts: Facts) -> Path:
    """A folder with made-up installers and what is written for them."""
    for name in fill.INSTALLERS.values():
        (tmp_path / name.format(version=facts.version)).write_text(name)
    fill.write(facts, "https://example.org/tidegate", tmp_path)
    return tmp_path


def test_winget_finds_what_its_schema_demands(release: Path) -> None:
    keys = {path.name.split(".")[2]: manifest(path) for path in release.glob("*.yaml")}
    assert set(keys) == {"yaml", "installer", "locale"}
    for told in keys.values():
        assert told["PackageIdentifier"] == "Tidegate.Tidegate"
        assert told["PackageVersion"] == __version__
        assert told["ManifestVersion"] == "1.9.0"
    assert [keys[name]["ManifestType"] for name in ("yaml", "installer", "locale")] == [
        "version",
        "installer",
        "defaultLocale",
    ]
    installer = keys["installer"]
    assert installer["InstallerUrl"].startswith(f"https://example.org/tidegate/releases/download/v{__version__}/")
    content = (release / installer["InstallerUrl"].rpartition("/")[2]).read_bytes()
    assert installer["InstallerSha256"] == hashlib.sha256(content).hexdigest()
    assert {"Publisher", "PackageName", "License", "ShortDescription"} <= set(keys["locale"])


def manifest(path: Path) -> dict[str, str]:
    """The keys and plain values of a manifest: all that ours have."""
    lines = (line.strip().removeprefix("- ") for line in path.read_text("utf-8").splitlines())
    pairs = (line.partition(": ") for line in lines if line and not line.startswith("#"))
    return {name.removesuffix(":"): value.strip('"') for name, _, value in pairs}


def test_cask_names_both_images_with_their_sums(release: Path) -> None:
    cask = (release / "tidegate.rb").read_text("utf-8")
    assert f'version "{__version__}"' in cask
    assert re.findall(r'(?:arm|intel): +"([0-9a-f]{64})"', cask) == [
        hashlib.sha256((release / f"tidegate-{__version__}-{arch}.dmg").read_bytes()).hexdigest()
        for arch in ("arm64", "x86_64")
    ]
    assert f'"{APP_ID}"' in cask
    assert cask.count(" do\n") == len(re.findall(r"^\s*end$", cask, re.MULTILINE))


def test_mac_program_is_in_the_menu_bar_and_not_in_the_dock() -> None:
    told = plistlib.loads((PACKAGING / "macos/Info.plist").read_bytes())
    assert told["CFBundleIdentifier"] == APP_ID
    assert told["LSUIElement"] is True
    assert told["LSBackgroundOnly"] is False


def test_windows_installer_gives_the_shortcut_the_id_of_the_notifications() -> None:
    sections = inno((PACKAGING / "windows/tidegate.iss").read_text("utf-8"))
    (shortcut,) = (line for line in sections["Icons"] if "{group}" in line)
    assert f'AppUserModelID: "{APP_NAME}"' in shortcut
    assert {"AppId", "AppName", "AppVersion", "DefaultDirName", "OutputBaseFilename", "PrivilegesRequired"} <= {
        line.partition("=")[0] for line in sections["Setup"]
    }
    assert any("autostart" in line for line in sections["Tasks"])


def test_windows_uninstaller_keeps_what_the_person_has() -> None:
    sections = inno((PACKAGING / "windows/tidegate.iss").read_text("utf-8"))
    assert "UninstallDelete" not in sections
    assert all("{app}" in line for line in sections["Files"])


def test_windows_uninstaller_gives_programs_their_settings_back_before_the_program_goes() -> None:
    sections = inno((PACKAGING / "windows/tidegate.iss").read_text("utf-8"))
    (undo,) = (line for line in sections["UninstallRun"] if '"undo"; Flags' in line)
    assert undo.startswith('Filename: "{app}\\tidegate.exe"; Parameters: "undo"; Flags: runhidden')


def test_where_no_hook_can_run_the_person_is_told_to_undo() -> None:
    for told in ("linux/INSTALL.txt", "macos/tidegate.rb"):
        assert "`tidegate undo`" in (PACKAGING / told).read_text("utf-8")


def inno(text: str) -> dict[str, list[str]]:
    """The lines of an Inno Setup script by their section."""
    found: dict[str, list[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            found[heading[1]] = []
        elif line and not line.lstrip().startswith((";", "#")):
            found[next(reversed(found))].append(line)
    return found


def test_metainfo_and_menu_entry_name_the_same_program() -> None:
    text = (PACKAGING / "linux/metainfo.xml").read_text("utf-8")
    told = ET.fromstring(text)  # our own file
    launchable = told.findtext("launchable")
    assert launchable
    assert (PACKAGING / "linux" / launchable).is_file()


def test_release_pins_every_action_by_its_commit() -> None:
    used = re.findall(r"uses: (\S+)(.*)", WORKFLOW.read_text("utf-8"))
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action
        assert re.search(r"# v\d", comment), f"{action}: which release is that?"


def test_locks_name_no_host() -> None:
    for lock in (PACKAGING / "requirements").glob("*.txt"):
        assert not re.search(r"://|--(extra-)?index|--find-links", lock.read_text("utf-8")), lock.name


# --- removing the .deb -----------------------------------------------------------------------------


class Removal:
    """`prerm` on a made-up system: its users, a `runuser` that notes whom it is to be, a program that notes it ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.users: list[str] = []
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.put("getent", f"cat {folder}/passwd")
        self.put(
            "runuser", f'[ "$1" = -u ] && [ "$3" = -- ] || exit 99\necho "$2" >>{folder}/asked; shift 3; exec "$@"'
        )
        self.program = 'env >"$HOME/ran"; echo "$*" >>"$HOME/ran"'

    def put(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def user(self, name: str, uid: int, *, connected: bool = True) -> Path:
        home = self.folder / f"home of {name}"
        self.users.append(f"{name}:x:{uid}:{uid}:{name},,,:{home}:/bin/sh")
        (home / ".local/share/tidegate").mkdir(parents=True)
        if connected:
            (home / ".local/share/tidegate/connected.json").write_text("{}")
        return home

    def run(self, *words: str, **limits: int) -> "subprocess.CompletedProcess[str]":
        self.put("tidegate", self.program)
        (self.folder / "passwd").write_text("".join(f"{line}\n" for line in self.users))
        script = (PACKAGING / "linux/prerm").read_text("utf-8").replace("/usr/bin/tidegate", f"{self.bin}/tidegate")
        for name, seconds in limits.items():
            script, found = re.subn(rf"^{name}=.*$", f"{name}={seconds}", script, flags=re.MULTILINE)
            assert found == 1
        return subprocess.run(
            ["sh", "-c", script, "prerm", *words],
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "SECRET": "root's own"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        file = self.folder / "asked"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def removal(tmp_path: Path) -> Removal:
    return Removal(tmp_path)


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_script_of_the_deb_is_one_that_every_shell_reads(shell: str) -> None:
    if shutil.which(shell):
        subprocess.run([shell, "-n", PACKAGING / "linux/prerm"], check=True)


def test_removing_the_deb_undoes_the_programs_of_each_person_as_that_person(removal: Removal) -> None:
    homes = [removal.user("root", 0), removal.user("ada", 1000), removal.user("$(reboot)", 70001)]
    nobody, daemon = removal.user("bob", 1001, connected=False), removal.user("daemon", 999)

    done = removal.run("remove")

    assert (done.returncode, done.stderr) == (0, "")
    assert removal.asked == ["root", "ada", "$(reboot)", "bob"]
    for home, name in zip(homes, ("root", "ada", "$(reboot)"), strict=True):
        lines = (home / "ran").read_text().splitlines()
        assert lines[-1] == "undo"
        assert {f"HOME={home}", f"USER={name}"} <= set(lines)
        assert not any(line.startswith("SECRET=") for line in lines)
    assert not (nobody / "ran").exists()
    assert not (daemon / "ran").exists()


@pytest.mark.parametrize("words", [("upgrade", "2.0"), ("failed-upgrade", "2.0"), ("deconfigure", "in-favour", "x")])
def test_programs_stay_connected_when_the_deb_is_only_replaced(removal: Removal, words: tuple[str, ...]) -> None:
    removal.user("ada", 1000)
    assert removal.run(*words).returncode == 0
    assert removal.asked == []


def test_what_fails_or_hangs_for_one_person_keeps_neither_the_others_nor_the_removal(removal: Removal) -> None:
    for name in ("ada", "bob", "eve"):
        home = removal.user(name, 1000)
    removal.program = f"case $USER in ada) exit 1 ;; bob) exec sleep 50 ;; esac; {removal.program}"

    done = removal.run("remove", SECONDS_EACH=1)

    assert done.returncode == 0
    assert [line.split()[3] for line in done.stderr.splitlines() if "keep its settings" in line] == ["ada", "bob"]
    assert f"{removal.folder}/home of bob/.local/share/tidegate/originals" in done.stderr
    assert (home / "ran").exists()


def test_removal_ends_in_time_and_without_a_list_of_users(removal: Removal) -> None:
    removal.user("ada", 1000)
    late = removal.run("remove", SECONDS_ALL=0)
    assert (late.returncode, removal.asked) == (0, [])
    assert "no time left for the programs of ada and others" in late.stderr

    removal.put("getent", "exit 2")
    assert removal.run("remove").returncode == 0
