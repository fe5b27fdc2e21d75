"""Of which letters sequences are made."""

import numpy as np
from numpy.typing import NDArray

from eden_core.vocabulary import IUPAC

_AT_ONCE = 1 << 16  # bytes whose comparisons stay in the cache
_UPPER = [np.uint8(ord(letter)) for letter in "ACGT"]
_N, _A_TO_UPPER, _FIRST_LOWER = np.uint8(ord("N")), np.uint8(0xDF), np.uint8(ord("a"))
_LOWER_LETTERS = np.uint8(26)
_LETTERS = (IUPAC + IUPAC.lower()).encode()


def count_letters(bases: bytes | memoryview) -> list[int]:
    """Return what `COUNTED` names."""
    values = np.frombuffer(bases, np.uint8)
    if values.size <= _AT_ONCE:
        return _counted(values)
    steps = (_counted(values[first : first + _AT_ONCE]) for first in range(0, values.size, _AT_ONCE))
    return [sum(column) for column in zip(*steps, strict=True)]


def _counted(values: NDArray[np.uint8]) -> list[int]:
    found = [int(np.count_nonzero(values == letter)) for letter in _UPPER]
    if sum(found) == values.size:
        return [*found, 0, 0, 0]
    lower = int(np.count_nonzero(values - _FIRST_LOWER < _LOWER_LETTERS))  # what lies before "a" wraps around to more
    if lower:
        values = values & _A_TO_UPPER
        found = [int(np.count_nonzero(values == letter)) for letter in _UPPER]
    unknown = int(np.count_nonzero(values == _N))
    return [*found, unknown, values.size - sum(found) - unknown, lower]


def has_foreign(bases: bytes) -> bool:
    """Return whether there are bytes that are no IUPAC nucleotide letters."""
    return bool(bases.translate(None, _LETTERS))
