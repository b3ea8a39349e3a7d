"""`tidegate import` and `tidegate export` in a terminal: show the plan, ask, do it, tell what came of it."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from core import export
from core.errors import NothingToDo, TidegateError
from core.files import Paths
from core.imports import VARIABLES
from core.typed import new_secret, secret
from core.wording import TERMS, plain

Order = Callable[..., Any]
Line = Mapping[str, Any]
_DEEDS = frozenset({"import", "update", "settings"})


def take_over(
    orders: AbstractContextManager[Order],
    path: str | None,
    source: str | None,
    *,
    dry_run: bool,
    ask: bool,
    as_json: bool,
) -> int:
    """Import. `ask` a person at a terminal before anything is done. Returns the exit code."""
    wish: dict[str, object] = {
        "home": str(Path.home()),
        "environ": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "path": None if path is None else str(Path(path).expanduser().absolute()),
        "source": source,
    }
    asks = ask and not dry_run and sys.stdin.isatty()
    with orders as order:
        lines = _lines(order, wish, dry_run=dry_run or asks)
        if asks and _DEEDS & _outcomes(lines):
            _tell(lines)
            click.confirm("Do this?", default=True, abort=True)
            lines = _lines(order, wish, dry_run=False)
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "lines": lines}, indent=2))
    else:
        _tell(lines)
    if _DEEDS & _outcomes(lines):
        return 0
    return TidegateError.exit_code if "problem" in _outcomes(lines) else NothingToDo.exit_code


def _lines(order: Order, wish: dict[str, object], *, dry_run: bool) -> Sequence[Line]:
    """What an import comes to. Asks for the passphrase of a sealed export, once, and keeps it in `wish`."""
    answer = order("import", **wish, dry_run=dry_run)
    if answer["sealed"]:
        wish["passphrase"] = secret("Passphrase of the export")
        answer = order("import", **wish, dry_run=dry_run)
    lines: Sequence[Line] = answer["lines"]
    return lines


def _outcomes(lines: Sequence[Line]) -> frozenset[str]:
    return frozenset(line["outcome"] for line in lines)


def _tell(lines: Sequence[Line]) -> None:
    for line in lines:
        click.echo(plain(line["text"]), err=line["outcome"] == "problem")
    if "import" in _outcomes(lines):
        click.echo(TERMS)


def write_out(paths: Paths, vault: export.VaultKind, file: str, *, with_credentials: bool, force: bool) -> None:
    """Export to a file, or to standard output for `-`. Raises TidegateError; then nothing was written."""
    path = None if file == "-" else Path(file).expanduser().absolute()
    if path is not None:
        export.refuse_to_replace(path, force=force)
    passphrase = new_secret("Passphrase for the export") if with_credentials else None
    exported = asyncio.run(export.export(paths, vault, os.environ, time.time(), passphrase))
    if path is None:
        click.echo(exported.content, nl=False)
    else:
        export.write(path, exported.content, force=force)
    for note in exported.notes:
        click.echo(plain(f"{note}."), err=True)
