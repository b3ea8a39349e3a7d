from collections import Counter
from itertools import groupby, pairwise

import pytest

from core.demo_past import DAYS, Member, Window, past
from core.history import MAX_PENDING, EventRow, RequestRow
from core.history_samples import SampleRow
from core.model import AccountId, Move
from core.request_wording import OUTCOME_WORDS

HOUR_S, DAY_S = 3_600.0, 86_400.0
NOW = 1_763_035_200.0  # a Thursday at noon
WORK = Member(
    AccountId("work"),
    "Work",
    (Window("5h", 5 * HOUR_S, 0.3, NOW + 120), Window("7d", 7 * DAY_S, 0.1, NOW + 4 * DAY_S)),
    share=0.8,
)
HOME = Member(
    AccountId("home"),
    "Home",
    (Window("5h", 5 * HOUR_S, 0.45, NOW + 3 * HOUR_S), Window("7d", 7 * DAY_S, 0.62, NOW + 4 * DAY_S)),
    share=0.75,
)
TEAM = Member(AccountId("team"), "Team")
MEMBERS = (WORK, HOME, TEAM)


@pytest.fixture(scope="module")
def rows() -> list[RequestRow | EventRow | SampleRow]:
    return list(past(MEMBERS, NOW, 0.0))


@pytest.fixture(scope="module")
def samples(rows: list[RequestRow | EventRow | SampleRow]) -> list[SampleRow]:
    return [row for row in rows if isinstance(row, SampleRow)]


@pytest.fixture(scope="module")
def requests(rows: list[RequestRow | EventRow | SampleRow]) -> list[RequestRow]:
    return [row for row in rows if isinstance(row, RequestRow)]


@pytest.fixture(scope="module")
def moves(rows: list[RequestRow | EventRow | SampleRow]) -> list[Move]:
    return [row.event for row in rows if isinstance(row, EventRow) and isinstance(row.event, Move)]


def test_it_is_the_same_each_time(rows: list[RequestRow | EventRow | SampleRow]) -> None:
    assert list(past(MEMBERS, NOW, 0.0)) == rows


@pytest.mark.parametrize("zone_s", [-8 * HOUR_S, 0.0, 5.5 * HOUR_S])
@pytest.mark.parametrize("day", range(7))
def test_it_is_written_at_once_wherever_and_whenever_the_demo_begins(zone_s: float, day: int) -> None:
    members = [
        Member(
            m.id,
            m.label,
            tuple(Window(w.name, w.length_s, w.utilization, w.resets_at + day * DAY_S) for w in m.windows),
        )
        for m in MEMBERS
    ]
    kinds = Counter(type(row) for row in past(members, NOW + day * DAY_S, zone_s))
    assert kinds[RequestRow] > 1_000
    assert kinds[SampleRow] > 1_000
    assert kinds[EventRow] > 10
    assert kinds.total() < MAX_PENDING


def test_it_is_of_a_month_and_each_kind_in_the_order_of_its_time(rows: list[RequestRow | EventRow | SampleRow]) -> None:
    for kind in (RequestRow, EventRow, SampleRow):
        times = [row.at for row in rows if isinstance(row, kind)]
        assert times == sorted(times)
        assert NOW - DAYS * DAY_S <= times[0] < NOW - (DAYS - 4) * DAY_S
        assert NOW - 2 * DAY_S < times[-1] <= NOW


def test_every_window_ends_as_it_is_now(samples: list[SampleRow]) -> None:
    last = {(row.key.account, row.key.name): row for row in samples}
    assert {key: (row.utilization, row.resets_at) for key, row in last.items()} == {
        (member.id, window.name): (window.utilization, window.resets_at)
        for member in MEMBERS
        for window in member.windows
    }


def test_windows_rise_until_their_reset_and_begin_anew(samples: list[SampleRow]) -> None:
    for key in {row.key for row in samples}:
        course = [row for row in samples if row.key == key]
        turns = [list(turn) for _, turn in groupby(course, key=lambda row: row.resets_at)]
        assert len(turns) > (20 if key.name == "5h" else 3)
        for turn in turns:
            assert all(before.utilization < after.utilization <= 1.0 for before, after in pairwise(turn))
            assert all(row.resets_at is not None and row.at < row.resets_at for row in turn)
        assert all(before[-1].utilization > after[0].utilization for before, after in pairwise(turns))


def test_weekends_and_nights_are_quieter(requests: list[RequestRow]) -> None:
    by_day = Counter((int(row.at // DAY_S) + 3) % 7 for row in requests)
    by_hour = Counter(int(row.at % DAY_S // HOUR_S) for row in requests)
    assert max(by_day[5], by_day[6]) * 2 < min(by_day[day] for day in range(5))
    assert by_hour[3] == 0 < by_hour[23] < by_hour[10]


def test_others_take_over_while_the_first_rests(requests: list[RequestRow], moves: list[Move]) -> None:
    assert len(moves) > 5
    for move in moves:
        assert (move.source, move.target, move.text) == ("Work", "Home", "5 h window full")
        assert move.until_at is not None
        assert all(row.account != WORK.id for row in requests if move.at <= row.at < move.until_at)
    assert {row.account for row in requests} == {WORK.id, HOME.id, TEAM.id}


def test_charts_have_several_models_most_of_it_from_caches_and_a_few_failures(requests: list[RequestRow]) -> None:
    served = [row for row in requests if row.outcome == "Served"]
    read = sum(row.usage.input + row.usage.cache_write for row in served)
    assert len({row.model for row in requests}) == 3
    assert sum(row.usage.cache_read for row in served) > 4 * read
    assert 0 < len(requests) - len(served) < len(requests) / 20
    assert {row.outcome for row in requests} <= set(OUTCOME_WORDS)
