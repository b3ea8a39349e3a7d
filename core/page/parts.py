"""What several views are made of. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape

from core.event_wording import happening_text
from core.model import Move
from core.wording import clock_time


def attributes(values: Mapping[str, str]) -> str:
    """The inside of a tag."""
    return " ".join(f'{name}="{escape(value)}"' for name, value in values.items())


def moment(at: float, now: float) -> str:
    """A point in time as it is said, with the whole date for who points at it or has it read."""
    exact = datetime.fromtimestamp(at).astimezone()
    said = escape(clock_time(at, now))
    return f'<time datetime="{exact.isoformat(timespec="seconds")}" title="{exact:%Y-%m-%d %H:%M:%S}">{said}</time>'


def move(happened: Move, now: float) -> str:
    """A failover as an entry of a list: when, from whom to whom, and why."""
    return f"<li>{moment(happened.at, now)} <span>{escape(happening_text(happened, str, now))}</span></li>"


def chosen(id_: str, name: str, label: str, options: Mapping[str, str], value: str) -> str:
    """A choice of one, by its options' values and what they are called."""
    named = attributes({"id": id_, "name": name})
    return f'<label for="{id_}">{escape(label)}</label> <select {named}>{inside(options, value)}</select>'


def inside(options: Mapping[str, str], value: str) -> str:
    """The options of a choice, by their values and what they are called; `value` is the present one."""
    return "".join(
        f"<option {attributes({'value': key})}{' selected' if key == value else ''}>{escape(said)}</option>"
        for key, said in options.items()
    )


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts that scrolls in its own box; the first cell of a row names it."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f'<caption class="aside">{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
