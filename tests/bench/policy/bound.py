"""More work than this nobody can serve, whatever he knows: an upper bound that is proved, not only looked for.

Choose any set S of half hours. All that is ever served is at most

    the work of the turns that may be served outside S                                        (all of it)
  + for each account, the most that its quota windows can give to what is served inside S.

For a turn is served between the moment it is asked if nobody waits before it, and the moment its client gives up. If
all of that time lies in S, its work comes out of some account's windows inside S; if not, it is in the first line.
Work is counted at each turn's least possible cost, which is never more than what the provider counts, and never comes
to more than a window holds (world.py). So the sum holds for every strategy and every S; the least of it over the S
that are tried is the bound. S empty says "no more than is asked", S everything "no more than the accounts have", and
S the rushes says "what is asked in a rush comes out of the few windows that can be open then".

What an account can give inside S: its 5 h windows begin wherever a clairvoyant likes while something is asked, at
least their length apart; as many as can touch S give one whole window each. Between two resets of its longer windows
it gives no more than they have left. Where a model family has a week of its own, S is chosen for it apart. Left out
are cold caches, the order of turns, parts of a turn, and an API key's buckets: that only makes the bound higher than
what is possible.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial, reduce
from itertools import accumulate, pairwise
from math import inf
from operator import and_, or_

from core.model import ModelFamily
from tests.bench.policy.demand import HOUR_S
from tests.bench.policy.workloads import Workload
from tests.bench.policy.world import Allowance, Holder

SLOT_S = HOUR_S / 2
BLOCK_SLOTS = 6
"""The search moves S by whole blocks; they are cut at resets as well."""
RUNS = (1, 2, 4, 8, 16, 32)
"""How many blocks are moved at once."""

Hours = int
"""A set of half hours since the workload's begin, one bit each."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The time between two resets of an account: which half hours it touches, and what its long windows are called."""

    hours: Hours
    instances: tuple[tuple[str, int], ...]


class Bound:
    """The sum above for one workload, for any S."""

    def __init__(self, workload: Workload) -> None:
        self._starts_at = workload.starts_at
        self._slots = self._slot(workload.ends_at) + 1
        scoped = {a.family for holder in workload.holders for a in holder.allowances}
        asked: defaultdict[tuple[Hours, ModelFamily | None], float] = defaultdict(float)
        for talk in workload.talks:
            family = talk.family if talk.family in scoped else None
            for turn, asked_at in zip(talk.turns, talk.asked_at, strict=True):
                asked[self._between(asked_at, talk.ends_at), family] += talk.work(turn)
        self.families = tuple(dict.fromkeys(family for _, family in asked))
        self._asked = tuple((hours, family, work) for (hours, family), work in asked.items())
        self._busy = reduce(or_, (hours for hours, _, _ in self._asked))
        self._accounts = [(holder, self._stretches(holder, workload.ends_at)) for holder in workload.holders]
        self._resets = {s.hours & -s.hours for _, stretches in self._accounts for s in stretches}

    def at(self, chosen: Mapping[ModelFamily | None, Hours]) -> float:
        """The bound that the set `chosen` (one for each family) proves."""
        free = sum(work for hours, family, work in self._asked if hours & ~chosen[family])
        return free + sum(self._gives(holder, stretches, chosen) for holder, stretches in self._accounts)

    def everything(self) -> float:
        """What S everything proves: what the accounts have while something is asked."""
        return self.at(dict.fromkeys(self.families, self._busy))

    def least(self) -> float:
        """The least bound that is found: from the best S without a gap on, blocks are added and taken away."""
        blocks = self._blocks()
        spans = (span for first in range(len(blocks)) for span in accumulate(blocks[first:], or_))
        starts = [dict.fromkeys(self.families, span) for span in (0, *spans)]
        return min(self._descend(start, blocks) for start in (starts[0], min(starts, key=self.at)))

    # --- the search ---

    def _descend(self, chosen: dict[ModelFamily | None, Hours], blocks: Sequence[Hours]) -> float:
        best, before = self.at(chosen), inf
        while best < before:
            before = best
            for families, run in self._moves(blocks):
                for hours in (partial(or_, run), partial(and_, ~run)):
                    tried = {f: hours(s) if f in families else s for f, s in chosen.items()}
                    if tried != chosen and (value := self.at(tried)) < best:
                        best, chosen = value, tried
        return best

    def _moves(self, blocks: Sequence[Hours]) -> Iterator[tuple[Sequence[ModelFamily | None], Hours]]:
        whom = [self.families, *((family,) for family in self.families if len(self.families) > 1)]
        for families in whom:
            for length in RUNS:
                for first in range(0, len(blocks), max(1, length // 2)):
                    yield families, reduce(or_, blocks[first : first + length])

    def _blocks(self) -> list[Hours]:
        """Stretches of busy half hours, cut at resets."""
        blocks: list[Hours] = [0]
        for slot in range(self._slots):
            bit = 1 << slot
            if slot % BLOCK_SLOTS == 0 or bit in self._resets:
                blocks.append(0)
            blocks[-1] |= bit & self._busy
        return [block for block in blocks if block]

    # --- what an account can give ---

    def _gives(
        self, holder: Holder, stretches: Sequence[_Stretch], chosen: Mapping[ModelFamily | None, Hours]
    ) -> float:
        """The most inside S. Each stretch gives all it can, from the first on.

        That is the most altogether: giving a unit later instead would at best free room for one other unit, since of
        two windows that a stretch spends from, the one that begins anew first is nothing to later stretches.
        """
        sizes = {a.name: a for a in holder.allowances if not a.short}
        left = {(name, 0): a.size - a.used for name, a in sizes.items()}
        short = next((a for a in holder.allowances if a.short), None)
        everything = reduce(or_, chosen.values())
        total = 0.0
        for stretch in stretches:
            instances = [(key, sizes[key[0]]) for key in stretch.instances]
            wide = [key for key, allowance in instances if allowance.family is None]
            give = min(
                self._through(short, everything & stretch.hours), *(left.setdefault(k, sizes[k[0]].size) for k in wide)
            )
            for key, allowance in instances:
                if allowance.family is not None:
                    others = reduce(or_, (hours for f, hours in chosen.items() if f != allowance.family), 0)
                    of_model = left.setdefault(key, allowance.size)
                    give = min(give, of_model + self._through(short, others & stretch.hours))
            for key in wide:
                left[key] -= give
            total += give
        return total

    def _through(self, short: Allowance | None, hours: Hours) -> float:
        """What short windows let through in these hours: as many as can touch them, begun while something is asked."""
        if not hours:
            return 0.0
        if short is None:
            return inf
        return short.size * _touching(hours, self._busy, int(short.length_s // SLOT_S))

    def _stretches(self, holder: Holder, ends_at: float) -> list[_Stretch]:
        long = [a for a in holder.allowances if not a.short]
        cuts = {self._starts_at, ends_at}
        for allowance in long:
            at = allowance.resets_at or ends_at
            while at < ends_at:
                cuts.add(at)
                at += allowance.length_s
        times = sorted(cuts)
        return [
            _Stretch(
                self._between(begin, end, whole=False),
                tuple((a.name, _instance(a, begin)) for a in long),
            )
            for begin, end in pairwise(times)
        ]

    def _slot(self, at: float) -> int:
        return int((at - self._starts_at) // SLOT_S)

    def _between(self, begin: float, end: float, *, whole: bool = True) -> Hours:
        """The half hours that are touched between two moments; the end itself counts if `whole`."""
        last = self._slot(end) if whole or (end - self._starts_at) % SLOT_S else self._slot(end) - 1
        return (1 << last + 1) - (1 << self._slot(begin))


def _instance(allowance: Allowance, at: float) -> int:
    """How many of its resets have come by then."""
    if allowance.resets_at is None or at < allowance.resets_at:
        return 0
    return int((at - allowance.resets_at) // allowance.length_s) + 1


@cache
def _touching(hours: Hours, busy: Hours, length: int) -> int:
    """How many windows of `length` half hours, begun in `busy` ones and apart by their length, can touch `hours`.

    Taking each as early as it can touch leaves the most room for the next. One that begins inside a half hour touches
    one more than its length.
    """
    begins = 0
    for shift in range(length + 1):
        begins |= hours >> shift
    begins &= busy
    count = 0
    while begins:
        count += 1
        begins >>= (begins & -begins).bit_length() - 1 + length
    return count


def bound(workload: Workload) -> float:
    """More work than this nobody can serve."""
    return Bound(workload).least()
