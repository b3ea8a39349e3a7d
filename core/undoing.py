"""Give connected programs their settings back, also when Tidegate is gone or was killed.

A file that nobody has touched since is byte for byte as it was. From one that somebody has changed only values go that
are still ours: what the person has changed stays theirs.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from core.clients import CLIENTS, Client, Offered, belonging, entry
from core.clients.base import Form, Setting
from core.connected import (
    Record,
    changing,
    forget,
    original,
    our_key,
    read,
    readable,
    records,
    text_sha256,
    value_sha256,
)
from core.errors import NothingToDo, TidegateError
from core.files import Paths, write_atomic

NOTHING = Offered("", "")
"""To ask a client which settings it has."""


def undo(paths: Paths, name: str) -> tuple[str, ...]:
    """Give a program's settings back as they were, with what was added to it. Returns what could not be undone.

    Raises NothingToDo when it is not connected, TidegateError when its file cannot be read or written: then it stays
    connected.
    """
    its = belonging(name)
    if its.isdisjoint(records(paths)):
        raise NothingToDo(f"{CLIENTS[name].name if name in CLIENTS else name} is not connected")
    with changing(paths):
        names = [known for known in reversed(list(records(paths))) if known in its]
        return tuple(said for known in names for said in undo_entry(paths, known))


def undo_entry(paths: Paths, name: str) -> tuple[str, ...]:
    """The same for one file: a program's own, or that of something added to it."""
    record = records(paths)[name]
    file, before = Path(record.file), original(paths, name)
    text = read(file)
    left: tuple[str, ...] = ()
    try:
        if text is not None:
            with readable(file):
                back, left = without(text, record, before, entry(name), entry(name).form(str(file)))
            _give_back(file, back, record)
        forget(paths, name)
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


def without(
    text: str, record: Record, before: str | None, client: Client, form: Form
) -> tuple[str | None, tuple[str, ...]]:
    """The text without what we wrote, and what was left in it. Raises ValueError when it does not read."""
    if text_sha256(text) == record.wrote_sha256:
        return before, ()
    shapes = {json.dumps(setting.path): setting for setting in client.settings(NOTHING)}
    left = []
    for path_json, ours in reversed(record.keys.items()):
        path, shape = json.loads(path_json), shapes.get(path_json)
        there, now = form.get(text, path)
        was_there, value = form.get(before or "", path)
        if not there or (was_there and now == value):
            continue
        if value_sha256(now) in ours:
            text = form.put(text, path, value) if was_there else _dropped(text, path, before or "", form)
        elif shape and shape.parted:
            rest = shape.parted(now, shape.value)
            text = _dropped(text, path, before or "", form) if rest is None else form.put(text, path, rest)
        else:
            left.append(f"{'.'.join(path)} was changed since and stays as it is")
    return text, tuple(left)


def without_ours(text: str, client: Client, form: Form) -> str:
    """The text without settings that a lost Tidegate has left: they must never be kept as the person's own.

    Raises ValueError when it does not read.
    """
    settings = client.settings(NOTHING)
    if not any(_is_ours(setting, *form.get(text, setting.path)) for setting in settings):
        return text
    for setting in reversed(settings):
        now = form.get(text, setting.path)[1]
        rest = setting.parted(now, setting.value) if setting.parted else None
        text = _dropped(text, setting.path, "", form) if rest is None else form.put(text, setting.path, rest)
    return text


def _is_ours(setting: Setting, there: bool, value: object) -> bool:
    return there and (setting.ours(value) or (setting.secret and our_key(value) is not None))


def _dropped(text: str, path: Sequence[str], before: str, form: Form) -> str:
    """The text without a setting, and without the objects around it that were made for it and are empty now."""
    text = form.drop(text, path)
    for depth in range(len(path) - 1, 0, -1):
        there, value = form.get(text, path[:depth])
        if not there or value != {} or form.get(before, path[:depth])[0]:
            break
        text = form.drop(text, path[:depth])
    return text
