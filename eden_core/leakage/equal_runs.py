"""Runs of equal neighbours in sorted arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def run_starts(*keys: NDArray[Any]) -> NDArray[np.int64]:
    """Return where any of these arrays, all of one length, holds another value than just before, int64; the first place counts.

    >>> run_starts(np.array([5, 5, 7, 7, 7, 5])).tolist()
    [0, 2, 5]
    """
    starts = np.ones(keys[0].size, bool)
    if starts.size:
        starts[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(starts)
