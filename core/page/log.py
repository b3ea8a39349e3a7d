"""The view of the log. Pure."""

from datetime import datetime
from html import escape

from core.answers import LogEntry, LogReport
from core.page.parts import chosen

_LEVELS = {"": "Everything", "warning": "Warnings and errors"}
_LOOKS = {"WARNING": "warn", "ERROR": "spent", "CRITICAL": "spent"}


def view(report: LogReport, level: str = "") -> str:
    """The end of the log, the newest entry last. `level`: which entries were asked for."""
    entries = "".join(_entry(entry) for entry in report.entries)
    shown = (
        f'<div id="log-entries" class="scroll log" tabindex="0" role="region" aria-label="Log" data-end>'
        f"<ol>{entries}</ol></div>"
        if entries
        else "<p>Nothing was logged.</p>"
    )
    copy = '<button type="button" id="log-copy" data-copy="log-entries">Copy</button>' if entries else ""
    return f'<form class="filter">{chosen("log-level", "level", "Show", _LEVELS, level)}{copy}</form>{shown}'


def _entry(entry: LogEntry) -> str:
    at = datetime.fromtimestamp(entry.at).astimezone()
    level = entry.level.upper()
    request = f'<code title="the request that it is about">{escape(entry.request)}</code> ' if entry.request else ""
    return (
        f'<li><time datetime="{at.isoformat(timespec="milliseconds")}">{at:%Y-%m-%d %H:%M:%S}</time> '
        f'<span class="level {_LOOKS.get(level, "soft")}">{escape(level)}</span> '
        f'{request}<span class="text">{escape(entry.text)}</span></li>'
    )
