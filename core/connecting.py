"""Point a program at Tidegate by changing its settings: for command line, menu and status page alike.

First it is said what would change, then it is done key by key: everything else in the file stays as it is. How the file
was is kept beside Tidegate's own files until it is undone, and the record of what is written is on the disk before the
file is touched.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.client_run import tried
from core.clients import CLIENTS, VARIABLES, Client, Offered, additions, belonging, entry, places
from core.clients.base import Form, Setting
from core.config import new_local_key
from core.connected import (
    KEPT_DIGESTS,
    Record,
    Write,
    changing,
    keep,
    keep_original,
    mode,
    original,
    read,
    readable,
    records,
    text_sha256,
    value_sha256,
)
from core.errors import TidegateError, UsageError
from core.files import Paths, make_folder, write_atomic
from core.local_keys import digest
from core.undoing import undo_entry, without, without_ours

Know = Callable[[str], str]
"""Know a program by this digest of its key from now on (empty: by none). Returns the digest of before."""
Models = Callable[[str], Mapping[str, str]]
"""The models that whoever has this key is offered: their names by id."""


@dataclass(frozen=True, slots=True)
class Where:
    """Whose programs are meant."""

    home: Path
    environ: Mapping[str, str] = field(repr=False)
    """It may hold a key: that there is one is told, never which."""


@dataclass(frozen=True, slots=True)
class Change:
    """One setting: what it is and what it becomes, in words that hold no secret."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What connecting would do to one file."""

    client: str
    file: Path
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    original: str | None = field(repr=False)
    """The text without anything of ours; None when there was no file."""
    text: str = field(repr=False)
    record: Record = field(repr=False)


@dataclass(frozen=True, slots=True)
class Deed:
    """What connecting a program has done, and what keeps it from working, in words; empty when it works."""

    plans: tuple[Plan, ...]
    problem: str


def here() -> Where:
    """The programs of the person who runs this process."""
    environ = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    with contextlib.suppress(OSError):  # the folder is gone: what is in each project cannot be connected
        environ.setdefault("PWD", str(Path.cwd()))
    return Where(Path.home(), environ)


def known(name: str) -> Client:
    """The program of this name. Raises UsageError when there is none."""
    if name not in CLIENTS:
        raise UsageError(f"There is no program {name!r}", f"One of: {', '.join(CLIENTS)}.")
    return CLIENTS[name]


def entries(paths: Paths, name: str, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """A program, and what is to be added to it: what is wanted, and what it was connected with before.

    Raises UsageError when there is no such program, or when it cannot have what is wanted.
    """
    program, possible, connected = known(name), additions(name), records(paths)
    for missing in (addition for addition in wanted if addition not in possible):
        can = ", ".join(other for other in CLIENTS if missing in additions(other))
        raise UsageError(f"{program.name} cannot have --{missing}", f"That is for {can}.")
    return (name, *(its_name for addition, its_name in possible.items() if addition in wanted or its_name in connected))


# --- what would change -----------------------------------------------------------------------------


def plans(paths: Paths, names: Sequence[str], where: Where, offered: Offered) -> tuple[Plan, ...]:
    """What connecting a program would change, with what is added to it. Touches nothing. Raises TidegateError."""
    return tuple(plan(paths, name, where, offered) for name in names)


def plan(paths: Paths, name: str, where: Where, offered: Offered) -> Plan:
    """The same for one file. Raises TidegateError when it does not read."""
    client = entry(name)
    file = place(client, where)
    form = client.form(str(file))
    text, record = read(file), records(paths).get(name)
    if record and Path(record.file) != file:
        if Path(record.file).exists():  # its own settings would be lost
            program = next(program for program in CLIENTS if name in belonging(program))
            raise TidegateError(f"{client.name} is connected by {record.file}", f"First: tidegate undo {program}")
        record = None
    with readable(file):
        before = text
        if text is not None and record:
            before = without(text, record, original(paths, name), client, form)[0]
        elif text is not None:
            before = without_ours(text, client, form)
        settings = client.settings(offered)
        after, changes = before or "", list[Change]()
        for setting in settings:
            there, value = form.get(after, setting.path)
            ours = setting.merged(value if there else None, setting.value)
            after = form.put(after, setting.path, ours)
            changes += _change(setting, *form.get(text or "", setting.path), ours)
        keys = _keys(form, after, settings, record.keys if record else {})
        notes = tuple(client.notes(lambda *path: form.get(before or "", path)[1], where.environ))
    made = Record(str(file), offered.address, text_sha256(after), keys, record.mode if record else mode(file))
    return Plan(name, file, tuple(changes), notes, before, after, made)


def place(client: Client, where: Where) -> Path:
    """Where a program's settings are, or would be. Raises TidegateError when nobody can tell."""
    candidates = [Path(found) for found in places(client, str(where.home), where.environ)]
    if not candidates:
        raise TidegateError(f"There is no place for the settings of {client.name}", "Go to a folder that is there.")
    existing = (file for file in candidates if file.exists())
    near = (file for file in candidates if file.parent.exists())
    return next(existing, None) or next(near, None) or candidates[0]


def _change(setting: Setting, there: bool, now: Any, ours: Any) -> Iterator[Change]:
    """What becomes of a setting, unless it stays as it is."""
    if there and now == ours:
        return
    before = "not set" if not there else "a key" if setting.secret else _shown(now)
    after = _shown(ours) if not setting.secret else "a new key" if there else "a key"
    yield Change(".".join(setting.path), before, after)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _keys(
    form: Form, text: str, settings: Sequence[Setting], before: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The digests of what is written now, after those of before."""
    names = {json.dumps(setting.path): value_sha256(form.get(text, setting.path)[1]) for setting in settings}
    return {name: (*before.get(name, ()), ours)[-KEPT_DIGESTS:] for name, ours in names.items()}


# --- doing it --------------------------------------------------------------------------------------


def connect(paths: Paths, names: Sequence[str], where: Where, offered: Offered, *, know: Know, models: Models) -> Deed:
    """Point a program at Tidegate with a key of its own, add to it what `names` has after it, and try the key.

    The key is good before it is written; when it cannot be written, the program's key of before is good again. Entries
    that share a file with the program are done on top of it, and undone before it. Raises TidegateError.
    """
    program, *added = names
    with changing(paths):
        file = plans(paths, names, where, offered)[0].file  # what does not read is told before anything changes
        for name in reversed(added):
            if name in records(paths) and Path(records(paths)[name].file) == file:
                undo_entry(paths, name)
        key = new_local_key()
        before = know(digest(key))
        full = replace(offered, key=key, models=models(key) if program == "opencode" else {})
        try:
            done = [_done(paths, program, where, full)]
        except TidegateError:
            know(before)
            raise
        done += [_added(paths, name, program, where, full) for name in added]
    return Deed(tuple(done), tried(full))


def _added(paths: Paths, name: str, program: str, where: Where, offered: Offered) -> Plan:
    try:
        return _done(paths, name, where, offered)
    except TidegateError as exc:
        hint = f"{entry(program).name} is connected, but without this. Make the file writable, then connect again."
        raise TidegateError(exc.title, hint) from exc


def _done(paths: Paths, name: str, where: Where, offered: Offered) -> Plan:
    made = plan(paths, name, where, offered)
    carry_out(paths, made)
    return made


def carry_out(paths: Paths, made: Plan, write: Write = write_atomic) -> None:
    """Do what a plan says. Raises TidegateError, and then the program's file is untouched."""
    try:
        keep_original(paths, made.client, made.original, write)
        keep(paths, made.client, made.record, write)
        make_folder(made.file.parent)
        write(made.file, made.text.encode())  # 0600: it holds a key from now on
    except OSError as exc:
        raise TidegateError(
            f"Cannot write {exc.filename or made.file}: {exc.strerror or exc}",
            "Nothing was changed. Make the file writable, or merge it by hand: `tidegate connect NAME --print`.",
        ) from exc
