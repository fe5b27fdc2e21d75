"""Random numbers that depend on (seed, source, epoch, window) alone."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Picks, Ragged, offsets_of
from eden_core.mixing import key_of, mix

_MANTISSA = 2.0**-53


class Draws:
    """Random numbers for the windows of one batch.

    A window draws the same numbers in whatever batch, worker, rank or resume it is read, and independent ones per stream.

    Args:
        seed: the run's seed, any Python int.
        picks: the W windows to draw for.
    """

    def __init__(self, seed: int, picks: Picks) -> None:
        self._seed = np.uint64(int(seed) & 0xFFFFFFFFFFFFFFFF)
        self._picks = picks

    @cached_property
    def _keys(self) -> NDArray[np.uint64]:
        picks = self._picks
        return mix(mix(mix(self._seed, picks.sources), picks.epochs), picks.window_ids)

    def uniform(self, stream: str) -> NDArray[np.float64]:
        """Return one number in [0, 1) a window, float64 [W]; streams of different names are independent."""
        return _to_unit(mix(self._keys, key_of(stream)))

    def uniform_per_base(self, stream: str, lengths: NDArray[np.int64]) -> Ragged[np.float64]:
        """Return one number in [0, 1) a base for windows of these lengths (int64 [W])."""
        offsets = offsets_of(np.asarray(lengths, np.int64))
        keys = np.repeat(mix(self._keys, key_of(f"{stream} per base")), lengths)
        positions = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return Ragged(_to_unit(mix(keys, positions)), offsets)


def _to_unit(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (words >> np.uint64(11)).astype(np.float64) * _MANTISSA
