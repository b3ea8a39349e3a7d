import pytest

from core.answers import Curve, QuotaReport, Tally, UsageReport, UsedBy, UsedIn
from core.model import AccountId
from core.usage_view import PLOT_WIDTH, short, show

DAY_S = 86_400.0
NOON = 1_763_035_200.0
BY = (
    UsedBy(3, 0, 3, 1_000, 500, 9_000, 0, account="a1", label="Work", model="opus"),
    UsedBy(1, 1, 2, label="nobody"),
)
REPORT = UsageReport(
    NOON,
    NOON - 7 * DAY_S,
    DAY_S,
    Tally(4, 1, 5, 1_000, 500, 9_000),
    BY,
    (UsedIn(1, input=1, at=NOON - 2.5 * DAY_S), UsedIn(3, input=10_499, at=NOON - 0.5 * DAY_S)),
    (),
)
QUOTA = QuotaReport(NOON, NOON - 7 * DAY_S, (Curve(AccountId("a1"), "Work", "5h", None, ((NOON - DAY_S, 0.5),)),), ())


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")


def test_table_has_a_row_for_each_account_and_model_and_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    show(REPORT)
    head, first, second, total = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["Account", "Model", "Requests"]
    assert first.split() == ["Work", "opus", "3", "1.0k", "500", "9.0k", "0", "90", "%"]
    assert second.split() == ["nobody", "1", "0", "0", "0", "0"]
    assert total.split() == ["Total", "4", "1.0k", "500", "9.0k", "0", "90", "%"]


def test_plot_has_a_bar_for_each_day_and_a_little_is_not_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show(REPORT, QUOTA)
    lines = capsys.readouterr().out.splitlines()[5:]
    assert [line.count("█") + line.count("#") for line in lines[:3]] == [1, 0, PLOT_WIDTH]
    assert lines[4].startswith("Work  5 h")


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_plot_fits_a_narrow_terminal(capsys: pytest.CaptureFixture[str], columns: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        show(REPORT, QUOTA)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert sum(line.count("█") + line.count("#") > 1 for line in lines) == 1


def test_nothing_used_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show(UsageReport(NOON, 0.0, DAY_S, Tally(), (), (), ()), QUOTA)
    assert "Nothing was asked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (999, "999"), (1_000, "1.0k"), (1_234_567, "1.2M"), (2_500_000_000, "2.5G")]
)
def test_large_numbers_are_short(count: int, text: str) -> None:
    assert short(count) == text
