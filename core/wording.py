"""How times, shares and states are said: one vocabulary for menu, command line, notification and error message."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from core.model import (
    AccountKind,
    AccountView,
    Level,
    LoginState,
    Pause,
    ProviderName,
    QuotaWindow,
    Snapshot,
    Standing,
    Strategy,
    WindowView,
)

WARN_FROM = 0.70
SPENT_FROM = 0.90
OLD_FROM_S = 900.0
"""A reading's age is said from here on: accounts in use are read more often than this."""
HEADROOM_WORTH_S = 86_400.0
"""For how long all accounts last is worth a word below this: most windows begin anew before that."""
_DAY_S = 86_400
_SHORT_WINDOW = re.compile(r"rolling|\d+h(?:_.*)?")
"""Windows that begin anew within the day: what is left of them at their reset is no loss."""

TERMS = (
    "Which programs may use a subscription login is for the provider's terms to say;"
    " API keys and OpenCode Go keys are made for programs like this one."
)
"""Said whenever an account is added."""

WINDOW_NAMES = {
    "5h": "5 h",
    "7d": "week",
    "7d_oi": "model week",
    "rolling": "5 h",
    "weekly": "week",
    "monthly": "month",
    "requests": "requests/min",
    "tokens": "tokens/min",
    "input-tokens": "input tokens/min",
    "output-tokens": "output tokens/min",
    "priority-input-tokens": "priority input tokens/min",
    "priority-output-tokens": "priority output tokens/min",
}
KIND_NAMES = {
    AccountKind.CLAUDE: "Claude subscription",
    AccountKind.API_KEY: "Anthropic API key",
    AccountKind.GO: "OpenCode Go",
}
PROVIDER_NAMES = {
    ProviderName.ANTHROPIC: "Anthropic",
    ProviderName.OPENCODE_GO: "OpenCode Go",
}
STANDING_NAMES = {
    Standing.READY: "ready",
    Standing.COOLING: "resting",
    Standing.SIGN_IN: "sign in again",
    Standing.LOCKED: "keychain locked",
    Standing.DISABLED: "disabled",
}
STRATEGY_WORDS = {
    Strategy.BALANCED: "spend first what a reset would throw away, and keep room for what goes on",
    Strategy.LEAST_UTILIZED: "the account with the most room in its fullest window",
    Strategy.DRAIN_SOONEST: "the account whose longest window resets first",
    Strategy.STICKY: "the account that served last, until it cannot; then the next in your order",
    Strategy.ROUND_ROBIN: "every request the next account; prompt caches are lost",
    Strategy.ROTATE: "every new conversation the next account",
    Strategy.HYBRID: "the fittest by health, tokens and rest, as the opencode-anthropic-auth plugin scores it",
    Strategy.PRIORITY: "the first in your order that can serve",
}
"""Who goes first of the accounts that are ready, in one line each."""


def level(utilization: float | None) -> Level:
    """How full a window is: below 70 % ok, below 90 % warn, else spent; None is unknown."""
    if utilization is None:
        return Level.UNKNOWN
    if utilization < WARN_FROM:
        return Level.OK
    return Level.WARN if utilization < SPENT_FROM else Level.SPENT


def percent(utilization: float | None) -> str:
    """`62 %`, never above 100, `–` for unknown."""
    if utilization is None:
        return "–"
    return f"{min(100, max(0, round(utilization * 100)))} %"


def window_name(window: QuotaWindow | WindowView) -> str:
    """`5 h`, `week`, `opus week`; an unknown window keeps the provider's own name."""
    name = window.name.removesuffix(f"_{window.family}") if window.family else window.name
    said = WINDOW_NAMES.get(name, name.replace("_", " "))
    return f"{window.family} {said.removeprefix('model ')}" if window.family else said


def clock_time(at: float, now: float) -> str:
    """A point in time in the person's zone: `14:32` within a day, else `Thu 14:32`, else `3 Dec 14:32`."""
    moment = datetime.fromtimestamp(at).astimezone()
    if abs(at - now) < _DAY_S:
        return f"{moment:%H:%M}"
    if abs(at - now) < 6 * _DAY_S:
        return f"{moment:%a %H:%M}"
    return f"{moment.day} {moment:%b %H:%M}"


def on_clock(at: float, now: float) -> str:
    """`at 14:32`, `on Thu 14:32`."""
    said = clock_time(at, now)
    return f"on {said}" if " " in said else f"at {said}"


def span(seconds: float) -> str:
    """A duration: `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 120:  # noqa: PLR2004 - below two minutes seconds are what matters
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:  # noqa: PLR2004
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def tokens_text(tokens: int) -> str:
    """`800`, `12 k`, `1.4 M`."""
    if tokens < 1_000:  # noqa: PLR2004
        return str(tokens)
    if tokens < 999_500:  # noqa: PLR2004 - from here on it would be said as 1000 k
        return f"{tokens / 1_000:.0f} k"
    return f"{tokens / 1_000_000:.1f} M"


def age_text(seen_at: float, now: float) -> str:
    """`read 23 min ago` for a reading that is old enough to say so; empty for a fresh one and for none."""
    old = seen_at > 0 and now - seen_at >= OLD_FROM_S
    return f"read {span(now - seen_at)} ago" if old else ""


# --- an account's state ----------------------------------------------------------------------------


def state_text(view: AccountView, now: float) -> str:
    """How an account is, in the few words of a menu row: `ready`, `5 h window full until 16:10`, `sign in by 14:32`.

    One state is said, the one that matters most; of a resting account also that its login ends.
    """
    match view.standing:
        case Standing.READY:
            return _login_text(view, now) or _ready_text(view)
        case Standing.COOLING:
            # What stands in brackets explains the cause, to those who have more room than a row.
            cause = view.detail.partition(" (")[0] or STANDING_NAMES[Standing.COOLING]
            until = "" if view.until_at is None else f" until {clock_time(view.until_at, now)}"
            ends = f"; {_login_text(view, now)}" if view.login.state is LoginState.ENDING else ""
            return f"{cause}{until}{ends}"
        case Standing.SIGN_IN:
            deed = STANDING_NAMES[Standing.SIGN_IN] if view.kind is AccountKind.CLAUDE else "needs another key"
            return f"{deed}: {view.detail}" if view.detail else deed
        case Standing.LOCKED | Standing.DISABLED:
            return STANDING_NAMES[view.standing]
        case _:
            assert_never(view.standing)


def _login_text(view: AccountView, now: float) -> str:
    """What there is to say of a login that still serves; empty when there is nothing."""
    ends_at = view.login.ends_at
    if view.borrowed_from:
        until = "" if ends_at is None else f" until {clock_time(ends_at, now)}"
        return f"borrowed from {view.borrowed_from}{until}"
    match view.login.state:
        case LoginState.FINE:
            return ""
        case LoginState.RENEWING:
            return "refreshing"
        case LoginState.IN_DOUBT:
            return "login in doubt, tried again by itself"
        case LoginState.ENDING:
            return "sign in again soon" if ends_at is None else f"sign in again by {clock_time(ends_at, now)}"
        case LoginState.UNSAVED:
            return "login renewed, not saved yet"
        case _:
            assert_never(view.login.state)


def _ready_text(view: AccountView) -> str:
    ready = STANDING_NAMES[Standing.READY]
    if view.extra_usage and view.extra_usage.in_use:
        return f"{ready}, extra usage in use"
    # A ready account has a detail when it does not serve every program, and that is always for Claude Code's sake.
    return f"{ready} for Claude Code only" if view.detail else ready


def notes(view: AccountView, now: float) -> tuple[str, ...]:
    """What deserves a line of its own beside the state: the whole cause, shared limits, what is paid extra."""
    cause = "" if view.detail in state_text(view, now) else f"{view.detail[:1].upper()}{view.detail[1:]}"
    shared = f"Shares limits with {', '.join(view.shares_with)}" if view.shares_with else ""
    return tuple(filter(None, (cause, shared, _extra_usage_text(view))))


def _extra_usage_text(view: AccountView) -> str:
    extra = view.extra_usage
    if extra is None or not (extra.in_use or extra.enabled):
        return ""
    spent = "" if extra.utilization is None else f", {percent(extra.utilization)} of its limit spent"
    return f"Extra usage {'in use' if extra.in_use else 'is on'}{spent}"


# --- what the present pace leads to ----------------------------------------------------------------


def outlook(window: WindowView, now: float) -> str:
    """`runs dry at 14:32`, `12 % of the week will be lost on Thu 14:00`; empty when nothing is worth saying."""
    if window.dry_at is not None:
        return f"runs dry {on_clock(window.dry_at, now)}" if window.dry_at > now else ""
    if window.lost is None or window.resets_at is None or window.resets_at <= now:
        return ""
    if _SHORT_WINDOW.fullmatch(window.name):
        return ""
    return f"{percent(window.lost)} of the {window_name(window)} will be lost {on_clock(window.resets_at, now)}"


def outlooks(view: AccountView, now: float) -> Iterator[str]:
    """The same for each window of an account, as lines that stand alone: `5 h runs dry at 14:32`."""
    for window in view.windows:
        if said := outlook(window, now):
            yield f"{window_name(window)} {said}" if window.dry_at is not None else said


FAILOVER_OFF_TEXT = "Failover is off: when an account cannot serve, you switch"


def pause_text(pause: Pause, now: float) -> str:
    """`Paused until 14:32: nothing is let through`."""
    until = "" if pause.until_at is None else f" until {clock_time(pause.until_at, now)}"
    return f"Paused{until}: nothing is let through"


def headroom_text(snapshot: Snapshot, provider: ProviderName) -> str:
    """`At this rate all accounts last 3 h 05 min more`; empty when that is far off, or said of the account already."""
    lasting_s = snapshot.headroom_s.get(provider)
    counted = sum(view.provider is provider and view.enabled for view in snapshot.accounts)
    if lasting_s is None or lasting_s >= HEADROOM_WORTH_S or counted < 2:  # noqa: PLR2004 - one is not "all"
        return ""
    return f"At this rate all accounts last {span(lasting_s)} more"
