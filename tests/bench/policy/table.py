"""The report: every workload with every strategy there is, as a table that is text and Markdown at once, or as JSON."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from itertools import groupby, product

from core.model import Strategy
from tests.bench.policy.bound import bound
from tests.bench.policy.demand import HOUR_S, MINUTE_S
from tests.bench.policy.play import Tally, play
from tests.bench.policy.workloads import RECIPES, workload

_MILLION = 1e6
_P95 = 0.95
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Figures:
    """What one strategy made of one workload, the mean of all seeds. Tokens are millions, shares are of the bound.

    `share` is the work served. `wasted` is what resets threw away of long windows, as far as it could have served
    what was not served. Waits are those of turns that were served in the end.
    """

    workload: str
    strategy: str
    asked: float
    bound: float
    share: float
    served: float
    refused: float
    abandoned: float
    moves: float
    missed: float
    wasted: float
    p95_wait_s: float
    worst_wait_s: float


def measure(
    names: Sequence[str], strategies: Sequence[Strategy], seeds: Sequence[int], pool: Executor
) -> list[Figures]:
    """All figures, workload by workload. The same for the same seeds, whatever the number of processes.

    Raises AssertionError should a strategy have served more than the bound says: then one of the two is wrong.
    """
    cases = list(product(names, strategies, seeds))
    bounds = dict(zip(product(names, seeds), pool.map(_bound, *zip(*product(names, seeds), strict=True)), strict=True))
    tallies = pool.map(_play, *zip(*cases, strict=True))
    rows = zip(cases, tallies, strict=True)
    return [
        _mean(name, strategy, [(asked, bounds[name, seed], tally) for (_, _, seed), (asked, tally) in group])
        for (name, strategy), group in groupby(rows, key=lambda row: row[0][:2])
    ]


def _bound(name: str, seed: int) -> float:
    return bound(workload(name, seed))


def _play(name: str, strategy: Strategy, seed: int) -> tuple[float, Tally]:
    played = workload(name, seed)
    return played.work, play(played, strategy)


def _mean(name: str, strategy: Strategy, runs: Sequence[tuple[float, float, Tally]]) -> Figures:
    def mean(values: Iterable[float]) -> float:
        return sum(values) / len(runs)

    if any(tally.work > most * (1 + _ROUNDING) for _, most, tally in runs):
        raise AssertionError(f"{strategy} has served more of {name} than the bound allows")
    tallies = [tally for _, _, tally in runs]
    most = mean(most for _, most, _ in runs)
    waits = sorted(wait_s for tally in tallies for wait_s in tally.waits_s) or [0.0]
    return Figures(
        workload=name,
        strategy=strategy.value,
        asked=mean(asked for asked, _, _ in runs) / _MILLION,
        bound=most / _MILLION,
        share=mean(tally.work for tally in tallies) / most,
        served=mean(tally.served for tally in tallies),
        refused=mean(tally.refused for tally in tallies),
        abandoned=mean(tally.abandoned for tally in tallies),
        moves=mean(tally.moves for tally in tallies),
        missed=mean(tally.missed for tally in tallies) / _MILLION,
        wasted=mean(wasted(asked, tally) for asked, _, tally in runs) / most,
        p95_wait_s=waits[int(_P95 * (len(waits) - 1))],
        worst_wait_s=waits[-1],
    )


def wasted(asked: float, tally: Tally) -> float:
    """What resets threw away and could have served somebody."""
    return min(tally.lost, max(0.0, asked - tally.work))


# --- how it is written -----------------------------------------------------------------------------

_HEADS = ("strategy", "served", "refused", "moves", "missed", "wasted", "95 % wait", "worst wait")


def as_json(figures: Sequence[Figures]) -> str:
    """One object for each row."""
    return json.dumps([asdict(row) for row in figures], indent=1)


def as_text(figures: Sequence[Figures]) -> str:
    """One table for each workload, the best strategy first."""
    parts = (_part(name, list(rows)) for name, rows in groupby(figures, key=lambda row: row.workload))
    return "\n\n".join(parts)


def _part(name: str, rows: Sequence[Figures]) -> str:
    first = rows[0]
    about = f"**{name}**: {RECIPES[name].text}. Asked {first.asked:.1f} M, bound {first.bound:.1f} M tokens."
    cells = [_cells(row) for row in sorted(rows, key=lambda row: -row.share)]
    return "\n".join((about, "", *_lines([_HEADS, *cells])))


def _cells(row: Figures) -> tuple[str, ...]:
    return (
        row.strategy,
        f"{row.share:.1%}",
        f"{row.refused:.0f}",
        f"{row.moves:.0f}",
        f"{row.missed:.1f} M",
        f"{row.wasted:.1%}",
        _span(row.p95_wait_s),
        _span(row.worst_wait_s),
    )


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Iterable[str]) -> str:
        name, *numbers = (
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join((name, *numbers))} |"

    yield line(rows[0])
    yield "|" + "|".join("-" * (width + 1) + ("-" if not index else ":") for index, width in enumerate(widths)) + "|"
    yield from map(line, rows[1:])


def _span(seconds: float) -> str:
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < HOUR_S else f"{seconds / HOUR_S:.1f} h"
