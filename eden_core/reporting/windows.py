"""How often each window was read: one number a window, whatever the length of the logs."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

_MOST = np.iinfo(np.uint16).max
_AT_ONCE = 1 << 22
"""windows that are gone through at once"""


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
        self.read = np.zeros(self.size, bool)
        self._in_sequence = np.zeros(0, np.uint32)

    def add(
        self, windows: NDArray[np.int64], epochs: NDArray[np.int64], in_sequence: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Count windows.

        Args:
            windows: their numbers in the index, int64 [W].
            epochs: of each, int64 [W].
            in_sequence: their numbers in their sequences, int64 [W], where `stretches` will be asked for.

        Returns:
            Where in `windows` one stands that was never read before, each of them once.
        """
        if not windows.size:
            return windows
        self._reach(int(windows.max()) + 1)
        unread = np.flatnonzero(~self.read[windows])
        _, places = np.unique(windows[unread], return_index=True)
        self.read[windows] = True
        if in_sequence is not None:
            self._in_sequence = grown(self._in_sequence, self.size)
            self._in_sequence[windows] = in_sequence
        for epoch in np.unique(epochs).tolist():
            self._count(epoch, windows[epochs == epoch])
        return unread[places]

    def total(self) -> NDArray[np.uint32]:
        """Return how often each window was read in all epochs, [size]."""
        found = np.zeros(self.size, np.uint32)
        for counts in self.epochs.values():
            found[: min(counts.size, self.size)] += counts[: self.size]
        return found

    def stretches(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the stretches of sequences that were read: first window, last window + 1, and origin, int64 each.

        Windows of one stretch have one origin: their number in the index less the one in their sequence. A stretch begins with
        its sequence, unless that lies in front of the index or within the stretch before, as where an index is of intervals.
        """
        begun, ended, origins = [], [], []
        origin, window = -(1 << 62), 0
        for low in range(0, self.size, _AT_ONCE):
            read = low + np.flatnonzero(self.read[low : min(low + _AT_ONCE, self.size)])
            if read.size:
                found = read - self._in_sequence[read]
                changes = np.flatnonzero(np.diff(found, prepend=origin))
                begun.append(read[changes])
                ended.append(np.append(window, read)[changes] + 1)
                origins.append(found[changes])
                origin, window = int(found[-1]), int(read[-1])
        if not begun:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
        starts, before, all_origins = np.concatenate(begun), np.concatenate(ended), np.concatenate(origins)
        before[0] = 0
        stops = np.append(before[1:], window + 1)
        return np.where(all_origins >= before, all_origins, starts), stops, all_origins

    def usual(self, epoch: int, *, of_one_epoch: bool, by_median: bool) -> int:
        """Return how often a window is read in an epoch otherwise.

        Once, where the epoch is known; the median of those that were read, where rows are read again on purpose, as in
        validation; else as often as reads spread evenly make it, rounded up.
        """
        if by_median:
            counts = self.epochs[epoch]
            return int(np.median(counts[counts > 0]))
        return 1 if of_one_epoch else -(-self.reads[epoch] // max(self.size, 1))

    def _reach(self, size: int) -> None:
        if size > self.size:
            self.size = size
            self.read = grown(self.read, size)

    def _count(self, epoch: int, windows: NDArray[np.int64]) -> None:
        counts = grown(self.epochs.get(epoch, np.zeros(0, np.uint16)), self.size)
        found, times = np.unique(windows, return_counts=True)
        counts[found] = np.minimum(counts[found] + times, _MOST)
        self.epochs[epoch] = counts
        self.reads[epoch] = self.reads.get(epoch, 0) + windows.size
