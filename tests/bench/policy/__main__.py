"""`make bench-policy`: print what every strategy makes of every workload. Writes nothing but standard output."""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor

from core.model import Strategy
from tests.bench.policy.table import as_json, as_text, measure
from tests.bench.policy.workloads import NAMES


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.policy", description=__doc__)
    parser.add_argument("workloads", nargs="*", help=f"only these (of {', '.join(NAMES)})")
    parser.add_argument("--seeds", type=int, default=2, help="how many of each workload (2)")
    parser.add_argument("--json", action="store_true", help="figures for a program")
    options = parser.parse_args()
    if unknown := set(options.workloads) - set(NAMES):
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        figures = measure(options.workloads or NAMES, list(Strategy), range(1, options.seeds + 1), pool)
    print(as_json(figures) if options.json else as_text(figures))


if __name__ == "__main__":
    main()
