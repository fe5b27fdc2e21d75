"""How well an order mixes its windows within a global batch, beside a true shuffle of the same rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError
from eden_core.mixing import key_of
from eden_core.order import Order
from eden_core.permutation import permute

__all__ = ["STRETCH", "Mixing", "ShuffleQuality", "shuffle_quality"]

STRETCH = 512
"""consecutive windows that count as alike: at 8192 bases each some 4 Mb, about a bacterial genome"""

_BATCHES = 64


@dataclass(frozen=True)
class Mixing:
    """What the global batches of an order are like.

    Attributes:
        effective_rows: how many independent rows a global batch is worth, where rows of one stretch of the index are alike:
            n / (1 + (n - 1) r) for n rows, of whose pairs the share r is of one stretch. It is Kish's effective sample size
            ("Survey Sampling", 1965): n when no two rows are of one stretch, 1 when all are.
        neighbours: share of the rows with a window whose neighbour in the index (the window before or behind it, which it
            touches or overlaps) stands in another row of the same global batch.
    """

    effective_rows: float
    neighbours: float


@dataclass(frozen=True)
class ShuffleQuality:
    """An order beside a true shuffle of the same rows.

    Attributes:
        order, true_shuffle: what their global batches are like.
    """

    order: Mixing
    true_shuffle: Mixing

    @property
    def score(self) -> float:
        """Effective rows of a global batch in relation to those of a true shuffle: 1 is as good, 0 is no shuffle at all."""
        return self.order.effective_rows / self.true_shuffle.effective_rows


def shuffle_quality(order: Order, global_batch_size: int, *, stretch: int = STRETCH, epoch: int = 0) -> ShuffleQuality:
    """Measure how well the global batches of an order are mixed.

    Global batches are looked at, 64 spread evenly through an epoch where there are more, and as many of rows drawn from all of
    the epoch, which is what a true shuffle would give. A row of several windows is of the stretch of its first one. No base is
    read.

    Args:
        order: such as `EdenDataset.order`.
        global_batch_size: rows of an optimizer step over all ranks, at least 2.
        stretch: consecutive windows of the index that count as alike.
        epoch: which epoch is looked at.

    Raises:
        ConfigurationError: an epoch has no whole global batch, or one of a single row.
    """
    batches = len(order) // max(1, global_batch_size)
    if global_batch_size < 2 or not batches:
        raise ConfigurationError(
            f"shuffling is judged by global batches of two rows or more, and an epoch of {len(order)} rows has none of "
            f"{global_batch_size}"
        )
    count = min(batches, _BATCHES)
    firsts = np.arange(count) * batches // count * global_batch_size
    consecutive = firsts[:, None] + np.arange(global_batch_size)
    drawn = permute(np.arange(count * global_batch_size), len(order), key_of("shuffle quality")).reshape(count, -1)
    found = (_mixing(order, rows + epoch * len(order), stretch) for rows in (consecutive, drawn))
    return ShuffleQuality(*found)


def _mixing(order: Order, batches: NDArray[np.int64], stretch: int) -> Mixing:
    rows = batches.shape[1]
    shared, neighbours, counted = [], 0, 0
    for batch in batches:
        picks = order.pick(batch)
        _, firsts = np.unique(picks.rows, return_index=True)
        counted += firsts.size
        stretches = np.stack([picks.sources[firsts], picks.window_ids[firsts] // stretch])
        _, alike = np.unique(stretches, axis=1, return_counts=True)
        shared.append((alike * (alike - 1)).sum() / max(1, firsts.size * (firsts.size - 1)))
        neighbours += _with_neighbours(picks.sources, picks.window_ids, picks.rows)
    return Mixing(rows / (1 + (rows - 1) * float(np.mean(shared))), neighbours / max(1, counted))


def _with_neighbours(sources: NDArray[np.int16], windows: NDArray[np.int64], rows: NDArray[np.int64]) -> int:
    """Return how many rows have a window whose neighbour stands in another row."""
    order = np.lexsort((windows, sources))
    sources, windows, rows = sources[order], windows[order], rows[order]
    close = (sources[1:] == sources[:-1]) & (np.diff(windows) <= 1) & (rows[1:] != rows[:-1])
    return np.unique(np.concatenate([rows[1:][close], rows[:-1][close]])).size
