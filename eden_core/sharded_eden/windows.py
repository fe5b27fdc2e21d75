"""Counting and pre-computing windows, by the functions of the older module."""

import warnings
from pathlib import Path

import numpy as np

from eden_core.assembly import whole_number
from eden_core.errors import UnreadBasesWarning
from eden_core.precompute import PrecomputeSummary, precompute
from eden_core.tiling import DEFAULT_STRIDE, DEFAULT_WINDOW_SIZE, Tiling


def compute_num_windows(seq_len: int, window_size: int = DEFAULT_WINDOW_SIZE, stride: int = DEFAULT_STRIDE) -> int:
    """Return the number of windows of a sequence, at least 1 (indexes leave sequences of no base out).

    Args:
        seq_len: bases of the sequence.
        window_size: bases a window.
        stride: bases from one window's start to the next one's.

    Raises:
        ConfigurationError: a number is out of its range.

    Examples:
        >>> [compute_num_windows(length) for length in (100, 8192, 4_938_920)]
        [1, 1, 617]
    """
    length = whole_number("seq_len", seq_len, least=0)
    return max(1, int(Tiling(window_size, stride).counts(np.array([length]))[0]))


def precompute_window_database(
    split_parquet_file: str | Path,
    output_window_db: str | Path,
    window_size: int = DEFAULT_WINDOW_SIZE,
    stride: int = DEFAULT_STRIDE,
    window_min_length_threshold: int | None = 0,
) -> PrecomputeSummary:
    """Build the window database of a split, complete or not at all; what was there is replaced.

    Args:
        split_parquet_file: table with contig_id (string) and length (integer, bases).
        output_window_db: where the database goes.
        window_size: bases a window.
        stride: bases from one window's start to the next one's; one that leaves bases between windows unread is warned about.
        window_min_length_threshold: windows of fewer bases are left out; None or 0: none are.

    Raises:
        InputError: the table cannot be used; the message names the column, the row or the id.
        ConfigurationError: a number is out of its range.
    """
    tiling = Tiling(window_size, stride, window_min_length_threshold or 0)
    if tiling.stride > tiling.row_bases:
        warnings.warn(
            f"windows start every {stride} bases, and a row reads {tiling.row_bases} of them: the bases between are never "
            f"seen. A stride of {tiling.row_bases} or less reads them all",
            UnreadBasesWarning,
            stacklevel=2,
        )
    return precompute(split_parquet_file, output_window_db, tiling, force=True, allow_gaps=True)
