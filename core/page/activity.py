"""The view of what happened: requests and happenings together, the newest first. Pure."""

from collections.abc import Callable, Sequence
from html import escape
from operator import attrgetter

from core.answers import Happened, Recounted, RequestEntry, RequestsReport
from core.clients import CLIENTS
from core.page.parts import chosen, moment
from core.request_wording import SERVED, outcome_text, went_wrong
from core.wording import span, tokens_text

MOST_SHOWN = 100
_MOVE = "Move"
"""Another account took over: this stands out. Conversations that move with it are many."""
_MOVES = frozenset({_MOVE, "SessionMoved"})
_FINE = frozenset({"SessionMoved", "WindowReset", "WindowFilled", "ProviderBack"})
"""Happenings that are no trouble."""


def view(
    requests: RequestsReport, recounted: Recounted, accounts: Sequence[str], account: str = "", *, wrong: bool = False
) -> str:
    """What happened, of one account or all; with `wrong` only what went wrong. `accounts` are those to choose from."""
    wanted: list[Happened | RequestEntry] = [
        entry
        for entry in requests.entries
        if account in {"", entry.label} and (not wrong or went_wrong(entry.outcome, entry.status))
    ]
    wanted += [
        happened
        for happened in recounted.entries
        if (not account or account in happened.labels) and (not wrong or happened.kind not in _FINE)
    ]
    newest = sorted(wanted, key=attrgetter("at"), reverse=True)[:MOST_SHOWN]
    shown = "".join(_entry(entry, requests.at) for entry in newest)
    names = {"": "All accounts"} | {label: label for label in accounts}
    return (
        f'<form class="filter">{chosen("activity-account", "account", "Account", names, account)}'
        f'<label class="check"><input type="checkbox" id="activity-wrong" name="wrong" value="1"'
        f"{' checked' if wrong else ''}> Only what went wrong</label></form>"
        + (f'<ul class="entries timeline">{shown}</ul>' if shown else f"<p>{_nothing(account, wrong=wrong)}</p>")
    )


def _entry(entry: Happened | RequestEntry, now: float) -> str:
    return _request(entry, now) if isinstance(entry, RequestEntry) else _happening(entry, now)


def _nothing(account: str, *, wrong: bool) -> str:
    if account or wrong:
        return "Nothing of this kind happened lately."
    return "Nothing has happened yet. Requests appear here as programs make them."


def _happening(happened: Happened, now: float) -> str:
    kind = "move" if happened.kind == _MOVE else "event"
    sign = "⇄" if happened.kind in _MOVES else "·"
    return (
        f'<li class="{kind}">{moment(happened.at, now)} <p class="what">'
        f'<span class="sign" aria-hidden="true">{sign}</span> {escape(happened.text)}</p></li>'
    )


def _request(entry: RequestEntry, now: float) -> str:
    wrong = went_wrong(entry.outcome, entry.status)
    said = outcome_text(entry.outcome, entry.status)
    look, sign = ("spent", "✕") if wrong else ("ok", "✓") if entry.outcome == SERVED else ("unknown", "–")
    outcome = f'<span class="{look}"><span aria-hidden="true">{sign}</span> {escape(said)}</span>'
    who = f'<span class="who">{escape(entry.label or "nobody")}</span>'
    model = f'<span class="soft">{escape(entry.model or "no model")}</span>'
    details = " · ".join(filter(None, (told(entry) for told in _DETAILS)))
    return (
        f'<li class="request">{moment(entry.at, now)} <p class="what">{who} {outcome} {model}</p>'
        f'<p class="soft details">{escape(details)}</p></li>'
    )


def _program(entry: RequestEntry) -> str:
    return CLIENTS[entry.client].name if entry.client in CLIENTS else entry.client


def _status(entry: RequestEntry) -> str:
    return f"status {entry.status}" if went_wrong(entry.outcome, entry.status) else ""


def _attempts(entry: RequestEntry) -> str:
    return f"{entry.attempts} attempts" if entry.attempts > 1 else ""


def _duration(entry: RequestEntry) -> str:
    begun = "" if entry.first_byte_s is None else f", first byte after {_seconds(entry.first_byte_s)}"
    return f"{_seconds(entry.duration_s)}{begun}"


def _seconds(duration_s: float) -> str:
    """`12 ms`, `3.4 s`, `75 s`, `12 min`: the longer, the rounder."""
    if duration_s < 0.1:  # noqa: PLR2004
        return f"{1000 * duration_s:.0f} ms"
    return span(duration_s) if duration_s >= 10 else f"{duration_s:.1f} s"  # noqa: PLR2004


def _tokens(entry: RequestEntry) -> str:
    read = {"in": entry.input, "from cache": entry.cache_read, "into cache": entry.cache_write, "out": entry.output}
    return ", ".join(f"{tokens_text(count)} {way}" for way, count in read.items() if count)


_DETAILS: Sequence[Callable[[RequestEntry], str]] = (_program, _status, _attempts, _duration, _tokens)
