"""A keyed permutation of range(n) in O(1) memory."""

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.kernels import walk

_ODD = np.uint64(0x9E3779B97F4A7C15)
_ROUND = 0xBF58476D1CE4E5B9
_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_FEW = 64


def permute(positions: NDArray[np.int64], n: int | NDArray[np.int64], keys: Any) -> NDArray[np.int64]:
    """Return where a keyed permutation of range(n) sends each position.

    A Feistel network over the mixed radix (a, b) with a * b >= n, alternating sides, and cycle walking for the fewer than a
    numbers beyond n (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).

    Args:
        positions: int64 [k], each in 0 … n - 1.
        n: size of the domain, 1 … 2^60; one for all positions, or int64 [k], one for each.
        keys: uint64, one for all positions or one for each; each key is another permutation.

    Returns:
        int64 [k]

    >>> sorted(permute(np.arange(7), 7, 42).tolist())
    [0, 1, 2, 3, 4, 5, 6]
    """
    return _walk(positions, n, keys, inverse=False)


def unpermute(items: NDArray[np.int64], n: int | NDArray[np.int64], keys: Any) -> NDArray[np.int64]:
    """Return the positions that `permute` sends to these items, int64 [k].

    >>> unpermute(permute(np.arange(7), 7, 42), 7, 42).tolist()
    [0, 1, 2, 3, 4, 5, 6]
    """
    return _walk(items, n, keys, inverse=True)


def _walk(x: NDArray[np.int64], n: int | NDArray[np.int64], keys: Any, *, inverse: bool) -> NDArray[np.int64]:
    keys = np.ascontiguousarray(np.broadcast_to(np.asarray(keys, np.uint64), x.shape))
    words = np.asarray(x, np.uint64)
    if words.ndim == 1 and (walked := walk(words, n, keys, inverse=inverse)) is not None:
        return walked.astype(np.int64)
    if not isinstance(n, np.ndarray):
        a = isqrt(max(n - 1, 0)) + 1
        return _walk_alike(words, np.uint64(n), np.uint64(a), np.uint64(-(-n // a)), keys, n <= _FEW, inverse).astype(np.int64)
    sizes = n.astype(np.uint64)
    last = np.maximum(sizes, 1) - np.uint64(1)
    roots = np.sqrt(last.astype(np.float64)).astype(np.uint64)
    sides = roots - (roots * roots > last) + np.uint64(1)  # as `isqrt` has it: rounding makes a root one too large at most
    others = (sizes + sides - np.uint64(1)) // sides
    out, few = np.empty_like(words), n <= _FEW
    for some, is_few in ((few, True), (~few, False)):
        if some.any():
            out[some] = _walk_alike(words[some], sizes[some], sides[some], others[some], keys[some], is_few, inverse)
    return out.astype(np.int64)


def _walk_alike(x: Any, n: Any, a: Any, b: Any, keys: Any, few: bool, inverse: bool) -> NDArray[np.uint64]:
    """Walk the cycle of the network's own permutation of range(a * b) until a number below n is met."""
    rounds = 16 if few else 8  # round functions on a handful of values need more rounds to become uniform
    numbers = list(range(1, rounds + 1))[:: -1 if inverse else 1]
    out = _feistel(x, a, b, keys, numbers, inverse)
    while (beyond := np.flatnonzero(out >= n)).size:
        a_there, b_there = (size[beyond] if np.ndim(size) else size for size in (a, b))
        out[beyond] = _feistel(out[beyond], a_there, b_there, keys[beyond], numbers, inverse)
    return out


def _feistel(
    x: NDArray[np.uint64], a: Any, b: Any, keys: NDArray[np.uint64], numbers: list[int], inverse: bool
) -> NDArray[np.uint64]:
    high, low = np.divmod(x, b)
    hashed, shifted = np.empty_like(high), np.empty_like(high)
    for number in numbers:
        source, target, size = (low, high, a) if number % 2 else (high, low, b)
        np.multiply(source, _ODD, out=hashed)
        np.add(hashed, keys, out=hashed)
        np.add(hashed, np.uint64(number * _ROUND & 0xFFFFFFFFFFFFFFFF), out=hashed)
        for _ in range(2):
            np.right_shift(hashed, _HALF, out=shifted)
            np.bitwise_xor(hashed, shifted, out=hashed)
            np.multiply(hashed, _MULTIPLIER, out=hashed)
        np.right_shift(hashed, _HALF, out=hashed)
        np.multiply(hashed, size, out=hashed)  # 32 random bits times size, upper half: a number below size
        np.right_shift(hashed, _HALF, out=hashed)
        if inverse:
            np.subtract(size, hashed, out=hashed)
        np.add(target, hashed, out=target)
        np.remainder(target, size, out=target)
    return np.asarray(high * b + low, np.uint64)
