"""How times, shares and states are said: one vocabulary for menu, command line, notification and error message."""

from datetime import datetime

from core.model import AccountKind, Level, QuotaWindow, Standing, WindowView

WARN_FROM = 0.70
SPENT_FROM = 0.90
_DAY_S = 86_400

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
}
KIND_NAMES = {
    AccountKind.CLAUDE: "Claude subscription",
    AccountKind.API_KEY: "Anthropic API key",
    AccountKind.GO: "OpenCode Go",
}
STANDING_NAMES = {
    Standing.READY: "ready",
    Standing.COOLING: "resting",
    Standing.SIGN_IN: "sign in again",
    Standing.LOCKED: "keychain locked",
    Standing.DISABLED: "disabled",
}


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
