"""Of which letters sequences are made."""

import numpy as np
from numpy.typing import NDArray

from eden_core.contigs import COUNTED
from eden_core.vocabulary import IUPAC

_AT_ONCE = 1 << 16  # bytes whose copy as integers stays in the cache

_LOWER = np.zeros(256, bool)
_LOWER[ord("a") : ord("z") + 1] = True
_FOREIGN = np.ones(256, bool)
_FOREIGN[list((IUPAC + IUPAC.lower()).encode())] = False
_SUMS = np.zeros((256, len(COUNTED)), np.int64)
for _column, _letter in enumerate("ACGTN"):
    _SUMS[[ord(_letter), ord(_letter.lower())], _column] = 1
_SUMS[:, COUNTED.index("other")] = 1 - _SUMS.sum(1)
_SUMS[:, COUNTED.index("lower")] = _LOWER


def histogram(bases: bytes | memoryview) -> NDArray[np.int64]:
    """Return how often each byte occurs, int64 [256]."""
    values = np.frombuffer(bases, np.uint8)
    if values.size <= _AT_ONCE:
        return np.bincount(values, minlength=256)
    found = np.zeros(256, np.int64)
    for first in range(0, values.size, _AT_ONCE):
        found += np.bincount(values[first : first + _AT_ONCE], minlength=256)
    return found


def counts(histograms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what `COUNTED` names, int64 [… 7], of histograms, int64 [… 256]."""
    return histograms @ _SUMS


def has_lower(found: NDArray[np.int64]) -> bool:
    """Return whether a histogram counts lower-case letters."""
    return bool(found[_LOWER].any())


def has_foreign(found: NDArray[np.int64]) -> bool:
    """Return whether a histogram counts bytes that are no IUPAC nucleotide letters."""
    return bool(found[_FOREIGN].any())
