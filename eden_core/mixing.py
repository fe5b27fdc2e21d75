"""One 64-bit mixing function, the root of everything random in Eden."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


def mix(state: Any, word: Any) -> NDArray[np.uint64]:
    """Fold a 64-bit word into a 64-bit state, element by element (wraps silently).

    The finalizer is Stafford's variant 13 of the MurmurHash3 finalizer, as used by SplitMix64 (Steele, Lea and Flood,
    "Fast splittable pseudorandom number generators", OOPSLA 2014).
    """
    words = np.atleast_1d(np.asarray(word).astype(np.uint64))
    z = np.asarray(state, np.uint64) ^ (words * _GOLDEN + _GOLDEN)
    z = (z ^ (z >> _S30)) * _FIRST
    z = (z ^ (z >> _S27)) * _SECOND
    return np.asarray(z ^ (z >> _S31), np.uint64)


def key_of(text: str) -> np.uint64:
    """Return a 64-bit key of a text, the same in every process."""
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def digest_of(*parts: object) -> str:
    """Return 16 hex digits that identify these parts (by their `repr`)."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
