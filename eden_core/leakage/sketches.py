"""Sketches of held-out sequence: which k-mers lie in which 1,000 bases, on disk and memory-mapped by every process."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import numbers_of_ranges, offsets_of
from eden_core.leakage.equal_runs import run_starts
from eden_core.leakage.kmers import SAMPLED, K, sampled_kmers
from eden_core.mixing import mix
from eden_core.splitting.reading import Rows, Stretch

BIN = 500
"""bases; a window of held-out sequence is two bins, and windows begin at every bin"""

REACH = 1500
"""bases of the other side that shared k-mers of one window may be spread over"""

CONTAINED = 0.05
"""share of a window's k-mers that a match has at least; with `FEWEST`, see `eden_core.leakage`"""

FEWEST = 4
"""k-mers that a match has at least"""

_MOST_BINS = 16
_SLOTS = 16
"""bits in the filter for each k-mer"""
_MOST_PLACES = 1 << 20
"""bins that k-mers are looked up in at a time"""


@dataclass(frozen=True, eq=False)
class Found:
    """Windows of a sketch that have a match, each once; [M] each."""

    windows: NDArray[np.int64]
    shared: NDArray[np.int64]
    """sampled k-mers in common with the best stretch"""
    rows: NDArray[np.int64]
    """number of that stretch's row in its table"""
    begins: NDArray[np.int64]
    """where it begins in its contig, zero-based"""
    ends: NDArray[np.int64]

    def take(self, which: NDArray[np.bool_]) -> "Found":
        """Return those where this is True."""
        return Found(self.windows[which], self.shared[which], self.rows[which], self.begins[which], self.ends[which])

    @classmethod
    def best(cls, parts: Iterable["Found"]) -> "Found":
        """Return the best match of each window; of equal ones, the one that begins first in the tables' order."""
        columns = [(p.windows, p.shared, p.rows, p.begins, p.ends) for p in parts]
        if not columns:
            return cls(*(np.empty(0, np.int64) for _ in range(5)))
        windows, shared, rows, begins, ends = (np.concatenate(column) for column in zip(*columns, strict=True))
        order = np.lexsort((begins, rows, -shared, windows))
        chosen = order[run_starts(windows[order])]
        return cls(windows[chosen], shared[chosen], rows[chosen], begins[chosen], ends[chosen])


class Sketch:
    """The k-mers of held-out rows, by hash.

    Bins are numbered through all rows, and a window has the number of its first bin. A k-mer that lies in more than 16
    bins is kept in 16 or so of them, drawn by its hash: what each window then has of it still tells a match, and a
    repeat costs no more than that.

    Args:
        folder: where `write` has put it.
    """

    def __init__(self, folder: str | Path) -> None:
        self._hashes, self._bins, self._filter, self.sizes, self._begins_row, self.is_window = (
            np.asarray(np.load(Path(folder) / f"{name}.npy", mmap_mode="r")) for name in _ARRAYS
        )
        self._shift = np.uint64(64 - 3 - (self._filter.size.bit_length() - 1))

    @classmethod
    def write(cls, folder: Path, rows: Rows, stretches: Iterable[Stretch]) -> "Sketch":
        """Sketch rows.

        Args:
            folder: an empty one.
            rows: all of them, numbered from 0.
            stretches: their bases, pieces with one base less than a k-mer in common.
        """
        bounds = cls.first_bins(rows.lengths)
        hashes, bins = _entries(rows, bounds, stretches)
        begins_row = np.zeros(int(bounds[-1]), bool)
        begins_row[bounds[:-1]] = True
        is_window = np.ones(begins_row.size, bool)
        is_window[(bounds[1:] - 1)[np.diff(bounds) > 1]] = False
        sizes = np.bincount(bins, minlength=begins_row.size)
        sizes[:-1] += np.where(begins_row[1:], 0, sizes[1:])
        arrays: tuple[NDArray[Any], ...] = (hashes, bins, _filter_of(hashes), sizes, begins_row, is_window)
        for name, array in zip(_ARRAYS, arrays, strict=True):
            np.save(folder / f"{name}.npy", array)
        return cls(folder)

    @staticmethod
    def first_bins(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the first bin of rows of these lengths, and the number of all, int64 [R + 1]."""
        return offsets_of(np.maximum(-(-lengths // BIN), 1))

    def needed(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many k-mers windows must share with a stretch for a match, int64 [W]."""
        sizes = self.sizes[windows]
        needed = np.maximum(np.ceil(CONTAINED * sizes).astype(np.int64), FEWEST)
        return np.asarray(np.where(sizes < FEWEST, np.iinfo(np.int64).max, needed), np.int64)

    def search(self, stretch: Stretch, first_window: int = 0) -> Found:
        """Return which windows, from `first_window` on, have a match in a stretch."""
        hits = self._hits(stretch)
        parts = [self._densest(hits.take(part), first_window) for part in hits.parts()]
        return Found.best(_located(part, stretch) for part in parts)

    def _hits(self, stretch: Stretch) -> "_Hits":
        hashes, positions = sampled_kmers(stretch.bases)
        maybe = np.flatnonzero(self._may_hold(hashes))
        # In order of the hashes, neighbours are looked up in the same place.
        maybe = maybe[np.argsort(hashes[maybe], kind="stable")]
        hashes, positions = hashes[maybe], positions[maybe]
        # Rows are set apart, so that nothing reaches from one into the next.
        along = positions + (np.searchsorted(stretch.offsets, positions, side="right") - 1) * REACH
        # A tandem repeat has one k-mer many times: within a reach it counts once.
        once = run_starts(hashes, along // REACH)
        hashes, along = hashes[once], along[once]
        left = np.searchsorted(self._hashes, hashes)
        held = np.flatnonzero(left < self._hashes.size)
        held = held[self._hashes[left[held]] == hashes[held]]
        held = held[np.argsort(along[held], kind="stable")]
        counts = np.searchsorted(self._hashes, hashes[held], side="right") - left[held]
        return _Hits(along[held], left[held], counts)

    def _may_hold(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        slots = _slots(hashes, self._shift)
        return np.asarray((self._filter[slots >> np.uint64(3)] >> (slots & np.uint64(7)).astype(np.uint8)) & 1, bool)

    def _densest(self, hits: "_Hits", first_window: int) -> Found:
        """Return for each window where most of its k-mers lie together, where these are enough; positions as in `_Hits`."""
        places, which = numbers_of_ranges(hits.first_places, hits.counts)
        bins = self._bins[places].astype(np.int64)
        windows = np.concatenate([bins, bins - 1])
        of_window = np.concatenate([self.is_window[bins], ~self._begins_row[bins]]) & (windows >= first_window)
        windows, along = windows[of_window], hits.along[np.concatenate([which, which])[of_window]]
        keys = windows * (int(along.max(initial=0)) + REACH + 1) + along
        order = np.argsort(keys)
        keys, windows, along = keys[order], windows[order], along[order]
        together = np.searchsorted(keys, keys + REACH) - np.arange(keys.size)
        best = _largest(together, run_starts(windows))
        enough = best[together[best] >= self.needed(windows[best])]
        begins, ends = along[enough], along[enough + together[enough] - 1]
        return Found(windows[enough], together[enough], np.zeros_like(begins), begins, ends)


@dataclass(frozen=True, eq=False)
class _Hits:
    """K-mers of a stretch that a sketch holds, in order of position; [M] each."""

    along: NDArray[np.int64]
    """position in the stretch, and `REACH` more for each row before"""
    first_places: NDArray[np.int64]
    """the k-mer's first place in the sketch"""
    counts: NDArray[np.int64]
    """how many places it has"""

    def take(self, part: slice) -> "_Hits":
        return _Hits(self.along[part], self.first_places[part], self.counts[part])

    def parts(self) -> Iterator[slice]:
        """Yield slices that have `_MOST_PLACES` places or so; each reaches into the next."""
        ends = np.cumsum(self.counts)
        first = 0
        while first < ends.size:
            stop = min(int(np.searchsorted(ends, ends[first] - self.counts[first] + _MOST_PLACES)) + 1, ends.size)
            yield slice(first, int(np.searchsorted(self.along, self.along[stop - 1] + REACH)))
            first = stop


def _largest(values: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the largest value of each run is, of equal ones the first."""
    if not starts.size:
        return starts
    backwards = np.arange(values.size, 0, -1)
    return np.asarray(values.size - np.maximum.reduceat((values << 32) + backwards, starts) % 2**32, np.int64)


def _located(found: Found, stretch: Stretch) -> Found:
    """Return the same with rows, and with positions in their contigs."""
    row = np.searchsorted(stretch.offsets + np.arange(stretch.offsets.size) * REACH, found.begins, side="right") - 1
    shift = stretch.rows.starts[row] - stretch.offsets[row] - row * REACH
    return replace(found, rows=stretch.rows.numbers[row], begins=found.begins + shift, ends=found.ends + shift + K)


_ARRAYS = ("hashes", "bins", "filter", "sizes", "begins_row", "is_window")


@lru_cache(maxsize=1)
def opened_sketch(folder: str) -> Sketch:
    """Return the sketch in a folder, opened once in each process."""
    return Sketch(folder)


def _entries(
    rows: Rows, firsts: NDArray[np.int64], stretches: Iterable[Stretch]
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return the k-mers that are kept, by hash, and the bin of each."""
    hashes, bins = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
    for stretch in stretches:
        found, positions = sampled_kmers(stretch.bases)
        piece = np.searchsorted(stretch.offsets, positions, side="right") - 1
        row = stretch.rows.numbers[piece]
        in_row = positions - stretch.offsets[piece] + stretch.rows.starts[piece] - rows.starts[row]
        hashes.append(found)
        bins.append((firsts[row] + in_row // BIN).astype(np.int32))
    every, bin_of = np.concatenate(hashes), np.concatenate(bins)
    order = np.argsort(every, kind="stable")
    every, bin_of = every[order], bin_of[order]
    once = run_starts(every, bin_of)
    every, bin_of = every[once], bin_of[once]
    kept = _seldom(every, bin_of)
    return every[kept], bin_of[kept]


def _seldom(hashes: NDArray[np.uint64], bins: NDArray[np.int32]) -> NDArray[np.bool_]:
    firsts = run_starts(hashes)
    counts = np.diff(np.append(firsts, hashes.size))
    kept = np.ones(hashes.size, bool)
    often = np.flatnonzero(np.repeat(counts > _MOST_BINS, counts))
    chances = _MOST_BINS / np.repeat(counts, counts)[often]
    kept[often] = mix(hashes[often], bins[often]) < (chances * 2.0**64).astype(np.uint64)
    return kept


def _filter_of(hashes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return a table of bits that says of most hashes that they are not among these (in order)."""
    bits = max((_SLOTS * hashes.size).bit_length(), 10)
    slots = _slots(hashes, np.uint64(64 - bits))
    places = slots >> np.uint64(3)
    firsts = run_starts(places)
    table = np.zeros(1 << (bits - 3), np.uint8)
    if firsts.size:
        table[places[firsts]] = np.bitwise_or.reduceat(np.uint8(1) << (slots & np.uint64(7)).astype(np.uint8), firsts)
    return table


def _slots(hashes: NDArray[np.uint64], shift: np.uint64) -> NDArray[np.uint64]:
    """Return the place in the filter: the highest bits that differ between hashes of a sketch."""
    return (hashes * np.uint64(round(1 / SAMPLED))) >> shift
