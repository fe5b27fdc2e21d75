"""How sequences are cut into windows: pure arithmetic on lengths."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError

DEFAULT_WINDOW_SIZE = 8192
DEFAULT_STRIDE = 7992
DEFAULT_RESERVE = 16
PLAIN_RESERVE = 2
"""Tokens that a row without control tags needs beside the bases: bos and eos."""


def default_stride(window_size: int) -> int:
    """Return the stride of windows for which none is given: an overlap of 200 bases, a 16th of short ones, 16 at least.

    Examples:
        >>> [default_stride(size) for size in (8192, 2048, 512, 131_072)]
        [7992, 1920, 480, 130872]
    """
    overlap = min(DEFAULT_WINDOW_SIZE - DEFAULT_STRIDE, window_size // 16)
    return max(1, window_size - max(DEFAULT_RESERVE, overlap))


@dataclass(frozen=True)
class Tiling:
    """Windows of `window_size` bases every `stride` bases.

    A sequence of n bases has 1 window if n < `window_size`, else 1 + (n - `window_size`) // `stride`; window i starts at
    i * `stride` (the format's own rule, which leaves tails unread). With `keep_tail`, windows go on until every base is
    read by a row, of which `reserve` tokens are not bases. Windows of fewer than `min_length` bases, or of none, are left out.

    Attributes:
        window_size: bases a window, >= 1.
        stride: bases from one window's start to the next one's, >= 1.
        min_length: the shortest window to keep, in bases.
        keep_tail: whether windows go on to the last base.
        reserve: tokens of a row that are kept for specials and tags; counts only with `keep_tail`.

    Raises:
        ConfigurationError: a number is out of its range.

    Examples:
        >>> Tiling().counts(np.array([100, 8192, 4_938_920])).tolist()
        [1, 1, 617]
    """

    window_size: int = DEFAULT_WINDOW_SIZE
    stride: int = DEFAULT_STRIDE
    min_length: int = 0
    keep_tail: bool = False
    reserve: int = DEFAULT_RESERVE

    def __post_init__(self) -> None:
        if self.window_size < 1 or self.stride < 1:
            raise ConfigurationError(
                f"window size and stride must be at least 1 base, not {self.window_size} and {self.stride}"
            )
        if self.min_length < 0:
            raise ConfigurationError(f"the minimum window length must not be negative, not {self.min_length}")
        if self.keep_tail and not 0 <= self.reserve < self.window_size:
            raise ConfigurationError(
                f"reserve is {self.reserve} tokens, but must be between 0 and window size - 1 = {self.window_size - 1}: "
                "a row must be left room for bases"
            )

    @property
    def row_bases(self) -> int:
        """Bases that a row is sure to read of a full window."""
        return max(1, self.window_size - (self.reserve if self.keep_tail else PLAIN_RESERVE))

    def counts(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of windows of sequences of these lengths, int64 [n]."""
        lengths = np.asarray(lengths, np.int64)
        reach = self.row_bases if self.keep_tail else self.window_size
        beyond = lengths - reach
        more = -(-beyond // self.stride) if self.keep_tail else beyond // self.stride
        shortest = max(1, self.min_length)
        long_enough = (lengths - shortest) // self.stride + 1
        counts = np.minimum(1 + np.where(beyond > 0, more, 0), long_enough)
        return np.where((lengths >= shortest) & (shortest <= self.window_size), counts, 0)

    def interval_windows(
        self, starts: NDArray[np.int64], lengths: NDArray[np.int64], contig_lengths: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which windows of their contigs lie in intervals: the number of the first, and how many, int64 [n] each.

        The first window begins at the first multiple of the stride in the interval. Windows end within the interval, so that no
        row reads a base outside; where the interval ends with its contig, what lies behind that first multiple is cut as a
        sequence of its own is, so the last window may be shorter.

        Args:
            starts: where intervals begin in their contigs, int64 [n].
            lengths: bases of the intervals, int64 [n].
            contig_lengths: bases of the contigs, int64 [n]; None: no interval is known to end with its contig.
        """
        starts, lengths = np.asarray(starts, np.int64), np.asarray(lengths, np.int64)
        firsts = -(-starts // self.stride)
        rests = self.interval_rests(starts, lengths)
        whole = (rests - self.window_size) // self.stride + 1
        counts = np.where((rests >= self.window_size) & (self.min_length <= self.window_size), whole, 0)
        if contig_lengths is not None:
            counts = np.where(starts + lengths >= contig_lengths, self.counts(np.maximum(rests, 0)), counts)
        return firsts, counts

    def interval_rests(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bases of intervals from the first multiple of the stride on, 0 or less where there are none, int64 [n]."""
        return np.asarray(starts + lengths + -(-starts // self.stride) * -self.stride, np.int64)

    def bases_in_rows(self, lengths: NDArray[np.int64], counts: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return how many bases the rows of each sequence hold, those of overlaps as often as they are read, int64 [n].

        Args:
            lengths: bases of sequences; of intervals, their `interval_rests`.
            counts: how many windows they have; None: as many as `counts` says.
        """
        return self._bases(lengths, self._counts_of(lengths, counts), self.row_bases, self.row_bases)

    def bases_read(self, lengths: NDArray[np.int64], counts: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return how many different bases of each sequence the rows read, int64 [n]; arguments as for `bases_in_rows`."""
        return self._bases(lengths, self._counts_of(lengths, counts), min(self.stride, self.row_bases), self.row_bases)

    def bases_read_again(self, lengths: NDArray[np.int64], counts: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return how many different bases of each sequence more than one row reads, int64 [n]; arguments as before.

        A window shares them with the next one: they are stretches of `row_bases` - `stride` bases every `stride` bases.
        """
        shared = max(0, self.row_bases - self.stride)
        counts = np.maximum(self._counts_of(lengths, counts) - 1, 0)
        return self._bases(np.asarray(lengths, np.int64) - self.stride, counts, min(self.stride, shared), shared)

    def _counts_of(self, lengths: NDArray[np.int64], counts: NDArray[np.int64] | None) -> NDArray[np.int64]:
        return self.counts(lengths) if counts is None else counts

    def _bases(self, lengths: NDArray[np.int64], counts: NDArray[np.int64], each: int, last_room: int) -> NDArray[np.int64]:
        """Count `each` bases for every stretch but the last, and of the last as many as there are, `last_room` at most."""
        lengths = np.asarray(lengths, np.int64)
        before_last = np.maximum(counts - 1, 0)
        last = np.clip(lengths - before_last * self.stride, 0, last_room)
        return np.where(counts > 0, before_last * each + last, 0)
