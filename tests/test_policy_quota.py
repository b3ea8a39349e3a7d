from collections.abc import Iterable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.model import ExtraUsage, ModelFamily, QuotaWindow, WindowStatus
from core.policy import quota, timing
from tests.pools import NOW, state

OPUS = ModelFamily("opus")
SONNET = ModelFamily("sonnet")
LATER = NOW + 3600


def merge(known: Iterable[QuotaWindow], seen: Iterable[QuotaWindow]) -> tuple[QuotaWindow, ...]:
    """Merged, without the rate that is worked out on the way (see test_policy_timing.py)."""
    return tuple(replace(window, rate=None) for window in quota.merge(known, seen))


def window(name: str, utilization: float | None = None, **changes: object) -> QuotaWindow:
    return QuotaWindow(name, utilization, **{"resets_at": LATER, "seen_at": NOW, **changes})


WINDOWS = st.lists(
    st.builds(
        QuotaWindow,
        name=st.sampled_from(["5h", "7d", "new_kind"]),
        utilization=st.none() | st.floats(0, 2),
        resets_at=st.none() | st.sampled_from([NOW - 1, NOW, LATER]),
        status=st.sampled_from(WindowStatus),
        family=st.sampled_from([None, OPUS, SONNET]),
        seen_at=st.sampled_from([NOW - 60, NOW]),
    ),
    max_size=6,
)


def test_a_newer_reading_replaces_the_older_one_and_the_rest_stays() -> None:
    known = (window("5h", 0.2), window("7d", 0.5), window("7d", 0.9, family=OPUS))
    seen = (window("7d", 0.6, seen_at=NOW + 1), window("monthly", 0.1))

    assert merge(known, seen) == (known[0], seen[0], known[2], seen[1])


@pytest.mark.parametrize(("age_s", "taken"), [(-1.0, False), (0.0, True), (1.0, True)])
def test_a_reading_that_arrives_late_does_not_undo_a_newer_one(age_s: float, *, taken: bool) -> None:
    known = (window("5h", 0.5),)
    late = (window("5h", 0.4, seen_at=NOW + age_s),)

    assert merge(known, late) == (late if taken else known)


def test_answers_may_be_read_in_any_order() -> None:
    readings = [(window("5h", 0.1 * age, seen_at=NOW + age),) for age in range(4)]

    for order in permutations(readings):
        merged: tuple[QuotaWindow, ...] = ()
        for reading in order:
            merged = merge(merged, reading)
        assert merged == readings[-1]


@given(WINDOWS, WINDOWS)
def test_merging_keeps_each_window_once_and_forgets_none(known: list[QuotaWindow], seen: list[QuotaWindow]) -> None:
    merged = merge(known, seen)

    keys = [(w.name, w.family) for w in merged]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {(w.name, w.family) for w in [*known, *seen]}
    assert merge(merged, seen) == merged


@pytest.mark.parametrize(("resets_at", "ended"), [(None, False), (NOW + 1, False), (NOW, True), (NOW - 9e6, True)])
def test_a_reading_ends_at_its_reset_and_then_nothing_is_spent(resets_at: float | None, *, ended: bool) -> None:
    read = window("5h", 0.98, resets_at=resets_at, status=WindowStatus.REJECTED)

    assert timing.current(read, NOW) == (QuotaWindow("5h", 0.0, seen_at=NOW) if ended else read)


@pytest.mark.parametrize(
    ("windows", "family", "utilization"),
    [
        ([], None, 0.0),
        ([window("5h")], None, 0.0),
        ([window("5h", 0.0)], None, 0.0),
        ([window("5h", 0.3), window("7d", 0.6)], None, 0.6),
        ([window("5h", 0.3), window("7d")], None, 0.3),
        ([window("5h", 0.3), window("7d", 0.9, family=OPUS)], None, 0.3),
        ([window("5h", 0.3), window("7d", 0.9, family=OPUS)], SONNET, 0.3),
        ([window("5h", 0.3), window("7d", 0.9, family=OPUS)], OPUS, 0.9),
        ([window("5h", 0.3), window("7d", 0.9, resets_at=NOW)], None, 0.3),
        ([window("5h", 0.9, resets_at=None)], None, 0.9),
        ([window("5h", 1.3)], None, 1.3),
    ],
)
def test_an_account_is_as_full_as_its_tightest_window_for_the_family(
    windows: list[QuotaWindow], family: ModelFamily | None, utilization: float
) -> None:
    assert quota.utilization(windows, family, NOW) == utilization


def test_nothing_known_has_no_tightest_window() -> None:
    assert quota.tightest([window("5h")], None, NOW) is None


@given(WINDOWS, st.sampled_from([None, OPUS]))
def test_the_tightest_window_is_never_emptier_than_another_that_counts(
    windows: list[QuotaWindow], family: ModelFamily | None
) -> None:
    tightest = quota.tightest(windows, family, NOW)

    for other in windows:
        if other.utilization is not None and other.family in {None, family}:
            assert tightest is not None
            assert tightest.utilization is not None
            assert tightest.utilization >= (timing.current(other, NOW).utilization or 0.0)


@pytest.mark.parametrize(
    ("after", "is_news"),
    [
        ([window("5h", 0.5)], False),
        ([window("5h", 0.5, seen_at=NOW + 60)], False),
        ([window("5h", 0.51)], True),
        ([window("5h", 0.5, resets_at=LATER + 60)], True),
        ([window("5h", 0.5, status=WindowStatus.WARNING)], True),
        ([window("5h", 0.5, resets_at=LATER + 1.5)], False),
        ([window("5h", 0.5, resets_at=None)], True),
        ([window("5h", 0.5), window("7d")], True),
    ],
)
def test_a_reading_that_says_the_same_again_is_no_news(after: list[QuotaWindow], *, is_news: bool) -> None:
    before = state("a", windows=(window("5h", 0.5),))

    assert quota.news(before, replace(before, windows=tuple(after))) is is_news


@pytest.mark.parametrize(
    ("extra", "is_news"),
    [
        (ExtraUsage(enabled=True, in_use=False, utilization=0.2, seen_at=NOW), False),
        (ExtraUsage(enabled=True, in_use=False, utilization=0.2, seen_at=NOW + 60), False),
        (ExtraUsage(enabled=True, in_use=True, utilization=0.2, seen_at=NOW), True),
        (ExtraUsage(enabled=True, in_use=False, utilization=0.3, seen_at=NOW), True),
        (None, True),
    ],
)
def test_extra_usage_that_begins_or_grows_is_news(extra: ExtraUsage | None, *, is_news: bool) -> None:
    before = state("a", extra_usage=ExtraUsage(enabled=True, in_use=False, utilization=0.2, seen_at=NOW))

    assert quota.news(before, replace(before, extra_usage=extra)) is is_news
