"""Batches of contigs, or of intervals of contigs, cut into windows."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.tiling import Tiling


@dataclass(frozen=True, eq=False)
class Cut:
    """How the rows of a batch are cut.

    Attributes:
        tiling: the rules.
        firsts: int64 [n], the number of the first window in its contig.
        counts: int64 [n], how many windows there are.
        rests: int64 [n], bases from the first window's start to the end of the row's bases; of intervals, perhaps negative.
    """

    tiling: Tiling
    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]
    rests: NDArray[np.int64]

    @classmethod
    def of(cls, batch: pa.RecordBatch, tiling: Tiling) -> "Cut":
        """Cut contigs; intervals of contigs where there is a column `start` (see `WindowIndex.build`)."""
        lengths = _numbers(batch, "length")
        if "start" not in batch.schema.names:
            return cls(tiling, np.zeros(lengths.size, np.int64), tiling.counts(lengths), lengths)
        starts = _numbers(batch, "start")
        known = "contig_length" in batch.schema.names
        firsts, counts = tiling.interval_windows(starts, lengths, _numbers(batch, "contig_length") if known else None)
        return cls(tiling, firsts, counts, tiling.interval_rests(starts, lengths))

    @property
    def bases_read(self) -> NDArray[np.int64]:
        """How many different bases of each row will be read, int64 [n]."""
        return self.tiling.bases_read(self.rests, self.counts)

    @property
    def bases_in_rows(self) -> NDArray[np.int64]:
        """The same, those of overlaps as often as they are read, int64 [n]."""
        return self.tiling.bases_in_rows(self.rests, self.counts)

    @property
    def bases_read_again(self) -> NDArray[np.int64]:
        """How many different bases of each row more than one window will read, int64 [n]."""
        return self.tiling.bases_read_again(self.rests, self.counts)


def why_no_window(tiling: Tiling, rows: int, longest: int, *, intervals: bool) -> str:
    """Say why a table gives not one window.

    Args:
        tiling: how it is cut.
        rows: of the table, at least 1.
        longest: bases of the longest of them.
        intervals: whether they are regions of contigs.
    """
    if tiling.min_length > tiling.window_size:
        return f"the window size {tiling.window_size} is below the minimum length {tiling.min_length}"
    if intervals:
        which = "its one region" if rows == 1 else f"none of its {rows:,} regions"
        return (
            f"{which}, {'' if rows == 1 else 'the longest '}of {longest:,} bases, {'has no' if rows == 1 else 'has a'} whole "
            f"window of {tiling.window_size:,} (they begin at multiples of {tiling.stride:,} in a contig)"
        )
    needed = max(1, tiling.min_length)
    return f"none of its {rows:,} contigs has {needed} base{'s' * (needed > 1)} or more"


def _numbers(batch: pa.RecordBatch, name: str) -> NDArray[np.int64]:
    return np.asarray(batch.column(name).to_numpy(zero_copy_only=False), np.int64)
