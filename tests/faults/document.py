"""The fault matrix as it stands in docs/reliability.md: what each scenario shows, and how often it passed.

make test-faults FAULT_TABLE=write
"""

import datetime as dt
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from tests.faults.matrix import EMPTY, FAULTS, MOMENTS, filled
from tests.faults.scenarios import ALL
from tests.faults.script import Gone, Nothing, Scenario, Sees

FILE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- fault matrix: begin (written by `make test-faults FAULT_TABLE=write`) -->"
END = "<!-- fault matrix: end -->"

Played = Mapping[str, Counter[str]]


def write(played: Played, file: Path = FILE) -> None:
    """Put the table between its marks. Raises ValueError when they are not there."""
    text = file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file} has no place for the fault matrix")
    file.write_text(f"{before}{BEGIN}\n{section(played)}\n{END}{after}", encoding="utf-8")


def section(played: Played) -> str:
    """All that stands between the marks."""
    runs = sum(counts.total() for counts in played.values())
    passed = sum(counts["passed"] for counts in played.values())
    again = sum(len(scenario.asked) > len(scenario.sees) for scenario in ALL)
    figures = (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.system()}: {len(ALL)}"
        f" scenarios for {len(filled(ALL))} cells, {passed} of {runs} runs passed; in {again} of them a request"
        " reaches the provider more than once, each time as the rules allow."
    )
    lines = (
        figures,
        "",
        *grid(played),
        "",
        *rows(played),
        "",
        "Cells without a scenario:",
        "",
        *unfilled(),
    )
    return "\n".join(lines)


def grid(played: Played) -> Iterator[str]:
    """Fault by moment: how many scenarios passed of how many."""
    cells = filled(ALL)
    yield f"| | {' | '.join(MOMENTS)} |"
    yield f"| --- |{' --- |' * len(MOMENTS)}"
    for fault, name in FAULTS.items():
        found = (_share(cells.get((fault, moment), ()), played) for moment in MOMENTS)
        yield f"| {name} | {' | '.join(found)} |"
    yield ""
    yield "; ".join(f"**{moment}** {name}" for moment, name in MOMENTS.items()) + "."


def _share(scenarios: Sequence[Scenario], played: Played) -> str:
    if not scenarios:
        return "–"
    whole = sum(_passed(scenario, played) for scenario in scenarios)
    return f"{whole}/{len(scenarios)}"


def _passed(scenario: Scenario, played: Played) -> bool:
    counts = played.get(scenario.name, Counter())
    return bool(counts["passed"]) and counts.total() == counts["passed"]


def rows(played: Played) -> Iterator[str]:
    """A line for each scenario, with its runs that passed in the last column."""
    yield "| Where | What happens | The client sees | Requests that reach the provider | Passed |"
    yield "| --- | --- | --- | --- | --- |"
    for scenario in ALL:
        counts = played.get(scenario.name, Counter())
        yield f"{row(scenario)} {counts['passed']}/{counts.total()} |"


def row(scenario: Scenario) -> str:
    """The part of a scenario's line that no run changes."""
    where = ", ".join(
        f"{fault} {''.join(moment for _, moment in cells)}"
        for fault, cells in groupby(scenario.cells, key=lambda cell: cell[0])
    )
    sees = "; ".join(_seen(one) for one in scenario.sees)
    asked = ", ".join(scenario.asked) or "none"
    return f"| {where} | {scenario.name} | {sees} | {asked} |"


def _seen(sees: Sees | Gone | Nothing) -> str:
    match sees:
        case Gone():
            return "it has left"
        case Nothing():
            return "its connection ends"
        case Sees(status=200, whole=True, error=error):
            return f"a whole answer with `{error}`" if error else "a whole answer"
        case Sees(status=200, error=error):
            return f"`{error}` event, then a broken connection" if error else "a broken connection"
        case _:
            said = f"{sees.status} `{sees.error}`" if sees.error else f"{sees.status} as it came"
            return f"{said}, outcome unknown" if sees.unknown else said


def unfilled() -> Iterator[str]:
    """The cells without a scenario, by fault and reason."""
    reasons: dict[tuple[str, str], str] = {}
    for (fault, moment), reason in EMPTY.items():
        reasons[fault, reason] = reasons.get((fault, reason), "") + moment
    for (fault, reason), moments in reasons.items():
        yield f"- {FAULTS[fault]}, {moments}: {reason}"
