"""The arrays that travel between the stages: many rows or windows at once, in frozen records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Item = TypeVar("Item", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Ragged(Generic[Item]):
    """Rows of unequal length, laid end to end.

    Attributes:
        values: all rows, one after another, shape [total].
        offsets: int64, shape [rows + 1]; row i is `values[offsets[i]:offsets[i + 1]]`.

    Examples:
        >>> r = Ragged.from_rows([[1, 2], [], [3]], np.int64)
        >>> len(r), r[0], r.lengths
        (3, array([1, 2]), array([2, 0, 1]))
    """

    values: NDArray[Item]
    offsets: NDArray[np.int64]

    @classmethod
    def from_rows(cls, rows: Iterable[Any], dtype: DTypeLike) -> "Ragged[Any]":
        """Lay rows (arrays or sequences) end to end."""
        arrays = [np.asarray(row, dtype=dtype) for row in rows]
        values = np.concatenate(arrays) if arrays else np.empty(0, dtype)
        return Ragged(values, offsets_of(np.array([a.size for a in arrays], np.int64)))

    @classmethod
    def empty(cls, rows: int, dtype: DTypeLike) -> "Ragged[Any]":
        """Return `rows` rows without items."""
        return Ragged(np.empty(0, dtype), np.zeros(rows + 1, np.int64))

    def __len__(self) -> int:
        return self.offsets.size - 1

    def __getitem__(self, row: int) -> NDArray[Item]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[NDArray[Item]]:
        bounds = self.offsets.tolist()
        for start, stop in pairwise(bounds):
            yield self.values[start:stop]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Items per row, int64 [rows]."""
        return np.diff(self.offsets)


def offsets_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the offsets (int64 [rows + 1]) of rows with these lengths."""
    offsets = np.zeros(lengths.size + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def numbers_of_ranges(firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the ranges `first … first + count - 1`, laid end to end, and which range each belongs to."""
    which = np.repeat(np.arange(counts.size), counts)
    return np.arange(which.size) + np.repeat(firsts - offsets_of(counts)[:-1], counts), which


@dataclass(frozen=True, eq=False)
class Picks:
    """What an order answers: W windows for B rows."""

    window_ids: NDArray[np.int64]
    """[W]"""
    epochs: NDArray[np.int64]
    """[W], the epoch of its source that a window belongs to"""
    rows: NDArray[np.int64]
    """[W], non-decreasing, 0 … B - 1: the row of the batch that each window goes to"""
    sources: NDArray[np.int16]
    """[W], the number of the source, from 0, that a window comes from"""
    skips: NDArray[np.int64] | None = None
    """[W], bases in front of each window that its row leaves out; None: none"""
    limits: NDArray[np.int64] | None = None
    """[W], bases that its row takes at most; None: as many as fit"""

    def __len__(self) -> int:
        return self.window_ids.size

    def take(self, places: NDArray[Any]) -> "Picks":
        """Return some of the windows: those at these places (int), or where this is True (bool [W])."""
        columns: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        taken: dict[str, Any] = {name: None if column is None else column[places] for name, column in columns.items()}
        return Picks(**taken)


@dataclass(frozen=True, eq=False)
class Windows:
    """What an index answers: where W windows lie."""

    window_ids: NDArray[np.int64]
    """[W]"""
    sequence_ids: tuple[str, ...]
    """W ids"""
    starts: NDArray[np.int64]
    """[W], zero-based, in bases"""
    lengths: NDArray[np.int64]
    """[W], bases wanted; a store may give fewer, at a sequence's end only"""

    def __len__(self) -> int:
        return len(self.sequence_ids)


@dataclass(frozen=True, eq=False)
class SequenceBatch:
    """What transforms take and give. Arrays may be read-only."""

    picks: Picks
    """which W windows these are"""
    windows: Windows
    """where they lie"""
    bases: Ragged[np.uint8]
    """ASCII as stored, case kept; W rows"""
    prefix: Ragged[np.int64]
    """token ids placed before the bases; W rows"""
    weights: Ragged[np.float32] | None = None
    """loss weight per base where a transform sets one; the same offsets as `bases`"""
