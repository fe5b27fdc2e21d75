"""Which rows a data-parallel rank reads next."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError


@dataclass(frozen=True, eq=False)
class RowBlock:
    """Rows of some consecutive micro-batches of one rank."""

    rows: NDArray[np.int64]
    """[k * micro_batch_size], rows of the run"""
    repeated: NDArray[np.bool_]
    """[k * micro_batch_size], True where a row only fills the last global batch up"""


@dataclass(frozen=True)
class RankSampler:
    """Micro-batches in one global order: rank r of R takes its slice of each micro_batch_size x R rows.

    Args:
        epoch_rows: rows an epoch.
        micro_batch_size: rows of a micro-batch.
        rank, size: which data-parallel rank of how many.
        global_batch_size: rows of an optimizer step over all ranks; None: one micro-batch of each rank.
        drop_last: whether the rows that do not fill a global batch are left out of the epoch; else repeats fill it up.

    Raises:
        ConfigurationError: sizes that do not divide, or an epoch without one whole global batch.
    """

    epoch_rows: int
    micro_batch_size: int
    rank: int = 0
    size: int = 1
    global_batch_size: int | None = None
    drop_last: bool = True

    def __post_init__(self) -> None:
        if self.micro_batch_size < 1:
            raise ConfigurationError(f"micro_batch_size must be at least 1, not {self.micro_batch_size}")
        if self.step_rows < 1 or self.step_rows % self.stride:
            raise ConfigurationError(
                f"global_batch_size {self.global_batch_size} is no multiple of micro_batch_size {self.micro_batch_size} x "
                f"{self.size} data-parallel ranks = {self.stride}"
            )
        if not len(self):
            raise ConfigurationError(
                f"an epoch has {self.epoch_rows} rows, fewer than one global batch of {self.step_rows}, and drop_last leaves "
                "incomplete ones out: use smaller batches, drop_last=False, or more data"
            )

    @property
    def stride(self) -> int:
        """Rows that all ranks read at one time."""
        return self.micro_batch_size * self.size

    @property
    def step_rows(self) -> int:
        """Rows of one global batch."""
        return self.stride if self.global_batch_size is None else self.global_batch_size

    @property
    def dropped(self) -> int:
        """Rows of an epoch that no rank reads."""
        return max(0, self.epoch_rows - len(self) * self.stride)

    def __len__(self) -> int:
        """Return the micro-batches of an epoch, the same for every rank."""
        whole, rest = divmod(self.epoch_rows, self.step_rows)
        steps = whole if self.drop_last or not rest else whole + 1
        return steps * (self.step_rows // self.stride)

    def blocks(self, epoch: int, first: int, block_rows: int) -> Iterator[RowBlock]:
        """Yield the rows of micro-batches `first` … len - 1 of an epoch, at least `block_rows` rows at a time."""
        count = -(-block_rows // self.micro_batch_size)
        within = np.arange(self.micro_batch_size) + self.rank * self.micro_batch_size
        for start in range(first, len(self), count):
            numbers = np.arange(start, min(start + count, len(self)), dtype=np.int64)
            positions = (numbers[:, None] * self.stride + within).ravel()
            rows = epoch * self.epoch_rows + positions % self.epoch_rows
            yield RowBlock(rows, positions >= self.epoch_rows)
