"""What the lines of batches say of the windows of a log: their sources, and which of them go on from another row."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Item, Ragged, offsets_of
from eden_core.reporting.accesses import Batches


@dataclass(frozen=True, eq=False)
class SaidOfWindows:
    """What is said of windows, W of them.

    Attributes:
        found: bool [W], whether the line of their batch is there.
        sources: int16 [W]; 0 where the line does not say.
        continued: bool [W].
    """

    found: NDArray[np.bool_]
    sources: NDArray[np.int16]
    continued: NDArray[np.bool_]


class BatchOfWindow:
    """Finds the batch of each window by when it was handed out: an interrupted write leaves batches without windows.

    Args:
        batches: the batches of the log, in order; those that are passed are forgotten.
    """

    def __init__(self, batches: Iterator[Batches]) -> None:
        self._coming = batches
        self._times = np.empty(0, np.int64)
        self._sources: Ragged[np.int16] = Ragged.empty(0, np.int16)
        self._continued: Ragged[np.int64] = Ragged.empty(0, np.int64)
        self._before, self._place = -1, 0
        """when the last window was handed out, and what place in its batch the next one has"""

    def take(self, times: NDArray[np.int64]) -> SaidOfWindows:
        """Return what is said of the next windows, which were handed out at `times` (int64 [W], ns since 1970)."""
        self._reach(int(times[-1]))
        places = self._places(times)
        order = np.argsort(self._times, kind="stable")
        at = np.searchsorted(self._times, times, sorter=order)
        found = at < order.size
        batch = order[at[found]]
        found[found] = same = self._times[batch] == times[found]
        batch, places = batch[same], places[found]
        sources, continued = np.zeros(times.size, np.int16), np.zeros(times.size, bool)
        known = np.flatnonzero(found)
        inside = places < self._sources.lengths[batch]
        sources[known[inside]] = self._sources.values[self._sources.offsets[batch[inside]] + places[inside]]
        continued[known] = np.isin(_pairs(batch, places), _pairs(_rows(self._continued), self._continued.values))
        if known.size:
            self._forget(int(batch[-1]))
        return SaidOfWindows(found, sources, continued)

    def _reach(self, time: int) -> None:
        """Read on until a batch of this time is there."""
        newest = self._times
        while not (newest == time).any() and (more := next(self._coming, None)) is not None:
            newest = more.times
            self._times = np.concatenate([self._times, newest])
            self._sources, self._continued = _joined(self._sources, more.sources), _joined(self._continued, more.continued)

    def _places(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = np.arange(times.size)
        begins = np.diff(times, prepend=self._before) != 0
        places = numbers - np.maximum.accumulate(np.where(begins, numbers, -self._place))
        self._before, self._place = int(times[-1]), int(places[-1]) + 1
        return places

    def _forget(self, batch: int) -> None:
        """Forget what is in front of a batch."""
        self._times = self._times[batch:]
        self._sources, self._continued = _behind(self._sources, batch), _behind(self._continued, batch)


def _pairs(batches: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    return (batches << 32) | places


def _rows(ragged: Ragged[np.int64]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(ragged)), ragged.lengths)


def _joined(one: Ragged[Item], other: Ragged[Item]) -> Ragged[Item]:
    return Ragged(np.concatenate([one.values, other.values]), offsets_of(np.concatenate([one.lengths, other.lengths])))


def _behind(ragged: Ragged[Item], row: int) -> Ragged[Item]:
    first = ragged.offsets[row]
    return Ragged(ragged.values[first:], ragged.offsets[row:] - first)
