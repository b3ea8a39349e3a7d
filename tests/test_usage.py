import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.answers import Tally
from core.errors import UsageError
from core.history import History, RequestRow
from core.model import Account, AccountId, AccountKind, AccountState, Pool, ProviderName, Usage
from core.orders import RecountUsage
from core.telling import REMOVED
from core.usage import used

pytestmark = pytest.mark.anyio

NOW = 1_763_000_000.0
HOUR_S, DAY_S = 3_600.0, 86_400.0
WORK, GONE = AccountId("a1"), AccountId("a2")
POOL = Pool.of([AccountState(Account(WORK, "Work", AccountKind.CLAUDE))])


@pytest.fixture(params=["UTC", "America/Los_Angeles", "Asia/Kolkata"], autouse=True)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def request(ago_s: float, account: AccountId | None = WORK, model: str = "sonnet", **more: object) -> RequestRow:
    given = {"outcome": "Served", "attempts": 1, "usage": Usage(10, 5, 100, 7)} | more
    return RequestRow(
        NOW - ago_s,
        ProviderName.ANTHROPIC,
        200,
        duration_s=1.0,
        account=account,
        model=model,
        **given,  # type: ignore[arg-type]
    )


@pytest.fixture
async def history(tmp_path: Path) -> History:
    return History.open(tmp_path / "history.db")


async def test_requests_are_added_up_by_account_and_model(history: History) -> None:
    for row in (
        request(10),
        request(20, attempts=2),
        request(30, model="opus", usage=Usage(1_000)),
        request(40, GONE),
        request(50, None, "", outcome="NotDelivered", attempts=0, usage=Usage()),
        request(8 * DAY_S),
    ):
        history.record(row)

    report = await used(history, POOL, RecountUsage(7), NOW)
    await history.close()

    assert [(one.label, one.model, one.requests, one.tokens) for one in report.by] == [
        ("Work", "opus", 1, 1_000),
        ("Work", "sonnet", 2, 244),
        (REMOVED, "sonnet", 1, 122),
        ("nobody", "", 1, 0),
    ]
    assert [(over.model, sum(span.tokens for span in over.spans)) for over in report.models] == [
        ("opus", 1_000),
        ("sonnet", 366),
        ("", 0),
    ]
    assert report.total == Tally(5, 1, 5, 1_030, 15, 300, 21)
    assert (report.at, report.since_at) == (NOW, NOW - 7 * DAY_S)


@pytest.mark.parametrize(("days", "span_s"), [(1, HOUR_S), (2, HOUR_S), (3, DAY_S), (30, DAY_S)])
async def test_spans_begin_on_the_persons_own_clock(history: History, days: int, span_s: float) -> None:
    for ago_s in (0.0, HOUR_S, 20 * HOUR_S):
        history.record(request(ago_s))

    report = await used(history, POOL, RecountUsage(days), NOW)
    await history.close()

    assert report.span_s == span_s
    assert sum(span.requests for span in report.spans) == 3
    assert [span.at for span in report.spans] == sorted({span.at for span in report.spans})
    for span in report.spans:
        began = time.localtime(span.at)
        assert (began.tm_min, began.tm_sec) == (0, 0)
        assert began.tm_hour == 0 or span_s == HOUR_S


async def test_every_model_has_the_spans_in_which_it_was_used(history: History) -> None:
    for ago_s, model in ((0.0, "sonnet"), (2 * DAY_S, "opus"), (2 * DAY_S, "sonnet"), (2 * DAY_S, "sonnet")):
        history.record(request(ago_s, model=model))

    report = await used(history, POOL, RecountUsage(7), NOW)
    await history.close()

    spans = {over.model: [(span.at, span.requests) for span in over.spans] for over in report.models}
    first, last = (span.at for span in report.spans)
    assert spans == {"sonnet": [(first, 2), (last, 1)], "opus": [(first, 1)]}


async def test_nothing_used_is_an_empty_report(history: History) -> None:
    report = await used(history, POOL, RecountUsage(), NOW)
    await history.close()
    assert (report.total, report.by, report.spans, report.models) == (Tally(), (), (), ())


@pytest.mark.parametrize("days", [0, -1, 367])
async def test_days_that_cannot_be_told_are_refused(history: History, days: int) -> None:
    with pytest.raises(UsageError, match="days cannot be told"):
        await used(history, POOL, RecountUsage(days), NOW)
    await history.close()
