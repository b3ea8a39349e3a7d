"""`make bench-start`: how long the program takes to start, beside Python doing nothing. Prints, judges nothing.

Each command runs in turn with the others, so that whatever else the machine does falls on all of them; the best of all
rounds is what the program itself costs. `statusline` is asked as Claude Code asks it, without and with a running
instance to answer: the simulated one of `tidegate demo`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROUNDS = 20
START_S = 30.0
GIVEN = json.dumps(
    {
        "session_id": "00000000-0000-0000-0000-000000000000",
        "model": {"id": "claude-opus-5", "display_name": "Opus"},
        "context_window": {"used_percentage": 8},
    }
).encode()


def main() -> None:
    """Measure and print."""
    rounds = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    rounds.add_argument("--rounds", type=int, default=ROUNDS)
    with tempfile.TemporaryDirectory() as nobody, running() as folder:
        tidegate = [str(Path(sys.executable).with_name("tidegate"))]
        best = measured(
            {
                "python -c pass": [sys.executable, "-c", "pass"],
                "tidegate --version": [*tidegate, "--version"],
                "tidegate --help": [*tidegate, "--help"],
                "tidegate statusline, nothing runs": [*tidegate, "--data-dir", nobody, "statusline"],
                "tidegate statusline": [*tidegate, "--data-dir", folder, "statusline"],
            },
            rounds.parse_args().rounds,
        )
    nothing_s = best["python -c pass"]
    for name, best_s in best.items():
        print(f"{name:<34}{best_s * 1000:7.1f} ms{best_s / nothing_s:7.1f} x")


def measured(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """The best of so many starts of each, in seconds."""
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(rounds):
        for name, words in commands.items():
            began = time.perf_counter()
            subprocess.run(words, input=GIVEN, stdout=subprocess.DEVNULL, check=True)
            best[name] = min(best[name], time.perf_counter() - began)
    return best


@contextmanager
def running() -> Iterator[str]:
    """The folder of an instance that runs, with accounts to tell of."""
    with tempfile.TemporaryDirectory() as temporary:
        demo = subprocess.Popen(
            [sys.executable, "-m", "core", "demo", "--headless"],
            env={**os.environ, "TMPDIR": temporary},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until = time.monotonic() + START_S
            while not (found := list(Path(temporary).glob("*/running.json"))):
                if demo.poll() is not None or time.monotonic() > until:
                    sys.exit("the demo did not start")
                time.sleep(0.05)
            yield str(found[0].parent)
        finally:
            demo.terminate()
            demo.wait()


if __name__ == "__main__":
    main()
