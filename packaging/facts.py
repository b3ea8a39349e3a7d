"""What every package says of the program: read from the sources, so that it is written down once."""

import os
import re
import subprocess
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
WORK = ROOT / "build"
BUNDLE = DIST / "tidegate"
APP_ID = "dev.tidegate.Tidegate"
"""How macOS and software centres tell the program from others."""
SUMMARY = "One icon for several coding-agent accounts"
MAINTAINER = "The Tidegate authors <authors@tidegate.invalid>"
"""There is no address yet; `.invalid` reaches nobody, by RFC 2606."""


@dataclass(frozen=True)
class Facts:
    """The facts of one checkout."""

    root: Path = ROOT

    @cached_property
    def version(self) -> str:
        """The version, as `core/__init__.py` has it."""
        text = (self.root / "core/__init__.py").read_text(encoding="utf-8")
        found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
        if found is None:
            raise ValueError("core/__init__.py names no version")
        return found[1]

    @cached_property
    def description(self) -> str:
        """One sentence."""
        return str(self._project["description"])

    @cached_property
    def made_at(self) -> int:
        """When the sources are from, in Unix seconds: the date on everything that is built, so that it can be rebuilt.

        SOURCE_DATE_EPOCH says it, else the newest commit, else (an unpacked archive) the change log's own date.
        """
        if said := os.environ.get("SOURCE_DATE_EPOCH"):
            return int(said)
        asked = subprocess.run(
            ["git", "-C", str(self.root), "log", "-1", "--format=%ct"],
            capture_output=True,
            text=True,
            check=False,
        )
        return int(asked.stdout) if asked.returncode == 0 else int((self.root / "CHANGELOG.md").stat().st_mtime)

    @property
    def made_on(self) -> datetime:
        """The same as a date."""
        return datetime.fromtimestamp(self.made_at, UTC)

    @cached_property
    def changes(self) -> tuple[str, ...]:
        """What the change log says of this version (of what is not released yet, when it does not name it)."""
        text = (self.root / "CHANGELOG.md").read_text(encoding="utf-8")
        sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
        wanted = [s for s in sections if s.lstrip("[").startswith(self.version)] or sections[:1]
        items = re.findall(r"^- (.+(?:\n  .+)*)", wanted[0] if wanted else "", re.MULTILINE)
        return tuple(" ".join(item.split()) for item in items)

    @cached_property
    def _project(self) -> dict[str, Any]:
        return dict(tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))["project"])
