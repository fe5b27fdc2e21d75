"""How many bases of its sequence a window has."""

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Windows
from eden_core.errors import StaleIndexError


def bases_within(windows: Windows, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many bases each of some windows has: as many as it asks for, fewer where its sequence ends.

    Args:
        windows: W windows, at least one.
        sizes: bases of their sequences, int64 [W].

    Returns:
        Bases, at least one each, int64 [W].

    Raises:
        StaleIndexError: a window begins outside its sequence.
    """
    counts: NDArray[np.int64] = np.minimum(windows.lengths, sizes - windows.starts)
    if counts.min() <= 0 or windows.starts.min() < 0:
        _refuse_stale(windows, sizes)
    return counts


def _refuse_stale(windows: Windows, sizes: NDArray[np.int64]) -> None:
    wrong = (windows.starts < 0) | (windows.starts >= sizes)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise StaleIndexError(
            f"the index asks for base {windows.starts[i]} of sequence {windows.sequence_ids[i]!r}, which has {sizes[i]}: it "
            "was built for other sequences; build it again with eden-precompute"
        )
