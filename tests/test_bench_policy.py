"""The simulation that measures strategies: it conserves, repeats itself, keeps to windows, and its bound holds."""

from dataclasses import replace

import pytest

from core.model import SessionId, Strategy
from tests.bench.policy.bound import bound
from tests.bench.policy.demand import (
    DAY_S,
    HOUR_S,
    MINUTE_S,
    OUTPUT_PRICE,
    READ_PRICE,
    WRITE_PRICES,
    Conversation,
    Turn,
)
from tests.bench.policy.play import Tally, play
from tests.bench.policy.workloads import NAMES, Workload, at, workload
from tests.bench.policy.world import Allowance, Holder, claude

NOW = at(0, 9)
TURN = Turn(context=20_000, prefix=0, output=1_000, think_s=10.0)
NEXT = Turn(context=22_000, prefix=20_000, output=1_000, think_s=MINUTE_S, warm_s=MINUTE_S)


def talk(name: str, count: int = 3, starts_at: float = NOW, *, patience_s: float = 8 * HOUR_S) -> Conversation:
    turns = (TURN, *[replace(NEXT, warm_s=NEXT.think_s + NEXT.lasts_s)] * (count - 1))
    return Conversation(SessionId(name), turns, starts_at, starts_at + patience_s)


def asked(holders: tuple[Holder, ...], *talks: Conversation, days: float = 1.0) -> Workload:
    return Workload("tiny", "made for a test", holders, talks, NOW, NOW + days * DAY_S)


def with_window(holder: Holder, size: float) -> Holder:
    """The account with a 5 h window of this size."""
    short, *long = holder.allowances
    return replace(holder, allowances=(replace(short, size=size), *long))


PRO = claude("Pro", "pro", NOW + 3 * DAY_S)
OTHER = claude("Other", "pro", NOW + 5 * DAY_S)


def conserved(tally: Tally) -> bool:
    return tally.asked == tally.served + tally.refused + tally.abandoned


def test_a_conversation_with_room_is_served_whole_at_its_least_price() -> None:
    one = talk("one")

    tally = play(asked((PRO,), one), Strategy.BALANCED)

    first = WRITE_PRICES[HOUR_S] * 20_000 + OUTPUT_PRICE * 1_000
    later = READ_PRICE * 20_000 + WRITE_PRICES[HOUR_S] * 2_000 + OUTPUT_PRICE * 1_000
    assert (tally.served, tally.refused, tally.moves, tally.missed) == (3, 0, 0, 0)
    assert tally.work == pytest.approx(first + 2 * later)
    assert bound(asked((PRO,), one)) == pytest.approx(tally.work)


def test_a_full_window_refuses_until_it_begins_anew() -> None:
    small = with_window(PRO, 45_000.0)  # the first turn's price, and not a token more

    tally = play(asked((small,), talk("one", 2)), Strategy.BALANCED)

    assert (tally.served, tally.abandoned) == (2, 0)
    assert tally.refused > 0
    assert max(tally.waits_s) == pytest.approx(5 * HOUR_S, rel=0.02)


def test_nobody_waits_for_a_window_longer_than_for_his_patience() -> None:
    small = with_window(PRO, 45_000.0)

    tally = play(asked((small,), talk("one", 3, patience_s=HOUR_S)), Strategy.BALANCED)

    assert tally.served == 1
    assert conserved(tally)


def test_a_second_account_takes_over_at_the_price_of_a_cold_cache() -> None:
    small = with_window(PRO, 45_000.0)

    tally = play(asked((small, OTHER), talk("one", 2)), Strategy.PRIORITY)

    assert (tally.served, tally.moves, tally.missed) == (2, 1, 20_000)


def test_what_a_reset_throws_away_is_counted() -> None:
    week = PRO.allowances[1].size

    tally = play(asked((PRO,), talk("one"), days=4.0), Strategy.BALANCED)

    assert tally.lost == pytest.approx(week - tally.work)


@pytest.mark.parametrize("strategy", Strategy)
def test_every_turn_is_served_refused_or_abandoned(strategy: Strategy) -> None:
    small = with_window(PRO, 150_000.0), with_window(OTHER, 150_000.0)
    talks = [talk(f"t{i}", 6, NOW + 20 * MINUTE_S * i, patience_s=3 * HOUR_S) for i in range(8)]
    scarce = asked(small, *talks)

    tally = play(scarce, strategy)

    assert conserved(tally)
    assert tally.abandoned > 0
    assert tally.work <= bound(scarce) * (1 + 1e-9)
    assert tally == play(scarce, strategy)


def test_no_more_is_worked_than_the_windows_hold() -> None:
    small = with_window(PRO, 100_000.0)
    talks = [talk(f"t{i}", 4, NOW + MINUTE_S * i, patience_s=HOUR_S) for i in range(10)]

    tally = play(asked((small,), *talks), Strategy.BALANCED)

    assert tally.work <= 100_000.0


def test_what_ends_first_is_spent_first_where_it_would_be_lost() -> None:
    """Two weeks, one of which ends tonight: who looks at resets saves it, who keeps to an order does not."""
    later = replace(
        OTHER, allowances=(Allowance("5h", 2e6, 5 * HOUR_S), Allowance("7d", 3e6, 7 * DAY_S, NOW + 6 * DAY_S))
    )
    tonight = replace(
        PRO, allowances=(Allowance("5h", 2e6, 5 * HOUR_S), Allowance("7d", 3e6, 7 * DAY_S, NOW + DAY_S / 2))
    )
    talks = [talk(f"t{i}", 12, NOW + 30 * MINUTE_S * i, patience_s=3 * HOUR_S) for i in range(16)]
    both = asked((later, tonight), *talks)

    wise, stubborn = play(both, Strategy.BALANCED), play(both, Strategy.PRIORITY)

    assert wise.by_account.get(tonight.account.id, 0.0) > 2 * stubborn.by_account.get(tonight.account.id, 0.0)
    assert wise.lost < stubborn.lost
    assert wise.served == stubborn.served == sum(len(one.turns) for one in talks)


def test_round_robin_moves_conversations_ten_times_as_often() -> None:
    light = workload("light", 1)

    calm, hasty = play(light, Strategy.BALANCED), play(light, Strategy.ROUND_ROBIN)

    assert calm.served >= hasty.served
    assert 10 * calm.moves < hasty.moves
    assert 10 * calm.missed < hasty.missed


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_is_the_same_for_the_same_seed_and_another_for_another(name: str) -> None:
    assert workload(name, 1) == workload(name, 1)
    assert workload(name, 1).talks != workload(name, 2).talks
