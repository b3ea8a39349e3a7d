"""docs/reliability.md tells of the fault matrix as it is played."""

from collections import Counter
from pathlib import Path

import pytest

from tests.faults import document
from tests.faults.scenarios import ALL


def test_the_table_has_a_line_for_each_scenario_and_no_other() -> None:
    text = document.FILE.read_text(encoding="utf-8")
    table = text.partition(document.BEGIN)[2].partition(document.END)[0].splitlines()
    lines = [line.removesuffix(" |").rpartition(" ")[0] for line in table if line.count("|") == 6]

    assert lines[2:] == [document.row(scenario) for scenario in ALL]


def test_the_table_says_why_a_cell_has_no_scenario() -> None:
    text = document.FILE.read_text(encoding="utf-8")

    assert [line for line in document.unfilled() if line not in text] == []


def test_a_failed_run_shows_in_the_grid_and_in_its_line(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n", encoding="utf-8")
    failed, *others = ALL
    played = {one.name: Counter(passed=1) for one in others} | {failed.name: Counter(passed=1, failed=1)}

    document.write(played, file)
    text = file.read_text(encoding="utf-8")

    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert f"{document.row(failed)} 1/2 |" in text
    assert "| connection refused, name unknown | 2/3 |" in text


def test_a_page_without_a_place_for_it_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("nothing\n", encoding="utf-8")

    with pytest.raises(ValueError, match="no place"):
        document.write({}, file)
    assert file.read_text(encoding="utf-8") == "nothing\n"
