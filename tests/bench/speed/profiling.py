"""`make bench-profile`: what dominates a request, as functions of the running program with microseconds for each.

Processor time is sampled and scaled to what the process used (/proc). A function of the core is charged with what the
libraries and the kernel below it cost. Calls are counted in another run, under cProfile. Prints, judges nothing.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.speed.native import ROOT, Programs, compiled, load, upstream
from tests.bench.speed.seen import look
from tests.bench.speed.subjects import KEYS, NotStarted, Subject, Tidegate, keys

WARM = 500
TOP = 30
WRITTEN_S = 10.0
LOADS: Mapping[str, Mapping[str, object]] = {
    "one connection, JSON": {"connections": 1, "seconds": 12},
    "32 connections, JSON": {"connections": 32, "seconds": 12},
    "one connection, 200 KB": {"connections": 1, "seconds": 8, "body": 200_000},
    "start of a stream, one connection": {"connections": 1, "seconds": 8, "events": 1},
    "50 paced streams": {"connections": 50, "requests": 50, "events": 1_500, "text": "every_us=10000"},
}
BELOW = (
    "A function of the core stands for itself and for the libraries and the kernel below it; `core/serve.py:run` is the"
    " event loop, and other threads while that waits."
)
INSIDE = Path(__file__).with_name("inside.py")


@dataclass(frozen=True, slots=True)
class Profile:
    """One load, profiled."""

    unit: str
    """What `number` counts."""
    number: int
    cpu_us: float
    """For one unit."""
    found: Mapping[str, Any]


def main() -> None:
    """Profile every load and print."""
    asked = argparse.ArgumentParser(prog="python -m tests.bench.speed.profiling", description=__doc__)
    asked.add_argument("--source", type=Path, default=ROOT, help="another checkout to profile")
    asked.add_argument("--top", type=int, default=TOP)
    asked.add_argument("--accounts", type=int, default=len(KEYS))
    asked.add_argument("--only", default="", help="loads whose name has this in it")
    options = asked.parse_args()
    programs = compiled()
    for name, arguments in LOADS.items():
        if options.only in name:
            sampled, counted = (
                _profiled(programs, kind, arguments, options.source, options.accounts)
                for kind in ("sampled", "counted")
            )
            print(f"\n## {name}\n\n{text(sampled, counted, options.top)}", flush=True)


@contextmanager
def serving(installation: Tidegate, kind: str) -> Iterator[tuple[Subject, Path]]:
    """`tidegate serve` with that inside, and the file that it writes to."""
    written = installation.folder / "inside.json"
    installation.environment = {"PYTHONPATH": str(installation.source)}
    installation.launcher = (sys.executable, str(INSIDE), kind, str(written))
    with installation.serve() as subject:
        yield subject, written


def told(subject: Subject, written: Path) -> Mapping[str, Any]:
    """What is inside, now."""
    assert subject.pid
    written.unlink(missing_ok=True)
    os.kill(subject.pid, signal.SIGUSR2)
    until = time.monotonic() + WRITTEN_S
    while not written.exists():
        if time.monotonic() > until:
            raise NotStarted("it does not tell what is inside")
        time.sleep(0.05)
    found: Mapping[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return found


def _profiled(programs: Programs, kind: str, arguments: Mapping[str, object], source: Path, accounts: int) -> Profile:
    """A fresh program under this load and profiler."""
    with upstream(programs) as port, tempfile.TemporaryDirectory(prefix="tg-bench-") as folder:
        installation = Tidegate(Path(folder) / "data", port, source)
        installation.set_up(keys(accounts))
        with serving(installation, kind) as (subject, written):
            assert subject.pid
            load(programs, subject.target, requests=WARM)
            os.kill(subject.pid, signal.SIGUSR1)
            before = look(subject.pid).cpu_s
            answer = load(programs, subject.target, **arguments)
            cpu_s = look(subject.pid).cpu_s - before
            unit = "event" if answer["events"] > answer["good"] else "request"
            number = answer["events"] if unit == "event" else answer["good"]
            if not number:
                raise NotStarted(f"no good answer: {answer}")
            return Profile(unit, number, cpu_s / number * 1e6, told(subject, written))


def text(sampled: Profile, counted: Profile, top: int) -> str:
    """The tables of one load."""
    looks, unit, us = sampled.found["looks"], sampled.unit, sampled.cpu_us
    lines, calls = sampled.found["lines"], counted.found["calls"]
    modules: Counter[str] = Counter()
    for name, n in sampled.found["charged"].items():
        modules[name.partition(":")[0]] += n
    by_module = ", ".join(
        f"{module} {n / looks * us:.1f} µs ({n / looks:.1%})" for module, n in modules.most_common(top)
    )
    called = sum(calls.values()) / counted.number
    out = [
        f"{us:.0f} µs of processor time a {unit}; {sampled.number} of them, {looks} looks, {called:.0f} calls.",
        "",
        BELOW,
        "",
        f"By module: {by_module}",
        "",
        f"| function | µs/{unit} | share | with our functions below | calls | lines |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, n in _most(sampled.found["charged"], top):
        of_it = Counter({line: m for line, m in lines.items() if line.startswith(f"{name}:")})
        where = ", ".join(f"{line.rpartition(':')[2]} ({m / looks:.1%})" for line, m in of_it.most_common(3))
        within = sampled.found["within"].get(name, n) / looks * us
        often = calls.get(_plain(name), 0) / counted.number
        out.append(f"| `{name}` | {n / looks * us:.1f} | {n / looks:.1%} | {within:.1f} | {often:.2f} | {where} |")
    out += ["", f"By own time alone, µs/{unit}:", ""]
    out += [f"- {n / looks * us:.1f} `{name}`" for name, n in _most(sampled.found["own"], top)]
    out += ["", f"Most called, a {unit}:", ""]
    out += [f"- {n / counted.number:.2f} `{name}`" for name, n in _most(calls, top)]
    return "\n".join(out)


def _most(counts: Mapping[str, int], top: int) -> list[tuple[str, int]]:
    return Counter(counts).most_common(top)


def _plain(name: str) -> str:
    """cProfile knows functions without their class."""
    file, _, function = name.rpartition(":")
    return f"{file}:{function.rpartition('.')[2]}"


if __name__ == "__main__":
    main()
