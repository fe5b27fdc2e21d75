"""Stretches of two splits that are alike, put together from windows that have a match."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eden_core.leakage.kmers import K
from eden_core.leakage.sketches import BIN, REACH, Found, Sketch
from eden_core.splitting.reading import Rows, split_rows

WORST = 20
"""pairs that a report names"""


@dataclass(frozen=True)
class LeakingPair:
    """A held-out stretch and the stretch of another split that is most like it; positions are zero-based, ends excluded."""

    held_out: str
    """split"""
    contig: str
    start: int
    end: int
    other: str
    """split"""
    other_contig: str
    other_start: int
    other_end: int
    shared: int
    """sampled k-mers that both have"""
    sampled: int
    """of the held-out stretch"""
    identity: float
    """of the 1,000 held-out bases that are most alike, by their k-mers; too low where a part of them is not alike at all"""


@dataclass(frozen=True)
class UnnamedPair:
    """A pair whose other contig is known by its row alone."""

    pair: LeakingPair
    row: int

    def named(self, table: str) -> LeakingPair:
        """Return the pair with the contig's id, from the other split's table."""
        (rows,) = split_rows(table, self.row, self.row + 1)
        return replace(self.pair, other_contig=rows.ids[0].as_py())


def pairs_of(
    found: Found, sketch: Sketch, rows: Rows, first_bins: NDArray[np.int64], held_out: str, other: str
) -> list[UnnamedPair]:
    """Join windows that follow each other and have their match in the same row of the other split.

    Args:
        found: windows with a match, of one held-out split.
        sketch: what they were found in.
        rows: those that were sketched.
        first_bins: number of the first window of each row.
        held_out: name of their split.
        other: name of the other split.

    Returns:
        The `WORST` pairs that share most.
    """
    held_rows = np.searchsorted(first_bins, found.windows, side="right") - 1
    breaks = np.ones(found.windows.size, bool)
    breaks[1:] = (np.diff(found.windows) != 1) | (np.diff(held_rows) != 0) | (np.diff(found.rows) != 0)
    breaks[1:] |= np.abs(np.diff(found.begins)) > 2 * REACH
    firsts = np.flatnonzero(breaks)
    counts = np.diff(np.append(firsts, found.windows.size))
    # All windows but the outer halves of the first and the last count each k-mer twice.
    once = (counts + 1) / (2 * counts)
    shared = np.add.reduceat(found.shared, firsts) * once if firsts.size else np.empty(0)
    pairs = []
    for i in np.argsort(-shared, kind="stable")[:WORST].tolist():
        run = slice(int(firsts[i]), int(firsts[i] + counts[i]))
        sizes = np.asarray(sketch.sizes[found.windows[run]])
        contained = np.minimum(found.shared[run] / sizes, 1)
        row = int(held_rows[run.start])
        start = int(found.windows[run.start] - first_bins[row]) * BIN
        end = min(start + (int(counts[i]) + 1) * BIN, int(rows.lengths[row]))
        begin = int(rows.starts[row])
        pair = LeakingPair(
            held_out,
            rows.ids[row].as_py(),
            begin + start,
            begin + end,
            other,
            "",
            int(found.begins[run].min()),
            int(found.ends[run].max()),
            round(float(shared[i])),
            round(float(sizes.sum() * once[i])),
            round(float(contained.max()) ** (1 / K), 4),
        )
        pairs.append(UnnamedPair(pair, int(found.rows[run.start])))
    return pairs
