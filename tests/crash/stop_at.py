"""Starts the real `tidegate` and lets its fate strike at one line of it. Not a test.

    python -m tests.crash.stop_at count FILE -- serve --port 0        how often each line was reached, as JSON
    python -m tests.crash.stop_at kill POINT NTH -- serve --port 0    SIGKILL before the line is reached the NTH time
    python -m tests.crash.stop_at full POINT NTH -- serve --port 0    from then on the disk takes no more bytes

The product has no hook for it: the interpreter tells this module of every line. A point is a line of a function, and
for the functions that write files the kind of file: `files:write_atomic:86:vault.bin`.
"""

import inspect
import json
import os
import resource
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from core.cli import main as tidegate

CORE = Path(__file__).parents[2] / "core"
WATCHED = (
    *("files.py", "config.py", "tokens.py", "token_*.py", "vault*.py", "recovery*.py"),
    *("admission.py", "app.py", "poller.py", "remote.py"),
)
"""Whatever touches a credential or a file that must survive."""

Trace = Callable[[FrameType, str, object], "Trace | None"]


def point_of(module: str, frame: FrameType) -> str:
    """The line that is about to run, by name."""
    kind = ""
    if module == "files":
        target = frame.f_locals.get("path") or frame.f_locals.get("target")
        kind = (target.suffix if target.suffix == ".intent" else target.name) if isinstance(target, Path) else ""
    return f"{module}:{frame.f_code.co_qualname}:{frame.f_lineno}:{kind}"


def watch(reached: Callable[[str], None]) -> None:
    """Call `reached` with every point, in every thread, before its line runs."""
    modules = {str(path): path.stem for pattern in WATCHED for path in CORE.glob(pattern)}

    def on_call(frame: FrameType, event: str, argument: object) -> "Trace | None":
        del event, argument
        # Functions only: what an import runs (a module, a class's body) touches no file.
        inside = frame.f_code.co_flags & inspect.CO_OPTIMIZED and frame.f_code.co_filename in modules
        return on_line if inside else None

    def on_line(frame: FrameType, event: str, argument: object) -> "Trace | None":
        del argument
        if event == "line":
            reached(point_of(modules[frame.f_code.co_filename], frame))
        return on_line

    threading.settrace(on_call)
    sys.settrace(on_call)


def die() -> None:
    """As if somebody pulled the plug of this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    """No file may grow any more; who started this process can lift it with `prlimit`."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))


FATES = {"kill": die, "full": fill_disk}


def main(arguments: list[str]) -> None:
    """Run `tidegate` with what stands behind `--`."""
    split = arguments.index("--")
    (what, *where), command = arguments[:split], arguments[split + 1 :]
    counts: Counter[str] = Counter()
    if what == "count":
        watch(lambda point: counts.update((point,)))
    else:
        fated, nth = where[0], int(where[1])

        def reached(point: str) -> None:
            if point == fated:
                counts[point] += 1
                if counts[point] == nth:
                    FATES[what]()

        watch(reached)
    try:
        tidegate(command, prog_name="tidegate")
    finally:
        sys.settrace(None)
        if what == "count":
            Path(where[0]).write_text(json.dumps(counts), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
