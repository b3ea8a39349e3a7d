"""What clients ask: conversations of turns, made up from a seed before anything is played.

All costs are in tokens of fresh input of a mid-sized model: a token read from the prompt cache costs 0.1, one written
to it 1.25 (kept 5 minutes) or 2 (kept an hour), a token of output 5. A turn's `work` is the least it can cost
anywhere, so it is the same whoever serves it: luck with the cache is a cost, never an achievement.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from core.model import ClientKind, ModelFamily, ProviderName, Request, SessionId

MINUTE_S = 60.0
HOUR_S = 3_600.0
DAY_S = 86_400.0

READ_PRICE = 0.1
WRITE_PRICES = {5 * MINUTE_S: 1.25, HOUR_S: 2.0}
"""By how long the prompt cache is kept; also the only two lifetimes there are."""
OUTPUT_PRICE = 5.0
FAMILY_PRICES = {"fable": 5 / 3}
"""The larger model costs this much more a token."""

COMPACTED_TOKENS = 25_000
LONGEST_CONTEXT = 150_000
"""Beyond this a client sums the conversation up and goes on with COMPACTED_TOKENS."""
TOKENS_PER_S = 60.0
HEAD_S = 1.5
"""From sending a request to the head of its answer."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a conversation. `think_s` passes between the last answer's end and the asking.

    The first `prefix` tokens of its `context` are the same as in the turn before; `chapter` grows when the client
    sums the conversation up, and then nothing of older caches can be read. `warm_s`: how old a cache is at best when
    this turn comes.
    """

    context: int
    prefix: int
    output: int
    think_s: float
    warm_s: float = 0.0
    chapter: int = 0

    @property
    def lasts_s(self) -> float:
        """From the asking to the answer's end."""
        return HEAD_S + self.output / TOKENS_PER_S


@dataclass(frozen=True, slots=True)
class Conversation:
    """A client's session. Whoever has not been answered by `ends_at` gives up."""

    id: SessionId
    turns: tuple[Turn, ...]
    starts_at: float
    ends_at: float
    cache_s: float = HOUR_S
    provider: ProviderName = ProviderName.ANTHROPIC
    client: ClientKind = ClientKind.CLAUDE_CODE
    family: ModelFamily | None = None

    @property
    def request(self) -> Request:
        """What the policy gets to know of each turn."""
        return Request(self.provider, self.id, self.client, f"made-up-{self.family}", self.family)

    @property
    def asked_at(self) -> tuple[float, ...]:
        """When each turn is asked if nobody ever has to wait. Waiting only makes it later."""
        at, times = self.starts_at, []
        for turn in self.turns:
            at += turn.think_s
            times.append(at)
            at += turn.lasts_s
        return tuple(times)

    def cost(self, turn: Turn, cached: int) -> float:
        """What a turn costs when `cached` tokens of its context are read from the cache."""
        written = turn.context - cached
        tokens = READ_PRICE * cached + WRITE_PRICES[self.cache_s] * written + OUTPUT_PRICE * turn.output
        return tokens * FAMILY_PRICES.get(self.family or "", 1.0)

    def reusable(self, turn: Turn) -> int:
        """The tokens that a cache can hold at best: nothing once the client has thought for too long."""
        return turn.prefix if turn.warm_s <= self.cache_s else 0

    def work(self, turn: Turn) -> float:
        """The least that the turn can cost, on any account at any time."""
        return self.cost(turn, self.reusable(turn))

    @property
    def work_of_all(self) -> float:
        """The work of all its turns."""
        return sum(map(self.work, self.turns))


@dataclass(frozen=True, slots=True)
class Style:
    """How one kind of client works: `prompts`, `thinks_s`, `tools` and `answers` are medians of skewed draws (most are
    small, a few are very large), pairs are the least and the most of even ones.

    A prompt makes the model work in `loops` turns with short gaps while its tools run, then the client thinks.
    """

    prompts: float
    loops: tuple[int, int]
    gap_s: tuple[float, float]
    thinks_s: float
    longest_s: float
    first: tuple[int, int] = (14_000, 24_000)
    tools: float = 2_000.0
    answers: float = 600.0
    cache_s: float = HOUR_S


PERSON = Style(prompts=4, loops=(3, 9), gap_s=(2, 15), thinks_s=100, longest_s=40 * MINUTE_S)
"""Somebody who reads, thinks, answers the phone and comes back."""
AGENT = Style(prompts=3, loops=(5, 12), gap_s=(2, 20), thinks_s=60, longest_s=12 * MINUTE_S, cache_s=5 * MINUTE_S)
"""A program that works on its own; now and then its tests run longer than its cache lives."""
BATCH = Style(prompts=1, loops=(8, 24), gap_s=(1, 5), thinks_s=10, longest_s=60, cache_s=5 * MINUTE_S)
"""One job of many, without pauses."""


def turns(rng: Random, style: Style) -> Iterator[Turn]:
    """The turns of one conversation."""
    context, prefix, chapter = rng.randint(*style.first), 0, 0
    lasted_s, think_s = 0.0, 0.0
    for prompt in range(max(1, round(_skewed(rng, style.prompts, 0.7)))):
        if prompt:
            think_s = min(_skewed(rng, style.thinks_s, 1.2), style.longest_s)
        for _ in range(rng.randint(*style.loops)):
            output = round(_skewed(rng, style.answers, 0.9))
            turn = Turn(context, prefix, output, think_s, lasted_s + think_s, chapter)
            yield turn
            lasted_s, prefix = turn.lasts_s, context
            context += output + round(_skewed(rng, style.tools, 0.9))
            if context > LONGEST_CONTEXT:
                context, prefix, chapter = COMPACTED_TOKENS, 0, chapter + 1
            think_s = rng.uniform(*style.gap_s)


def _skewed(rng: Random, median: float, width: float) -> float:
    """A draw of which half are above the median, cut where it would be out of this world."""
    return median * min(rng.lognormvariate(0, width), 12.0)
