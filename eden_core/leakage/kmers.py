"""Canonical k-mers of DNA: sampled by their hashes, many bases at a time."""

import numpy as np
from numpy.typing import NDArray

K = 21
"""bases of a k-mer; odd, so that none is its own reverse complement"""

SAMPLED = 1 / 4
"""share of all k-mers that is in a sketch: those whose hash is below this share of the range"""

_LIMIT = np.uint64(int(2**64 * SAMPLED))
_AMBIGUOUS = 4
_PIECE = 1 << 16
"""bases worked on at a time: what is in between stays in the cache"""
_FIRST, _SECOND, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03), np.uint64(32)
_PERIODS = 6
_ODD_BITS = 0x5555555555555555


def _code_table() -> NDArray[np.uint8]:
    table = np.full(256, _AMBIGUOUS, np.uint8)
    for code, letters in enumerate(("Aa", "Cc", "Gg", "TtUu")):
        for letter in letters:
            table[ord(letter)] = code
    return table


_CODES = _code_table()


def sampled_kmers(bases: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashes of the canonical k-mers that are in a sketch, and the position of each (uint64, int64 [M]).

    A k-mer and its reverse complement have one hash, and different k-mers have different ones. K-mers with a letter other
    than A, C, G, T are left out, and so are those of low complexity: that repeat themselves every 1 to 6 bases (poly-A,
    microsatellites) but for a quarter of their letters at most.

    Args:
        bases: ASCII, [N].
    """
    hashes, positions = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for first in range(0, bases.size - K + 1, _PIECE):
        found, where = _sampled(bases[first : first + _PIECE + K - 1])
        hashes.append(found)
        positions.append(where + first)
    return np.concatenate(hashes), np.concatenate(positions)


def _sampled(bases: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    codes = _CODES[bases]
    kmers = np.minimum(_forward(codes), _reverse(codes ^ np.uint8(3)))
    hashes = kmers * _FIRST
    hashes ^= hashes >> _SHIFT
    hashes *= _SECOND
    positions = np.flatnonzero(hashes < _LIMIT)
    if (codes == _AMBIGUOUS).any():
        positions = positions[_unambiguous(codes)[positions]]
    positions = positions[~_low_complexity(kmers[positions])]
    return hashes[positions], positions


def _forward(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return all k-mers as numbers of two bits a base, the first base highest: by doubling, in the narrowest integers."""
    two = (codes[:-1] << 2) | codes[1:]
    four = (two[:-2] << 4) | two[2:]
    eight = (four[:-4].astype(np.uint16) << 8) | four[4:]
    sixteen = (eight[:-8].astype(np.uint32) << 16) | eight[8:]
    count = codes.size - K + 1
    kmers = sixteen[:count].astype(np.uint64)
    kmers <<= np.uint64(8)
    kmers |= four[16 : 16 + count]
    kmers <<= np.uint64(2)
    kmers |= codes[20 : 20 + count] & 3
    return kmers


def _reverse(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the same with the first base lowest."""
    two = (codes[1:] << 2) | (codes[:-1] & 3)
    four = (two[2:] << 4) | (two[:-2] & 15)
    eight = (four[4:].astype(np.uint16) << 8) | four[:-4]
    sixteen = (eight[8:].astype(np.uint32) << 16) | eight[:-8]
    count = codes.size - K + 1
    kmers = (codes[20 : 20 + count] & 3).astype(np.uint64)
    kmers <<= np.uint64(8)
    kmers |= four[16 : 16 + count]
    kmers <<= np.uint64(32)
    kmers |= sixteen[:count]
    return kmers


def _unambiguous(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    before = np.concatenate([[0], np.cumsum(codes == _AMBIGUOUS, dtype=np.int32)])
    return np.asarray(before[K:] == before[:-K], bool)


def _low_complexity(kmers: NDArray[np.uint64]) -> NDArray[np.bool_]:
    low = np.zeros(kmers.size, bool)
    for period in range(1, _PERIODS + 1):
        compared = K - period
        different = kmers ^ (kmers >> np.uint64(2 * period))
        different = (different | (different >> np.uint64(1))) & np.uint64(_ODD_BITS & (4**compared - 1))
        low |= np.bitwise_count(different) <= compared // 4
    return low
