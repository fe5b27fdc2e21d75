"""How often each window was read: one number a window, whatever the length of the logs."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

_READ, _FIRST = np.uint8(1), np.uint8(2)
_MOST = np.iinfo(np.uint16).max


def grown(array: NDArray[Number], size: int) -> NDArray[Number]:
    """Return an array of at least `size` items, zeros behind those that it has."""
    if size <= array.size:
        return array
    larger = np.zeros(max(size, 2 * array.size, 1024), array.dtype)
    larger[: array.size] = array
    return larger


class WindowCounts:
    """Counts the reads of the windows of one source, by epoch where that is known; 65,535 and more count as 65,535.

    Args:
        size: windows of the source; None: it grows with the windows that are met.
    """

    def __init__(self, size: int | None) -> None:
        self.known, self.size = size is not None, size or 0
        self.epochs: dict[int, NDArray[np.uint16]] = {}
        self.reads: dict[int, int] = {}
        self._marks = np.zeros(self.size, np.uint8)

    def add(self, windows: NDArray[np.int64], epochs: NDArray[np.int64], firsts: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Count windows [W] in their epochs [W]; `firsts` [W] are the first windows of their contigs.

        Returns:
            Where in `windows` one stands that was never read before, each of them once.
        """
        if not windows.size:
            return windows
        self._reach(int(windows.max()) + 1)
        unread = np.flatnonzero(self._marks[windows] & _READ == 0)
        _, places = np.unique(windows[unread], return_index=True)
        self._marks[windows] |= _READ
        if firsts is not None:
            self._marks[firsts] |= _FIRST
        for epoch in np.unique(epochs).tolist():
            self._count(epoch, windows[epochs == epoch])
        return unread[places]

    @property
    def read(self) -> NDArray[np.bool_]:
        """Which windows were read, bool [size]."""
        return self._marks[: self.size] & _READ > 0

    def total(self) -> NDArray[np.uint32]:
        """Return how often each window was read in all epochs, [size]."""
        found = np.zeros(self.size, np.uint32)
        for counts in self.epochs.values():
            found[: min(counts.size, self.size)] += counts[: self.size]
        return found

    def contig_firsts(self) -> NDArray[np.int64]:
        """Return the first windows of the contigs that were read, ascending."""
        return np.flatnonzero(self._marks[: self.size] & _FIRST)

    def usual(self, epoch: int, *, of_one_epoch: bool, by_median: bool) -> int:
        """Return how often a window is read in an epoch where nothing is read twice.

        Once, where the epoch is one; the median of those that were read, where rows are read again on purpose, as in
        validation; else as often as reads spread evenly make it, rounded up.
        """
        if by_median:
            counts = self.epochs[epoch]
            return int(np.median(counts[counts > 0]))
        return 1 if of_one_epoch else -(-self.reads[epoch] // max(self.size, 1))

    def _reach(self, size: int) -> None:
        if size > self.size:
            self.size = size
            self._marks = grown(self._marks, size)

    def _count(self, epoch: int, windows: NDArray[np.int64]) -> None:
        counts = grown(self.epochs.get(epoch, np.zeros(0, np.uint16)), self.size)
        found, times = np.unique(windows, return_counts=True)
        counts[found] = np.minimum(counts[found] + times, _MOST)
        self.epochs[epoch] = counts
        self.reads[epoch] = self.reads.get(epoch, 0) + windows.size
