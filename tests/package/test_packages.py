"""What `make package` has made, by the distribution's own checks: whole, described, and the same when made again."""

import hashlib
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from core import __version__

pytestmark = [pytest.mark.package, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
DIST = REPOSITORY / "dist"


def only(pattern: str) -> Path:
    found = sorted(DIST.glob(pattern))
    assert len(found) == 1, f"run `make package` first: {pattern} is {found}"
    return found[0]


def told(*command: str | Path, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the .deb."""
    folder = tmp_path_factory.mktemp("deb")
    told("dpkg-deb", "--extract", only("tidegate_*.deb"), folder)
    return folder


def test_lintian_finds_no_error_in_the_deb() -> None:
    assert not told("lintian", "--allow-root", "--fail-on", "error", only("tidegate_*.deb"))


def test_deb_needs_nothing_but_the_c_library_and_zlib() -> None:
    needed = told("dpkg-deb", "--field", only("tidegate_*.deb"), "Depends").strip()
    assert re.fullmatch(r"libc6 \(>= 2\.\d+\), zlib1g", needed)


def test_software_centres_accept_the_description(unpacked: Path) -> None:
    (metainfo,) = unpacked.glob("usr/share/metainfo/*.xml")
    told("appstreamcli", "validate", "--no-net", metainfo)
    assert f'<release version="{__version__}"' in metainfo.read_text()


def test_desktop_accepts_the_menu_entry(unpacked: Path) -> None:
    told("desktop-file-validate", unpacked / "usr/share/applications/tidegate.desktop")


def test_manual_page_is_set_without_a_warning(unpacked: Path) -> None:
    page = unpacked / "usr/share/man/man1/tidegate.1.gz"
    environment = {**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["man", "--warnings", "-l", page], env=environment, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    assert "tidegate - one icon" in done.stdout


def test_bash_completes_a_command(unpacked: Path) -> None:
    script = unpacked / "usr/share/bash-completion/completions/tidegate"
    typed = "COMP_WORDS=(tidegate expl); COMP_CWORD=1; _tidegate_completion tidegate; echo ${COMPREPLY[@]}"
    environment = {"PATH": f"{unpacked / 'usr/bin'}:/usr/bin:/bin"}
    assert told("bash", "-c", f"source {script}; {typed}", env=environment).split() == ["explain"]


def test_bill_lists_locked_packages_only() -> None:
    bill = json.loads(only("*.cdx.json").read_text())
    locked = dict(
        re.findall(r"^([a-z0-9-]+)==(\S+)", (REPOSITORY / "packaging/requirements/run.txt").read_text(), re.MULTILINE)
    )
    packages = {c["purl"] for c in bill["components"] if c["purl"].startswith("pkg:pypi/")}
    allowed = {f"pkg:pypi/{name}@{version}" for name, version in locked.items()}
    assert {package.replace("backports.", "backports-") for package in packages} <= allowed
    assert bill["metadata"]["component"]["version"] == __version__
    assert {"openssl", "CPython"} <= {c["name"] for c in bill["components"]}


def test_licences_of_all_parts_are_in_the_package(unpacked: Path) -> None:
    notices = (unpacked / "usr/lib/tidegate/LICENSES.txt").read_text()
    for component in json.loads(only("*.cdx.json").read_text())["components"]:
        assert f"\n{component['name']} {component['version']}\n" in notices


def test_archive_runs_where_it_is_unpacked(tmp_path: Path) -> None:
    with tarfile.open(only("*.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    assert __version__ in told(folder / "bin/tidegate", "--version")
    listed = (folder / "INSTALLED.txt").read_text().split()
    assert all((folder / name).is_file() for name in listed)


def test_sums_are_those_of_the_files() -> None:
    lines = only("SHA256SUMS*").read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        expected, name = line.split("  ")
        assert hashlib.sha256((DIST / name).read_bytes()).hexdigest() == expected


def test_second_build_gives_the_same_bytes() -> None:
    """Last, because it builds everything anew."""
    before = only("SHA256SUMS*").read_text()
    told(REPOSITORY / "build/venv/bin/python", REPOSITORY / "packaging/build.py")
    assert only("SHA256SUMS*").read_text() == before
