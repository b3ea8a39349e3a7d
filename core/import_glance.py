"""A first look at what other programs have: only whether an import is worth offering.

Nobody is asked: neither the provider, whom an import asks whose each login is, nor a keychain, which would ask the
person. So it may run unasked, and an import may find a little more or less.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from core import import_plan, import_read
from core.import_plan import Import
from core.import_read import Where
from core.imports import VARIABLES
from core.imports.found import KeychainItem

MAX_DATABASE_BYTES = 32 * 1024 * 1024
"""A database is copied to be read, and OpenCode's holds whole conversations: a large one waits until it is wanted."""


@dataclass(frozen=True, slots=True)
class Glance:
    """How many accounts there are to import, and which programs have them."""

    accounts: int = 0
    programs: tuple[str, ...] = ()


def glance(where: Where, now: float) -> Glance:
    """What an installation without accounts could import. Reads files; raises nothing for a bad one."""
    unasked = replace(where, keychain=_nothing, max_database_bytes=MAX_DATABASE_BYTES)
    steps = import_plan.plan(import_read.everywhere(unasked), (), now)
    wanted = [step for step in steps if isinstance(step, Import)]
    return Glance(len(wanted), tuple(dict.fromkeys(step.program for step in wanted)))


def here() -> Where:
    """The programs of the person who runs this process."""
    return Where(Path.home(), {name: os.environ[name] for name in VARIABLES if name in os.environ})


def arguments_for(where: Where) -> Mapping[str, object]:
    """`where` in the words of the `import` command."""
    return {"home": str(where.home), "environ": dict(where.environ)}


def _nothing(_: KeychainItem) -> None:
    return None
