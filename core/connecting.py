"""Point a program at Tidegate by changing its settings, and undo it, also when Tidegate is gone or was killed.

First it is said what would change, then it is done key by key: everything else in the file stays as it is. How the file
was is kept beside Tidegate's own files until it is undone, and so is what was written, as digests: a value that the
person has changed since stays theirs. The record is on the disk before the file is touched.
"""

import contextlib
import hashlib
import json
import logging
import os
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from core import jsonc, programs
from core.clients import CLIENTS, VARIABLES, Client, Offered, additions, entry, places, printed
from core.clients.base import Form, Setting, environment
from core.errors import NothingToDo, TidegateError
from core.files import OWNER_ONLY, OWNER_ONLY_DIR, Paths, write_atomic
from core.local_keys import PREFIX

Write = Callable[[Path, bytes], None]

log = logging.getLogger(__name__)

KEPT_DIGESTS = 3
TRY_S = 2.0
MAX_FILE_BYTES = 4 * 1024 * 1024


_NOTHING = Offered("", "")
"""To ask a client which settings it has."""


class Record(msgspec.Struct, frozen=True):
    """One connected program: where its settings are, what was written, and how the file was."""

    file: str
    address: str
    wrote_sha256: str
    keys: dict[str, tuple[str, ...]]
    """Digests of the values that were written last, by their path as JSON: a crash may have kept one from the file."""
    mode: int = OWNER_ONLY


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


def here() -> Where:
    """The programs of the person who runs this process."""
    return Where(Path.home(), {name: os.environ[name] for name in VARIABLES if name in os.environ})


# --- connect ---------------------------------------------------------------------------------------


def plan(paths: Paths, name: str, where: Where, offered: Offered) -> Plan:
    """What connecting a program would change. Touches nothing. Raises TidegateError when its settings do not read."""
    client = entry(name)
    file = _place(client, where)
    form = client.form(str(file))
    text, record = _read(file), _records(paths).get(name)
    with _readable(file):
        original = text
        if text is not None and record and Path(record.file) == file:
            original = _undone(text, record, _original(paths, name), client, form)[0]
        elif text is not None:
            original = _without_ours(text, client, form)
        settings = client.settings(offered)
        after, changes = original or "", []
        for setting in settings:
            there, before = form.get(after, setting.path)
            value = setting.merged(before if there else None, setting.value)
            after = form.put(after, setting.path, value)
            if not there or before != value:
                shown = _shown(before, secret=setting.secret) if there else "not set"
                changes.append(Change(".".join(setting.path), shown, _shown(value, secret=setting.secret)))
        keys = _keys(form, after, settings, record.keys if record else {})
        notes = client.notes(lambda *path: form.get(original or "", path)[0], where.environ)
    mode = record.mode if record and Path(record.file) == file else _mode(file)
    made = Record(str(file), offered.address, _sha256(after), keys, mode)
    return Plan(name, file, tuple(changes), tuple(notes), original, after, made)


def carry_out(paths: Paths, made: Plan, write: Write = write_atomic) -> None:
    """Do what a plan says. Raises TidegateError, and then the program's file is untouched."""
    try:
        _keep_original(paths, made, write)
        _save(paths, {**_records(paths), made.client: made.record}, write)
        made.file.parent.mkdir(parents=True, exist_ok=True)
        write(made.file, made.text.encode())  # 0600: it holds a key from now on
    except OSError as exc:
        raise TidegateError(
            f"Cannot write {exc.filename or made.file}: {exc.strerror or exc}",
            "Nothing was changed. Make the file writable, or merge it by hand: `tidegate connect NAME --print`.",
        ) from exc


def carry_out_together(paths: Paths, names: Sequence[str], where: Where, offered: Offered) -> None:
    """Connect a program, and what is added to it. Raises TidegateError.

    Two of them may share a file: each is done on top of the one before, and undone before it.
    """
    for name in reversed(names[1:]):
        if name in _records(paths):
            _undo(paths, name)
    program, *added = names
    carry_out(paths, plan(paths, program, where, offered))
    for name in added:
        try:
            carry_out(paths, plan(paths, name, where, offered))
        except TidegateError as exc:
            hint = f"{entry(program).name} is connected, but without this. Make the file writable, then connect again."
            raise TidegateError(exc.title, hint) from exc


def connected(paths: Paths) -> Mapping[str, Record]:
    """The programs that are connected."""
    return _records(paths)


def still_ours(name: str, record: Record) -> bool | None:
    """Whether a program's settings are all as they were written; None when its file is gone. Raises TidegateError."""
    file = Path(record.file)
    text = _read(file)
    if text is None:
        return None
    form = entry(name).form(str(file))
    with _readable(file):
        now = ((form.get(text, json.loads(path_json)), ours) for path_json, ours in record.keys.items())
        return all(there and _digest(value) in ours for (there, value), ours in now)


def moved_to(paths: Paths, address: str) -> tuple[str, ...]:
    """Tidegate listens elsewhere now: point there the programs that pointed to it, each with the key that it has.

    Returns their names. What the person has changed since stays. Never raises: what cannot be changed is logged.
    """
    moved = []
    try:
        records = _records(paths)
    except TidegateError as exc:
        log.warning("connected programs may point elsewhere: %s. %s", exc.title, exc.hint)
        return ()
    for name, record in records.items():
        if record.address == address or name not in CLIENTS:  # what is added to a program holds no address
            continue
        try:
            if _repoint(paths, name, record, address):
                moved.append(name)
        except (TidegateError, OSError, ValueError) as exc:
            log.warning("%s still points to %s: %s", CLIENTS[name].name, record.address, exc)
    return tuple(moved)


def _repoint(paths: Paths, name: str, record: Record, address: str) -> bool:
    file = Path(record.file)
    form, text = CLIENTS[name].form(str(file)), _read(file)
    if text is None:
        return False
    keys = dict(record.keys)
    for path_json, ours in record.keys.items():
        path = json.loads(path_json)
        there, value = form.get(text, path)
        if there and _digest(value) in ours:
            value = json.loads(json.dumps(value).replace(record.address, address))
            text, keys[path_json] = form.put(text, path, value), (*ours, _digest(value))[-KEPT_DIGESTS:]
    _save(
        paths,
        {
            **_records(paths),
            name: msgspec.structs.replace(record, address=address, keys=keys, wrote_sha256=_sha256(text)),
        },
    )
    write_atomic(file, text.encode())
    return True


def tried(offered: Offered) -> str:
    """What keeps the address from answering to this key, in words; empty when it does."""
    import httpx  # noqa: PLC0415 - most callers have no need of it

    try:
        answer = httpx.head(f"{offered.address}/", headers={"x-api-key": offered.key}, timeout=TRY_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL):
        return f"Nothing answers at {offered.address} yet. Start Tidegate: `tidegate`, or `tidegate serve`."
    return "" if answer.is_success else f"{offered.address} does not take the key: another Tidegate listens there."


def run(command: Sequence[str], offered: Offered) -> int:
    """Run a program to its end with Tidegate in its environment, and in no file. Returns its exit code.

    Raises TidegateError when it cannot be started.
    """
    environ = programs.environment()
    environ.pop("ANTHROPIC_API_KEY", None)  # two credentials would be one too many
    environ |= environment(offered)
    opencode = jsonc.read(printed(CLIENTS["opencode"], offered))
    environ["OPENCODE_CONFIG_CONTENT"] = json.dumps({"provider": opencode["provider"]})
    try:
        with _theirs_to_interrupt():
            return subprocess.run(command, env=environ, check=False).returncode  # noqa: S603 - what the person typed
    except OSError as exc:
        raise TidegateError(f"Cannot start {command[0]}: {exc.strerror or exc}", "Is it installed?") from exc


@contextlib.contextmanager
def _theirs_to_interrupt() -> Iterator[None]:
    """Ctrl-C is for the program: it may ask first, or only end what it is doing."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if os.name == "nt" else lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# --- undo ------------------------------------------------------------------------------------------


def undo(paths: Paths, name: str) -> tuple[str, ...]:
    """Give a program's settings back as they were, with what was added to it. Returns what could not be undone.

    Raises NothingToDo when it is not connected, TidegateError when its file cannot be read or written: then it stays
    connected.
    """
    belonging = {name, *additions(name).values()}
    names = [known for known in reversed(list(_records(paths))) if known in belonging]
    if not names:
        raise NothingToDo(f"{CLIENTS[name].name if name in CLIENTS else name} is not connected")
    return tuple(said for known in names for said in _undo(paths, known))


def _undo(paths: Paths, name: str) -> tuple[str, ...]:
    records = dict(_records(paths))
    record = records.pop(name)
    file = Path(record.file)
    form, text, original = entry(name).form(str(file)), _read(file), _original(paths, name)
    left: tuple[str, ...] = ()
    try:
        if text is not None:
            with _readable(file):
                back, left = _undone(text, record, original, entry(name), form)
            _give_back(file, back, record)
        _save(paths, records)
        _original_file(paths, name).unlink(missing_ok=True)
    except OSError as exc:
        raise TidegateError(
            f"Cannot write {exc.filename or file}: {exc.strerror or exc}", "Make it writable, then undo again."
        ) from exc
    return left


def _give_back(file: Path, text: str | None, record: Record) -> None:
    if text is None:
        file.resolve().unlink(missing_ok=True)
        return
    write_atomic(file, text.encode())
    file.resolve().chmod(record.mode)


def _undone(
    text: str, record: Record, original: str | None, client: Client, form: Form
) -> tuple[str | None, tuple[str, ...]]:
    """The text without what we wrote: byte for byte the original one, if nobody has touched it since."""
    if _sha256(text) == record.wrote_sha256:
        return original, ()
    shapes = {json.dumps(setting.path): setting for setting in client.settings(_NOTHING)}
    left = []
    for path_json, ours in reversed(record.keys.items()):
        path, shape = json.loads(path_json), shapes.get(path_json)
        there, now = form.get(text, path)
        was_there, before = form.get(original or "", path)
        if not there or (was_there and now == before):
            continue
        if _digest(now) in ours:
            text = form.put(text, path, before) if was_there else _dropped(text, path, original or "", form)
        elif shape and shape.parted:
            rest = shape.parted(now, shape.value)
            text = _dropped(text, path, original or "", form) if rest is None else form.put(text, path, rest)
        else:
            left.append(f"{'.'.join(path)} was changed since and stays as it is")
    return text, tuple(left)


def _dropped(text: str, path: Sequence[str], original: str, form: Form) -> str:
    """The text without a setting, and without the objects around it that were made for it and are empty now."""
    text = form.drop(text, path)
    for depth in range(len(path) - 1, 0, -1):
        there, value = form.get(text, path[:depth])
        if not there or value != {} or form.get(original, path[:depth])[0]:
            break
        text = form.drop(text, path[:depth])
    return text


def _without_ours(text: str, client: Client, form: Form) -> str:
    """The text without settings that an earlier Tidegate has left: they must never be kept as the person's own."""
    settings = client.settings(_NOTHING)
    if not any(_is_ours(setting, *form.get(text, setting.path)) for setting in settings):
        return text
    for setting in reversed(settings):
        now = form.get(text, setting.path)[1]
        rest = setting.parted(now, setting.value) if setting.parted else None
        text = _dropped(text, setting.path, "", form) if rest is None else form.put(text, setting.path, rest)
    return text


def _is_ours(setting: Setting, there: bool, value: Any) -> bool:
    return there and (setting.ours(value) or (setting.secret and _is_our_key(value)))


def _is_our_key(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(entry, dict) and _is_our_key(entry.get("value")) for entry in value)
    return isinstance(value, str) and value.startswith(PREFIX.decode())


# --- files -----------------------------------------------------------------------------------------


def _place(client: Client, where: Where) -> Path:
    candidates = [Path(place) for place in places(client, str(where.home), where.environ)]
    existing = (file for file in candidates if file.exists())
    near = (file for file in candidates if file.parent.exists())
    return next(existing, None) or next(near, None) or candidates[0]


def _read(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise TidegateError(f"{file} is too large to be settings", "Look at it; nothing was changed.")
        return content.decode()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise TidegateError(f"Cannot read {file}: {exc.strerror or exc}", "Make it readable, then try again.") from exc
    except UnicodeDecodeError as exc:
        raise TidegateError(f"{file} is not text in UTF-8", "Save it as UTF-8, then try again.") from exc


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise TidegateError(f"{file} does not read: {exc}", "Mend it there first; nothing was changed.") from exc


def _mode(file: Path) -> int:
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return OWNER_ONLY


def _records(paths: Paths) -> Mapping[str, Record]:
    try:
        return msgspec.json.decode(paths.connected.read_bytes(), type=dict[str, Record])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as exc:
        raise TidegateError(
            f"{paths.connected} does not read: {exc}",
            f"The programs' own settings as they were are in {paths.originals}.",
        ) from exc


def _save(paths: Paths, records: Mapping[str, Record], write: Write = write_atomic) -> None:
    paths.create()
    if records:
        write(paths.connected, msgspec.json.format(msgspec.json.encode(dict(records))) + b"\n")
    else:
        paths.connected.unlink(missing_ok=True)


def _original_file(paths: Paths, name: str) -> Path:
    return paths.originals / name


def _original(paths: Paths, name: str) -> str | None:
    return _read(_original_file(paths, name))


def _keep_original(paths: Paths, made: Plan, write: Write) -> None:
    paths.create()
    paths.originals.mkdir(mode=OWNER_ONLY_DIR, exist_ok=True)
    kept = _original_file(paths, made.client)
    if made.original is None:
        kept.unlink(missing_ok=True)
    else:
        write(kept, made.original.encode())


def _keys(
    form: Form, text: str, settings: Sequence[Setting], known: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The digests of what is written now, after those of before."""
    names = {json.dumps(setting.path): _digest(form.get(text, setting.path)[1]) for setting in settings}
    return {name: (*known.get(name, ()), ours)[-KEPT_DIGESTS:] for name, ours in names.items()}


# --- values ----------------------------------------------------------------------------------------


def _shown(value: Any, *, secret: bool) -> str:
    return "a key" if secret else json.dumps(value, ensure_ascii=False)


def _digest(value: Any) -> str:
    return _sha256(json.dumps(value, sort_keys=True))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
