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
from core.wording import PROVIDER_NAMES, clock_time, on_clock, percent, span, tokens_text, until, window_name
from core.words import ngettext
from core.words import translate as _

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
            cause = text if until_at is None else until(until_at, now, text)
            return _("{source} to {target}: {cause}").format(source=source, target=target, cause=cause)
        case SessionMoved(source=source, target=target, text=text, tokens=tokens):
            moved = _("A conversation moved from {source} to {target}: {cause}")
            said = moved.format(source=label(source), target=label(target), cause=text)
            cost = _("{words}; about {tokens} tokens to read anew").format(words=said, tokens=tokens_text(tokens))
            return cost if tokens else said
        case AllSpent():
            return _all_spent_text(event, label, now)
        case LoginRequired(account=account, text=text):
            return _("{account} needs you: {cause}").format(account=label(account), cause=text)
        case RenewalFailed(account=account, text=text):
            return _("{account}: its login was not renewed: {cause}").format(account=label(account), cause=text)
        case ClientNotServed(account=account, text=text):
            return _("{account} does not serve a program: {cause}").format(account=label(account), cause=text)
        case WindowFilled():
            return _filled_text(event, label(event.account), now)
        case WindowReset(account=account, window=window):
            return _("{account}: {window} began anew").format(account=label(account), window=window_name(window))
        case ExtraUsageBegan(account=account):
            paid = _("{account}: its plan was spent, and extra usage paid from then on")
            return paid.format(account=label(account))
        case ProviderLost(provider=provider, text=text):
            lost = _("{provider} could not be reached: {cause}")
            return lost.format(provider=PROVIDER_NAMES[provider], cause=text)
        case ProviderBack(provider=provider, lost_s=lost_s):
            back = _("{provider} was back after {time}")
            return back.format(provider=PROVIDER_NAMES[provider], time=span(lost_s))
        case _:
            assert_never(event)


def _all_spent_text(event: AllSpent, label: Callable[[AccountId], str], now: float) -> str:
    if event.account is None:
        who = PROVIDER_NAMES[event.provider]
        said = _("No account of {who} could serve {model}") if event.family else _("No account of {who} could serve")
    else:
        who = label(event.account)
        said = _("{who} could not serve {model}") if event.family else _("{who} could not serve")
    said = said.format(who=who, model=event.family)
    if event.ready_at is not None:
        said = _("{words} before {time}").format(words=said, time=clock_time(event.ready_at, now))
    return said if event.account is None else _("{words}, and failover is off").format(words=said)


def _filled_text(event: WindowFilled, account: str, now: float) -> str:
    said = _("{account}: {window} at {percent}").format(
        account=account, window=window_name(event.window), percent=percent(event.window.utilization)
    )
    if event.dry_at is None:
        return said
    return _("{words}, at its pace full {when}").format(words=said, when=on_clock(event.dry_at, now))


def moves_text(moves: int, tokens: int, within_s: float) -> str:
    """`12 moves in the last 24 h cost about 1.4 M tokens of prompt cache`; empty when nothing moved."""
    if not moves:
        return ""
    said = ngettext(
        "{count} move in the last {hours} h cost about {tokens} tokens of prompt cache",
        "{count} moves in the last {hours} h cost about {tokens} tokens of prompt cache",
        moves,
    )
    return said.format(count=moves, hours=f"{within_s / 3600:.0f}", tokens=tokens_text(tokens))
