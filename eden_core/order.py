"""Which windows make row i of a run."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Picks
from eden_core.errors import NotSupportedError, WindowOutOfRangeError
from eden_core.mixing import key_of, mix
from eden_core.permutation import permute, unpermute


class Order(ABC):
    """A pure function from the rows of a run to the windows that make them.

    Rows are numbered through the whole run: rows 0 … len - 1 are the first epoch, len … 2 len - 1 the second, and so on. An
    order holds no state that changes, is safe to use from many threads, and pickles.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the rows an epoch."""

    @abstractmethod
    def pick(self, rows: NDArray[np.int64]) -> Picks:
        """Return the windows of these rows (int64 [B], any order, repeats allowed).

        Raises:
            WindowOutOfRangeError: a row is negative.
        """

    def positions(self, window_ids: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """Return the positions within an epoch (0 … len - 1) of the rows that these windows make, int64 [W].

        Raises:
            NotSupportedError: this order cannot tell.
        """
        raise NotSupportedError(f"{type(self).__name__} cannot tell where in an epoch a window comes")


class EpochOrder(Order):
    """One window a row, each window exactly once an epoch, shuffled anew each epoch or in index order.

    Args:
        windows: number of windows, at least 1.
        seed: the run's seed.
        shuffle: whether rows are permuted; without it row i is window i.
    """

    def __init__(self, windows: int, *, seed: int, shuffle: bool) -> None:
        self.windows = windows
        self.seed = int(seed)
        self.shuffle = shuffle
        self._key = mix(np.uint64(self.seed & 0xFFFFFFFFFFFFFFFF), key_of("order"))

    def __len__(self) -> int:
        return self.windows

    def pick(self, rows: NDArray[np.int64]) -> Picks:
        """Return one window a row."""
        rows = np.asarray(rows, np.int64)
        if rows.size and int(rows.min()) < 0:
            raise WindowOutOfRangeError(f"row {int(rows.min())} is negative: rows of a run are numbered from 0")
        epochs, positions = np.divmod(rows, self.windows)
        if self.shuffle:
            positions = permute(positions, self.windows, mix(self._key, epochs))
        return Picks(positions, epochs, np.arange(rows.size), np.zeros(rows.size, np.int16))

    def positions(self, window_ids: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """Return where in an epoch windows come, the inverse of `pick`."""
        ids = np.asarray(window_ids, np.int64)
        return unpermute(ids, self.windows, mix(self._key, epoch)) if self.shuffle else ids
