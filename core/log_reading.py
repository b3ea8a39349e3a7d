"""The end of the log, and what is added to it: over the seams where one file ends and the next begins.

No file is kept open: on Windows that would keep it from being renamed.
"""

import contextlib
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.files import Paths
from core.logs import LOGS_KEPT, Entry, read

POLL_S = 0.25
TROUBLES = ("WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Seen:
    """How far which file has been read, whatever its name is by now."""

    identity: tuple[int, int] | None = None
    offset: int = 0


def tail(paths: Paths, count: int) -> tuple[list[Entry], Seen]:
    """The last entries, the oldest first, and where `follow` goes on; none without a log."""
    newest, seen = _since(paths, None)
    whole, newline, rest = newest.rpartition(b"\n")
    entries = list(read(_lines(whole + newline)))
    for file in _files(paths)[1:]:
        if len(entries) >= count:
            break
        with contextlib.suppress(FileNotFoundError):
            entries = [*deque(read(_lines(file.read_bytes())), count), *entries]
    return entries[-count:] if count else [], Seen(seen.identity, seen.offset - len(rest))


def recent(paths: Paths, count: int, levels: Sequence[str] = ()) -> list[Entry]:
    """The last entries, the oldest first; of certain levels if there are any.

    Read from the end: of megabytes of log a few hundred entries are taken apart.
    """
    entries: list[Entry] = []
    for file in _files(paths):
        if len(entries) >= count:
            break
        with contextlib.suppress(FileNotFoundError):
            backwards = _backwards(_lines(file.read_bytes()), levels)
            entries.extend(itertools.islice(backwards, count - len(entries)))
    return entries[::-1]


def _backwards(lines: list[str], levels: Sequence[str]) -> Iterator[Entry]:
    for number in reversed(range(len(lines))):
        # A word is found much sooner than a time is read.
        if levels and not any(level in lines[number] for level in levels):
            continue
        begun = next(read(lines[number : number + 1]), None)
        if begun and (not levels or begun.level in levels):
            yield next(read(lines[further] for further in range(number, len(lines))))


def follow(paths: Paths, seen: Seen, wait: Callable[[], None] = lambda: time.sleep(POLL_S)) -> Iterator[Entry]:
    """What is logged after `seen`, for ever. It waits before each look.

    An entry and its further lines (a traceback) are written at once, so they are given as one.
    """
    rest = b""
    while True:
        wait()
        came, seen = _since(paths, seen)
        whole, newline, rest = (rest + came).rpartition(b"\n")
        yield from read(_lines(whole + newline))


def _lines(content: bytes) -> list[str]:
    return content.decode(errors="replace").split("\n")[:-1]  # not at every character that Unicode takes for a break


def _since(paths: Paths, seen: Seen | None) -> tuple[bytes, Seen]:
    """What was written since, and how far it is read now. None: all of the newest file."""
    pieces: list[bytes] = []
    now = Seen()
    for file in _files(paths):
        try:
            with file.open("rb") as opened:
                status = os.fstat(opened.fileno())
                identity = (status.st_dev, status.st_ino)
                known = seen is not None and identity == seen.identity
                start = seen.offset if seen and known and seen.offset <= status.st_size else 0
                opened.seek(start)
                pieces.append(opened.read())
        except FileNotFoundError:
            continue
        if now.identity is None:
            now = Seen(identity, start + len(pieces[0]))
        if known or seen is None or seen.identity is None:
            break
    else:
        pieces = pieces[:1]  # what was read before is gone, and the older files were read long ago
    return b"".join(reversed(pieces)), now


def _files(paths: Paths) -> tuple[Path, ...]:
    """The newest first."""
    return paths.log, *(Path(f"{paths.log}.{number}") for number in range(1, LOGS_KEPT + 1))
