"""Build what this system can be given: `python packaging/build.py`. The result is in `dist/`.

Everywhere: the bundle in one folder, its bill of materials, checksums. On Linux also the .deb and the archive, on
Windows the installer, on macOS the disk image.
"""

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from facts import BUNDLE, DIST, ROOT, WORK, Facts

HERE = Path(__file__).parent


def bundle(facts: Facts) -> None:
    """Make `dist/tidegate`, the program with everything it needs."""
    shutil.rmtree(BUNDLE, ignore_errors=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "PYTHONNODEBUGRANGES": "1",  # tracebacks name lines, not columns: a quarter of the code's size
        "SOURCE_DATE_EPOCH": str(facts.made_at),
        "PYINSTALLER_CONFIG_DIR": str(WORK / "pyinstaller-cache"),
        "TIDEGATE_VERSION": facts.version,
    }
    if sys.platform == "linux":
        environment["PYSTRAY_BACKEND"] = "dummy"  # else pystray asks for a display when it is looked at
    options = ["--noconfirm", "--log-level=ERROR", f"--workpath={WORK / 'pyinstaller'}", f"--distpath={DIST}"]
    command = [sys.executable, "-m", "PyInstaller", *options, str(HERE / "tidegate.spec")]
    subprocess.run(command, env=environment, cwd=ROOT, check=True)
    if sys.platform == "linux":
        forget_where_it_was_built()


def forget_where_it_was_built() -> None:
    """Libraries must not look for others in the folder of the builder's Python, which may be anybody's elsewhere."""
    for library in sorted(BUNDLE.rglob("*.so*")):
        asked = subprocess.run(["objdump", "-p", library], capture_output=True, text=True, check=True)
        found = re.search(r"^ *R(?:UN)?PATH +(.+)$", asked.stdout, re.MULTILINE)
        if found and not found[1].startswith("$ORIGIN"):
            subprocess.run(["chrpath", "--delete", library], stdout=subprocess.DEVNULL, check=True)


def describe(facts: Facts) -> Path:
    """Put the licences into the bundle and the bill of materials beside it."""
    import parts  # noqa: PLC0415 - the packages it reads are those of the build
    import sbom  # noqa: PLC0415

    every = parts.parts(WORK / "pyinstaller/tidegate")
    (BUNDLE / "LICENSES.txt").write_text(parts.notices(every), encoding="utf-8")
    made = DIST / f"tidegate-{facts.version}-{sys.platform}-{platform.machine().lower()}.cdx.json"
    made.write_text(sbom.bill(facts, every), encoding="utf-8")
    return made


def on_linux(facts: Facts) -> list[Path]:
    """The .deb and the archive."""
    import linux  # noqa: PLC0415 - there on Linux only

    return [linux.deb(facts, DIST), linux.archive(facts, DIST)]


def on_windows(facts: Facts) -> list[Path]:
    """The installer, by Inno Setup."""
    script = HERE / "windows/tidegate.iss"
    subprocess.run(["iscc", "/Q", f"/DVersion={facts.version}", str(script)], check=True)
    return [DIST / f"tidegate-{facts.version}-setup.exe"]


def on_macos(facts: Facts) -> list[Path]:
    """The disk image with the program's bundle."""
    made = DIST / f"tidegate-{facts.version}-{platform.machine()}.dmg"
    subprocess.run([str(HERE / "macos/make-dmg"), str(DIST / "Tidegate.app"), str(made)], check=True)
    return [made]


PACKAGES = {"linux": on_linux, "win32": on_windows, "darwin": on_macos}


def write_sums(files: list[Path]) -> Path:
    """The checksums of what was built, in the form that `sha256sum --check` reads."""
    made = DIST / f"SHA256SUMS-{sys.platform}"
    lines = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(files))
    made.write_text("".join(lines), encoding="utf-8")
    return made


def main() -> None:
    """Build all of it, or the bundle alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle-only", action="store_true", help="only dist/tidegate, to try it")
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT))  # these sources, wherever else some are installed
    facts = Facts()
    DIST.mkdir(exist_ok=True)
    bundle(facts)
    files = [describe(facts)]
    if not chosen.bundle_only:
        files += PACKAGES[sys.platform](facts)
    write_sums(files)
    for file in files:
        print(f"{file.stat().st_size / 1e6:6.1f} MB  {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
