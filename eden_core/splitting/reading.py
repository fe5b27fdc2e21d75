"""The bases of a split: rows of its table, read from a store in large pieces."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eden_core.batch import Windows, numbers_of_ranges, offsets_of
from eden_core.errors import StaleIndexError
from eden_core.interfaces import SequenceStore

READ = 1 << 22
"""bases read in one go"""

_SEPARATOR = ord("N")


@dataclass(frozen=True, eq=False)
class Rows:
    """Consecutive rows of a split's table: stretches of contigs."""

    numbers: NDArray[np.int64]
    """of the rows in the table, [R]"""
    ids: pa.StringArray
    """of their contigs, [R]"""
    starts: NDArray[np.int64]
    """[R], zero-based, in the contig"""
    lengths: NDArray[np.int64]
    """[R], bases"""

    def take(self, which: NDArray[np.int64]) -> "Rows":
        """Return some of the rows, by place."""
        return Rows(self.numbers[which], self.ids.take(pa.array(which)), self.starts[which], self.lengths[which])

    def cut(self, bases: int, overlap: int = 0) -> "Rows":
        """Return the same in pieces of so many bases, each with `overlap` bases of the next one behind."""
        counts = np.maximum(-(-(self.lengths - overlap) // bases), 1)
        pieces, which = numbers_of_ranges(np.zeros(counts.size, np.int64), counts)
        lengths = np.minimum(self.lengths[which] - pieces * bases, bases + overlap)
        return Rows(self.numbers[which], self.ids.take(pa.array(which)), self.starts[which] + pieces * bases, lengths)


def bases_of(table: str | Path) -> int:
    """Return the bases of all rows of a split's table."""
    with pq.ParquetFile(table) as file:
        groups = (file.read_row_group(group, ["length"])["length"] for group in range(file.num_row_groups))
        return sum(pc.sum(lengths).as_py() or 0 for lengths in groups)


@dataclass(frozen=True, eq=False)
class Stretch:
    """Bases of several rows end to end, an N behind each."""

    rows: Rows
    bases: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    """[R + 1]: row i begins at `offsets[i]`, and its N is before `offsets[i + 1]`"""


def split_rows(table: str | Path, first: int = 0, stop: int | None = None) -> Iterator[Rows]:
    """Yield the rows `first … stop - 1` of a split's table (by default all), a row group at a time."""
    with pq.ParquetFile(table) as file:
        columns = [name for name in ("contig_id", "start", "length") if name in file.schema_arrow.names]
        begin = 0
        for group in range(file.num_row_groups):
            end = begin + file.metadata.row_group(group).num_rows
            low, high = max(first, begin), min(end, end if stop is None else stop)
            if low < high:
                part = file.read_row_group(group, columns)[low - begin : high - begin]
                lengths = part["length"].to_numpy()
                starts = part["start"].to_numpy() if "start" in columns else np.zeros(len(lengths), np.int64)
                yield Rows(np.arange(low, high), part["contig_id"].combine_chunks(), starts, lengths)
            begin = end


def read_stretches(store: SequenceStore, rows: Rows, overlap: int) -> Iterator[Stretch]:
    """Yield the bases of rows, `READ` or so at a time; longer rows come in pieces with `overlap` bases in common.

    Raises:
        StaleIndexError: the store has fewer bases of a contig than the table says.
    """
    pieces = rows.cut(READ, overlap)
    pieces = pieces.take(np.flatnonzero(pieces.lengths > 0))
    groups = (np.cumsum(pieces.lengths) - pieces.lengths) // READ
    bounds = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist(), groups.size]
    for low, high in pairwise(bounds):
        if low < high:
            yield _stretch(store, pieces.take(np.arange(low, high)))


def _stretch(store: SequenceStore, rows: Rows) -> Stretch:
    read = store.read(Windows(rows.numbers, tuple(rows.ids.to_pylist()), rows.starts, rows.lengths))
    short = np.flatnonzero(read.lengths != rows.lengths)
    if short.size:
        i = int(short[0])
        raise StaleIndexError(
            f"the store has {int(rows.starts[i] + read.lengths[i])} bases of {rows.ids[i].as_py()!r}, and the table says "
            f"{int(rows.starts[i] + rows.lengths[i])} or more: was the table made for another store?"
        )
    offsets = offsets_of(rows.lengths + 1)
    bases = np.full(int(offsets[-1]), _SEPARATOR, np.uint8)
    for i, start in enumerate(offsets[:-1].tolist()):
        bases[start : start + int(rows.lengths[i])] = read[i]
    return Stretch(rows, bases, offsets)
