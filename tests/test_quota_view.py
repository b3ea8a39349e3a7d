import sys

import pytest
from rich.console import Console

from core.answers import Curve, QuotaReport
from core.model import AccountId, ModelFamily
from core.quota_view import show_courses

HOUR_S, DAY_S = 3_600.0, 86_400.0
NOON = 1_763_035_200.0
BEGAN = NOON - DAY_S
WORK, HOME = AccountId("work"), AccountId("home")


def curve(account: AccountId, label: str, window: str, *points: tuple[float, float | None]) -> Curve:
    """A curve with its points in hours after it began."""
    return Curve(account, label, window, None, tuple((BEGAN + at * HOUR_S, share) for at, share in points))


REPORT = QuotaReport(
    NOON,
    BEGAN,
    (
        curve(WORK, "Work\x1b", "5h", (0, 0.05), (6, 0.55), (12, None), (18, 1.0)),
        curve(WORK, "Work\x1b", "7d", (0, 0.72)),
        curve(HOME, "A label much longer than any other", "5h", (23, 0.31), (23.9, None)),
    ),
    (),
)


def shown(capsys: pytest.CaptureFixture[str], report: QuotaReport = REPORT, width: int = 60) -> list[str]:
    show_courses(report, Console(width=width, highlight=False, no_color=True))
    return capsys.readouterr().out.splitlines()


def test_every_window_has_a_row_and_every_account_its_label_once(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third, axis, legend = shown(capsys)
    assert first.startswith("Work\N{REPLACEMENT CHARACTER} ")
    assert second.startswith("      ")
    assert third.startswith("A label much lon  5 h")
    assert [line.split()[-1] for line in (first, axis)] == ["%", "now"]
    assert "100 %" in first
    assert "72 %" in second
    assert third.rstrip().endswith("–")
    assert legend.startswith("The higher, the fuller")


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_it_fits_the_terminal(capsys: pytest.CaptureFixture[str], width: int) -> None:
    lines = shown(capsys, width=width)
    assert max(len(line) for line in lines) <= width
    if width >= 60:
        assert len({line.index("%") for line in lines[:2]}) == 1


def test_a_gap_is_blank(capsys: pytest.CaptureFixture[str]) -> None:
    only = QuotaReport(NOON, BEGAN, REPORT.curves[:1], ())
    chart = shown(capsys, only)[0].split("5 h  ")[1].rsplit("  ", 1)[0]
    quarter = len(chart) // 4
    assert set(chart[1 : quarter - 1]) == {"▁"}
    assert set(chart[quarter + 1 : 2 * quarter - 1]) == {"▅"}
    assert set(chart[2 * quarter + 2 : 3 * quarter - 1]) == {" "}
    assert chart[-1] == "█"


def test_where_blocks_cannot_be_shown_it_is_told_in_tenths(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sys.stdout), "encoding", "ascii", raising=False)
    lines = shown(capsys, QuotaReport(NOON, BEGAN, REPORT.curves[:2], ()))
    assert {*"059 "} <= set(lines[0])
    assert "".join(lines).replace("\N{REPLACEMENT CHARACTER}", "").isascii()
    assert "7777777" in lines[1]
    assert lines[-1].startswith("Tenths")


def test_a_window_of_one_family_is_named_so(capsys: pytest.CaptureFixture[str]) -> None:
    only = Curve(WORK, "Work", "7d", ModelFamily("opus"), ((BEGAN, 0.5),))
    assert "opus week" in shown(capsys, QuotaReport(NOON, BEGAN, (only,), ()))[0]


def test_nothing_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, QuotaReport(NOON, BEGAN, (), ())) == ["How full the windows were is not known for this time."]
