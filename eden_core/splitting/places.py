"""Which split each unit goes to, and where the stretches of contigs lie that make a split."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import numbers_of_ranges
from eden_core.leakage.equal_runs import run_starts
from eden_core.mixing import key_of, mix
from eden_core.splitting.rules import SplitRules
from eden_core.splitting.words import SPLITS

FREE, EXCLUDED = -1, len(SPLITS)
"""places of contigs besides those of `SPLITS`: not decided yet, and in no split"""

_MOST_GROUPS = 10
_GUARDED = 0.01
"""share of all bases that guards may take"""


class DividedUnitError(Exception):
    """A unit is fixed to two splits; `unit` is its hash."""

    def __init__(self, unit: np.uint64) -> None:
        super().__init__(f"unit {unit} is fixed to two splits")
        self.unit = unit


@dataclass(frozen=True, eq=False)
class Stretches:
    """Stretches of contigs, in order of (contig, start), and the split of each; [S] each."""

    contigs: NDArray[np.int64]
    """number of the contig in byte order of the ids"""
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    places: NDArray[np.int8]

    def take(self, which: NDArray[np.generic]) -> "Stretches":
        """Return some of them: by number, or where this is True."""
        return Stretches(self.contigs[which], self.starts[which], self.lengths[which], self.places[which])

    def counted_from(self, contig: int) -> "Stretches":
        """Return the same, with contigs counted from this one."""
        return replace(self, contigs=self.contigs - contig)


@dataclass(frozen=True)
class Guarded:
    """What was left out where splits meet."""

    bases: int
    stretches_too_short: int
    """of which nothing was left; their bases are counted in `bases`"""


def places_of_units(
    units: NDArray[np.uint64], lengths: NDArray[np.int64], fixed: NDArray[np.int8], shares: Mapping[str, float], seed: int
) -> tuple[NDArray[np.int8], int]:
    """Return the place of each contig (int8 [N]), and the number of units among those that are in a split.

    Units are put in an order that depends on their hashes and the seed alone, end to end, and each goes where the middle of
    its bases falls. A unit with a contig that is fixed goes where that one is.

    Args:
        units: hash of the unit of each contig, [N].
        lengths: bases, [N].
        fixed: a place in `SPLITS`, `FREE` or `EXCLUDED`, [N].
        shares: of the bases that are free, by split.
        seed: another seed gives another order.

    Raises:
        DividedUnitError: a unit is fixed to two splits.
    """
    places = fixed.copy()
    rows = np.flatnonzero(fixed != EXCLUDED)
    rows = rows[np.argsort(mix(key_of(f"split {seed}"), units[rows]), kind="stable")]
    firsts = run_starts(units[rows])
    if not firsts.size:
        return places, 0
    bases = np.add.reduceat(lengths[rows], firsts)
    chosen = np.maximum.reduceat(fixed[rows], firsts)
    lowest = np.minimum.reduceat(np.where(fixed == FREE, np.int8(EXCLUDED), fixed)[rows], firsts)
    conflicts = np.flatnonzero((chosen != FREE) & (lowest != chosen))
    if conflicts.size:
        raise DividedUnitError(units[rows[firsts[conflicts[0]]]])
    free = np.flatnonzero(chosen == FREE)
    chosen[free] = _drawn(bases[free], shares)
    places[rows] = np.repeat(chosen, np.diff(np.append(firsts, rows.size)))
    return places, int(firsts.size)


def _drawn(bases: NDArray[np.int64], shares: Mapping[str, float]) -> NDArray[np.int8]:
    return _place_of(shares, (np.cumsum(bases) - bases / 2) / max(int(bases.sum()), 1))


def _place_of(shares: Mapping[str, float], positions: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return the place of each position on a line of length 1 that the splits share."""
    bounds = np.cumsum(list(shares.values()))[:-1]
    numbers = np.array([SPLITS.index(name) for name in shares], np.int8)
    if not numbers.size:
        return np.full(positions.size, EXCLUDED, np.int8)
    return np.asarray(numbers[np.searchsorted(bounds, positions, side="right")], np.int8)


def blocks_of(units: NDArray[np.uint64], lengths: NDArray[np.int64], fixed: NDArray[np.int8], rules: SplitRules) -> Stretches:
    """Cut contigs into blocks, and give each block a place.

    A contig has as many whole blocks as fit, the last of which takes what is left over; so no block is shorter than
    `rules.block_bases` but those of shorter contigs, which are one block each. The blocks of all contigs lie end to end on
    a circle, the contigs in an order that depends on their ids and the seed, the blocks of a contig in theirs. The circle
    is cut into groups of equal length, from a point that depends on the seed; in each group training, validation and test
    follow each other by their shares. So held-out blocks lie side by side, and each group meets at most three borders, the
    price of which is a guard each. There are up to ten groups, which spread the held-out blocks over the genome: as many as
    keep the guards below 1 % of all bases, and leave each group two blocks of the smallest split; one at least.

    Args:
        units: hash of each contig, [N].
        lengths: bases, [N].
        fixed: a place in `SPLITS`, `FREE` or `EXCLUDED`, [N]; contigs that are not free stay whole.
        rules: shares, block, guard and seed.
    """
    free = np.flatnonzero(fixed == FREE)
    counts = (fixed != EXCLUDED).astype(np.int64)
    counts[free] = np.maximum(lengths[free] // rules.block_bases, 1)
    starts, contigs = numbers_of_ranges(np.zeros(counts.size, np.int64), counts)
    is_last = starts == counts[contigs] - 1
    starts *= rules.block_bases
    block_lengths = np.where(is_last, lengths[contigs] - starts, rules.block_bases)
    places = fixed[contigs]
    drawn = np.flatnonzero(places == FREE)
    begins = _places_on_line(units, np.where(fixed == FREE, lengths, 0), rules.seed)
    middles = begins[contigs[drawn]] + starts[drawn] + block_lengths[drawn] / 2
    places[drawn] = _drawn_in_groups(middles, int(lengths[free].sum()), rules)
    return Stretches(contigs, starts, block_lengths, places)


def _places_on_line(units: NDArray[np.uint64], lengths: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return where contigs begin that lie end to end, in an order of their hashes and the seed."""
    order = np.argsort(mix(key_of(f"split {seed}"), units), kind="stable")
    begins = np.empty(order.size, np.int64)
    begins[order] = np.cumsum(lengths[order])
    begins -= lengths
    return begins


def _drawn_in_groups(middles: NDArray[np.float64], total: int, rules: SplitRules) -> NDArray[np.int8]:
    turn = int(key_of(f"groups {rules.seed}")) / 2**64
    return _place_of(rules.shares, (middles / max(total, 1) + turn) * _groups(total, rules) % 1)


def _groups(total: int, rules: SplitRules) -> int:
    affordable = _GUARDED * total / (3 * rules.guard_bases) if rules.guard_bases else _MOST_GROUPS
    smallest = min(rules.shares.values(), default=1) * total / (2 * rules.block_bases)
    return int(max(1, min(_MOST_GROUPS, affordable, smallest)))


def guarded(blocks: Stretches, guard: int) -> tuple[Stretches, Guarded]:
    """Join consecutive blocks of one split, and leave bases out where stretches of different splits meet.

    They are left out of the training side, or, where validation and test meet, of the earlier side.

    Args:
        blocks: in order of (contig, start); those of a contig that has several are not shorter than `guard`.
        guard: bases left out.

    Returns:
        The stretches, and what was left out.
    """
    train = SPLITS.index("train")
    firsts = run_starts(blocks.contigs, blocks.places)
    if not firsts.size:
        return blocks, Guarded(0, 0)
    lengths = np.add.reduceat(blocks.lengths, firsts)
    joined = blocks.take(firsts)
    borders = np.flatnonzero(np.diff(joined.contigs) == 0)
    later = borders[joined.places[borders + 1] == train] + 1
    earlier = borders[joined.places[borders + 1] != train]
    left = lengths.copy()
    left[later] -= guard
    joined.starts[later] += guard
    left[earlier] -= guard
    np.maximum(left, 0, out=left)
    too_short = int(((left == 0) & (lengths > 0)).sum())
    kept = replace(joined, lengths=left).take(np.flatnonzero(left > 0))
    return kept, Guarded(int(lengths.sum() - left.sum()), too_short)
