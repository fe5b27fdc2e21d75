"""Bases in two bits each, and the exceptions that make that exact.

What is kept of a sequence of n bases is one value of bytes: first the bases, four a byte, base i in the bits 2 x (i mod 4) and
above of byte i // 4 (A 0, C 1, G 2, T 3; what is no such letter 0, and so is what fills the last byte). Where there are
exceptions, little-endian uint32 follow, one for each block of `BLOCK` bases and one more: how many runs lie before the block;
and then the runs (`RUN`), which do not cross the ends of blocks, in order of their starts. A run of the letter 0 is of lower
case; every other one is of one letter that is none of A, C, G, T, in upper case where it has one.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import numbers_of_ranges

BLOCK = 1 << 16
RUN = np.dtype([("start", "<u2"), ("last", "<u2"), ("letter", "u1")])
"""first and last base of a run, counted from the beginning of its block"""

_PIECE = BLOCK << 8
"""bases of a long sequence that are packed at a time"""
_LOWER_BIT = np.uint8(0x20)
_UPPER = np.arange(256, dtype=np.uint8)
_UPPER[ord("a") : ord("z") + 1] -= 0x20
_IS_LOWER = np.arange(256) != _UPPER
_CODES = np.zeros(256, np.uint8)
for _code, _letter in enumerate(b"ACGT"):
    _CODES[[_letter, _letter + 0x20]] = _code
_IS_OTHER = np.ones(256, np.bool_)
_IS_OTHER[list(b"ACGTacgt")] = False
_EXCEPTIONAL = _IS_OTHER | _IS_LOWER


def packed(sequences: Sequence[bytes | memoryview]) -> tuple[list[bytes | memoryview], NDArray[np.int64]]:
    """Return what is kept of some sequences, and how many runs each has (int64 [n])."""
    if len(sequences) == 1 and len(sequences[0]) > _PIECE:
        return _packed_in_pieces(sequences[0])
    padded = np.frombuffer(b"".join(part for bases in sequences for part in (bases, b"A" * (-len(bases) % 4))), np.uint8)
    lengths = np.array([len(bases) for bases in sequences], np.int64)
    ends = np.cumsum(lengths + -lengths % 4)
    codes = _CODES[padded].reshape(-1, 4)
    bits = memoryview(codes[:, 0] | codes[:, 1] << 2 | codes[:, 2] << 4 | codes[:, 3] << 6)  # type: ignore[arg-type]
    values: list[bytes | memoryview] = [
        bits[b - (n + 3) // 4 : b] for b, n in zip((ends // 4).tolist(), lengths.tolist(), strict=True)
    ]
    counts = np.zeros(lengths.size, np.int64)
    places = np.flatnonzero(_EXCEPTIONAL[padded])
    if places.size:
        owners = np.searchsorted(ends, places, side="right")
        bounds = np.searchsorted(places, ends)
        for i in np.unique(owners).tolist():
            first = int(ends[i] - lengths[i] - -lengths[i] % 4)
            mine = places[bounds[i - 1] if i else 0 : bounds[i]]
            runs, before = _runs(padded[mine], mine - first, int(lengths[i]))
            values[i] = b"".join([values[i], before.tobytes(), runs.tobytes()])
            counts[i] = runs.size
    return values, counts


def packed_bytes(length: int, runs: int) -> int:
    """Return how many bytes are kept of a sequence."""
    return (length + 3) // 4 + (directory_bytes(length) + RUN.itemsize * runs if runs else 0)


def directory_bytes(length: int) -> int:
    """Return how many bytes the counts of runs take."""
    return 4 * ((length + BLOCK - 1) // BLOCK + 1)


def unpacked(packed_bases: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return four letters for each of an even number of bytes."""
    return _eight_letters().take(packed_bases.view(np.uint16)).view(np.uint8)


@cache
def _eight_letters() -> NDArray[np.uint64]:
    """Return the letters that two bytes stand for: a table of single bytes would need twice as many look-ups."""
    numbers = np.arange(1 << 16, dtype="<u2")[:, None] >> np.arange(0, 16, 2, dtype="<u2") & 3
    letters: NDArray[np.uint64] = np.frombuffer(b"ACGT", np.uint8)[numbers].view(np.uint64).ravel()
    return letters


def apply_runs(bases: NDArray[np.uint8], runs: NDArray[np.void], places: NDArray[np.int64]) -> None:
    """Put exceptions into unpacked bases.

    Args:
        bases: a stretch of a sequence, changed in place.
        runs: those that may concern it (`RUN` [n]).
        places: where their blocks begin, counted from the beginning of the stretch, int64 [n].
    """
    starts = np.maximum(places + runs["start"], 0)
    counts = np.minimum(places + runs["last"] + 1, bases.size) - starts
    inside = counts > 0
    is_lower = runs["letter"] == 0
    for chosen in (inside & ~is_lower, inside & is_lower):  # first the letters, then their case
        if not chosen.any():
            continue
        numbers, which = numbers_of_ranges(starts[chosen], counts[chosen])
        letters = runs["letter"][chosen]
        if letters[0]:
            bases[numbers] = letters[which]
        else:
            bases[numbers] |= _LOWER_BIT


def _packed_in_pieces(bases: bytes | memoryview) -> tuple[list[bytes | memoryview], NDArray[np.int64]]:
    """Do the same for a long sequence."""
    bits, runs, before, total = list[bytes | memoryview](), list[bytes | memoryview](), [np.zeros(1, np.int64)], 0
    for first in range(0, len(bases), _PIECE):
        piece = memoryview(bases)[first : first + _PIECE]
        (value,), counts = packed([piece])
        end, behind = (len(piece) + 3) // 4, (len(piece) + 3) // 4 + directory_bytes(len(piece))
        inside = np.frombuffer(value[end:behind], "<u4")[1:] if counts[0] else np.zeros(directory_bytes(len(piece)) // 4 - 1)
        bits.append(value[:end])
        runs.append(value[behind:])
        before.append(inside.astype(np.int64) + total)
        total += int(counts[0])
    exceptions = [np.concatenate(before).astype("<u4").tobytes(), *runs] if total else []
    return [b"".join([*bits, *exceptions])], np.array([total])


def _runs(letters: NDArray[np.uint8], places: NDArray[np.int64], length: int) -> tuple[NDArray[np.void], NDArray[np.uint32]]:
    """Return the runs of one sequence, and how many lie before each block, from its exceptional letters and their places."""
    is_other, is_lower = _IS_OTHER[letters], _IS_LOWER[letters]
    found = [
        _runs_of(places[is_other], _UPPER[letters[is_other]]),
        _runs_of(places[is_lower], np.zeros(int(is_lower.sum()), np.uint8)),
    ]
    starts, lasts, kinds = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(starts, kind="stable")
    runs = np.empty(starts.size, RUN)
    runs["start"], runs["last"], runs["letter"] = (starts % BLOCK)[order], (lasts % BLOCK)[order], kinds[order]
    blocks = np.arange((length + BLOCK - 1) // BLOCK + 1) * BLOCK
    return runs, np.searchsorted(starts[order], blocks).astype("<u4")


def _runs_of(
    places: NDArray[np.int64], letters: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Return first and last place of the runs of one letter each within a block, and the letters."""
    begins = np.ones(places.size, np.bool_)
    begins[1:] = (np.diff(places) != 1) | (letters[1:] != letters[:-1]) | (places[1:] % BLOCK == 0)
    firsts = np.flatnonzero(begins)
    return places[firsts], places[np.append(firsts[1:], places.size)[: firsts.size] - 1], letters[firsts]
