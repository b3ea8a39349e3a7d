"""What happened, as history tells it: one line for each event. Pure."""

from collections.abc import Callable
from typing import assert_never

from core.model import (
    AccountId,
    AllSpent,
    ClientNotServed,
    ExtraUsageBegan,
    LoginRequired,
    Move,
    ProviderBack,
    ProviderLost,
    RenewalFailed,
    SessionMoved,
    WindowFilled,
    WindowReset,
)
from core.wording import PROVIDER_NAMES, clock_time, on_clock, percent, span, tokens_text, window_name

Happening = (
    Move
    | SessionMoved
    | AllSpent
    | LoginRequired
    | RenewalFailed
    | ClientNotServed
    | WindowFilled
    | WindowReset
    | ExtraUsageBegan
    | ProviderLost
    | ProviderBack
)
"""What a person may want to read of later. A failover is told by its `Move`, which knows the labels of that day."""


def happening_text(event: Happening, label: Callable[[AccountId], str], now: float) -> str:
    """`Work to Home: 5 h window full until 14:32`. Times are said as they are `now`, not as they were then."""
    match event:
        case Move(source=source, target=target, text=text, until_at=until_at):
            until = "" if until_at is None else f" until {clock_time(until_at, now)}"
            return f"{source} to {target}: {text}{until}"
        case SessionMoved(source=source, target=target, text=text, tokens=tokens):
            cost = f"; about {tokens_text(tokens)} tokens to read anew" if tokens else ""
            return f"A conversation moved from {label(source)} to {label(target)}: {text}{cost}"
        case AllSpent(provider=provider, ready_at=ready_at, family=family, account=stays_with):
            model = f" {family}" if family else ""
            ready = "" if ready_at is None else f" before {clock_time(ready_at, now)}"
            if stays_with is not None:
                return f"{label(stays_with)} could not serve{model}{ready}, and failover is off"
            return f"No account of {PROVIDER_NAMES[provider]} could serve{model}{ready}"
        case LoginRequired(account=account, text=text):
            return f"{label(account)} needs you: {text}"
        case RenewalFailed(account=account, text=text):
            return f"{label(account)}: its login was not renewed: {text}"
        case ClientNotServed(account=account, text=text):
            return f"{label(account)} does not serve a program: {text}"
        case WindowFilled(account=account, window=window, dry_at=dry_at):
            dry = "" if dry_at is None else f", at its pace full {on_clock(dry_at, now)}"
            return f"{label(account)}: {window_name(window)} at {percent(window.utilization)}{dry}"
        case WindowReset(account=account, window=window):
            return f"{label(account)}: {window_name(window)} began anew"
        case ExtraUsageBegan(account=account):
            return f"{label(account)}: its plan was spent, and extra usage paid from then on"
        case ProviderLost(provider=provider, text=text):
            return f"{PROVIDER_NAMES[provider]} could not be reached: {text}"
        case ProviderBack(provider=provider, lost_s=lost_s):
            return f"{PROVIDER_NAMES[provider]} was back after {span(lost_s)}"
        case _:
            assert_never(event)


def moves_text(moves: int, tokens: int, within_s: float) -> str:
    """`12 moves in the last 24 h cost about 1.4 M tokens of prompt cache`; empty when nothing moved."""
    if not moves:
        return ""
    noun = "1 move" if moves == 1 else f"{moves} moves"
    return f"{noun} in the last {within_s / 3600:.0f} h cost about {tokens_text(tokens)} tokens of prompt cache"
