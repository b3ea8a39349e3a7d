"""The two programs in C that measure, compiled when their sources have changed: mock upstream and load generator."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
BUILD = ROOT / "build" / "bench"
SOURCES = ROOT / "tests" / "bench" / "native"
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
LOAD_S = 600.0
"""The longest that a load may take; it ends by itself 20 s after the last sign of life."""
CPUS = sorted(os.sched_getaffinity(0))
SUBJECT_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
"""What is measured has a processor of its own where there are two."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the compiled programs are."""

    upstream: Path
    load: Path


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and with what in their heads."""

    port: int
    headers: Sequence[str] = ()
    path: str = "/v1/messages"


def compiled(folder: Path = BUILD) -> Programs:
    """Both programs, newer than their sources. Raises CalledProcessError with the compiler's words printed."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [*SOURCES.glob("*.[ch]")]
    for name in ("upstream", "load"):
        program = folder / name
        if not program.exists() or program.stat().st_mtime < max(source.stat().st_mtime for source in sources):
            subprocess.run(["cc", *FLAGS, "-o", program, SOURCES / f"{name}.c"], check=True)
    return Programs(folder / "upstream", folder / "load")


@contextmanager
def upstream(programs: Programs) -> Iterator[int]:
    """The mock upstream, while the block lasts: its port."""
    with subprocess.Popen(on(LOAD_CPU, [programs.upstream]), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline())
        finally:
            process.kill()


def load(programs: Programs, target: Target, **arguments: object) -> dict[str, Any]:
    """Run the load generator with these arguments of it; what it printed. Raises CalledProcessError, TimeoutExpired."""
    with loading(programs, target, **arguments) as process:
        return told_by(process)


@contextmanager
def loading(programs: Programs, target: Target, **arguments: object) -> "Iterator[subprocess.Popen[str]]":
    """The load generator at work while the block lasts."""
    words = [f"port={target.port}", f"path={target.path}", *(f"header={header}" for header in target.headers)]
    words += [f"{name}={value}" for name, value in arguments.items()]
    with subprocess.Popen(on(LOAD_CPU, [programs.load, *words]), stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told_by(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the load generator prints when it is done. Raises CalledProcessError, TimeoutExpired."""
    out, _ = process.communicate(timeout=LOAD_S)
    if process.returncode:  # nobody listens any more, or what answers is not HTTP
        raise subprocess.CalledProcessError(process.returncode, process.args)
    told: dict[str, Any] = json.loads(out)
    return told


def on(cpu: int, words: Sequence[str | Path]) -> list[str | Path]:
    """The command, kept on one processor with all that it starts."""
    return ["taskset", "--cpu-list", str(cpu), *words]
