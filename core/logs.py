"""The log: one line a fact, with the account's label, never with a credential, a prompt or an answer.

All lines of one client's request carry its id. A line is for a person to read or, if they want it so, JSON for a
program; `read` and `told` take both, so that `tidegate logs` shows either file either way.
"""

import itertools
import json
import logging
import logging.handlers
import os
import re
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import msgspec

from core.errors import UNREADABLE, UsageError
from core.files import OWNER_ONLY, Paths
from core.redaction import without_secrets

LOG_BYTES = 2 * 1024 * 1024
LOGS_KEPT = 3
FORMS = ("text", "json")
FORM_VARIABLE = "TIDEGATE_LOG_FORMAT"
_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<level>[A-Z]+) +(?:\[(?P<request>[0-9a-f]{8})\] )?(?P<text>.*)"
)
_TIME = "%Y-%m-%d %H:%M:%S"

_request: ContextVar[str] = ContextVar("request", default="")
_numbers = itertools.count(secrets.randbits(32))
"""Each request has the next one: a log holds many runs, so they begin anywhere."""


def begin_request() -> None:
    """From here on, what this task and those it starts log belongs to one client's request."""
    _request.set(f"{next(_numbers) & 0xFFFF_FFFF:08x}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log; `text` may go over several, as a traceback does."""

    at: float
    level: str
    text: str
    request: str = ""
    """The same for all entries of one client's request; empty for what belongs to none."""


# --- writing ---------------------------------------------------------------------------------------


class _Form(logging.Formatter):
    """An entry as a person reads it, or as JSON; without anything that looks like a credential."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__("%(message)s")
        self._as_json = as_json

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The message in one line: a label or a model's name that has several must not look like other entries."""
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")

    def format(self, record: logging.LogRecord) -> str:
        """One record, with its traceback if it has one."""
        text = without_secrets(super().format(record))
        entry = Entry(round(record.created, 3), record.levelname, text, _request.get())
        return as_json(entry) if self._as_json else as_text(entry)


class _PrivateRotation(logging.handlers.RotatingFileHandler):
    """Rotates; every file is its owner's only, whatever the umask. A full disk is told once, on standard error."""

    _told = False

    def _open(self):  # type: ignore[no-untyped-def] # noqa: ANN202 - the signature is the library's
        os.close(os.open(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY, OWNER_ONLY))
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Do without the line: the library would print a traceback for each one while the disk is full."""
        exc = sys.exc_info()[1]
        if not isinstance(exc, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            sys.stderr.write(f"The log {self.baseFilename} cannot be written: {exc.strerror or exc}\n")


def start_logging(paths: Paths, level: str, *, to_terminal: bool, form: str = "") -> None:
    """Log to the installation's file, and to stderr as well when somebody sits there. `form` is one of FORMS.

    Raises UsageError for another form.
    """
    if form not in ("", *FORMS):
        raise UsageError(f"{FORM_VARIABLE} cannot be {form!r}", f"It must be one of {', '.join(FORMS)}.")
    paths.create()
    handlers: list[logging.Handler] = [
        _PrivateRotation(paths.log, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8")
    ]
    if to_terminal:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(_Form(as_json=form == "json"))
    # Libraries log headers and bodies when they are asked for details; only their warnings are let in.
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    for ours in ("core", "tray"):
        logging.getLogger(ours).setLevel(level.upper())


def as_text(entry: Entry) -> str:
    """The entry as a person reads it, in local time."""
    time_ = f"{time.strftime(_TIME, time.localtime(entry.at))},{round(entry.at % 1 * 1000) % 1000:03d}"
    request = f"[{entry.request}] " if entry.request else ""
    return f"{time_} {entry.level:<7} {request}{entry.text}"


def as_json(entry: Entry) -> str:
    """The entry as one line of JSON."""
    return json.dumps(asdict(entry), ensure_ascii=False)


# --- reading ---------------------------------------------------------------------------------------


def read(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries in lines of either form. A line that begins none belongs to the entry before it."""
    last: Entry | None = None
    for raw in lines:
        line = raw.rstrip("\r\n")
        entry = _begun(line)
        if entry is None and last is not None:
            last = replace(last, text=f"{last.text}\n{line}")
            continue
        if last is not None:
            yield last
        last = entry
    if last is not None:
        yield last


def _begun(line: str) -> Entry | None:
    """The entry that a line begins; None when it does not."""
    if line.startswith("{"):
        try:
            return msgspec.json.decode(line, type=Entry)
        except UNREADABLE:
            return None
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    try:
        at = datetime.strptime(match["at"], f"{_TIME},%f").astimezone().timestamp()
    except (ValueError, OverflowError):  # the 31st of November; the year 1
        return None
    return Entry(at, match["level"], match["text"], match["request"] or "")
