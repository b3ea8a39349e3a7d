"""What a start does about connected programs, and how they stand: the settings that they have are what counts."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from core.clients import CLIENTS, Client, additions, entry
from core.connected import (
    KEPT_DIGESTS,
    Record,
    changing,
    forget,
    keep,
    keep_original,
    original,
    our_key,
    read,
    readable,
    records,
    text_sha256,
    value_sha256,
)
from core.connecting import Where, place
from core.errors import TidegateError
from core.files import Paths, unfinished, write_atomic
from core.local_keys import digest
from core.undoing import NOTHING

log = logging.getLogger(__name__)

State = Literal["connected", "not connected", "changed since", "file is gone", "does not read", "key is unknown"]


@dataclass(frozen=True, slots=True)
class Program:
    """How one program stands: which file has or would have its settings, which of them its key, what was added."""

    client: str
    name: str
    state: State
    file: str
    key_setting: str = ""
    additions: tuple[str, ...] = ()


def programs(paths: Paths, where: Where, known: Mapping[str, str]) -> tuple[Program, ...]:
    """All programs. `known` are the digests of the keys that are good, by program. Raises TidegateError."""
    kept = records(paths)
    return tuple(_program(name, kept, where, known) for name in CLIENTS)


def _program(name: str, kept: Mapping[str, Record], where: Where, known: Mapping[str, str]) -> Program:
    client, record = CLIENTS[name], kept.get(name)
    if record is None:
        try:
            return Program(name, client.name, "not connected", str(place(client, where)))
        except TidegateError:
            return Program(name, client.name, "not connected", "")
    setting = next(".".join(setting.path) for setting in client.settings(NOTHING) if setting.secret)
    added = tuple(addition for addition, its_name in additions(name).items() if its_name in kept)
    return Program(name, client.name, _state(name, record, known.get(name)), record.file, setting, added)


def _state(name: str, record: Record, known: str | None) -> State:
    try:
        ours = still_ours(name, record)
        if not ours:
            return "file is gone" if ours is None else "changed since"
        return "connected" if _key(name, record, read(Path(record.file)) or "") == known else "key is unknown"
    except TidegateError:
        return "does not read"


def still_ours(name: str, record: Record) -> bool | None:
    """Whether a program's settings are all as they were written; None when its file is gone. Raises TidegateError."""
    file = Path(record.file)
    text = read(file)
    if text is None:
        return None
    form = entry(name).form(str(file))
    with readable(file):
        now = ((form.get(text, json.loads(path_json)), ours) for path_json, ours in record.keys.items())
        return all(there and value_sha256(value) in ours for (there, value), ours in now)


# --- after a kill ----------------------------------------------------------------------------------


def repair(paths: Paths, where: Where, known: Mapping[str, str]) -> Mapping[str, str]:
    """Finish what a kill has cut short in connecting or undoing. `known` are the digests of the keys that are good.

    A program whose settings are as they were is connected no longer. Returns the digest of the key that each program
    has in its settings, empty for none; whoever has changed them since is left out. Never raises: what cannot be
    looked at is logged and stays.
    """
    try:
        with changing(paths):
            return _all_repaired(paths, where, known)
    except TidegateError as exc:
        log.warning("connected programs were not looked at: %s. %s", exc.title, exc.hint)
        return {}


def _all_repaired(paths: Paths, where: Where, known: Mapping[str, str]) -> Mapping[str, str]:
    kept = records(paths)
    found = {}
    for name in (*reversed(list(kept)), *(name for name in known if name in CLIENTS and name not in kept)):
        try:
            key = _repaired(paths, name, kept[name]) if name in kept else _key_at(CLIENTS[name], where)
        except (TidegateError, OSError, ValueError) as exc:
            log.warning("the settings of %s were not looked at: %s", entry(name).name, exc)
            continue
        if key is not None and name in CLIENTS:
            found[name] = key
    return found


def _repaired(paths: Paths, name: str, record: Record) -> str | None:
    """The digest of the program's key: empty when its settings are as they were, None when they are another's."""
    file, before = Path(record.file), original(paths, name)
    text = read(file)
    ours = {record.wrote_sha256, text_sha256(before or "")}
    for left in unfinished(file):
        if hashlib.sha256(left.read_bytes()).hexdigest() in ours:  # another program may name its files alike
            left.unlink()
    if text == before and text_sha256(text or "") != record.wrote_sha256:
        if text is not None:
            file.chmod(record.mode)
        forget(paths, name)
        return ""
    return _key(name, record, text or "")


def _key(name: str, record: Record, text: str) -> str | None:
    """The digest of the key in a program's settings, when it is one that we wrote. Raises ValueError."""
    form = entry(name).form(record.file)
    values = ((form.get(text, json.loads(path))[1], ours) for path, ours in record.keys.items())
    keys = (our_key(value) for value, ours in values if value_sha256(value) in ours)
    return next((digest(key) for key in keys if key), None)


def _key_at(client: Client, where: Where) -> str:
    """The digest of a key of ours in the settings of a program that is not connected; empty for none."""
    file = place(client, where)
    form, text = client.form(str(file)), read(file) or ""
    keys = (our_key(form.get(text, setting.path)[1]) for setting in client.settings(NOTHING))
    return next((digest(key) for key in keys if key), "")


# --- at another address ----------------------------------------------------------------------------


def moved_to(paths: Paths, address: str) -> tuple[str, ...]:
    """Tidegate listens elsewhere now: point there the programs that pointed to it, each with the key that it has.

    Returns their names. What the person has changed since stays. Never raises: what cannot be changed is logged.
    """
    try:
        with changing(paths):
            return _all_moved(paths, address)
    except TidegateError as exc:
        log.warning("connected programs may point elsewhere: %s. %s", exc.title, exc.hint)
        return ()


def _all_moved(paths: Paths, address: str) -> tuple[str, ...]:
    moved = []
    for name, record in records(paths).items():
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
    text = read(file)
    if text is None:
        return False
    form = CLIENTS[name].form(record.file)

    def pointed(text: str) -> str:
        for path_json, ours in record.keys.items():
            there, value = form.get(text, json.loads(path_json))
            if there and value_sha256(value) in ours:
                value = json.loads(json.dumps(value).replace(record.address, address))
                text = form.put(text, json.loads(path_json), value)
        return text

    after, keys = pointed(text), dict(record.keys)
    for path_json, ours in record.keys.items():
        before, now = (value_sha256(form.get(of, json.loads(path_json))[1]) for of in (text, after))
        if before in ours and now != before:
            keys[path_json] = (*ours, now)[-KEPT_DIGESTS:]
    wrote = _repoint_stack(paths, name, record, text, pointed)
    keep(paths, name, msgspec.structs.replace(record, keys=keys, wrote_sha256=wrote))
    write_atomic(file, after.encode())
    # The old address stays in the record until the new one is in the file: after a kill between, this is done again.
    keep(paths, name, msgspec.structs.replace(record, keys=keys, wrote_sha256=wrote, address=address))
    return True


def _repoint_stack(paths: Paths, name: str, record: Record, text: str, pointed: Callable[[str], str]) -> str:
    """Let what was added in the same file stand on what the program has written now. Returns the digest of that.

    What was added last wrote the whole text; what stood before it is kept as its original, and was written by the one
    below. So undoing still finds each text as it was written.
    """
    kept = records(paths)
    for other in reversed([other for other, its in kept.items() if its.file == record.file and other != name]):
        below = original(paths, other) or ""
        if kept[other].wrote_sha256 == text_sha256(text):
            keep(paths, other, msgspec.structs.replace(kept[other], wrote_sha256=text_sha256(pointed(text))))
        keep_original(paths, other, pointed(below))
        text = below
    return text_sha256(pointed(text)) if record.wrote_sha256 == text_sha256(text) else record.wrote_sha256
