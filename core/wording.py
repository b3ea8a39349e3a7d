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
from core.words import N_, Table
from core.words import translate as _

WARN_FROM = 0.70
SPENT_FROM = 0.90
OLD_FROM_S = 900.0
"""A reading's age is said from here on: accounts in use are read more often than this."""
HEADROOM_WORTH_S = 86_400.0
"""For how long all accounts last is worth a word below this: most windows begin anew before that."""
_DAY_S = 86_400
_SHORT_WINDOW = re.compile(r"rolling|\d+h(?:_.*)?")
"""Windows that begin anew within the day: what is left of them at their reset is no loss."""

TERMS = N_(
    "Which programs may use a subscription login is for the provider's terms to say;"
    " API keys and OpenCode Go keys are made for programs like this one."
)
"""Said whenever an account is added."""

WINDOW_NAMES = Table(
    {
        "5h": N_("5 h"),
        "7d": N_("week"),
        "7d_oi": N_("model week"),
        "rolling": N_("5 h"),
        "weekly": N_("week"),
        "monthly": N_("month"),
        "requests": N_("requests/min"),
        "tokens": N_("tokens/min"),
        "input-tokens": N_("input tokens/min"),
        "output-tokens": N_("output tokens/min"),
        "priority-input-tokens": N_("priority input tokens/min"),
        "priority-output-tokens": N_("priority output tokens/min"),
    }
)
KIND_NAMES = Table(
    {
        AccountKind.CLAUDE: N_("Claude subscription"),
        AccountKind.API_KEY: N_("Anthropic API key"),
        AccountKind.GO: N_("OpenCode Go"),
    }
)
PROVIDER_NAMES = Table(
    {
        ProviderName.ANTHROPIC: N_("Anthropic"),
        ProviderName.OPENCODE_GO: N_("OpenCode Go"),
    }
)
STANDING_NAMES = Table(
    {
        Standing.READY: N_("ready"),
        Standing.COOLING: N_("resting"),
        Standing.SIGN_IN: N_("sign in again"),
        Standing.LOCKED: N_("keychain locked"),
        Standing.DISABLED: N_("disabled"),
    }
)
STRATEGY_WORDS = Table(
    {
        Strategy.BALANCED: N_("first what a reset would waste, with room to go on"),
        Strategy.LEAST_UTILIZED: N_("the most room in its fullest window"),
        Strategy.DRAIN_SOONEST: N_("the longest window that resets first"),
        Strategy.STICKY: N_("who served last, until it cannot"),
        Strategy.ROUND_ROBIN: N_("the next at every request; prompt caches are lost"),
        Strategy.ROTATE: N_("the next at every new conversation"),
        Strategy.HYBRID: N_("the fittest, as opencode-anthropic-auth scores it"),
        Strategy.PRIORITY: N_("the first in your order that can serve"),
    }
)
"""Who goes first of the accounts that are ready, in one line each."""
WEEKDAYS = Table(dict(enumerate((N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun")))))
MONTHS = Table(
    {
        1: N_("Jan"),
        2: N_("Feb"),
        3: N_("Mar"),
        4: N_("Apr"),
        5: N_("May"),
        6: N_("Jun"),
        7: N_("Jul"),
        8: N_("Aug"),
        9: N_("Sep"),
        10: N_("Oct"),
        11: N_("Nov"),
        12: N_("Dec"),
    }
)


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
    if not window.family:
        return WINDOW_NAMES.get(window.name, window.name.replace("_", " "))
    name = window.name.removesuffix(f"_{window.family}").removesuffix("_oi")
    said = WINDOW_NAMES.get(name, name.replace("_", " "))
    return _("{family} {window}").format(family=window.family, window=said)


def clock_time(at: float, now: float) -> str:
    """A point in time in the person's zone: `14:32` within a day, else `Thu 14:32`, else `3 Dec 14:32`."""
    moment = datetime.fromtimestamp(at).astimezone()
    if abs(at - now) < _DAY_S:
        return f"{moment:%H:%M}"
    if abs(at - now) < 6 * _DAY_S:
        return _("{weekday} {time}").format(weekday=WEEKDAYS[moment.weekday()], time=f"{moment:%H:%M}")
    return _("{day} {month} {time}").format(day=moment.day, month=MONTHS[moment.month], time=f"{moment:%H:%M}")


def until(at: float, now: float, words: str) -> str:
    """`5 h window full until 14:32`."""
    # TRANSLATORS: `5 h window full until 14:32`, `borrowed from Claude Code until Thu 14:32`.
    return _("{words} until {time}").format(words=words, time=clock_time(at, now))


def on_clock(at: float, now: float) -> str:
    """`at 14:32`, `on Thu 14:32`."""
    # TRANSLATORS: `at 14:32`; further away it is `on Thu 14:32`.
    template = _("at {time}") if abs(at - now) < _DAY_S else _("on {time}")
    return template.format(time=clock_time(at, now))


def span(seconds: float) -> str:
    """A duration: `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 120:  # noqa: PLR2004 - below two minutes seconds are what matters
        return _("{seconds} s").format(seconds=whole)
    minutes = whole // 60
    if minutes < 60:  # noqa: PLR2004
        return _("{minutes} min").format(minutes=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours < 24:  # noqa: PLR2004
        return _("{hours} h {minutes} min").format(hours=hours, minutes=f"{minutes:02d}")
    return _("{days} d {hours} h").format(days=hours // 24, hours=hours % 24)


def tokens_text(tokens: int) -> str:
    """`800`, `12 k`, `1.4 M`."""
    if tokens < 1_000:  # noqa: PLR2004
        return str(tokens)
    if tokens < 999_500:  # noqa: PLR2004 - from here on it would be said as 1000 k
        return _("{thousands} k").format(thousands=f"{tokens / 1_000:.0f}")
    return _("{millions} M").format(millions=f"{tokens / 1_000_000:.1f}")


def age_text(seen_at: float, now: float) -> str:
    """`read 23 min ago` for a reading that is old enough to say so; empty for a fresh one and for none."""
    old = seen_at > 0 and now - seen_at >= OLD_FROM_S
    return _("read {time} ago").format(time=span(now - seen_at)) if old else ""


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
            said = cause if view.until_at is None else until(view.until_at, now, cause)
            return f"{said}; {_login_text(view, now)}" if view.login.state is LoginState.ENDING else said
        case Standing.SIGN_IN:
            deed = STANDING_NAMES[Standing.SIGN_IN] if view.kind is AccountKind.CLAUDE else _("needs another key")
            return f"{deed}: {view.detail}" if view.detail else deed
        case Standing.LOCKED | Standing.DISABLED:
            return STANDING_NAMES[view.standing]
        case _:
            assert_never(view.standing)


def _login_text(view: AccountView, now: float) -> str:
    """What there is to say of a login that still serves; empty when there is nothing."""
    ends_at = view.login.ends_at
    if view.borrowed_from:
        said = _("borrowed from {program}").format(program=view.borrowed_from)
        return said if ends_at is None else until(ends_at, now, said)
    match view.login.state:
        case LoginState.FINE:
            return ""
        case LoginState.RENEWING:
            return _("refreshing")
        case LoginState.IN_DOUBT:
            return _("login in doubt, tried again by itself")
        case LoginState.ENDING:
            if ends_at is None:
                return _("sign in again soon")
            return _("sign in again by {time}").format(time=clock_time(ends_at, now))
        case LoginState.UNSAVED:
            return _("login renewed, not saved yet")
        case _:
            assert_never(view.login.state)


def _ready_text(view: AccountView) -> str:
    if view.extra_usage and view.extra_usage.in_use:
        return _("ready, extra usage in use")
    # A ready account has a detail when it does not serve every program, and that is always for Claude Code's sake.
    return _("ready for Claude Code only") if view.detail else STANDING_NAMES[Standing.READY]


def notes(view: AccountView, now: float) -> tuple[str, ...]:
    """What deserves a line of its own beside the state: the whole cause, shared limits, what is paid extra."""
    cause = "" if view.detail in state_text(view, now) else f"{view.detail[:1].upper()}{view.detail[1:]}"
    shared = _("Shares limits with {accounts}").format(accounts=", ".join(view.shares_with)) if view.shares_with else ""
    return tuple(filter(None, (cause, shared, _extra_usage_text(view))))


def _extra_usage_text(view: AccountView) -> str:
    extra = view.extra_usage
    if extra is None or not (extra.in_use or extra.enabled):
        return ""
    said = _("Extra usage in use") if extra.in_use else _("Extra usage is on")
    if extra.utilization is None:
        return said
    return _("{extra_usage}, {percent} of its limit spent").format(extra_usage=said, percent=percent(extra.utilization))


# --- what the present pace leads to ----------------------------------------------------------------


def outlook(window: WindowView, now: float) -> str:
    """`runs dry at 14:32`, `12 % of the week will be lost on Thu 14:00`; empty when nothing is worth saying."""
    if window.dry_at is not None:
        return _("runs dry {when}").format(when=on_clock(window.dry_at, now)) if window.dry_at > now else ""
    if window.lost is None or window.resets_at is None or window.resets_at <= now:
        return ""
    if _SHORT_WINDOW.fullmatch(window.name):
        return ""
    return _("{percent} of the {window} will be lost {when}").format(
        percent=percent(window.lost), window=window_name(window), when=on_clock(window.resets_at, now)
    )


def outlooks(view: AccountView, now: float) -> Iterator[str]:
    """The same for each window of an account, as lines that stand alone: `5 h runs dry at 14:32`."""
    for window in view.windows:
        if said := outlook(window, now):
            name = window_name(window)
            yield _("{window} {outlook}").format(window=name, outlook=said) if window.dry_at is not None else said


FAILOVER_OFF_TEXT = N_("Failover is off: when an account cannot serve, you switch")


def pause_text(pause: Pause, now: float) -> str:
    """`Paused until 14:32: nothing is let through`."""
    if pause.until_at is None:
        return _("Paused: nothing is let through")
    return _("Paused until {time}: nothing is let through").format(time=clock_time(pause.until_at, now))


def headroom_text(snapshot: Snapshot, provider: ProviderName) -> str:
    """`At this rate all accounts last 3 h 05 min more`; empty when that is far off, or said of the account already."""
    lasting_s = snapshot.headroom_s.get(provider)
    counted = sum(view.provider is provider and view.enabled for view in snapshot.accounts)
    if lasting_s is None or lasting_s >= HEADROOM_WORTH_S or counted < 2:  # noqa: PLR2004 - one is not "all"
        return ""
    return _("At this rate all accounts last {time} more").format(time=span(lasting_s))


def plain(text: str) -> str:
    """The text without control characters: a provider's words could steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
