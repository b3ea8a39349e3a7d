"""The Linux packages: a tree as it lies below /usr, made into a .deb and into an archive for other distributions."""

import gzip
import hashlib
import os
import platform
import re
import shutil
import struct
import subprocess
import tarfile
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import manpage
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete
from facts import APP_ID, BUNDLE, MAINTAINER, ROOT, SUMMARY, Facts
from fill import filled

from core.cli import main as command_line

HERE = Path(__file__).parent / "linux"
RECOMMENDS = "default-dbus-session-bus | dbus-session-bus, gnome-keyring | kwalletmanager | keepassxc, xdg-utils"
SUGGESTS = "gnome-shell-extension-appindicator, notification-daemon, wl-clipboard | xclip"
ICON_SIZES = {16, 22, 24, 32, 48, 64, 128, 256, 512}
"""What the hicolor theme has folders for."""
PROGRAMS = {("tidegate", "tidegate"), ("DEBIAN", "prerm")}
"""The files that are run, by folder and name."""
_PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@dataclass(frozen=True, slots=True)
class Layout:
    """What differs between Debian's /usr and a person's ~/.local."""

    units: str
    zsh: str
    program: str
    """As systemd finds it, which does not look into PATH."""


DEBIAN = Layout("lib/systemd/user", "share/zsh/vendor-completions", "/usr/bin/tidegate")
ANYWHERE = Layout("share/systemd/user", "share/zsh/site-functions", "%h/.local/bin/tidegate")


def stage(tree: Path, facts: Facts, layout: Layout) -> None:
    """Fill an empty folder with the program and everything that the desktop and the shells want to know of it."""
    shutil.copytree(BUNDLE, tree / "lib/tidegate", symlinks=True)
    (tree / "bin").mkdir()
    (tree / "bin/tidegate").symlink_to("../lib/tidegate/tidegate")
    _copy(HERE / "tidegate.desktop", tree / "share/applications/tidegate.desktop")
    unit = (ROOT / "packaging/systemd/tidegate.service").read_text("utf-8")
    _write(tree / layout.units / "tidegate.service", unit.replace(DEBIAN.program, layout.program))
    _write(tree / f"share/metainfo/{APP_ID}.metainfo.xml", metainfo(facts))
    for size, picture in icons(ROOT / "icons").items():
        name = "tidegate-symbolic.svg" if size == "symbolic" else f"tidegate{picture.suffix}"
        _copy(picture, tree / f"share/icons/hicolor/{size}/apps/{name}")
    page = manpage.page(command_line, facts.version, facts.made_on, SUMMARY.lower())
    _write_gzip(tree / "share/man/man1/tidegate.1.gz", page)
    _write(tree / "share/bash-completion/completions/tidegate", completion(BashComplete))
    _write(tree / layout.zsh / "_tidegate", completion(ZshComplete))
    _write(tree / "share/fish/vendor_completions.d/tidegate.fish", completion(FishComplete))


def metainfo(facts: Facts) -> str:
    """What software centres show."""
    values = {"ID": APP_ID, "SUMMARY": SUMMARY, "VERSION": facts.version, "DATE": f"{facts.made_on:%Y-%m-%d}"}
    return filled((HERE / "metainfo.xml").read_text("utf-8"), values)


def completion(shell: type[ShellComplete]) -> str:
    """What a shell reads to complete words of `tidegate`."""
    return shell(command_line, {}, "tidegate", "_TIDEGATE_COMPLETE").source()


def icons(folder: Path) -> dict[str, Path]:
    """The program's pictures by their folder in the hicolor theme: `48x48`, `scalable`, `symbolic`."""
    found = {f"{side}x{side}": path for path in sorted(folder.glob("tidegate*.png")) if (side := _side(path))}
    return {**found, "scalable": folder / "tidegate.svg", "symbolic": folder / "tidegate-symbolic.svg"}


def _side(picture: Path) -> int | None:
    """How many pixels a square picture has on a side that the theme knows, else None."""
    head = picture.read_bytes()[:24]
    if not head.startswith(_PNG_HEAD):
        return None
    width, height = struct.unpack(">II", head[16:])
    return width if width == height and width in ICON_SIZES else None


# --- the .deb --------------------------------------------------------------------------------------


def deb(facts: Facts, folder: Path) -> Path:
    """Write the .deb into `folder`. Needs dpkg-deb and objdump."""
    machine = _told("dpkg", "--print-architecture")
    made = folder / f"tidegate_{facts.version}_{machine}.deb"
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        stage(tree / "usr", facts, DEBIAN)
        documents = tree / "usr/share/doc/tidegate"
        licence = textwrap.indent((ROOT / "LICENSE").read_text("utf-8"), " ", lambda _: True)
        licence = "\n".join(line if line.strip() else " ." for line in licence.strip("\n").splitlines()[4:])
        _write(documents / "copyright", filled((HERE / "copyright").read_text("utf-8"), {"LICENSE": licence}))
        _write_gzip(documents / "changelog.gz", changelog(facts))
        _copy(HERE / "lintian-overrides", tree / "usr/share/lintian/overrides/tidegate")
        _settle(tree, facts.made_at)
        size_kib = sum(_on_disk_kib(path) for path in tree.rglob("*"))
        _write(tree / "DEBIAN/md5sums", _md5sums(tree))
        _write(tree / "DEBIAN/control", control(facts, machine, _depends(tree), size_kib))
        _copy(HERE / "prerm", tree / "DEBIAN/prerm")
        _settle(tree, facts.made_at)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(facts.made_at)}
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", "-Zxz", tree, made],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return made


def control(facts: Facts, machine: str, depends: str, size_kib: int) -> str:
    """The package's description for dpkg."""
    return f"""\
Package: tidegate
Version: {facts.version}
Architecture: {machine}
Maintainer: {MAINTAINER}
Installed-Size: {size_kib}
Depends: {depends}
Recommends: {RECOMMENDS}
Suggests: {SUGGESTS}
Section: net
Priority: optional
Description: {SUMMARY[0].lower()}{SUMMARY[1:]}
 Tidegate makes several accounts of a coding agent behave as one. It sits in
 the system tray, answers on one address of this machine, sends each request
 with the account that should pay for it, and moves on before the program
 notices a limit.
 .
 Credentials rest in the keychain of the desktop.
"""


def changelog(facts: Facts) -> str:
    """The change log in Debian's form."""
    wrap = textwrap.TextWrapper(78, initial_indent="  * ", subsequent_indent="    ", break_on_hyphens=False)
    items = "\n".join(wrap.fill(change) for change in facts.changes)
    date = f"{facts.made_on:%a, %d %b %Y %H:%M:%S} +0000"
    return f"tidegate ({facts.version}) stable; urgency=medium\n\n{items}\n\n -- {MAINTAINER}  {date}\n"


def _depends(tree: Path) -> str:
    """The packages that the bundle needs from outside, with the C library that its machine code was linked for."""
    program = tree / "usr/lib/tidegate"
    libraries = [path for path in program.rglob("*.so*") if path.is_file() and not path.is_symlink()]
    # The starter runs before the bundle's own libraries can be found, so it needs all of its own from outside.
    inside = {path.name for path in libraries}
    described = {_told("objdump", "-p", str(path)) for path in libraries}
    starter = _told("objdump", "-p", str(program / "tidegate"))
    outside = {name for text in described for name in _needed(text)} - inside | set(_needed(starter))
    packages = {_package_of(name) for name in outside} - {"libc6"}
    wanted = max(_glibc_versions("\n".join((starter, *described))))
    return ", ".join([f"libc6 (>= {wanted[0]}.{wanted[1]})", *sorted(packages)])


def _needed(described: str) -> list[str]:
    """The libraries that a library names, by `objdump -p`."""
    return re.findall(r"^ *NEEDED +(\S+)$", described, re.MULTILINE)


def _glibc_versions(described: str) -> list[tuple[int, int]]:
    return [(int(major), int(minor)) for major, minor in re.findall(r" GLIBC_(\d+)\.(\d+)", described)]


def _package_of(library: str) -> str:
    """The Debian package that has this library."""
    return _told("dpkg-query", "-S", f"*/{library}").partition(":")[0]


def _md5sums(tree: Path) -> str:
    files = sorted(path for path in (tree / "usr").rglob("*") if path.is_file() and not path.is_symlink())
    return "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)  # noqa: S324


# --- the archive -----------------------------------------------------------------------------------


def archive(facts: Facts, folder: Path) -> Path:
    """Write the archive for distributions without .deb into `folder`."""
    name = f"tidegate-{facts.version}-linux-{platform.machine()}"
    made = folder / f"{name}.tar.gz"
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / name
        tree.mkdir()
        stage(tree, facts, ANYWHERE)
        installed = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir())
        _write(tree / "INSTALLED.txt", "\n".join(installed) + "\n")
        values = {"VERSION": facts.version, "ARCH": platform.machine(), "GLIBC": platform.libc_ver()[1]}
        _write(tree / "INSTALL.txt", filled((HERE / "INSTALL.txt").read_text("utf-8"), values))
        _settle(tree, facts.made_at)
        with (
            made.open("wb") as file,
            gzip.GzipFile("", "wb", 9, file, mtime=facts.made_at) as packed,
            tarfile.open(fileobj=packed, mode="w") as tar,
        ):
            for path in (tree, *sorted(tree.rglob("*"))):
                tar.add(path, path.relative_to(temporary), recursive=False, filter=_nobodys)
    return made


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


# --- files -----------------------------------------------------------------------------------------


def _settle(tree: Path, made_at: int) -> None:
    """Give everything below `tree` the usual mode and one date, so that equal sources make equal bytes."""
    for path in (*tree.rglob("*"), tree):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parts[-2:] in PROGRAMS else 0o644)
        os.utime(path, (made_at, made_at), follow_symlinks=False)


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)


def _write(to: Path, text: str) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text, encoding="utf-8")


def _write_gzip(to: Path, text: str) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _on_disk_kib(path: Path) -> int:
    """As Debian counts: files by whole KiB, everything else as one."""
    return -(-path.stat().st_size // 1024) if path.is_file() and not path.is_symlink() else 1


def _told(*command: str, cwd: str | None = None) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()
