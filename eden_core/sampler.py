"""Which rows a data-parallel rank reads next."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import isqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eden_core.errors import ConfigurationError
from eden_core.mixture import Anchor
from eden_core.omissions import Omissions


@dataclass(frozen=True, eq=False)
class RowBlock:
    """Rows of some consecutive micro-batches of one rank."""

    rows: NDArray[np.int64]
    """[k * micro_batch_size], rows of the run"""
    repeated: NDArray[np.bool_]
    """[k * micro_batch_size], True where a row only fills the last global batch up"""
    anchor: Anchor | None = None
    """where the mixture begins that numbers the rows, for a reader that was not told so"""

    @classmethod
    def of(cls, rows: ArrayLike) -> "RowBlock":
        """Return rows of which none is repeated."""
        numbers = np.asarray(rows, np.int64)
        return cls(numbers, np.zeros(numbers.size, bool))


@dataclass(frozen=True)
class RankSampler:
    """Micro-batches in one global order: rank r of R takes its slice of each micro_batch_size x R rows.

    A pass runs through an epoch from some position of it to its end, leaving out what `omissions` says. Positions count the
    rows of an epoch, read or not, so they mean the same for any sizes and omissions.

    Args:
        epoch_rows: rows an epoch.
        micro_batch_size: rows of a micro-batch.
        rank, size: which data-parallel rank of how many.
        global_batch_size: rows of an optimizer step over all ranks; None: one micro-batch of each rank.
        drop_last: whether the rows that do not fill a global batch are left out of the epoch; else repeats fill it up.
        limit: micro-batches, or the share of them, after which an epoch is over; None: when its rows are.
        omissions: rows that are not read.
        consecutive: whether each pass begins with the row behind the last one's, so that none is dropped: an epoch is then what
            one pass reads.
        end: the row of the run behind the last one that there is; None: rows never end.

    Raises:
        ConfigurationError: sizes that do not divide, or an epoch without one whole global batch.
    """

    epoch_rows: int
    micro_batch_size: int
    rank: int = 0
    size: int = 1
    global_batch_size: int | None = None
    drop_last: bool = True
    limit: float | None = None
    omissions: Omissions | None = None
    consecutive: bool = False
    end: int | None = None

    def __post_init__(self) -> None:
        if self.micro_batch_size < 1:
            raise ConfigurationError(f"micro_batch_size must be at least 1, not {self.micro_batch_size}")
        if self.step_rows < 1:
            raise ConfigurationError(f"global_batch_size must be at least 1, not {self.global_batch_size}")
        if self.step_rows % self.stride:
            raise ConfigurationError(
                f"global_batch_size {self.global_batch_size} is no multiple of micro_batch_size {self.micro_batch_size} x "
                f"{self.size} data-parallel ranks = {self.stride}; {sizes_that_fit(self.step_rows, self.size)}"
            )
        if self.limit is not None and not _is_limit(self.limit):
            raise ConfigurationError(
                f"the limit of batches is {self.limit!r}; expected a whole number from 0 on, or a share from 0.0 to 1.0"
            )
        if not len(self):
            raise ConfigurationError(
                f"an epoch has {self.usual_rows} rows, fewer than one global batch of {self.step_rows}, and drop_last leaves "
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
    def step_batches(self) -> int:
        """Micro-batches that a rank reads for one global batch."""
        return self.step_rows // self.stride

    @property
    def usual_rows(self) -> int:
        """Rows of an epoch from which no range of rows is skipped."""
        return self.epoch_rows if self.omissions is None else self.omissions.usual_rows

    @property
    def dropped(self) -> int:
        """Rows of such an epoch that no rank reads, since they do not fill a global batch."""
        return 0 if self.consecutive else max(0, self.usual_rows - len(self) * self.stride)

    @property
    def pitch(self) -> int:
        """Rows of the run from the beginning of one epoch to that of the next."""
        return min(self.pass_batches * self.stride, self.epoch_rows) or self.epoch_rows if self.consecutive else self.epoch_rows

    def __len__(self) -> int:
        """Return the micro-batches of a whole epoch, the same for every rank."""
        return self._batches_of(self.usual_rows)

    @property
    def pass_batches(self) -> int:
        """Micro-batches of a pass through a whole epoch, at most `limit`."""
        if self.limit is None:
            return len(self)
        return min(len(self), self.limit) if isinstance(self.limit, int) else int(len(self) * self.limit)

    def batches(self, epoch: int, start: int) -> int:
        """Return the micro-batches of the pass that begins at a position of an epoch."""
        before, kept = self._kept(epoch, start)
        if self.end is not None:
            kept = min(kept, before + max(0, self.end - epoch * self.pitch - start) // self.step_rows * self.step_rows)
        whole = self.consecutive and self.drop_last
        left = (kept - before) // self.stride if whole else self._batches_of(kept - before)
        if self.limit is None:
            return left - left % self.step_batches
        left = min(left, max(0, self.pass_batches - before // self.step_rows * self.step_batches))
        return max(0, left - (left - self.pass_batches) % self.step_batches)  # a limit may end the last step of each pass early

    def position(self, epoch: int, start: int, batches: int) -> int:
        """Return the position in the epoch behind this many micro-batches of all ranks in a pass."""
        before, kept = self._kept(epoch, start)
        number = before + batches * self.stride
        if not batches or number >= kept:
            return self.pitch if batches else start
        return int(self._positions(epoch, np.array([number - 1]))[0]) + 1

    def blocks(self, epoch: int, start: int, block_rows: int, readers: int = 1) -> Iterator[RowBlock]:
        """Yield the rows of a pass, those of whole micro-batches at a time, in the end at least `block_rows` together.

        The first blocks are one micro-batch each, so that the first batch comes early. As many blocks as there are readers, who
        take turns, are of one size; the next ones grow so slowly that they are read before those in front of them are used up,
        where reading takes up to 8/9 of the time that readers have for it.
        """
        whole, total = -(-block_rows // self.micro_batch_size), self.batches(epoch, start)
        first = 0
        for number in count():
            if first >= total:
                return
            if number % readers == 0:
                size = min(whole, 1 + first // (8 * readers))
            yield self.block(epoch, start, range(first, min(first + size, total)))
            first += size

    def block(self, epoch: int, start: int, batches: range) -> RowBlock:
        """Return the rows of some micro-batches of a pass."""
        before, kept = self._kept(epoch, start)
        within = before + self.rank * self.micro_batch_size + np.arange(self.micro_batch_size)
        numbers = (np.array(batches, np.int64)[:, None] * self.stride + within).ravel()
        return RowBlock(epoch * self.pitch + self._positions(epoch, numbers % kept), numbers >= kept)

    def _batches_of(self, rows: int) -> int:
        whole, rest = divmod(max(rows, 0), self.step_rows)
        steps = whole if self.drop_last or not rest else whole + 1
        return steps * self.step_batches

    def _kept(self, epoch: int, start: int) -> tuple[int, int]:
        """How many rows of an epoch are read before `start`, and in all."""
        if not self.omissions:
            return start, self.pitch
        kept = self.omissions.kept(epoch, self.pitch)
        return kept.before(start), len(kept)

    def _positions(self, epoch: int, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.omissions.kept(epoch, self.pitch).positions(numbers) if self.omissions else numbers


def _is_limit(limit: float) -> bool:
    return not isinstance(limit, bool) and (limit >= 0 if isinstance(limit, int) else 0 <= limit <= 1)


def sizes_that_fit(global_batch_size: int, ranks: int) -> str:
    """Return the sizes that would make a global batch, for an error message: with these ranks, else with others."""
    per_rank, rest = divmod(global_batch_size, ranks)
    if not rest:
        found = [(ranks, micro, per_rank // micro) for micro in _divisors(per_rank)]
    else:
        found = [
            (r, micro, global_batch_size // r // micro)
            for r in _divisors(global_batch_size)
            for micro in (1, global_batch_size // r)
        ]
    triples = ", ".join(f"{r} x {micro} x {accumulated}" for r, micro, accumulated in dict.fromkeys(found[:24]))
    return f"ranks x micro_batch_size x accumulate_grad_batches that make {global_batch_size}: {triples}"


def _divisors(number: int) -> list[int]:
    small = [d for d in range(1, isqrt(number) + 1) if number % d == 0]
    return small + [number // d for d in reversed(small) if d * d != number]
