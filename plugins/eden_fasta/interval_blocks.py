"""Blocks of sequences, sorted and disjoint: in a file, starts, then sizes. What overlaps windows is found by bisection."""

from typing import Any, NamedTuple

import numpy as np

from eden_core.batch import offsets_of
from eden_core.open_files import OpenFile
from eden_fasta.sequence_file import Places

_READ = 64
"""numbers up to which a range is read rather than halved"""

_PIECE = 1 << 18
"""blocks that are looked at together"""


class Overlaps(NamedTuple):
    """Parts of windows that blocks cover."""

    windows: Places
    """int64 [k], the number of each one's window"""
    firsts: Places
    """int64 [k], first base, counted from the beginning of the window"""
    counts: Places
    """int64 [k]"""


class BlockTables:
    """The blocks of some sequences.

    Args:
        file: where they lie.
        kind: the type of their numbers.
        places: where the starts of each sequence's blocks begin, which their sizes follow, int64 [n].
        counts: how many blocks each has, at least one, int64 [n].
    """

    def __init__(self, file: OpenFile, kind: np.dtype[Any], places: Places, counts: Places) -> None:
        self._file, self._kind, self._places, self._counts = file, kind, places, counts

    def overlaps(self, starts: Places, counts: Places) -> Overlaps:
        """Return what blocks cover of windows, one window of each sequence.

        Args:
            starts: first bases, int64 [n].
            counts: bases, int64 [n].

        Bisection finds them where `first_wrong` finds nothing.
        """
        lows, highs = self._bounds(starts, starts + counts)
        which, begins, ends = self._blocks(np.arange(starts.size), lows, highs - lows)
        firsts = np.maximum(begins - starts[which], 0)
        covered = np.minimum(ends - starts[which], counts[which]) - firsts
        some = np.flatnonzero(covered > 0)
        return Overlaps(which[some], firsts[some], covered[some])

    def first_wrong(self, lengths: Places) -> int | None:
        """Return the number of a sequence whose blocks overlap, are in no order, or lie outside it, where there is one.

        Args:
            lengths: bases of the sequences, int64 [n].
        """
        pieces = -(-self._counts // _PIECE)
        tables = np.repeat(np.arange(pieces.size), pieces)
        lows = _PIECE * (np.arange(tables.size) - offsets_of(pieces)[tables])
        sizes = np.minimum(self._counts[tables] - lows, _PIECE + 1)  # the last of a piece is the first of the next
        cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // _PIECE)) + 1
        for some in np.split(np.arange(tables.size), cuts):
            which, begins, ends = self._blocks(tables[some], lows[some], sizes[some])
            wrong = ends > lengths[tables[some]][which]
            wrong[1:] |= (begins[1:] < ends[:-1]) & (which[1:] == which[:-1])
            if wrong.any():
                return int(tables[some][which[np.argmax(wrong)]])
        return None

    def _blocks(self, tables: Places, lows: Places, sizes: Places) -> tuple[Places, Places, Places]:
        """Return blocks of some tables from a number of each on, laid end to end: which range each is of, begins, and ends."""
        places = self._places[tables] + 4 * lows
        begins = self._read(places, sizes)
        return np.repeat(np.arange(sizes.size), sizes), begins, begins + self._read(places + 4 * self._counts[tables], sizes)

    def _bounds(self, starts: Places, ends: Places) -> tuple[Places, Places]:
        """Return a range of blocks for each window that has all which overlap it, and not many more.

        The first that may is the last that does not begin behind the window's start; the last is the last that begins before
        its end.
        """
        lows, highs = np.zeros((2, starts.size), np.int64), np.tile(self._counts, (2, 1))
        wanted = np.stack([starts, ends - 1])
        while (wide := highs - lows > _READ).any():
            middles = (lows + highs) // 2
            values = np.empty_like(middles)
            which = np.nonzero(wide)
            values[which] = self._read((self._places + 4 * middles)[which], np.ones(which[0].size, np.int64))
            before = values <= wanted
            lows, highs = np.where(wide & before, middles, lows), np.where(wide & ~before, middles, highs)
        return lows[0], highs[1]

    def _read(self, places: Places, counts: Places) -> Places:
        """Return numbers from each of some places on, laid end to end."""
        offsets = offsets_of(4 * counts)
        raw = np.empty(int(offsets[-1]), np.uint8)
        self._file.copy(places, 4 * counts, raw, offsets[:-1])
        return raw.view(self._kind).astype(np.int64)
