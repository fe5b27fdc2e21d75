"""Copying the bases of many windows out of shards."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eden_arrow.two_bits import BLOCK, RUN, apply_runs, directory_bytes, unpacked
from eden_core.batch import offsets_of
from eden_core.errors import FormatError
from eden_core.open_files import OpenFile


@dataclass(frozen=True)
class Stretches:
    """Stretches of sequences of one shard, in order of their places in its file.

    Attributes:
        offsets: where what is kept of each one's sequence begins in the file, int64 [n].
        sizes: bases of its sequence, int64 [n].
        runs: runs of exceptions of its sequence, int64 [n].
        starts: its first base, int64 [n].
        counts: its bases, int64 [n].
        targets: where it goes in the buffer, int64 [n].
    """

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    runs: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    targets: NDArray[np.int64]


def copy_plain(file: OpenFile, some: Stretches, into: NDArray[np.uint8]) -> None:
    """Copy stretches of a plain shard."""
    file.copy(some.offsets + some.starts, some.counts, into, some.targets)


def copy_packed(file: OpenFile, some: Stretches, into: NDArray[np.uint8]) -> None:
    """Copy stretches of a packed shard: their bytes first, then all of them are unpacked at once."""
    firsts = some.starts // 4
    sizes = (some.starts + some.counts + 3) // 4 - firsts
    places = offsets_of(sizes)
    raw = np.empty(places[-1] + places[-1] % 2, np.uint8)
    file.copy(some.offsets + firsts, sizes, raw, places[:-1])
    letters = unpacked(raw)
    begins = 4 * places[:-1] + some.starts % 4
    for target, begin, count in zip(some.targets.tolist(), begins.tolist(), some.counts.tolist(), strict=True):
        into[target : target + count] = letters[begin : begin + count]
    for i in np.flatnonzero(some.runs).tolist():
        target, count = int(some.targets[i]), int(some.counts[i])
        _except(file, int(some.offsets[i]), int(some.sizes[i]), int(some.starts[i]), into[target : target + count])


def _except(file: OpenFile, offset: int, length: int, start: int, bases: NDArray[np.uint8]) -> None:
    """Put the exceptions of a sequence into a stretch of it."""
    first, last = start // BLOCK, (start + bases.size - 1) // BLOCK
    directory = offset + (length + 3) // 4
    before = np.frombuffer(file.read(directory + 4 * first, 4 * (last - first + 2)), "<u4").astype(np.int64)
    size = RUN.itemsize * int(before[-1] - before[0])
    if (np.diff(before) < 0).any():
        raise FormatError(f"{file.path} is damaged: its exceptions do not lie in order; copy the store again, or import anew")
    if size:
        begin = directory + directory_bytes(length) + RUN.itemsize * int(before[0])
        runs = np.frombuffer(file.read(begin, size), RUN)
        apply_runs(bases, runs, np.repeat(np.arange(first, last + 1) * BLOCK - start, np.diff(before)))
