"""What is in the bundle that others made: which packages, in which version, under which licence.

Read from the lists that PyInstaller keeps of a build, so that it tells what is really inside, not what might be.
"""

import ast
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

LISTS = ("PYZ-00.toc", "COLLECT-00.toc")
_LICENCE_FILE = re.compile(r"(^|/)(licen[cs]es?|copying|notice|authors)[^/]*$|/licen[cs]es/", re.IGNORECASE)
_ENTRY_FIELDS = 3
"""Name in the bundle, where it came from, kind."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that others made."""

    name: str
    version: str
    origin: str
    """Kind and namespace of a package URL: `pypi`, `deb/debian`, `generic`."""
    licence: str
    """An SPDX expression where its makers give one, else their own words, else nothing."""
    texts: tuple[str, ...] = ()


def parts(lists: Path, starter: str = "pyinstaller") -> tuple[Part, ...]:
    """Everything in the build whose lists are in this folder, by name. `starter`: whose binary starts it."""
    sources, libraries = _sources(lists)
    found = {_of_distribution(one): files for one in metadata.distributions() if (files := _files(one) & sources)}
    owned = frozenset().union(*found.values())
    system = (_of_system(library) for library in libraries - owned if "python" not in Path(library).name)
    every = {part.name: part for part in (*found, *filter(None, system), _python(), _bootloader(starter), _charts())}
    return tuple(every[name] for name in sorted(every, key=str.casefold))


def notices(every: tuple[Part, ...]) -> str:
    """The licences of all parts in one text, as most of them demand."""
    rule = "=" * 78
    heads = (f"{rule}\n{part.name} {part.version}\n{part.licence}".rstrip() for part in every)
    return "\n\n".join("\n\n".join((head, *part.texts)) for head, part in zip(heads, every, strict=True)) + "\n"


def _sources(lists: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The files that went into the bundle, and those of them that are libraries."""
    entries = [entry for name in LISTS for entry in _entries(ast.literal_eval((lists / name).read_text("utf-8")))]
    libraries = frozenset(source for _, source, kind in entries if kind == "BINARY")
    return frozenset(source for _, source, _ in entries), libraries


def _entries(listed: object) -> Iterator[tuple[str, str, str]]:
    match listed:
        case (str(name), str(source), str(kind)):
            yield name, source, kind
        case list() | tuple():
            for inner in listed:
                yield from _entries(inner)


def _files(distribution: metadata.Distribution) -> frozenset[str]:
    return frozenset(str(distribution.locate_file(file)) for file in distribution.files or ())


def _of_distribution(distribution: metadata.Distribution) -> Part:
    told = distribution.metadata
    files = [file for file in distribution.files or () if _LICENCE_FILE.search(str(file)) and file.suffix != ".py"]
    texts = (Path(str(file.locate())) for file in sorted(files, key=str))
    return Part(
        told["Name"],
        distribution.version,
        "pypi",
        _licence(distribution.metadata),
        tuple(text.read_text("utf-8", "replace").strip() for text in texts if text.is_file()),
    )


def _licence(told: metadata.PackageMetadata) -> str:
    """What a package says of its licence, by the newest field that it uses."""
    for field in ("License-Expression", "License"):
        for value in told.get_all(field) or ():
            if "\n" not in value:  # some write the whole licence into it
                return str(value)
    classifiers = (line for line in told.get_all("Classifier") or () if line.startswith("License :: "))
    return " OR ".join(line.rpartition(" :: ")[2] for line in classifiers)


def _of_system(library: str) -> Part | None:
    """A library of the system that was taken along. None where the system does not tell whose it is."""
    query = shutil.which("dpkg-query")
    if query is None:
        return None
    for path in (library, str(Path(library).resolve())):
        asked = subprocess.run([query, "-S", path], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            break
    else:
        return None
    package = asked.stdout.partition(": ")[0]
    told = subprocess.run(
        [query, "-W", "-f", "${source:Package} ${Version}", package], capture_output=True, text=True, check=True
    ).stdout
    source, _, version = told.partition(" ")
    text = Path("/usr/share/doc") / package.partition(":")[0] / "copyright"
    origin = f"deb/{platform.freedesktop_os_release()['ID']}"
    return Part(source, version, origin, "", (text.read_text("utf-8", "replace").strip(),) if text.is_file() else ())


def _python() -> Part:
    folder = Path(sys.base_prefix) / f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    texts = [path for path in (folder / "LICENSE.txt", Path(sys.base_prefix) / "LICENSE.txt") if path.is_file()]
    return Part(
        "CPython", platform.python_version(), "generic", "Python-2.0", tuple(path.read_text("utf-8") for path in texts)
    )


def _bootloader(package: str) -> Part:
    maker = metadata.distribution(package)
    told = _of_distribution(maker)
    licence = "GPL-2.0-or-later WITH Bootloader-exception"
    return Part("PyInstaller bootloader", maker.version, "generic", licence, told.texts)


def _charts() -> Part:
    """What draws the charts of the status page: it lies in the repository, as it was published."""
    folder = Path(__file__).parents[1] / "core/dashboard/vendor"
    head = (folder / "uPlot.iife.min.js").read_text("utf-8").partition("\n")[0]
    version = re.search(r"\(v([\d.]+)\)", head)
    text = (folder / "LICENSE").read_text("utf-8").strip()
    return Part("uPlot", version[1] if version else "", "npm", "MIT", (text,))
