"""When a usage endpoint is asked, and what its answers do: tables, and machines that try every order of answers."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.model import (
    AccountId,
    AccountKind,
    AccountState,
    Cause,
    Cooldown,
    ExtraUsage,
    Identity,
    ModelFamily,
    Polling,
    Pool,
    QuotaWindow,
    SignIn,
    WindowStatus,
)
from core.policy.polling import (
    AFTER_RESET_S,
    IN_USE_S,
    LONGEST_ASKED_REST_S,
    MAX_COUNT,
    MIN_GAP_S,
    OTHERS_EVERY_S,
    SERVING_EVERY_S,
    STALE_S,
    START_TRIES,
    Failed,
    Read,
    Reading,
    TurnedAway,
    Unreadable,
    asked,
    may_be_asked,
    not_in_future,
    schedule,
)
from core.policy.polling import learned as pool_learned
from tests.pools import NOW, A, pool, rest, said, state

OPUS = ModelFamily("opus")
FABLE = ModelFamily("fable")
LATER = NOW + 7200
MIDDLE = 0.5
"""The jitter that changes nothing."""
FAILED = Failed("no answer")


def window(name: str = "5h", utilization: float | None = 0.3, **changes: object) -> QuotaWindow:
    return QuotaWindow(name, utilization, **{"resets_at": LATER, "seen_at": NOW, **changes})


def learned(account: AccountState, reading: Reading, now: float) -> AccountState:
    """What an account alone in its pool is after a reading."""
    return pool_learned(pool(account), account.account.id, reading, now).accounts[0]


def serving(**changes: object) -> AccountState:
    return state("a", **{"last_used_at": NOW, **changes})


def next_at(
    account: AccountState, now: float = NOW, started_at: float = NOW - 9e6, wanted_at: float = 0.0
) -> float | None:
    times = [at for at, id_ in schedule(pool(account), now, started_at=started_at, wanted_at=wanted_at) if id_ == A]
    return times[0] if times else None


# --- who is asked about ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "account",
    [
        serving(kind=AccountKind.API_KEY),
        serving(enabled=False),
        serving(sign_in=SignIn.NEEDED),
        serving(sign_in=SignIn.LOCKED),
        serving(polling=Polling(unreadable=True)),
    ],
    ids=["api key", "disabled", "signed out", "locked", "setup token"],
)
def test_who_has_no_endpoint_or_cannot_ask_is_not_asked_about(account: AccountState) -> None:
    assert next_at(account) is None


@pytest.mark.parametrize("kind", [AccountKind.CLAUDE, AccountKind.GO])
def test_an_account_that_was_never_read_is_due_at_once(kind: AccountKind) -> None:
    due_at = next_at(state("a", kind), started_at=NOW)

    assert due_at is not None
    assert due_at <= NOW


@pytest.mark.parametrize("wanted_at", [NOW, 0.0], ids=["somebody works", "nobody works"])
def test_an_account_that_is_added_later_is_due_at_once(wanted_at: float) -> None:
    known = state("b", windows=(window(),), polling=Polling(asked_at=NOW))

    times = schedule(pool(known, "a"), NOW, started_at=NOW - 900, wanted_at=wanted_at)

    assert [id_ for at, id_ in times if at <= NOW] == [A]


def test_the_soonest_comes_first() -> None:
    p = pool(
        serving(windows=(window(seen_at=NOW),)),
        state("b", windows=(window(seen_at=NOW - 500),)),
    )

    assert schedule(p, NOW, started_at=NOW, wanted_at=0.0) == [(NOW + 100, "b"), (NOW + 300, "a")]


# --- when ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "after_s"),
    [
        (serving(windows=(window(),)), SERVING_EVERY_S),
        (serving(windows=(window(),), last_used_at=NOW - SERVING_EVERY_S), OTHERS_EVERY_S),
        (serving(windows=(window(),), last_used_at=NOW - 600, in_flight=1), SERVING_EVERY_S),
        (serving(windows=(window(), window("7d", seen_at=NOW - 100))), SERVING_EVERY_S),
        (serving(polling=Polling(asked_at=NOW)), SERVING_EVERY_S),
        (serving(windows=(window(),), polling=Polling(asked_at=NOW - 200)), SERVING_EVERY_S),
        (serving(windows=(window(seen_at=NOW - 9999),), polling=Polling(NOW, 30.0, failures=1)), MIN_GAP_S),
        (serving(windows=(window(seen_at=NOW - 9999),), polling=Polling(NOW, 600.0, failures=9)), 600.0),
        (serving(windows=(window(),), polling=Polling(NOW, 1800.0, throttled=9)), 1800.0),
        (serving(windows=(window(),), polling=Polling(NOW, spread=1.1)), 330.0),
        (serving(windows=(window(seen_at=NOW - 9999),), polling=Polling(NOW, 1000.0, 0.9, failures=1)), 900.0),
        (serving(windows=(window(seen_at=NOW - 9999),), polling=Polling(NOW, 190.0, 0.9, failures=1)), MIN_GAP_S),
    ],
    ids=[
        "serves",
        "served a while ago",
        "long answer",
        "its newest window counts",
        "nothing to read there",
        "a header is news as well",
        "failed once",
        "failed often",
        "throttled",
        "spread",
        "spread rest",
        "gap is not spread",
    ],
)
def test_the_next_question_waits_for(account: AccountState, after_s: float) -> None:
    assert next_at(account) == pytest.approx(NOW + after_s, abs=0.001)


@pytest.mark.parametrize(
    ("known", "after_s"),
    [
        (window("5h", 1.0, resets_at=NOW + 240), 240 + AFTER_RESET_S),
        (window("5h", None, resets_at=NOW + 240, status=WindowStatus.REJECTED), 240 + AFTER_RESET_S),
        (window("7d_opus", 1.0, resets_at=NOW + 240, family=OPUS), 240 + AFTER_RESET_S),
        (window("5h", 1.0, resets_at=NOW + 10), MIN_GAP_S),
        (window("5h", 1.0, resets_at=NOW - 100), OTHERS_EVERY_S),
        (window("5h", 1.0, resets_at=NOW + 9999), OTHERS_EVERY_S),
        (window("5h", 1.0, resets_at=None), OTHERS_EVERY_S),
        (window("5h", 0.5, resets_at=NOW + 240), 240 + AFTER_RESET_S),
    ],
)
def test_a_window_is_asked_about_right_after_its_reset_once(known: QuotaWindow, after_s: float) -> None:
    account = state("a", windows=(known,), polling=Polling(asked_at=NOW))

    assert next_at(account, wanted_at=NOW) == pytest.approx(NOW + after_s, abs=0.001)


@pytest.mark.parametrize(
    ("account", "may"),
    [
        (state("a"), True),
        (state("a", polling=Polling(asked_at=NOW - MIN_GAP_S)), True),
        (state("a", polling=Polling(asked_at=NOW - MIN_GAP_S + 1)), False),
        (state("a", polling=Polling(asked_at=NOW - MIN_GAP_S, rest_s=600.0, throttled=1)), False),
        (state("a", polling=Polling(unreadable=True)), False),
        (state("a", sign_in=SignIn.NEEDED), False),
        (state("a", AccountKind.API_KEY), False),
    ],
)
def test_person_gets_an_answer_now_when_the_endpoint_would_not_mind(account: AccountState, may: bool) -> None:
    assert may_be_asked(account, NOW) is may


@pytest.mark.parametrize(
    ("used_ago_s", "wanted_ago_s", "in_use"),
    [(0, 9e9, True), (IN_USE_S - 1, 9e9, True), (IN_USE_S, 9e9, False), (9e9, 60, True), (-100, 9e9, False)],
    ids=["serving", "served within the hour", "served before", "nobody could serve", "clock set back"],
)
def test_nothing_is_asked_while_nobody_works(used_ago_s: float, wanted_ago_s: float, *, in_use: bool) -> None:
    read = state("a", windows=(window(seen_at=NOW - 700),), polling=Polling(asked_at=NOW - 700))
    other = state("b", AccountKind.API_KEY, last_used_at=NOW - used_ago_s)

    times = schedule(pool(read, other), NOW, started_at=NOW - 2000, wanted_at=NOW - wanted_ago_s)

    assert times == ([(NOW - 100, A)] if in_use else [])


@pytest.mark.parametrize(
    ("read_ago_s", "before", "after_s"),
    [
        (STALE_S + 1, Polling(NOW - 9000), MIN_GAP_S - 9000),
        (STALE_S + 1, Polling(NOW - 60, 30.0, failures=9), MIN_GAP_S - 60),
        (STALE_S + 1, Polling(NOW - 60, 1800.0, throttled=9), 1740),
        (STALE_S + 1, Polling(NOW, 30.0, failures=1), MIN_GAP_S),
        (STALE_S + 1, Polling(NOW, 120.0, failures=START_TRIES), None),
        (STALE_S + 1, Polling(NOW), None),
        (STALE_S - 1, Polling(NOW - 9000), None),
    ],
    ids=["old", "asked before the restart", "throttled before", "first try failed", "enough tries", "done", "fresh"],
)
def test_at_the_start_of_an_idle_machine_an_old_reading_is_renewed_once(
    read_ago_s: float, before: Polling, after_s: float | None
) -> None:
    account = state("a", windows=(window(seen_at=NOW - read_ago_s),), polling=before)

    assert next_at(account, started_at=NOW) == (None if after_s is None else pytest.approx(NOW + after_s, abs=0.001))


# --- what an answer does to the next question ------------------------------------------------------


def rests_after(*readings: Reading) -> list[float]:
    account = state("a")
    rests = []
    for reading in readings:
        account = learned(account, reading, NOW)
        rests.append(account.polling.rest_s)
    return rests


@pytest.mark.parametrize(
    ("readings", "rests"),
    [
        ([FAILED] * 7, [30, 60, 120, 240, 480, 600, 600]),
        ([TurnedAway()] * 6, [360, 540, 810, 1215, 1800, 1800]),
        ([TurnedAway(0.0)] * 3, [360, 540, 810]),
        ([TurnedAway(3600.0), TurnedAway(60.0), TurnedAway(9999.0)], [LONGEST_ASKED_REST_S, 960, 4500]),
        ([FAILED, FAILED, Read(()), FAILED], [30, 60, 0, 30]),
        ([TurnedAway(), TurnedAway(), Read(()), Read(())], [360, 540, 360, 0]),
        ([TurnedAway(), FAILED, Read(())], [360, 360, 0]),
        ([FAILED, TurnedAway(), FAILED], [30, 360, 360]),
    ],
)
def test_rests_grow_with_refusals_and_end_with_good_answers(readings: list[Reading], rests: list[float]) -> None:
    assert rests_after(*readings) == pytest.approx(rests)


@given(st.lists(st.just(FAILED), max_size=2000) | st.lists(st.just(TurnedAway()), max_size=2000))
def test_rests_never_shrink_while_it_goes_on_failing_and_have_an_end(readings: list[Reading]) -> None:
    rests = rests_after(*readings)

    assert all(earlier <= later for earlier, later in pairwise(rests))
    assert all(rest_s <= 1800 for rest_s in rests)


def test_a_login_without_the_scope_is_never_asked_about_again() -> None:
    account = learned(asked(serving(), NOW, MIDDLE), Unreadable(), NOW)

    assert next_at(account, now=NOW + 9e6, wanted_at=NOW + 9e6) is None


@pytest.mark.parametrize("reading", [FAILED, TurnedAway(), TurnedAway(3600.0), Unreadable(), Failed("", rejected=True)])
def test_what_is_no_reading_says_nothing_about_the_account(reading: Reading) -> None:
    before = serving(windows=(window("5h", 1.0),), cooldowns=(rest(600),), failures=2, sign_in_text="as it was")

    after = learned(before, reading, NOW)

    assert replace(after, polling=before.polling) == before


@pytest.mark.parametrize(("jitter", "spread"), [(0.0, 0.9), (0.5, 1.0), (1.0, 1.1)])
def test_waits_are_spread_by_a_tenth(jitter: float, spread: float) -> None:
    assert asked(serving(), NOW, jitter).polling == Polling(asked_at=NOW, spread=pytest.approx(spread))


def test_what_is_remembered_survives_the_saving_of_the_pool() -> None:
    p = pool(serving(polling=Polling(NOW, 540.0, 1.05, throttled=2, failures=1, unreadable=True)))

    assert msgspec.json.decode(msgspec.json.encode(p), type=Pool).accounts == p.accounts


# --- early grants ----------------------------------------------------------------------------------

FULL = window("5h", 1.0, status=WindowStatus.REJECTED, seen_at=NOW - 600)


@pytest.mark.parametrize(
    ("known", "seen", "over"),
    [
        ([FULL], [window("5h", 0.02)], True),
        ([FULL, window("7d", 0.5, seen_at=NOW - 600)], [window("5h", 0.02)], True),
        ([], [window("5h", 0.02), window("7d", 0.3)], True),
        ([FULL], [window("5h", 0.89)], True),
        ([FULL], [window("5h", 0.9)], False),
        ([FULL], [window("5h", 1.0)], False),
        ([FULL], [window("rolling", 0.2, status=WindowStatus.REJECTED)], False),
        ([FULL], [window("7d", 0.3)], False),
        ([FULL], [window("5h", 0.02), window("7d", 1.0)], False),
        ([FULL], [window("5h", None)], False),
        ([FULL], [window("5h", 0.02, seen_at=NOW - 601)], False),
        ([FULL], [], False),
        ([], [window("7d_opus", 0.1, family=OPUS)], False),
        ([FULL], [window("5h", 0.02), window("7d_opus", 1.0, family=OPUS)], True),
    ],
    ids=[
        "given back",
        "what was not mentioned has room",
        "the refusal named no window",
        "nearly full",
        "too full",
        "still full",
        "still refused",
        "another window",
        "another window is full",
        "nothing said",
        "asked before the refusal",
        "nothing read",
        "a model's window says nothing of all",
        "a model's window does not hold back the rest",
    ],
)
def test_a_reading_with_room_ends_the_rest_that_it_contradicts(
    known: list[QuotaWindow], seen: list[QuotaWindow], *, over: bool
) -> None:
    resting = state("a", windows=tuple(known), cooldowns=(rest(3600),), failures=1)

    after = learned(resting, Read(tuple(seen)), NOW)

    assert after.cooldowns == (() if over else resting.cooldowns)
    assert after.failures == 1


OPUS_FULL = window("7d_opus", 1.0, family=OPUS, seen_at=NOW - 600)
FABLE_FULL = window("7d_oi", 1.0, family=FABLE, seen_at=NOW - 600)


@pytest.mark.parametrize(
    ("known", "seen", "over"),
    [
        ([OPUS_FULL], [window("7d_opus", 0.0, family=OPUS)], True),
        ([OPUS_FULL, FULL], [window("7d_opus", 0.0, family=OPUS), window("5h", 1.0)], True),
        ([OPUS_FULL], [window("5h", 0.0), window("7d", 0.0)], False),
        ([OPUS_FULL], [window("7d_oi", 0.0, family=FABLE)], False),
        ([FABLE_FULL], [window("7d_opus", 0.0, family=OPUS)], False),
        ([FABLE_FULL], [window("7d_opus", 0.0, family=OPUS), window("7d_oi", 0.0, family=FABLE)], True),
        ([], [window("7d", 0.0)], False),
    ],
)
def test_a_models_rest_ends_only_by_a_reading_of_that_model(
    known: list[QuotaWindow], seen: list[QuotaWindow], *, over: bool
) -> None:
    resting = state("a", windows=tuple(known), cooldowns=(rest(3600, family=OPUS),))

    after = learned(resting, Read(tuple(seen)), NOW)

    assert after.cooldowns == (() if over else resting.cooldowns)


def test_a_reading_with_room_ends_the_rest_of_an_account_that_is_kept_to_its_plan() -> None:
    kept = state("a", windows=(FULL,), cooldowns=(rest(3600, cause=Cause.PLAN),), plan_limits_only=True)

    assert learned(kept, Read((window("5h", 0.02),)), NOW).cooldowns == ()


def test_a_reading_tells_of_extra_usage_what_it_knows_and_keeps_what_headers_said() -> None:
    before = serving(extra_usage=ExtraUsage(enabled=True, in_use=True, seen_at=NOW - 60))

    told = learned(before, Read((window(),), ExtraUsage(enabled=True, utilization=0.4, seen_at=NOW)), NOW)
    silent = learned(told, Read((window(),)), NOW + 300)

    assert told.extra_usage == ExtraUsage(enabled=True, in_use=True, utilization=0.4, seen_at=NOW - 60)
    assert silent.extra_usage == told.extra_usage


def go(id_: str, workspace: str, **changes: object) -> AccountState:
    return state(id_, AccountKind.GO, identity=Identity(f"key:{id_}", workspace), **changes)


def test_a_reading_is_known_of_all_keys_of_a_workspace_and_saves_them_their_question() -> None:
    p = pool(go("a", "one", cooldowns=(rest(3600),)), go("b", "one", cooldowns=(rest(3600),)), go("c", "two"))

    p = pool_learned(p, A, Read((window("rolling", 0.1),)), NOW)

    assert [said(member) for member in p.accounts] == [(window("rolling", 0.1),), (window("rolling", 0.1),), ()]
    assert [member.cooldowns for member in p.accounts] == [(), (), ()]
    assert [id_ for at, id_ in schedule(p, NOW, started_at=NOW, wanted_at=NOW) if at <= NOW] == ["c"]


def test_a_refused_question_is_that_accounts_alone() -> None:
    p = pool(go("a", "one"), go("b", "one"))

    told = pool_learned(p, A, TurnedAway(), NOW)

    assert told.accounts[0].polling.throttled == 1
    assert told.accounts[1] == p.accounts[1]


def test_a_reading_of_an_account_that_is_gone_changes_nothing() -> None:
    p = pool("a")

    assert pool_learned(p, AccountId("gone"), Read((window(),)), NOW) == p


@pytest.mark.parametrize("cause", [Cause.THROTTLED, Cause.CREDIT])
def test_a_rest_for_another_cause_goes_on(cause: Cause) -> None:
    resting = state("a", cooldowns=(rest(3600, cause=cause),))

    assert learned(resting, Read((window("5h", 0.0),)), NOW).cooldowns == resting.cooldowns


def test_only_the_rest_that_is_contradicted_ends() -> None:
    kept: tuple[Cooldown, ...] = (rest(3600, family=OPUS), rest(60, "rate limit", cause=Cause.THROTTLED), rest(-1))
    resting = state("a", windows=(FULL, OPUS_FULL), cooldowns=(rest(3600), *kept))

    assert learned(resting, Read((window("5h", 0.0),)), NOW).cooldowns == kept


# --- any order of things ---------------------------------------------------------------------------

READINGS = st.one_of(
    st.builds(Read, st.lists(st.builds(window, utilization=st.none() | st.floats(0, 1.2)), max_size=2).map(tuple)),
    st.builds(TurnedAway, st.none() | st.floats(0, 20_000)),
    st.just(FAILED),
)
STEPS = st.lists(
    st.tuples(st.floats(0, 4000), st.booleans(), st.booleans(), st.booleans(), READINGS, st.floats(0, 1)),
    min_size=1,
    max_size=60,
)


def _as_of(reading: Reading, now: float) -> Reading:
    if not isinstance(reading, Read):
        return reading
    return Read(tuple(replace(w, seen_at=now, resets_at=now + 900) for w in reading.windows))


@given(STEPS)
def test_an_account_is_never_asked_about_twice_within_three_minutes(
    steps: list[tuple[float, bool, bool, bool, Reading, float]],
) -> None:
    account, now, started_at = state("a"), NOW, NOW
    asked_at: list[float] = []
    for wait_s, is_used, is_wanted, restarts, reading, jitter in steps:
        now += wait_s
        if is_used:
            account = replace(account, last_used_at=now)
        if restarts:
            account = msgspec.json.decode(msgspec.json.encode(account), type=AccountState)
            started_at = now
        due_at = next_at(account, now, started_at, now if is_wanted else 0.0)
        if due_at is not None and due_at <= now:
            asked_at.append(now)
            account = asked(account, now, jitter)
            account = learned(account, _as_of(reading, now), now)

    assert all(later - earlier >= MIN_GAP_S for earlier, later in pairwise(asked_at))


@given(READINGS, st.floats(0, 1), st.floats(0, 100_000), st.floats(0, 9e6))
def test_a_clock_that_was_set_back_neither_stops_the_questions_nor_brings_one_at_once(
    reading: Reading, jitter: float, last_s: float, back_s: float
) -> None:
    account = learned(asked(serving(windows=(window(seen_at=NOW - last_s),)), NOW, jitter), reading, NOW)
    now = NOW - back_s

    mended = not_in_future(pool(account), now).accounts[0]
    due_at = next_at(mended, now, wanted_at=now)

    assert due_at is not None
    assert now + MIN_GAP_S <= due_at <= now + LONGEST_ASKED_REST_S * 1.1
    assert not_in_future(pool(mended), now) == pool(mended)


def test_a_reading_after_the_clock_was_set_back_is_taken() -> None:
    before = pool(state("a", windows=(window("5h", 0.9, seen_at=NOW + 7200),)))

    mended = not_in_future(before, NOW).accounts[0]

    assert said(learned(mended, Read((window("5h", 0.1),)), NOW)) == (window("5h", 0.1),)


def test_extra_usage_of_the_future_is_of_now_when_the_clock_was_set_back() -> None:
    before = pool(state("a", extra_usage=ExtraUsage(in_use=True, seen_at=NOW + 7200)), "b")

    mended = not_in_future(before, NOW)

    assert mended.accounts[0].extra_usage == ExtraUsage(in_use=True, seen_at=NOW)
    assert mended.accounts[1] is before.accounts[1]


def test_a_clock_that_is_right_changes_nothing() -> None:
    p = pool(serving(windows=(window(),), polling=Polling(asked_at=NOW)))

    assert not_in_future(p, NOW) is p


def test_a_leap_forward_brings_one_question_each() -> None:
    now = NOW + 9e6
    account = serving(windows=(window(),), polling=Polling(asked_at=NOW), in_flight=1)
    assert next_at(account, now) < now

    after = learned(asked(account, now, MIDDLE), Read((window(seen_at=now),)), now)

    assert next_at(after, now) == now + SERVING_EVERY_S


def test_counts_have_an_end() -> None:
    account = state("a")
    for _ in range(2000):
        account = learned(account, TurnedAway(), NOW)
    for _ in range(2000):
        account = learned(account, FAILED, NOW)

    assert (account.polling.throttled, account.polling.failures) == (MAX_COUNT, MAX_COUNT)
