"""`make bench` and `make bench-peers`: everything measured in rounds, the report printed and kept in build/bench."""

import argparse
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import msgspec

from core import __version__
from tests.bench.speed import alone, report
from tests.bench.speed.measures import IN_ROUNDS, LITTLE, Effort, Readings
from tests.bench.speed.native import BUILD, CPUS, ROOT, Programs, compiled, upstream
from tests.bench.speed.peers import PEERS, pinned
from tests.bench.speed.report import Results, Round
from tests.bench.speed.seen import TICK_S
from tests.bench.speed.subjects import NotStarted, Start, Subject, nginx_program, subjects

DOCUMENT = ROOT / "docs" / "performance.md"
ROUNDS, PEER_ROUNDS = 3, 2
TAKEN = 0.02
"""A round in which a virtual machine's host took more than this of the processors' time is done again."""
AGAIN = 3
"""At most so often in one run, unless that is a short one."""
REST_S = 60.0
"""Before that: some hosts give what was not used before."""


def main() -> None:
    """Measure, print, keep."""
    options = _options()
    programs = compiled()
    missing: dict[str, str] = {}
    chosen = subjects(options.against)
    if options.peers:
        chosen |= PEERS
    effort = LITTLE if options.peers or options.quick else Effort()
    rounds = options.rounds or (PEER_ROUNDS if options.peers or options.quick else ROUNDS)
    again = 0 if options.peers or options.quick else AGAIN
    found, taken = quietest(lambda: _watched(lambda: _round(programs, chosen, effort, missing)), rounds, again)
    once: Mapping[str, Readings] = {}
    compares: Mapping[str, Mapping[str, Readings]] = {}
    if not options.peers and not options.quick:
        try:
            once = alone.once(programs)
            compares = alone.compared(programs)
        except (NotStarted, subprocess.SubprocessError) as exc:
            missing["what takes minutes"] = str(exc)
    results = Results(about(taken, peers=options.peers), found, once, missing, compares)
    told = report.text(results, report.PEER_GOALS if options.peers else report.GOALS)
    print(told)
    name = "peers" if options.peers else "report"
    (BUILD / f"{name}.md").write_text(told, encoding="utf-8")
    (BUILD / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(asdict(results))))
    if options.docs:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(report.placed(text, told, name), encoding="utf-8")


def _options() -> argparse.Namespace:
    asked = argparse.ArgumentParser(prog="python -m tests.bench.speed", description=main.__doc__)
    asked.add_argument("--peers", action="store_true", help="other proxies as well; as short as --quick")
    asked.add_argument("--quick", action="store_true", help="shorter rounds, nothing that takes minutes")
    asked.add_argument("--rounds", type=int)
    asked.add_argument("--against", type=Path, help="another checkout of Tidegate, to stand beside this one")
    asked.add_argument("--docs", action="store_true", help="put the report into docs/performance.md")
    return asked.parse_args()


def quietest(play: Callable[[], tuple[float, Round]], rounds: int, again: int) -> tuple[Sequence[Round], float]:
    """So many rounds, those in which the host took the least, and how much it took of the worst of them, as a share.

    `play`: what the host took of a round, and the round. `again`: how many more there may be while too few are quiet.
    """
    played: list[tuple[float, Round]] = []
    for _ in range(rounds + again):
        if sum(taken <= TAKEN for taken, _ in played) >= rounds:
            break
        if again and played and played[-1][0] > TAKEN:
            print(f"the host took {played[-1][0]:.1%}; a rest of {REST_S:.0f} s", file=sys.stderr)
            time.sleep(REST_S)
        played.append(play())
    kept = sorted(played, key=lambda each: each[0])[:rounds]
    return [readings for _, readings in kept], kept[-1][0]


def _watched(play: Callable[[], Round]) -> tuple[float, Round]:
    """What the host took of a round, as a share of all processors, and the round."""
    began_s, before_s = time.monotonic(), _stolen_s()
    readings = play()
    return (_stolen_s() - before_s) / (time.monotonic() - began_s) / len(CPUS), readings


def _stolen_s() -> float:
    """Processor time that the host gave to others while there was work here (`steal` of /proc/stat)."""
    return int(_lines("/proc/stat")[0].split()[8]) * TICK_S


def _round(
    programs: Programs, chosen: Mapping[str, Start], effort: Effort, missing: dict[str, str]
) -> dict[str, Readings]:
    """Every subject anew, every measure of all subjects in turn."""
    readings: dict[str, Readings] = {}
    with running(programs, chosen, missing) as started:
        for name, measure in IN_ROUNDS.items():
            for subject_name, subject in tuple(started.items()):
                print(f"\r{name} {subject_name}\033[K", end="", file=sys.stderr, flush=True)
                try:
                    readings.setdefault(subject_name, {}).update(measure(programs, subject, effort))
                except (FileNotFoundError, subprocess.SubprocessError) as exc:
                    del started[subject_name]
                    missing[subject_name] = f"it ended or hung at {name} ({exc})"
    print("\r\033[K", end="", file=sys.stderr)
    return readings


@contextmanager
def running(programs: Programs, chosen: Mapping[str, Start], missing: dict[str, str]) -> Iterator[dict[str, Subject]]:
    """All subjects that start, with an upstream; those that do not are noted in `missing`."""
    with upstream(programs) as port, tempfile.TemporaryDirectory(prefix="tg-bench-") as root, ExitStack() as stack:
        started: dict[str, Subject] = {}
        for name, start in chosen.items():
            folder = Path(root) / name
            folder.mkdir()
            try:
                started[name] = stack.enter_context(start(folder, port))
            except NotStarted as exc:
                missing[name] = str(exc)
        yield started


def about(taken: float, *, peers: bool) -> dict[str, str]:
    """When, on what, with what."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    machine = f"{len(CPUS)} × {(models or ['?'])[0]}, {platform.system()} {platform.release()}"
    load = os.getloadavg()[0]
    busy = ", so others worked as well and only processor time says something" if load > 2 * len(CPUS) else ""
    nginx = nginx_program()
    told = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr if nginx else "none"
    return {
        "measured": time.strftime("%Y-%m-%d"),
        "machine": f"{machine}; load average at the end {load:.1f}{busy}; its host took {taken:.1%} of a round at most",
        "Python": f"{platform.python_version()}, {_how_built()}",
        "Tidegate": f"{__version__} ({_commit()})",
        "nginx": told.strip().rpartition("/")[2],
        **({"peers": ", ".join(package for _, package in pinned().values())} if peers else {}),
    }


def _commit() -> str:
    """Of what was measured; the documentation may have changed since, for one report after another is put into it."""
    head, changed = _git("rev-parse", "--short", "HEAD"), _git("status", "--porcelain", "--", ".", ":!docs")
    return f"{head}-dirty" if changed else head


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False).stdout.strip()


def _how_built() -> str:
    """A tenth and more of Python's speed. Distributions optimise theirs and do not say so in its configuration."""
    if "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")):
        return "built with profile-guided optimisation"
    return "the distribution's" if sys.base_prefix == "/usr" else "built without profile-guided optimisation"


def _lines(file: str) -> Sequence[str]:
    return Path(file).read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    main()
