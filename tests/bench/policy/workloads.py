"""The workloads: whose accounts, who asks when, and how much. One seed makes one of each.

What is asked comes to nine tenths or more of what the accounts could give (`light` apart), and rushes ask for more
than can be given at the time: so choices matter. With much less everybody is served whatever the strategy, with much
more every account is spent whatever the strategy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from core.model import ClientKind, ModelFamily, ProviderName, SessionId
from tests.bench.policy.demand import AGENT, BATCH, DAY_S, HOUR_S, MINUTE_S, PERSON, Conversation, Style, turns
from tests.bench.policy.world import FABLE, PRO_5H, Holder, api_key, claude, go

MONDAY = 1_799_020_800.0
"""2027-01-04 00:00 UTC."""


def at(day: int, hour: float = 0.0) -> float:
    """The moment of an hour of a day, the first Monday being day 0."""
    return MONDAY + day * DAY_S + hour * HOUR_S


@dataclass(frozen=True, slots=True)
class Workload:
    """Accounts, and all that will be asked of them. `text` says in one line what it is about."""

    name: str
    text: str
    holders: tuple[Holder, ...]
    talks: tuple[Conversation, ...]
    starts_at: float
    ends_at: float

    @property
    def work(self) -> float:
        """All that is asked."""
        return sum(talk.work_of_all for talk in self.talks)


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of conversations, one after the other, between two hours of a day.

    `pause_s` is the mean pause between two; `patience_h` is how long after its begin a conversation is given up at the
    latest, never later than `until_h`.
    """

    style: Style
    from_h: float
    until_h: float
    pause_s: float
    patience_h: float = 24.0
    family: ModelFamily | None = None
    provider: ProviderName = ProviderName.ANTHROPIC
    client: ClientKind = ClientKind.CLAUDE_CODE


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a workload is made of. `lanes`: how many of each kind, by name.

    `week` says how busy its days are (2 means pauses half as long, 0 a free day), `busy` by how much each day differs
    from that by chance. `asked` is how much is asked altogether, in 5 h windows of a Pro plan.
    """

    text: str
    holders: tuple[Holder, ...]
    lanes: Mapping[str, tuple[int, Lane]]
    days: int
    asked: float
    week: Sequence[float] = (1, 1, 1, 1, 1, 1, 1)
    busy: tuple[float, float] = (0.7, 1.3)


def make(name: str, recipe: Recipe, seed: int) -> Workload:
    """One workload, the same for the same seed: as many conversations, by chance, as come to what is asked."""
    rng = Random(f"{name}/{seed}")
    talks = [
        talk
        for day in range(recipe.days)
        if (busy := recipe.week[day % 7] * rng.uniform(*recipe.busy))
        for lane_name, (count, lane) in recipe.lanes.items()
        for number in range(count)
        for talk in _conversations(rng, f"{lane_name}{number}-{day}", lane, day, busy)
    ]
    rng.shuffle(talks)
    kept, asked = [], 0.0
    for talk in talks:
        if asked < recipe.asked * PRO_5H:
            kept.append(talk)
            asked += talk.work_of_all
    kept.sort(key=lambda talk: talk.starts_at)
    return Workload(name, recipe.text, recipe.holders, tuple(kept), at(0), at(recipe.days))


def _conversations(rng: Random, name: str, lane: Lane, day: int, busy: float) -> Iterator[Conversation]:
    """What one lane asks on one day; turns that would come too late are not asked."""
    ends_at = at(day, lane.until_h)
    now = at(day, lane.from_h) + rng.expovariate(busy / lane.pause_s)
    number = 0
    while now < ends_at:
        number += 1
        given_up_at = min(ends_at, now + lane.patience_h * HOUR_S)
        talk = Conversation(
            SessionId(f"{name}-{number}"),
            tuple(turns(rng, lane.style)),
            now,
            given_up_at,
            lane.style.cache_s,
            lane.provider,
            lane.client,
            lane.family,
        )
        asked = sum(asked_at <= given_up_at for asked_at in talk.asked_at)
        yield replace(talk, turns=talk.turns[:asked])
        now = talk.asked_at[-1] + rng.expovariate(busy / lane.pause_s)


OFFICE = (1, 1, 1, 1, 1, 0, 0)
SONNET = ModelFamily("sonnet")

RECIPES: Mapping[str, Recipe] = {
    "developer": Recipe(
        "one developer, two conversations at a time in office hours, three Pro plans",
        (
            claude("Work", "pro", at(2, 7), 0.6),
            claude("Home", "pro", at(3, 21), 0.3),
            claude("Spare", "pro", at(6, 22), 0.1),
        ),
        {"dev": (2, Lane(PERSON, 9, 18.5, 45 * MINUTE_S))},
        days=11,
        asked=32,
        week=OFFICE,
        busy=(0.6, 1.6),
    ),
    "ten-agents": Recipe(
        "ten agents side by side from 10 to 17 h, a Max 5x and two Pro plans",
        (
            claude("Pro 1", "pro", at(2, 20), 0.5),
            claude("Team", "max 5x", at(2, 22), 0.3),
            claude("Pro 2", "pro", at(5, 12), 0.1),
        ),
        {"agent": (10, Lane(AGENT, 10, 17, 100 * MINUTE_S, patience_h=6))},
        days=8,
        asked=79,
    ),
    "nightly-batch": Recipe(
        "jobs from 1 to 7 h every night, twelve side by side, and one developer by day; a Max 5x and two Pro plans",
        (
            claude("Pro 1", "pro", at(1, 12), 0.6),
            claude("Max", "max 5x", at(3, 3), 0.4),
            claude("Pro 2", "pro", at(4, 20), 0.2),
        ),
        {
            "job": (12, Lane(BATCH, 1, 7, 100 * MINUTE_S)),
            "dev": (1, Lane(PERSON, 9, 18.5, 50 * MINUTE_S)),
        },
        days=8,
        asked=75,
    ),
    "bursty-week": Recipe(
        "rushes on Monday, Tuesday and Friday, quiet days between; a Max 5x, two Pro plans and a capped API key",
        (
            claude("Pro", "pro", at(4, 9), 0.3),
            api_key("Key", 5 * PRO_5H, at(30)),
            claude("Max", "max 5x", at(2, 16), 0.5),
            claude("Old", "pro", at(1, 11), 0.2),
        ),
        {
            "dev": (2, Lane(PERSON, 9, 19, 60 * MINUTE_S)),
            "agent": (2, Lane(AGENT, 9, 22, 80 * MINUTE_S, patience_h=5)),
        },
        days=9,
        asked=76,
        week=(2.5, 1.8, 0.25, 0.2, 2.2, 0.1, 0.1),
    ),
    "staggered-weeks": Recipe(
        "steady work round the clock, four unspent Pro plans whose weeks end on different days",
        (
            claude("Late", "pro", at(7, 12)),
            claude("Third", "pro", at(5, 6)),
            claude("Second", "pro", at(3, 18)),
            claude("Soon", "pro", at(2, 6)),
        ),
        {"agent": (2, Lane(AGENT, 0, 24, 100 * MINUTE_S, patience_h=8))},
        days=8,
        asked=51,
    ),
    "two-models": Recipe(
        "two models, the larger one with a week of its own of 40 %; a Max 5x and two Pro plans",
        (
            claude("Pro 1", "pro", at(5, 21), 0.1, model_week=True),
            claude("Max", "max 5x", at(3, 10), 0.4, model_week=True),
            claude("Pro 2", "pro", at(2, 8), 0.3, model_week=True),
        ),
        {
            "large": (2, Lane(AGENT, 9, 21, 75 * MINUTE_S, patience_h=6, family=FABLE)),
            "small": (4, Lane(AGENT, 9, 21, 75 * MINUTE_S, patience_h=6, family=SONNET)),
        },
        days=8,
        asked=77,
    ),
    "go-keys": Recipe(
        "OpenCode with three Go keys: 5 h, Monday and anniversary windows, which no answer's headers tell",
        (
            go("Go 1", at(7), at(2, 9), 0.8),
            go("Go 2", at(7), at(9, 9), 0.5),
            go("Go 3", at(7), at(25, 9), 0.1),
        ),
        {"dev": (2, Lane(PERSON, 10, 20, 90 * MINUTE_S, provider=ProviderName.OPENCODE_GO, client=ClientKind.OTHER))},
        days=11,
        asked=37,
    ),
    "light": Recipe(
        "one developer and far more quota than needed, a Max 20x and two Pro plans: everybody must be served",
        (
            claude("Pro 1", "pro", at(4, 18), 0.3),
            claude("Max", "max 20x", at(2, 10), 0.2),
            claude("Pro 2", "pro", at(6, 22), 0.1),
        ),
        {"dev": (2, Lane(PERSON, 9, 18.5, 45 * MINUTE_S))},
        days=7,
        asked=30,
        week=OFFICE,
    ),
}
NAMES = tuple(RECIPES)


def workload(name: str, seed: int) -> Workload:
    """One of `RECIPES`."""
    return make(name, RECIPES[name], seed)
