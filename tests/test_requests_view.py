import pytest
from msgspec.structs import replace

from core.answers import RequestEntry, RequestsReport
from core.model import ProviderName
from core.requests_view import show
from core.wording import clock_time

NOW = 1_763_035_200.0
SERVED = RequestEntry(
    NOW - 60, "Work", ProviderName.ANTHROPIC, "opus\x1b", "", "s1", 200, "Served", 1, 200, 800, 9_000, 800, 12.34, 0.5
)
NOBODY = replace(
    SERVED, label="", outcome="NotDelivered", status=502, attempts=3, output=0, cache_read=0, cache_write=0, input=0
)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")


def test_every_request_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show(RequestsReport(NOW, (SERVED, NOBODY)))

    head, first, second = (line.split("  ") for line in capsys.readouterr().out.splitlines())
    cells = [[cell.strip() for cell in row if cell.strip()] for row in (head, first, second)]
    at = clock_time(NOW - 60, NOW)
    assert cells == [
        ["When", "Account", "Model", "Outcome", "Read", "Written", "Took"],
        [at, "Work", "opus\N{REPLACEMENT CHARACTER}", "answered", "10.0k", "800", "12.3 s"],
        [
            at,
            "nobody",
            "opus\N{REPLACEMENT CHARACTER}",
            "the provider could not be reached, 3 attempts",
            "0",
            "0",
            "12.3 s",
        ],
    ]


def test_nothing_asked_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show(RequestsReport(NOW, ()))
    assert capsys.readouterr().out == "Nothing has been asked yet.\n"
