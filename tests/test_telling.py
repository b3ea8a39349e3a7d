"""Who is next, and what happened, as the commands answer it."""

from collections.abc import Sequence

import pytest

from core.answers import Happened
from core.errors import NothingToDo, UsageError
from core.event_wording import Happening
from core.model import AccountId, AccountKind, Affinity, LoginRequired, ModelFamily, Outage, ProviderName, SessionMoved
from core.model import SessionId as Session
from core.orders import Explain, Recount
from core.policy.outage import FAILURES
from core.telling import MOST_RECOUNTED, MOVES_WITHIN_S, explanation, recounted
from tests.pools import NOW, A, B, pool, rest, state

pytestmark = pytest.mark.anyio
OPUS = ModelFamily("opus")
BOTH = pool("a", "b", state("go", AccountKind.GO))


class Remembered:
    """A history of two events."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def happenings(self, limit: int) -> Sequence[tuple[float, Happening]]:
        self.asked.append(limit)
        return [(NOW - 1, SessionMoved(A, AccountId("gone"), "full", 1_200)), (NOW - 2, LoginRequired(B, "revoked"))]

    async def moved_since(self, at: float) -> tuple[int, int]:
        self.asked.append(at)
        return 3, 4_500


def test_every_provider_that_has_accounts_has_its_line() -> None:
    told = explanation(BOTH, Explain(), NOW)

    assert [(line.provider, len(line.turns)) for line in told.lines] == [
        (ProviderName.ANTHROPIC, 2),
        (ProviderName.OPENCODE_GO, 1),
    ]
    assert (told.at, told.strategy) == (NOW, BOTH.strategy)
    (go,) = explanation(BOTH, Explain(ProviderName.OPENCODE_GO), NOW).lines
    assert go.provider is ProviderName.OPENCODE_GO


def test_a_provider_without_accounts_has_nothing_to_explain() -> None:
    with pytest.raises(NothingToDo):
        explanation(pool(), Explain(), NOW)
    with pytest.raises(NothingToDo):
        explanation(pool("a"), Explain(ProviderName.OPENCODE_GO), NOW)


def test_model_and_conversation_count() -> None:
    world = pool(
        state("a", cooldowns=(rest(600, "opus week full", family=OPUS),)),
        "b",
        "c",
        sessions={Session("anthropic/talk"): Affinity(AccountId("c"), NOW)},
    )

    (line,) = explanation(world, Explain(model="claude-opus-5-5", session="talk"), NOW).lines

    assert [turn.label for turn in line.turns] == ["C", "B", "A"]
    assert line.turns[-1].reason == "opus week full"


def test_a_provider_that_cannot_be_reached_is_said() -> None:
    def since(failures: int) -> float | None:
        world = pool("a", outages={ProviderName.ANTHROPIC: Outage(NOW - 60, NOW + 1, failures)})
        return explanation(world, Explain(), NOW).lines[0].lost_since_at

    assert since(FAILURES) == NOW - 60
    assert since(FAILURES - 1) is None, "bad luck is no outage"


async def test_what_happened_is_told_with_its_price_and_the_labels_of_today() -> None:
    past = Remembered()

    told = await recounted(past, BOTH, Recount(2), NOW)

    assert past.asked == [2, NOW - MOVES_WITHIN_S]
    assert told.entries == (
        Happened(
            NOW - 1,
            "SessionMoved",
            "A conversation moved from A to a removed account: full; about 1 k tokens to read anew",
            1_200,
            ("A", "a removed account"),
        ),
        Happened(NOW - 2, "LoginRequired", "B needs you: revoked", labels=("B",)),
    )
    assert (told.at, told.moves, told.tokens, told.within_s) == (NOW, 3, 4_500, MOVES_WITHIN_S)


@pytest.mark.parametrize("limit", [0, -1, MOST_RECOUNTED + 1])
async def test_too_much_or_nothing_is_not_told(limit: int) -> None:
    with pytest.raises(UsageError, match="cannot be told"):
        await recounted(Remembered(), BOTH, Recount(limit), NOW)
