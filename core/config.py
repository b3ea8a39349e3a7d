"""What the person chose, in `config.json`: settings, accounts and their order. Holds no secret.

Promises: a file that cannot be read is moved aside, never lost, and the last good copy takes its place, so that the
accounts stay; keys that this version does not know survive a rewrite; a file from a newer version is not written.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from core.blocking import blocking
from core.errors import UNREADABLE, TidegateError
from core.files import move_aside, write_atomic
from core.local_keys import PREFIX
from core.model import Account, Settings
from core.settings import read_again

log = logging.getLogger(__name__)

VERSION = 1
UPDATE_HINT = "Update Tidegate, or give this one its own folder with --data-dir."
_ACCOUNT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""An id becomes part of a file name and of a keychain entry."""


class Config(msgspec.Struct, frozen=True):
    """One installation's choices. `local_key_sha256` recognises the local key; the key itself is in the vault.

    `client_keys` are the digests of the keys that connected programs have, by the program's name.
    """

    install_id: str
    version: int = VERSION
    local_key_sha256: str = ""
    client_keys: Mapping[str, str] = msgspec.field(default_factory=dict)
    settings: Settings = msgspec.field(default_factory=Settings)
    accounts: tuple[Account, ...] = ()


def new_local_key() -> str:
    """A key for clients that nobody has yet."""
    return f"{PREFIX.decode()}{secrets.token_urlsafe(32)}"


class Loaded(msgspec.Struct, frozen=True):
    """What `load` found. `problem` is for the person to read: what was wrong, and where the bad file is now."""

    config: Config
    problem: str | None = None


class ConfigFile:
    """The config of a running instance, and the one way to change it: saved first, then so."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path = path
        self._changing = asyncio.Lock()
        self.current = config

    async def change(self, edit: Callable[[Config], Config]) -> Config:
        """Save `edit(current)` and make it the current one. Changes run one after the other.

        Raises what `edit` raises and TidegateError when it cannot be saved; then nothing has changed.
        """
        async with self._changing:
            config = edit(self.current)
            if config != self.current:
                await blocking(save, self._path, config)
                self.current = config
            return config


# --- the file --------------------------------------------------------------------------------------


def load(path: Path) -> Loaded:
    """Read the config; without a file, a fresh one with a new install id. Writes nothing, may move a bad file aside.

    Raises TidegateError when the file is there and cannot be opened, or when a newer version made it unreadable.
    """
    raw = _read(path)
    if raw is None:
        return _last_good(path, f"{path.name} was missing") if _backup(path).exists() else Loaded(_fresh())
    try:
        return Loaded(_decode(raw), _newer(raw, path))
    except ValueError as exc:
        if problem := _newer(raw, path):
            raise TidegateError(problem, UPDATE_HINT) from exc
        reason = str(exc)
    aside = move_aside(path)
    log.warning("%s could not be read (%s) and is kept as %s", path, reason, aside)
    return _last_good(path, f"{path.name} could not be read ({reason}) and was kept as {aside}")


def glance(path: Path) -> Settings:
    """The saved settings for somebody who does not own the file: reads, and touches nothing. Defaults when in doubt."""
    try:
        return _decode(path.read_bytes()).settings
    except (OSError, ValueError):
        return Settings()


def peek(path: Path) -> Config | None:
    """The whole config for somebody who does not own the file: reads, and touches nothing. None without a file.

    Raises TidegateError when it does not read.
    """
    raw = _read(path)
    try:
        return None if raw is None else _decode(raw)
    except ValueError as exc:
        raise TidegateError(f"{path} cannot be read: {exc}", "Start Tidegate: it takes the last good copy.") from exc


def save(path: Path, config: Config) -> None:
    """Replace the file, keep what others wrote into it, and keep a copy in `config.json.bak`.

    Raises TidegateError; then the old file is untouched.
    """
    raw = _read(path)
    if config.version > VERSION or (raw is not None and _newer(raw, path)):
        raise TidegateError(f"Not saved: {path.name} is from a newer Tidegate", UPDATE_HINT)
    content = msgspec.json.format(msgspec.json.encode(_document(config, _as_it_is(raw, path)))) + b"\n"
    try:
        write_atomic(path, content)
    except OSError as exc:
        raise TidegateError(
            f"Cannot save {path}: {exc.strerror or exc}",
            "Nothing was changed. Make room on the disk or make the folder writable, then try again.",
        ) from exc
    try:
        write_atomic(_backup(path), content)
    except OSError as exc:
        log.warning("%s is saved, its copy %s is not: %s", path, _backup(path).name, exc)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise TidegateError(f"Cannot read {path}: {exc.strerror or exc}", "Check who may read it.") from exc


def _as_it_is(raw: bytes | None, path: Path) -> dict[str, Any]:
    """The file as JSON, to keep what this version does not know. Moves it aside when somebody broke it meanwhile."""
    if raw is None:
        return {}
    try:
        _decode(raw)
        return msgspec.json.decode(raw, type=dict[str, Any])  # now also what this version does not know must read
    except UNREADABLE as exc:
        log.warning("%s could not be read (%s) and is kept as %s", path, exc, move_aside(path))
        return {}


def _fresh() -> Config:
    return Config(install_id=secrets.token_hex(8))


def _last_good(path: Path, problem: str) -> Loaded:
    """The copy that `save` left, else a fresh config."""
    raw = _read(_backup(path))
    if raw is None:
        return Loaded(_fresh(), f"{problem}. Tidegate starts without accounts.")
    try:
        return Loaded(_decode(raw), f"{problem}. The copy {_backup(path).name} is in use: check accounts and settings.")
    except ValueError as exc:
        log.warning("%s could not be read (%s) and is kept as %s", _backup(path), exc, move_aside(_backup(path)))
        return Loaded(_fresh(), f"{problem}; so was its copy. Tidegate starts without accounts.")


def _backup(path: Path) -> Path:
    return path.with_name(f"{path.name}.bak")


def _newer(raw: bytes, path: Path) -> str | None:
    """A sentence when the file is from a newer version, else None. Reads the version alone."""
    try:
        version = msgspec.json.decode(raw, type=_Versioned).version
    except UNREADABLE:
        return None
    return (
        f"{path.name} is from a newer Tidegate (version {version}, this one writes {VERSION})"
        if version > VERSION
        else None
    )


class _Versioned(msgspec.Struct):
    version: int = VERSION


def _decode(raw: bytes) -> Config:
    """Raises ValueError (msgspec's errors are such) with a text that says where."""
    try:
        config = msgspec.json.decode(raw, type=Config)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc
    settings = read_again(config.settings)
    ids = [account.id for account in config.accounts]
    if len(set(ids)) != len(ids) or not all(map(_ACCOUNT_ID.fullmatch, ids)):
        raise ValueError("account ids must be different, of letters, digits, - and _")
    if not config.install_id:
        raise ValueError("install_id is empty")
    return replace(config, settings=settings)


def _document(config: Config, old: dict[str, Any]) -> dict[str, Any]:
    """The JSON to write. Settings at their default are left out, so that a better default reaches everybody."""
    new = msgspec.to_builtins(config)
    unknown = _unknown(old, new)
    new["settings"] = _without(new["settings"], msgspec.to_builtins(Settings()))
    before = {entry["id"]: entry for entry in old.get("accounts", ()) if isinstance(entry, dict) and "id" in entry}
    new["accounts"] = [_merged(entry, _unknown(before.get(entry["id"], {}), entry)) for entry in new["accounts"]]
    return _merged(new, unknown)


def _unknown(old: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `old` under keys that `known` does not have, at every depth."""
    kept: dict[str, Any] = {}
    for key, value in old.items():
        if key not in known:
            kept[key] = value
        elif isinstance(value, dict) and isinstance(known[key], dict) and (inner := _unknown(value, known[key])):
            kept[key] = inner
    return kept


def _without(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without(value, defaults[key]) if isinstance(value, dict) and isinstance(defaults[key], dict) else value
        for key, value in values.items()
        if value != defaults[key]
    }


def _merged(new: Mapping[str, Any], unknown: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(new)
    for key, value in unknown.items():
        merged[key] = _merged(merged[key], value) if isinstance(merged.get(key), dict) else value
    return merged
