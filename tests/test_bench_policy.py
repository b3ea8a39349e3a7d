"""The simulation that strategies are measured by: it conserves, repeats itself, keeps to windows; its bound holds."""

import json
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import AccountId, Choice, Exhausted, Pool, Request, SessionId, Strategy, Throttled
from core.policy.pool import choose
from core.policy.readiness import obstacle
from tests.bench.policy.bound import Bound, bound
from tests.bench.policy.demand import (
    AGENT,
    BATCH,
    DAY_S,
    HOUR_S,
    LONGEST_CONTEXT,
    MINUTE_S,
    OUTPUT_PRICE,
    PERSON,
    READ_PRICE,
    WRITE_PRICES,
    Conversation,
    Turn,
    turns,
)
from tests.bench.policy.play import Choose, Tally, play
from tests.bench.policy.table import as_json, as_text, measure, wasted
from tests.bench.policy.workloads import NAMES, Workload, at, workload
from tests.bench.policy.world import FABLE, Holder, SimulatedAccount, api_key, claude, go

NOW = at(0, 9)
TURN = Turn(context=20_000, prefix=0, output=1_000, think_s=10.0)
NEXT = Turn(context=22_000, prefix=20_000, output=1_000, think_s=MINUTE_S, warm_s=MINUTE_S + TURN.lasts_s)
FIRST_WORK = WRITE_PRICES[HOUR_S] * 20_000 + OUTPUT_PRICE * 1_000
NEXT_WORK = READ_PRICE * 20_000 + WRITE_PRICES[HOUR_S] * 2_000 + OUTPUT_PRICE * 1_000
assert (FIRST_WORK, NEXT_WORK) == (45_000, 11_000)


def talk(name: str, count: int = 3, starts_at: float = NOW, *, patience_s: float = 8 * HOUR_S) -> Conversation:
    """`count` turns, a minute apart, all but the first with a warm cache at best."""
    return Conversation(SessionId(name), (TURN, *[NEXT] * (count - 1)), starts_at, starts_at + patience_s)


def asked(holders: tuple[Holder, ...], *talks: Conversation, days: float = 1.0) -> Workload:
    return Workload("tiny", "made for a test", holders, talks, NOW, NOW + days * DAY_S)


def with_window(holder: Holder, size: float) -> Holder:
    """The account with a 5 h window of this size."""
    short, *long = holder.allowances
    return replace(holder, allowances=(replace(short, size=size), *long))


def of_week(holder: Holder, size: float, resets_at: float) -> Holder:
    """The account with a week of this size and this end."""
    short, week = holder.allowances
    return replace(holder, allowances=(short, replace(week, size=size, resets_at=resets_at, used=0.0)))


PRO = claude("Pro", "pro", NOW + 3 * DAY_S)
OTHER = claude("Other", "pro", NOW + 5 * DAY_S)


def conserved(tally: Tally) -> bool:
    return tally.asked == tally.served + tally.refused + tally.abandoned


# --- small cases, worked out by hand ---------------------------------------------------------------


def test_a_conversation_with_room_is_served_whole_at_its_least_price() -> None:
    small = asked((PRO,), talk("one"))

    tally = play(small, Strategy.BALANCED)

    assert (tally.served, tally.refused, tally.abandoned, tally.moves, tally.missed) == (3, 0, 0, 0, 0)
    assert tally.work == FIRST_WORK + 2 * NEXT_WORK == small.work
    assert bound(small) == tally.work


def test_the_turn_that_fills_a_window_is_served_and_counts_as_far_as_the_window_holds() -> None:
    small = asked((with_window(PRO, 50_000.0),), talk("one", 4, patience_s=HOUR_S))

    tally = play(small, Strategy.BALANCED)

    assert (tally.asked, tally.served, tally.refused, tally.abandoned) == (4, 2, 1, 1)
    assert tally.work == bound(small) == 50_000.0


def test_a_full_window_refuses_until_it_begins_anew() -> None:
    tally = play(asked((with_window(PRO, 45_000.0),), talk("one", 2)), Strategy.BALANCED)

    assert (tally.served, tally.abandoned) == (2, 0)
    assert tally.refused > 0
    assert conserved(tally)
    assert 0 <= max(tally.waits_s) - (5 * HOUR_S - TURN.lasts_s - NEXT.think_s) <= MINUTE_S


def test_a_second_account_takes_over_at_the_price_of_a_cold_cache() -> None:
    tally = play(asked((with_window(PRO, 45_000.0), OTHER), talk("one", 2)), Strategy.PRIORITY)

    assert (tally.served, tally.moves, tally.missed, tally.refused) == (2, 1, 20_000, 0)


def test_round_robin_pays_for_every_move_and_its_old_caches_are_still_worth_something() -> None:
    tally = play(asked((PRO, OTHER), talk("one", 4)), Strategy.ROUND_ROBIN)

    assert (tally.served, tally.moves) == (4, 3)
    assert tally.missed == 20_000  # the third and fourth turn find what the first two left


def test_what_a_reset_throws_away_is_counted_and_wasted_only_as_far_as_it_was_wanted() -> None:
    week = PRO.allowances[1].size
    enough = asked((PRO,), talk("one"), days=4.0)

    tally = play(enough, Strategy.BALANCED)

    assert tally.lost == pytest.approx(week - tally.work)
    assert wasted(enough.work, tally) == 0.0
    assert wasted(enough.work + 1_000.0, tally) == pytest.approx(1_000.0)


def test_a_cache_is_cold_after_its_time_for_everybody() -> None:
    late = replace(NEXT, think_s=2 * HOUR_S, warm_s=2 * HOUR_S + TURN.lasts_s)
    one = replace(talk("one"), turns=(TURN, late))

    tally = play(asked((PRO,), one), Strategy.BALANCED)

    assert tally.missed == 0
    assert tally.work == FIRST_WORK + WRITE_PRICES[HOUR_S] * 22_000 + OUTPUT_PRICE * 1_000


def test_only_as_many_windows_count_in_a_rush_as_can_be_open_then() -> None:
    one = with_window(PRO, 100_000.0)
    rush = [talk(f"t{i}", 4, NOW + 5 * HOUR_S, patience_s=HOUR_S / 4) for i in range(10)]
    early = talk("early", 1, patience_s=5 * MINUTE_S)

    assert bound(asked((one,), *rush)) == 100_000.0
    assert bound(asked((one,), early, *rush)) == 200_000.0  # its window ends in the rush, and the next one begins


# --- what providers do -----------------------------------------------------------------------------


def test_an_api_key_is_throttled_by_the_minute_and_capped_by_what_the_person_allows() -> None:
    key = SimulatedAccount.new(api_key("Key", 300_000.0, NOW + DAY_S), NOW)
    big = replace(TURN, context=100_000)

    outcomes = [key.answer(talk(f"t{i}"), big, NOW + 61.0 * i).outcome for i in range(4)]
    throttled = SimulatedAccount.new(api_key("Key", 9e9, NOW + DAY_S), NOW)
    throttled.answer(talk("a"), big, NOW)
    soon = throttled.answer(talk("b"), big, NOW + 1).outcome

    assert [type(outcome).__name__ for outcome in outcomes] == ["Served", "Served", "QuotaSpent", "QuotaSpent"]
    assert isinstance(soon, Throttled)
    assert 0 < soon.wait_s < MINUTE_S


def test_a_model_of_its_own_week_is_refused_while_others_go_on() -> None:
    account = SimulatedAccount.new(claude("Max", "max 5x", NOW + DAY_S, model_week=True), NOW)
    account.meters[2].used = account.meters[2].allowance.size
    large = replace(talk("one"), family=FABLE)

    refused = account.answer(large, TURN, NOW).outcome
    served = account.answer(talk("two"), TURN, NOW).outcome

    assert (type(refused).__name__, refused.family, refused.until_at) == ("QuotaSpent", FABLE, NOW + DAY_S)
    assert type(served).__name__ == "Served"


def test_a_go_key_tells_nothing_but_the_first_window_that_refuses() -> None:
    account = SimulatedAccount.new(go("Go", NOW + DAY_S, NOW + 9 * DAY_S), NOW)

    told = account.answer(talk("one"), TURN, NOW).outcome
    for meter in account.meters:
        meter.used = meter.allowance.size
    refused = account.answer(talk("one"), TURN, NOW).outcome

    assert told.windows == ()
    assert [(window.name, window.resets_at) for window in refused.windows] == [("weekly", NOW + DAY_S)]


def test_every_reset_that_passed_in_silence_is_counted() -> None:
    account = SimulatedAccount.new(of_week(PRO, 1_000.0, NOW + DAY_S), NOW)

    account.roll(NOW + 16 * DAY_S)

    assert account.lost == 3_000.0


@pytest.mark.parametrize("style", [PERSON, AGENT, BATCH])
def test_a_conversation_grows_until_it_is_summed_up(style: object) -> None:
    for seed in range(20):
        made = list(turns(Random(seed), style))
        for before, after in pairwise(made):
            grown = after.chapter == before.chapter
            assert after.prefix == (before.context if grown else 0)
            assert after.context > before.context if grown else after.context < before.context
        assert all(turn.context <= LONGEST_CONTEXT for turn in made)


# --- what always holds -----------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", Strategy)
def test_every_turn_is_served_refused_or_abandoned_and_the_same_again_the_next_time(strategy: Strategy) -> None:
    small = with_window(PRO, 150_000.0), with_window(OTHER, 150_000.0)
    talks = [talk(f"t{i}", 6, NOW + 20 * MINUTE_S * i, patience_s=3 * HOUR_S) for i in range(8)]
    scarce = asked(small, *talks)

    tally = play(scarce, strategy)

    assert conserved(tally)
    assert tally.abandoned > 0
    assert tally.work <= bound(scarce)
    assert tally == play(scarce, strategy)


def by_chance(rng: Random) -> Choose:
    """Whoever is ready, by chance: no policy at all, and now and then a good one."""

    def chosen(
        pool: Pool, request: Request, now: float, tried: AbstractSet[AccountId] = frozenset()
    ) -> Choice | Exhausted:
        ready = [s for s in pool.accounts if s.account.id not in tried and not obstacle(s, request, now)]
        return Choice(rng.choice(ready).account.id, "by chance") if ready else choose(pool, request, now, tried)

    return chosen


@given(st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_nobody_serves_more_than_the_bound_whoever_chooses(seed: int) -> None:
    rng = Random(seed)
    holders = tuple(
        of_week(with_window(holder, rng.uniform(3e4, 3e5)), rng.uniform(1e5, 9e5), NOW + rng.uniform(0, 3) * DAY_S)
        for holder in (PRO, OTHER)[: rng.randint(1, 2)]
    )
    talks = tuple(
        talk(f"t{i}", rng.randint(1, 8), NOW + rng.uniform(0, 36) * HOUR_S, patience_s=rng.uniform(0, 9) * HOUR_S)
        for i in range(rng.randint(1, 12))
    )
    small = asked(holders, *talks, days=3.0)

    tally = play(small, Strategy.BALANCED, by_chance(rng))

    assert conserved(tally)
    assert tally.work <= bound(small) * (1 + 1e-9)


@given(st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_what_is_worked_within_a_window_never_comes_to_more_than_the_window(seed: int) -> None:
    rng = Random(seed)
    account = SimulatedAccount.new(with_window(PRO, rng.uniform(2e4, 2e5)), NOW)
    worked = sum(
        account.answer(talk(f"t{rng.randint(0, 3)}"), rng.choice((TURN, NEXT)), NOW + i * rng.uniform(1, 60)).work
        for i in range(100)
    )

    assert worked <= account.holder.allowances[0].size * (1 + 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_is_the_same_for_the_same_seed_and_asks_for_what_makes_choices_matter(name: str) -> None:
    made = workload(name, 1)
    share = made.work / Bound(made).everything()

    assert made == workload(name, 1)
    assert made.talks != workload(name, 2).talks
    assert 0.8 < share < 1.3 if name != "light" else share < 0.5


# --- orders that must hold -------------------------------------------------------------------------


def test_what_ends_first_is_spent_first_where_it_would_be_lost() -> None:
    """Two weeks, one of which ends tonight: who looks at resets saves it, who keeps to an order or to one does not."""
    later, tonight = of_week(OTHER, 3e6, NOW + 6 * DAY_S), of_week(PRO, 3e6, NOW + DAY_S / 2)
    talks = [talk(f"t{i}", 12, NOW + 30 * MINUTE_S * i, patience_s=3 * HOUR_S) for i in range(16)]
    both = asked((later, tonight), *talks)

    wise = [play(both, strategy).lost for strategy in (Strategy.BALANCED, Strategy.DRAIN_SOONEST)]
    even = play(both, Strategy.LEAST_UTILIZED).lost
    stubborn = [play(both, strategy).lost for strategy in (Strategy.PRIORITY, Strategy.STICKY)]

    assert max(wise) < even < min(stubborn)


def test_what_is_saved_before_a_reset_serves_after_it() -> None:
    """Twelve conversations before one of two weeks ends, twice as many after it: together they need all there is."""
    holders = of_week(OTHER, 1.5e6, NOW + 9 * DAY_S), of_week(PRO, 1.5e6, NOW + DAY_S)
    before = [talk(f"a{i}", 8, NOW + 2 * HOUR_S * i, patience_s=2 * HOUR_S) for i in range(12)]
    after = [talk(f"b{i}", 8, NOW + DAY_S + HOUR_S * (i + 0.5), patience_s=2 * HOUR_S) for i in range(24)]
    both = asked(holders, *before, *after, days=2.2)
    most = bound(both)

    shares = {strategy: play(both, strategy).work / most for strategy in Strategy}

    assert shares[Strategy.BALANCED] == max(shares.values()) > 0.99
    assert shares[Strategy.LEAST_UTILIZED] < 0.9
    assert shares[Strategy.STICKY] < 0.7


def test_round_robin_moves_conversations_ten_times_as_often() -> None:
    light = workload("light", 1)

    calm, hasty = play(light, Strategy.BALANCED), play(light, Strategy.ROUND_ROBIN)

    assert calm.served >= hasty.served
    assert 10 * calm.moves < hasty.moves
    assert 10 * calm.missed < hasty.missed


# --- the report ------------------------------------------------------------------------------------


def test_the_report_has_a_row_for_every_strategy_there_is_and_the_same_figures_as_json() -> None:
    with ThreadPoolExecutor(1) as pool:
        figures = measure(("light",), list(Strategy), (1,), pool)

    text, rows = as_text(figures), json.loads(as_json(figures))

    assert {row["strategy"] for row in rows} == set(Strategy)
    assert all(f"\n| {strategy} " in text for strategy in Strategy)
    assert all(0.9 < row["share"] <= 1.0 for row in rows)
