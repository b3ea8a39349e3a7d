"""When a plan is spent, and when what was paid beyond it has ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.model import (
    AccountKind,
    AccountState,
    Cause,
    Cooldown,
    ExtraUsage,
    Identity,
    ModelFamily,
    QuotaWindow,
    WindowStatus,
)
from core.policy import plan
from tests.pools import NOW, state

FABLE, OPUS = ModelFamily("fable"), ModelFamily("opus")
HOUR, DAY = 3600.0, 86_400.0
REJECTED = WindowStatus.REJECTED


def window(name: str = "5h", utilization: float | None = 1.0, **changes: object) -> QuotaWindow:
    return QuotaWindow(name, utilization, **{"resets_at": NOW + HOUR, "seen_at": NOW, **changes})


def kept(*windows: QuotaWindow, **changes: object) -> AccountState:
    """An account that is kept to its plan."""
    return state("a", windows=windows, plan_limits_only=True, **changes)


def paid(at: float = NOW) -> ExtraUsage:
    """An answer of then was paid with extra usage."""
    return ExtraUsage(enabled=True, in_use=True, seen_at=at)


WEEK = window("7d", resets_at=NOW + 3 * DAY)
FABLE_WEEK = window("7d_oi", resets_at=NOW + 2 * DAY, family=FABLE)


@pytest.mark.parametrize(
    ("account", "family", "until_at"),
    [
        (kept(), None, None),
        (kept(window(utilization=0.99)), None, None),
        (kept(window(utilization=None)), None, None),
        (kept(window()), None, NOW + HOUR),
        (kept(window(utilization=1.04)), FABLE, NOW + HOUR),
        (kept(window(utilization=None, status=REJECTED)), None, NOW + HOUR),
        (kept(window(resets_at=NOW)), None, None),
        (kept(window(), WEEK), None, NOW + 3 * DAY),
        (kept(FABLE_WEEK), None, None),
        (kept(FABLE_WEEK), OPUS, None),
        (kept(FABLE_WEEK), FABLE, NOW + 2 * DAY),
        (kept(window(), FABLE_WEEK), FABLE, NOW + 2 * DAY),
        (kept(window(), FABLE_WEEK), OPUS, NOW + HOUR),
        (kept(window("iguana_necktie", family=ModelFamily("necktie"))), None, None),
        # Where no reset was told, a window lasts as long as its kind.
        (kept(window(resets_at=None)), None, NOW + 5 * HOUR),
        (kept(window("7d", resets_at=None)), None, NOW + 7 * DAY),
        (kept(window("new_kind", resets_at=None)), None, NOW + 5 * HOUR),
        (kept(window(resets_at=None, seen_at=NOW - 5 * HOUR)), None, None),
        # OpenCode Go bills the balance beyond its limits; a key pays for all it uses and has no plan.
        (kept(window("monthly", resets_at=NOW + 20 * DAY), kind=AccountKind.GO), None, NOW + 20 * DAY),
        (kept(window("requests"), kind=AccountKind.API_KEY), None, None),
        # The person has not asked for it.
        (state("a", windows=(window(),)), None, None),
    ],
)
def test_an_account_that_is_kept_to_its_plan_rests_while_the_plan_is_spent(
    account: AccountState, family: ModelFamily | None, until_at: float | None
) -> None:
    rest = plan.rest(account, family, NOW)

    assert (rest.until_at if rest else None) == until_at
    assert rest is None or (rest.cause, rest.text) == (Cause.PLAN, "plan spent (you keep it to plan limits)")


@pytest.mark.parametrize(
    ("kind", "tier", "name", "weight"),
    [
        ("claude_max", "default_claude_max_20x", "max 20x", 20.0),
        ("max", "default_claude_max_5x", "max 5x", 5.0),
        ("claude_max", "", "max", 5.0),
        ("claude_pro", "default_claude_ai", "pro", 1.0),
        ("claude_team", "default_claude_max_5x", "team 5x", 5.0),
        ("", "", "", 1.0),
        ("max", "20x_or_so", "max", 5.0),
    ],
)
def test_a_plan_is_named_as_its_weight_reads_it(kind: str, tier: str, name: str, weight: float) -> None:
    assert plan.name_of(kind, tier) == name
    assert plan.weight(state("a", identity=Identity(plan=name)).account) == weight


@pytest.mark.parametrize(
    ("windows", "family", "scope"),
    [
        ((window(),), FABLE, None),
        ((FABLE_WEEK,), FABLE, FABLE),
        ((window(), FABLE_WEEK), FABLE, FABLE),
        ((window(), WEEK, FABLE_WEEK), FABLE, None),
    ],
    ids=["the whole account", "a model's week", "a model's week lasts longer", "the account's week lasts longer"],
)
def test_the_rest_is_as_wide_as_the_window_that_decides(
    windows: tuple[QuotaWindow, ...], family: ModelFamily, scope: ModelFamily | None
) -> None:
    rest = plan.rest(kept(*windows), family, NOW)

    assert rest is not None
    assert rest.family == scope


@pytest.mark.parametrize(
    ("windows", "later_s", "rests"),
    [
        ((), 0, True),
        ((), 5 * HOUR - 1, True),
        ((), 5 * HOUR, False),
        ((window(utilization=0.4),), HOUR - 1, True),
        ((window(utilization=0.4),), HOUR, False),
        ((window("7d", 0.4, resets_at=NOW + 3 * DAY),), 5 * HOUR - 1, True),
        ((window(utilization=0.4, resets_at=NOW - 1),), HOUR, True),
        ((window("7d_oi", 0.4, resets_at=NOW + 60, family=FABLE),), HOUR, True),
        ((window(utilization=0.4), window("7d_oi", resets_at=NOW + 60, family=FABLE)), 61, False),
    ],
    ids=[
        "no window known",
        "no window known, still",
        "no window is shorter than five hours",
        "before the reset",
        "at the reset",
        "a reset that is far away",
        "a reset that had passed",
        "a model's reset",
        "the reset of a model's full window",
    ],
)
def test_what_was_paid_extra_without_a_full_window_stops_the_account_until_the_next_reset(
    windows: tuple[QuotaWindow, ...], later_s: float, *, rests: bool
) -> None:
    account = kept(*windows, extra_usage=paid())

    assert (plan.rest(account, None, NOW + later_s) is not None) is rests
    assert plan.in_use(account, NOW + later_s) is rests


def test_what_was_paid_extra_for_a_models_full_week_stops_that_model_only() -> None:
    account = kept(FABLE_WEEK, window(utilization=0.4), extra_usage=paid())

    assert plan.rest(account, FABLE, NOW) == Cooldown(NOW + 2 * DAY, Cause.PLAN, plan.PLAN_SPENT, FABLE)
    assert plan.rest(account, OPUS, NOW) is None


@pytest.mark.parametrize("extra", [None, ExtraUsage(enabled=True, in_use=False), ExtraUsage(enabled=True)])
def test_extra_usage_that_does_not_pay_stops_nobody(extra: ExtraUsage | None) -> None:
    assert plan.rest(kept(window(utilization=0.4), extra_usage=extra), None, NOW) is None


# --- merging ---------------------------------------------------------------------------------------

HEADERS = ExtraUsage(enabled=True, in_use=False, seen_at=NOW)
POLL = ExtraUsage(enabled=True, utilization=0.25, seen_at=NOW + 60)


@pytest.mark.parametrize(
    ("known", "told", "merged"),
    [
        (None, None, None),
        (None, HEADERS, HEADERS),
        (HEADERS, None, HEADERS),
        (HEADERS, POLL, ExtraUsage(True, False, 0.25, NOW + 60)),
        (POLL, HEADERS, ExtraUsage(True, False, 0.25, NOW + 60)),
        (HEADERS, ExtraUsage(False, True, None, NOW + 60), ExtraUsage(False, True, None, NOW + 60)),
        (ExtraUsage(False, True, 0.1, NOW + 60), HEADERS, ExtraUsage(False, True, 0.1, NOW + 60)),
        (HEADERS, ExtraUsage(False, True, None, NOW), ExtraUsage(False, True, None, NOW)),
        (paid(), POLL, ExtraUsage(True, True, 0.25, NOW)),
    ],
    ids=[
        "nothing",
        "first",
        "a poll that does not say",
        "each says its half",
        "in any order",
        "newer",
        "late",
        "as old",
        "what pays keeps its time",
    ],
)
def test_each_thing_is_as_it_was_said_last(
    known: ExtraUsage | None, told: ExtraUsage | None, merged: ExtraUsage | None
) -> None:
    assert plan.merged(known, told) == merged


EXTRAS = st.builds(
    ExtraUsage,
    enabled=st.none() | st.booleans(),
    in_use=st.none() | st.booleans(),
    utilization=st.none() | st.floats(0, 2),
    seen_at=st.integers(0, 9).map(lambda s: NOW + s),
)


@given(EXTRAS, EXTRAS)
def test_merging_forgets_nothing_and_takes_the_newer_word(known: ExtraUsage, told: ExtraUsage) -> None:
    merged = plan.merged(known, told)

    assert merged is not None
    newer, older = (known, told) if known.seen_at > told.seen_at else (told, known)
    for field in ("enabled", "in_use", "utilization"):
        said = getattr(newer, field)
        assert getattr(merged, field) == (getattr(older, field) if said is None else said)
    assert older.seen_at <= merged.seen_at <= newer.seen_at


def test_a_poll_after_the_reset_does_not_bring_back_what_had_ended() -> None:
    account = kept(window(utilization=0.4), extra_usage=paid())

    account = plan.read(account, (window(utilization=0.02, resets_at=NOW + 6 * HOUR),), POLL, NOW + HOUR + 30)

    assert not plan.in_use(account, NOW + HOUR + 30)
    assert plan.rest(account, None, NOW + HOUR + 30) is None


def test_a_poll_before_the_reset_does_not_end_what_pays() -> None:
    account = kept(window(utilization=0.4), extra_usage=paid())

    account = plan.read(account, (window(utilization=0.4, seen_at=NOW + 60),), POLL, NOW + 60)

    assert plan.in_use(account, NOW + HOUR - 1)
    assert not plan.in_use(account, NOW + HOUR)


# --- whatever was read -----------------------------------------------------------------------------

WINDOWS = st.lists(
    st.builds(
        QuotaWindow,
        name=st.sampled_from(["5h", "7d", "7d_oi", "new_kind"]),
        utilization=st.none() | st.sampled_from([0.0, 0.99, 1.0, 1.3]),
        resets_at=st.none() | st.sampled_from([NOW - 1, NOW, NOW + 60, NOW + DAY]),
        status=st.sampled_from(WindowStatus),
        family=st.sampled_from([None, FABLE, OPUS]),
        seen_at=st.sampled_from([NOW - 9 * DAY, NOW - 60, NOW]),
    ),
    max_size=5,
).map(tuple)
FAMILIES = st.sampled_from([None, FABLE, OPUS])


@given(WINDOWS, st.none() | EXTRAS, FAMILIES)
def test_a_rest_ends_later_and_then_is_over(
    windows: tuple[QuotaWindow, ...], extra: ExtraUsage | None, family: ModelFamily | None
) -> None:
    account = kept(*windows, extra_usage=extra)
    rest = plan.rest(account, family, NOW)

    if rest is not None:
        assert rest.until_at > NOW
        assert rest.family in {None, family}
        assert plan.rest(account, family, rest.until_at) is None


@given(WINDOWS, st.none() | EXTRAS, FAMILIES)
def test_without_the_persons_word_no_plan_stops_anybody(
    windows: tuple[QuotaWindow, ...], extra: ExtraUsage | None, family: ModelFamily | None
) -> None:
    account = kept(*windows, extra_usage=extra)

    assert plan.rest(replace(account, account=replace(account.account, plan_limits_only=False)), family, NOW) is None
