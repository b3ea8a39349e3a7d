"""`tidegate statusline`: one line below Claude Code's prompt, from what it tells on stdin and what Tidegate knows.

Claude Code starts this anew after every turn. So it is made to start fast: plain requests over a plain socket, and
nothing of Tidegate is imported, since its vocabulary alone takes 100 ms to load (2026-11; a dataclass takes 10, hence
the named tuples). It promises one line whatever comes in, and to ask no longer than `DEADLINE_S`.
"""

import json
import math
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

DEADLINE_S = 0.3
"""An old line stays until this one is there; one that comes late is worth less than a short one."""
MAX_GIVEN_BYTES = 1024 * 1024
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_CHARS = 40
"""Of a label or a model's name: the line shares its row."""
_DAY_S = 86_400
_WINDOWS = {"5h": "5h", "7d": "week"}
"""The quota windows that are shown; those of one model's family only while that model is asked."""
_COLOURS = {"ok": "32", "warn": "33", "spent": "31"}
_DIM, _BOLD, _YELLOW = "2", "1", "33"


class Given(NamedTuple):
    """What Claude Code tells, as far as it is what it should be."""

    session: str | None = None
    model_id: str = ""
    model: str = ""
    context_percent: int | None = None


class Known(NamedTuple):
    """What Tidegate tells, as its control API gives it."""

    explanation: Any = None
    snapshot: Any = None


def show(folder: Path) -> None:
    """Print the line about the installation in `folder`. Raises nothing."""
    given = read(_told())
    said = line(given, ask(folder / "running.json", given), colours=not os.environ.get("NO_COLOR"))
    try:  # in UTF-8, which Claude Code reads: a pipe on Windows would be given something else
        sys.stdout.buffer.write(f"{said}\n".encode())
        sys.stdout.buffer.flush()
    except (OSError, AttributeError):
        return  # nobody looks any more, or ever did


def _told() -> bytes:
    try:
        return b"" if sys.stdin.isatty() else sys.stdin.buffer.read(MAX_GIVEN_BYTES)
    except (OSError, ValueError, AttributeError):  # it is closed, or this program was started without one
        return b""


def read(text: bytes) -> Given:
    """What is told in `text`; nothing in what is no JSON."""
    told = _json(text)
    session, model_id = _at(told, "session_id"), _at(told, "model", "id")
    return Given(
        session if isinstance(session, str) and session else None,
        model_id if isinstance(model_id, str) else "",
        _clean(_at(told, "model", "display_name")),
        _percent(_at(told, "context_window", "used_percentage"), 1.0),
    )


# --- what is said ----------------------------------------------------------------------------------


def line(given: Given, known: Known | None, *, colours: bool) -> str:
    """`Work · 5h 62% until 16:10 · week 41% · dry 14:32 · Opus · context 8%`."""
    parts = [*_about_account(given, known), *_about_model(given)]
    return " · ".join(f"\x1b[{code}m{text}\x1b[0m" if colours and code else text for text, code in parts)


def _about_model(given: Given) -> Iterator[tuple[str, str]]:
    if given.model:
        yield given.model, _DIM
    if given.context_percent is not None:
        yield f"context {given.context_percent}%", _DIM


def _about_account(given: Given, known: Known | None) -> Iterator[tuple[str, str]]:
    """Each part of the line, with the code of its colour."""
    if known is None:
        yield "Tidegate is not running", _YELLOW
        return
    if _at(known.explanation, "pause"):
        yield "Tidegate is paused", _YELLOW
    turns = _list(_at(known.explanation, "lines", 0, "turns"))
    now = _number(_at(known.snapshot, "at")) or 0.0
    if not turns:
        yield "Tidegate has no account", _YELLOW
    elif _at(turns, 0, "serves") is not True:
        back_at = min((at for turn in turns if (at := _number(_at(turn, "until_at")))), default=None)
        yield f"no account is free{_until(back_at, now)}", _COLOURS["spent"]
    else:
        yield _clean(_at(turns, 0, "label")), _BOLD
        accounts = _list(_at(known.snapshot, "accounts"))
        mine = (view for view in accounts if _at(view, "id") == _at(turns, 0, "account"))
        yield from _about_quota(_list(_at(next(mine, None), "windows")), given.model_id, now)


def _about_quota(windows: Sequence[Any], model_id: str, now: float) -> Iterator[tuple[str, str]]:
    dry_at = []
    for window in windows:
        name, family, level = (_at(window, key) for key in ("name", "family", "level"))
        spent = _percent(_at(window, "utilization"), 100.0)
        if spent is None or not isinstance(name, str) or (family and str(family) not in model_id):
            continue
        if said := f"{_clean(family)} week" if family else _WINDOWS.get(name):
            resets_at = _number(_at(window, "resets_at"))
            until = _until(resets_at, now) if name == "5h" or level == "spent" else ""
            yield f"{said} {spent}%{until}", _COLOURS.get(str(level), "")
            dry_at.append(_number(_at(window, "dry_at")))
    if soonest := min((at for at in dry_at if at and at > now), default=None):
        yield f"dry {_clock(soonest, now)}", _YELLOW


def _until(at: float | None, now: float) -> str:
    return f" until {_clock(at, now)}" if at else ""


def _clock(at: float, now: float) -> str:
    """A point in time in the person's zone: `14:32`, `Thu 14:32`."""
    try:
        return time.strftime("%H:%M" if abs(at - now) < _DAY_S else "%a %H:%M", time.localtime(at))
    except (OverflowError, ValueError, OSError):
        return "?"


# --- what Tidegate tells ---------------------------------------------------------------------------


def ask(running: Path, given: Given, deadline_s: float = DEADLINE_S) -> Known | None:
    """Who serves this conversation, and all accounts; None when nobody answers in time.

    As in `core.remote` the file is not believed: the token goes to the process that it names and nobody else.
    """
    until = time.monotonic() + deadline_s
    try:
        told = _json(running.read_bytes())
        port, pid, token = (_at(told, key) for key in ("port", "pid", "control_token"))
        with socket.create_connection(("127.0.0.1", port), deadline_s) as connected:
            link = _Link(connected, port, until)
            if _at(link.answer("GET /-/health"), "pid") != pid:
                return None
            request = {"provider": "anthropic", "model": given.model_id, "session": given.session}
            return Known(
                link.answer("POST /-/commands/explain", token, json.dumps(request).encode()),
                link.answer("GET /-/snapshot", token),
            )
    except (OSError, ValueError, TypeError, OverflowError):
        return None


class _Link(NamedTuple):
    """A connection to the instance, good until `until` on the monotonic clock."""

    connected: socket.socket
    port: int
    until: float

    def answer(self, what: str, token: str = "", body: bytes = b"") -> Any:
        """What is answered to one request. Raises OSError, also when the time is over."""
        lines = [f"{what} HTTP/1.1", f"host: 127.0.0.1:{self.port}", f"content-length: {len(body)}"]
        lines += [f"authorization: Bearer {token}"] if token else []
        self.connected.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        received, whole_bytes = b"", MAX_ANSWER_BYTES
        head, found = b"", b""
        while len(received) < whole_bytes:
            received += self._piece()
            if not found:
                head, found, _ = received.partition(b"\r\n\r\n")
                whole_bytes = len(head) + len(found) + _length(head) if found else MAX_ANSWER_BYTES
        return _json(received[len(head) + len(found) :])

    def _piece(self) -> bytes:
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self.connected.settimeout(left_s)
        piece = self.connected.recv(65_536)
        if not piece:
            raise ConnectionError
        return piece


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


# --- values that may be anything -------------------------------------------------------------------


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _at(value: Any, *path: str | int) -> Any:
    """What is at the path; None when there is none."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and len(value) > step else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _percent(value: Any, times: float) -> int | None:
    number = _number(value)
    return None if number is None else min(100, max(0, round(number * times)))


def _clean(text: Any) -> str:
    """The text without what could steer a terminal or end the line."""
    said = text if isinstance(text, str) else ""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said)[:MAX_CHARS]
