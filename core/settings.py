"""The settings by name: read from typed words, written as such, overridden by the environment. Pure.

A name with a dot is one of a group: `endpoints.opencode_go_url`, `health_score.initial`.
"""

import math
import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from core.errors import UsageError
from core.model import Endpoints, IconStyle, QuietHours, Settings, Strategy
from core.words import N_, Table

LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_HOLD_S = 300.0
"""Clients give up waiting for an answer after five to ten minutes."""
_MAX_PORT = 65_535
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")

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
_FOREIGN: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "OPENCODE_ANTHROPIC_STRATEGY": ("strategy", {name: name for name in Strategy}),
    "OPENCODE_ANTHROPIC_QUIET": ("notifications", {"1": "off", "true": "off"}),
    "OPENCODE_ANTHROPIC_DEBUG": ("log", {"1": "debug", "true": "debug"}),
}
"""Variables of the plugin that `hybrid` comes from, and what their values mean here. Ours win; other values are its."""


def effective(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """The settings with what the environment overrides. Raises UsageError that names the variable.

    What another program's variable says is taken where it reads: it must not keep Tidegate from starting.
    """
    for variable, (key, meanings) in _FOREIGN.items():
        if meaning := meanings.get(environ.get(variable, "").strip().lower()):
            settings = _set(settings, key, meaning, variable)
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
    return {key: _said(attrgetter(key)(settings)) for key in SETTINGS}


def changed_settings(settings: Settings) -> dict[str, str]:
    """Those settings that are not at their default, written as `with_setting` reads them."""
    defaults = setting_texts(Settings())
    return {key: text for key, text in setting_texts(settings).items() if text != defaults[key]}


def read_again(settings: Settings) -> Settings:
    """Settings that came from a file, held to the same rules as typed ones. Raises ValueError that says where."""
    for key, text in setting_texts(settings).items():
        try:
            settings = _with(settings, key, SETTINGS[key](text))
        except ValueError as exc:
            raise ValueError(f"{key} must be {exc}") from exc
    return settings


def cut_note(key: str, text: str) -> str:
    """What to tell somebody whose number is taken, but not as it is: `the nearest from 0 to 100`; else empty."""
    reader = SETTINGS[key]
    if not isinstance(reader, _Nearest) or reader(text) == float(text):
        return ""
    return f"the nearest {reader.allowed}"


def _set(settings: Settings, key: str, text: str, said_as: str) -> Settings:
    try:
        value = SETTINGS[key](text.strip())
    except ValueError as exc:
        raise UsageError(f"{said_as} cannot be {text!r}", f"It must be {exc}.") from exc
    return _with(settings, key, value)


def _with(settings: Settings, key: str, value: Any) -> Settings:
    """The settings with one of them replaced; `group.name` is one of a group."""
    group, _, name = key.rpartition(".")
    if not group:
        return replace(settings, **{name: value})
    return replace(settings, **{group: replace(getattr(settings, group), **{name: value})})


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


class _Nearest(msgspec.Struct, frozen=True):
    """Reads a number and takes the nearest one that is allowed, as the plugin does that these settings are from."""

    least: float
    most: float

    @property
    def allowed(self) -> str:
        return f"from {self.least:g} to {self.most:g}"

    def __call__(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value):
            raise ValueError(f"a number {self.allowed}")
        return float(min(self.most, max(self.least, value)))


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
    "failover": _switch,
    **{f"icon.{name}": _switch for name in IconStyle.__struct_fields__},
    "log": _log_level,
    **{f"endpoints.{name}": _url for name in Endpoints.__struct_fields__},
    "health_score.initial": _Nearest(0, 100),
    "health_score.success_reward": _Nearest(0, 10),
    "health_score.rate_limit_penalty": _Nearest(-50, 0),
    "health_score.failure_penalty": _Nearest(-100, 0),
    "health_score.recovery_rate_per_hour": _Nearest(0, 20),
    "health_score.min_usable": _Nearest(0, 100),
    "health_score.max_score": _Nearest(50, 100),
    "token_bucket.max_tokens": _Nearest(1, 1_000),
    "token_bucket.regeneration_rate_per_minute": _Nearest(0.1, 60),
    "token_bucket.initial_tokens": _Nearest(1, 1_000),
}
"""Every setting by its name, with what reads it."""
DESCRIPTIONS: Mapping[str, str] = Table(
    {
        "port": N_("The port of the loopback address that programs connect to; it counts from the next start."),
        "strategy": N_("Which of the accounts that are ready goes first."),
        "passthrough": N_(
            "While Tidegate has no account, a program that brings its own credential goes through untouched."
        ),
        "notifications": N_("Whether the desktop shows a message when something happens that you may want to know."),
        "quiet_hours": N_("Hours without messages, such as 22:00-07:00, or off; what happened stays in the history."),
        "hold_s": N_("For how many seconds a request may wait when no account can serve it and one soon will."),
        "failover": N_("Whether another account serves when the one in use cannot; off, you switch by hand."),
        "icon.colours": N_("Whether the tray icon has colours; without them its shape tells the same."),
        "icon.number": N_("Whether the tray icon shows the percent of the fullest window, where there is room for it."),
        "log": N_("How much the log tells, from debug (everything) to error; it counts from the next start."),
        "endpoints.anthropic_api_url": N_(
            "Where requests for Claude go, with the credential of the account that serves."
        ),
        "endpoints.anthropic_authorize_url": N_("The page where you sign in with a Claude subscription."),
        "endpoints.anthropic_console_authorize_url": N_("The page where you sign in to the Console for an API key."),
        "endpoints.anthropic_token_url": N_("Where logins of Claude subscriptions are fetched and renewed."),
        "endpoints.opencode_go_url": N_("Where requests for OpenCode Go go, with the key of the account that serves."),
        "health_score.initial": N_("With hybrid: the score that an account begins with."),
        "health_score.success_reward": N_("With hybrid: what an account's score gains by an answer."),
        "health_score.rate_limit_penalty": N_(
            "With hybrid: what a limit that was reached does to the score; not above 0."
        ),
        "health_score.failure_penalty": N_("With hybrid: what a failure does to the score; not above 0."),
        "health_score.recovery_rate_per_hour": N_("With hybrid: what the score gains in an hour of rest."),
        "health_score.min_usable": N_("With hybrid: the score below which an account serves only when no other can."),
        "health_score.max_score": N_("With hybrid: the highest score that an account can have."),
        "token_bucket.max_tokens": N_(
            "With hybrid: how many requests in a row an account may take; a token is one request."
        ),
        "token_bucket.regeneration_rate_per_minute": N_(
            "With hybrid: how many tokens an account gets back in a minute."
        ),
        "token_bucket.initial_tokens": N_("With hybrid: how many tokens an account begins with."),
    }
)
"""What every setting is for, in one sentence: for the page and for the reference in `docs/`."""
