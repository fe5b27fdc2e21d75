"""Stitching: consecutive windows of one sample share a row, so that a long row is one stretch of one sample."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Picks, numbers_of_ranges
from eden_core.mixing import key_of, mix
from eden_core.order import OVERRUN, Order, WindowArrays, checked_rows, digest_of_sample
from eden_core.shuffling import Shuffle, permuted

Piece = tuple[int, int, int]
"""window id, bases of the window to leave out in front, bases to take"""


@dataclass(frozen=True, eq=False)
class WindowBlock:
    """Consecutive windows of an index that rows are stitched from.

    Attributes:
        window_ids: int64 [W].
        begins: bool [W], whether a window begins a new row: its sample is another one than that of the window before.
        overheads: int64 [W], tokens of its segment that are no bases.
        bases: int64 [W], bases that a row may take of it.
    """

    window_ids: NDArray[np.int64]
    begins: NDArray[np.bool_]
    overheads: NDArray[np.int64]
    bases: NDArray[np.int64]


def stitched_rows(
    blocks: Iterable[WindowBlock], capacity: int, *, multiple: int = 1, split: bool = False
) -> Iterator[list[Piece]]:
    """Yield rows of pieces of windows, each filled as far as the next window fits.

    Args:
        blocks: all windows, in order.
        capacity: tokens of a row, divisible by `multiple`.
        multiple: what a segment is padded to.
        split: whether a window that does not fit is cut, and goes on in the next row.
    """
    row: list[Piece] = []
    room = capacity
    for block in blocks:
        columns = (block.window_ids, block.begins, block.overheads, block.bases)
        for window, begins, overhead, bases in zip(*(column.tolist() for column in columns), strict=True):
            skip, left = 0, bases
            if begins and row:
                yield row
                row, room = [], capacity
            while left:
                needed = -(-(overhead + left) // multiple) * multiple
                fits = left if needed <= room else room - overhead if split else 0
                if fits > 0:
                    row.append((window, skip, fits))
                    room -= -(-(overhead + fits) // multiple) * multiple
                    skip, left = skip + fits, left - fits
                if left or not room:
                    yield row
                    row, room = [], capacity
    if row:
        yield row


class StitchedOrder(Order):
    """Rows as they were stitched, in an order that is shuffled anew each epoch, or as they come.

    Args:
        pieces: holds "first_pieces" (int64 [rows + 1], the first piece of each row), "windows" and "bases" (int [pieces]),
            and, where windows were cut, "skips" (see `Piece`).
        seed: the run's seed.
        shuffle: how rows are permuted.
        split: whether windows were cut.
    """

    def __init__(self, pieces: WindowArrays, *, seed: int, shuffle: Shuffle, split: bool) -> None:
        self.shuffle = shuffle
        self._pieces = pieces
        self._rows = pieces["first_pieces"].size - 1
        self.most_windows = int(np.diff(pieces["first_pieces"]).max())
        self._columns = ("windows", "bases", "skips") if split else ("windows", "bases")
        self._key = mix(np.uint64(int(seed) & 0xFFFFFFFFFFFFFFFF), key_of("stitched rows"))

    def __len__(self) -> int:
        return self._rows

    def fingerprint(self) -> str:
        """Return the number of rows, and a digest of where some begin and of some windows."""
        digests = [digest_of_sample(self._pieces[name]) for name in ("first_pieces", *self._columns)]
        return f"{len(self)} stitched, {' '.join(digests)}"

    def pick(self, rows: NDArray[np.int64]) -> Picks:
        """Return the windows of rows, in the order of the index."""
        rows = checked_rows(rows)
        epochs, places = np.divmod(rows, len(self))
        places = permuted(places, len(self), mix(self._key, epochs), self.shuffle)
        firsts = self._pieces["first_pieces"][places]
        pieces, row_of_piece = numbers_of_ranges(firsts, self._pieces["first_pieces"][places + 1] - firsts)
        windows, bases, *skips = (self._pieces[name][pieces].astype(np.int64) for name in self._columns)
        known = self._pieces["windows"]
        following = known[np.minimum(pieces + 1, known.size - 1)]
        limits = bases + OVERRUN * ((following != windows) | (pieces + 1 == known.size))
        sources = np.zeros(windows.size, np.int16)
        return Picks(windows, epochs[row_of_piece], row_of_piece, sources, skips[0] if skips else None, limits)
