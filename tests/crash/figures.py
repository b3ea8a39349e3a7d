"""What a crash test tells: one JSON line for machines, one table for people."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.crash.checker import Verdict

Tell = Callable[[str], None]


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` of all are not above; 0.0 when there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def line(test: str, *, n: int, violations: int, seconds: float, seed: int | None = None, **more: object) -> str:
    """One line for machines."""
    return json.dumps(
        {"test": test, "n": n, "violations": violations, "seconds": round(seconds, 1), "seed": seed, **more}
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns of the same width, the first one to the left."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def storm_table(verdicts: Sequence[Verdict]) -> str:
    """Where the kills hit, and how many logins each of them cost."""
    kills = sum((verdict.kills for verdict in verdicts), Counter[str]())
    lost = sum((verdict.lost for verdict in verdicts), Counter[str]())
    rows = [(where, count, lost[where]) for where, count in sorted(kills.items())]
    return table(("killed at", "kills", "logins lost in flight"), [*rows, ("all", kills.total(), lost.total())])


def storm_figures(verdicts: Sequence[Verdict]) -> Mapping[str, object]:
    """The figures of a storm that go into its line."""
    states = sum((verdict.states for verdict in verdicts), Counter[str]())
    starts = [seconds for verdict in verdicts for seconds in verdict.start_s]
    return {
        "at_rest": dict(states.most_common()),
        "lost_in_flight": sum(verdict.lost.total() for verdict in verdicts),
        "silently_dead": states["silently dead"],
        "restarts": len(starts),
        "restart_p50_s": round(percentile(starts, 0.5), 2),
        "restart_p95_s": round(percentile(starts, 0.95), 2),
    }
