"""Which windows make row i of a run."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Picks
from eden_core.errors import WindowOutOfRangeError
from eden_core.mixing import digest_of, key_of, mix
from eden_core.shuffling import Shuffle, permuted, unpermuted

OVERRUN = 64
"""bases beyond the planned ones that are asked for: a contig that is longer than planned overflows its row, and is noticed"""


class WindowArrays(Protocol):
    """Named arrays, in memory or mapped from a file."""

    def __getitem__(self, name: str, /) -> NDArray[Any]: ...


class Order(ABC):
    """A pure function from the rows of a run to the windows that make them.

    Rows are numbered through the whole run: rows 0 … len - 1 are the first epoch, len … 2 len - 1 the second, and so on. An
    order holds no state that changes, is safe to use from many threads, and pickles.
    """

    most_windows: int = 1
    """windows of the fullest row"""

    @abstractmethod
    def __len__(self) -> int:
        """Return the rows an epoch."""

    @abstractmethod
    def pick(self, rows: NDArray[np.int64]) -> Picks:
        """Return the windows of these rows (int64 [B], any order, repeats allowed).

        Raises:
            WindowOutOfRangeError: a row is negative.
        """

    def fingerprint(self) -> str:
        """Return a short text that changes with which windows make rows together; free of paths."""
        return f"{type(self).__name__} of {len(self)}"


class EpochOrder(Order):
    """One window a row, each window exactly once an epoch, shuffled anew each epoch or in index order.

    Args:
        windows: number of windows, at least 1.
        seed: the run's seed.
        shuffle: how rows are permuted; without it row i is window i.
    """

    def __init__(self, windows: int, *, seed: int, shuffle: Shuffle) -> None:
        self.windows = windows
        self.seed = int(seed)
        self.shuffle = shuffle
        self._key = mix(np.uint64(self.seed & 0xFFFFFFFFFFFFFFFF), key_of("order"))

    def __len__(self) -> int:
        return self.windows

    def pick(self, rows: NDArray[np.int64]) -> Picks:
        """Return one window a row."""
        rows = checked_rows(rows)
        epochs, positions = np.divmod(rows, self.windows)
        positions = permuted(positions, self.windows, mix(self._key, epochs), self.shuffle)
        return Picks(positions, epochs, np.arange(rows.size), np.zeros(rows.size, np.int16))

    def chosen(self, window_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the windows that make rows."""
        return window_ids

    def positions(self, window_ids: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """Return the positions within an epoch of the rows that windows make, the inverse of `pick`: int64 [W]."""
        return unpermuted(np.asarray(window_ids, np.int64), self.windows, mix(self._key, epoch), self.shuffle)


class SelectedOrder(EpochOrder):
    """As `EpochOrder`, over some windows of an index only.

    Args:
        selected: holds under "windows" the ids of the windows, int [n].
        seed: the run's seed.
        shuffle: how rows are permuted.
    """

    def __init__(self, selected: WindowArrays, *, seed: int, shuffle: Shuffle) -> None:
        super().__init__(selected["windows"].size, seed=seed, shuffle=shuffle)
        self._selected = selected

    def pick(self, rows: NDArray[np.int64]) -> Picks:
        """Return one window a row."""
        picks = super().pick(rows)
        return replace(picks, window_ids=self._selected["windows"][picks.window_ids].astype(np.int64))

    def chosen(self, window_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the windows that are selected."""
        return window_ids[contained(window_ids, self._selected["windows"])]

    def positions(self, window_ids: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """Return where in an epoch selected windows come."""
        selected = self._selected["windows"]
        return super().positions(np.searchsorted(selected, window_ids.astype(selected.dtype)), epoch)

    def fingerprint(self) -> str:
        """Return the number of windows, and a digest of some."""
        return f"{self.windows} selected, {digest_of_sample(self._selected['windows'])}"


class PrunedOrder(Order):
    """Another order whose rows lose some windows; a row that loses all stays, empty.

    Args:
        order: the other order.
        windows: int64, the windows to leave out of each source, ascending.
        windows_from: row of the run from which on they are.
    """

    def __init__(self, order: Order, windows: Sequence[NDArray[np.int64]], windows_from: int = 0) -> None:
        self.most_windows = order.most_windows
        self._order, self._windows, self._from = order, windows, windows_from

    def __len__(self) -> int:
        return len(self._order)

    def pick(self, rows: NDArray[np.int64]) -> Picks:
        """Return what is left of the other order's picks."""
        picks = self._order.pick(rows)
        kept = np.ones(len(picks), bool)
        for source, left_out in enumerate(self._windows):
            kept &= (picks.sources != source) | ~contained(picks.window_ids, left_out)
        return picks.take(kept | (np.asarray(rows) < self._from)[picks.rows])


def contained(values: NDArray[np.int64], ascending: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values occur among ascending ones, without a pass over these."""
    if not ascending.size:
        return np.zeros(values.shape, bool)
    places = np.minimum(np.searchsorted(ascending, values.astype(ascending.dtype)), ascending.size - 1)
    return np.asarray(ascending[places] == values, bool)


def digest_of_sample(values: NDArray[Any], most: int = 4096) -> str:
    """Return a digest of numbers, of `most` spread evenly where there are more."""
    count = min(values.size, most)
    return digest_of(values.size, np.asarray(values[np.arange(count) * values.size // max(1, count)], np.int64).tolist())


def checked_rows(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rows of a run as int64.

    Raises:
        WindowOutOfRangeError: a row is negative.
    """
    rows = np.asarray(rows, np.int64)
    if rows.size and int(rows.min()) < 0:
        raise WindowOutOfRangeError(f"row {int(rows.min())} is negative: rows of a run are numbered from 0")
    return rows
