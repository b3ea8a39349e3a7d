"""What the person chose, in `config.json`: settings, accounts and their order. Holds no secret.

Promises: a file that cannot be read is moved aside, never lost, and the last good copy takes its place, so that the
accounts stay; keys that this version does not know survive a rewrite; a file from a newer version is not written.
"""

import logging
import math
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import msgspec

from core.errors import TidegateError, UsageError
from core.files import move_aside, write_atomic
from core.model import Account, Endpoints, QuietHours, Settings, Strategy

log = logging.getLogger(__name__)

VERSION = 1
LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_HOLD_S = 300.0
"""Clients give up waiting for an answer after five to ten minutes."""
_MAX_PORT = 65_535
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
UPDATE_HINT = "Update Tidegate, or give this one its own folder with --data-dir."
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_ACCOUNT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""An id becomes part of a file name and of a keychain entry."""

ENVIRONMENT = {
    "TIDEGATE_PORT": "port",
    "TIDEGATE_STRATEGY": "strategy",
    "TIDEGATE_LOG": "log",
    "TIDEGATE_ANTHROPIC_API_URL": "endpoints.anthropic_api_url",
    "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": "endpoints.anthropic_authorize_url",
    "TIDEGATE_ANTHROPIC_CONSOLE_AUTHORIZE_URL": "endpoints.anthropic_console_authorize_url",
    "TIDEGATE_ANTHROPIC_TOKEN_URL": "endpoints.anthropic_token_url",
    "TIDEGATE_OPENCODE_GO_URL": "endpoints.opencode_go_url",
}


@dataclass(frozen=True, slots=True)
class Config:
    """One installation's choices. `local_key_sha256` recognises the local key; the key itself is in the vault."""

    install_id: str
    version: int = VERSION
    local_key_sha256: str = ""
    settings: Settings = field(default_factory=Settings)
    accounts: tuple[Account, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `load` found. `problem` is for the person to read: what was wrong, and where the bad file is now."""

    config: Config
    problem: str | None = None


class ConfigFile:
    """The config of a running instance, and the one way to change it: saved first, then so."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path = path
        self._changing = anyio.Lock()
        self.current = config

    async def change(self, edit: Callable[[Config], Config]) -> Config:
        """Save `edit(current)` and make it the current one. Changes run one after the other.

        Raises what `edit` raises and TidegateError when it cannot be saved; then nothing has changed.
        """
        async with self._changing:
            config = edit(self.current)
            if config != self.current:
                await anyio.to_thread.run_sync(save, self._path, config)
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
    except ValueError as exc:
        log.warning("%s could not be read (%s) and is kept as %s", path, exc, move_aside(path))
        return {}
    return msgspec.json.decode(raw, type=dict[str, Any])


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
    except ValueError:
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
    config = msgspec.json.decode(raw, type=Config)
    for key, text in _texts(config.settings).items():
        try:
            SETTINGS[key](text)
        except ValueError as exc:
            raise ValueError(f"{key} must be {exc}") from exc
    ids = [account.id for account in config.accounts]
    if len(set(ids)) != len(ids) or not all(map(_ACCOUNT_ID.fullmatch, ids)):
        raise ValueError("account ids must be different, of letters, digits, - and _")
    if not config.install_id:
        raise ValueError("install_id is empty")
    return config


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
        key: _without(value, defaults[key]) if isinstance(value, dict) else value
        for key, value in values.items()
        if value != defaults[key]
    }


def _merged(new: Mapping[str, Any], unknown: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(new)
    for key, value in unknown.items():
        merged[key] = _merged(merged[key], value) if isinstance(merged.get(key), dict) else value
    return merged


# --- settings by name ------------------------------------------------------------------------------


def effective(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """The settings with what the environment overrides. Raises UsageError that names the variable."""
    for variable, key in ENVIRONMENT.items():
        if text := environ.get(variable):
            settings = _set(settings, key, text, variable)
    return settings


def with_setting(settings: Settings, key: str, text: str) -> Settings:
    """The settings with one changed, from words as they are typed. Raises UsageError with what is allowed."""
    if key not in SETTINGS:
        raise UsageError(f"There is no setting {key!r}", f"Settings: {', '.join(SETTINGS)}.")
    return _set(settings, key, text, key)


def setting_texts(settings: Settings) -> dict[str, str]:
    """Every setting by name, written as `with_setting` reads it."""
    return _texts(settings)


def changed_settings(settings: Settings) -> dict[str, str]:
    """Those settings that are not at their default, written as `with_setting` reads them."""
    defaults = _texts(Settings())
    return {key: text for key, text in _texts(settings).items() if text != defaults[key]}


def _set(settings: Settings, key: str, text: str, said_as: str) -> Settings:
    try:
        value = SETTINGS[key](text.strip())
    except ValueError as exc:
        raise UsageError(f"{said_as} cannot be {text!r}", f"It must be {exc}.") from exc
    name = key.removeprefix("endpoints.")
    if name == key:
        return replace(settings, **{key: value})
    return replace(settings, endpoints=replace(settings.endpoints, **{name: value}))


def _texts(settings: Settings) -> dict[str, str]:
    flat = {key: getattr(settings, key) for key in SETTINGS if "." not in key}
    flat |= {f"endpoints.{f.name}": getattr(settings.endpoints, f.name) for f in fields(Endpoints)}
    return {key: _said(value) for key, value in flat.items()}


def _said(value: object) -> str:
    if isinstance(value, QuietHours):
        return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (value.from_min, value.to_min))
    if value is None or isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


# Each reader turns typed words into a value, or raises ValueError with what is allowed, to follow "must be".


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_PORT:
        return int(text)
    raise ValueError(f"a number from 1 to {_MAX_PORT}")


def _switch(text: str) -> bool:
    words = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
    if (value := words.get(text.lower())) is None:
        raise ValueError("on or off")
    return value


def _quiet_hours(text: str) -> QuietHours | None:
    if text.lower() == "off":
        return None
    times = [_minute(part) for part in text.split("-")]
    match times:
        case [int(from_min), int(to_min)] if from_min != to_min:
            return QuietHours(from_min, to_min)
        case _:
            raise ValueError("off, or two times such as 22:00-07:00")


def _minute(text: str) -> int | None:
    """A time of day in minutes since midnight, None when it is none."""
    match = _TIME.fullmatch(text.strip())
    return int(match[1]) * 60 + int(match[2]) if match else None


def _hold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MAX_HOLD_S:
        raise ValueError(f"a number of seconds from 0 to {MAX_HOLD_S:.0f}")
    return value


def _strategy(text: str) -> Strategy:
    try:
        return Strategy(text)
    except ValueError:
        raise ValueError(f"one of {', '.join(Strategy)}") from None


def _log_level(text: str) -> str:
    if text.lower() in LOG_LEVELS:
        return text.lower()
    raise ValueError(f"one of {', '.join(LOG_LEVELS)}")


def _url(text: str) -> str:
    """Credentials go to these addresses, so nothing travels unencrypted except within this computer."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port  # raises ValueError when it is no number
    except ValueError:
        host, port = None, None
    unsafe = not host or port == 0 or parts.username is not None or parts.query or parts.fragment
    if unsafe or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a plain address such as https://api.example.com, without user, query or fragment")
    if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK):
        return text.rstrip("/")
    raise ValueError("an https:// address (http:// only for 127.0.0.1, localhost and [::1])")


SETTINGS: Mapping[str, Callable[[str], Any]] = {
    "port": _port,
    "strategy": _strategy,
    "passthrough": _switch,
    "notifications": _switch,
    "quiet_hours": _quiet_hours,
    "hold_s": _hold,
    "log": _log_level,
    **{f"endpoints.{field.name}": _url for field in fields(Endpoints)},
}
