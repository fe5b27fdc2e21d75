"""Samples that are copied from one shard to another, and compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_arrow.id_table import Sample, Shard
from eden_arrow.shard_files import BATCH_BYTES, ShardWriter, places_of_batches
from eden_core.open_files import OpenFile, OpenFiles


def holds_the_same(one: OpenFile, sample: Sample, other: OpenFile, there: Sample) -> bool:
    """Whether the batches of a sample are the same in two files, to the last byte.

    Raises:
        FormatError: they are not there.
    """
    if sample.batches != there.batches:
        return False
    for (_, first), (_, second) in zip(places_of_batches(one, sample), places_of_batches(other, there), strict=True):
        for (at, size), (place, length) in zip(first.buffers, second.buffers, strict=True):
            for begin in range(0, max(size, length), BATCH_BYTES):
                count = min(BATCH_BYTES, size - begin)
                if size != length or one.read(at + begin, count) != other.read(place + begin, count):
                    return False
    return True


@dataclass(frozen=True)
class Moved:
    """Where the batches of samples went that were copied from one file.

    Attributes:
        starts: where what is kept of each batch's sequences began, ascending, int64 [n].
        shifts: how much further on it begins now, int64 [n].
    """

    starts: NDArray[np.int64]
    shifts: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Sequence[tuple[int, int]]) -> "Moved":
        """Return what (old start, new start) of batches say."""
        found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        return cls(found[:, 0], found[:, 1] - found[:, 0])

    def __call__(self, offsets: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the new offsets of sequences."""
        if not self.starts.size:
            return offsets
        places = np.searchsorted(self.starts, offsets.astype(np.int64), side="right") - 1
        return offsets + self.shifts[places].astype(np.uint64)


def copy_sample(path: Path, sample: Sample, writer: ShardWriter) -> tuple[Sample, list[tuple[int, int]]]:
    """Copy a sample's batches to another shard, one in memory at a time.

    Returns:
        What a table says of it there, but for the shard's number, and (old start, new start) of each batch, for `Moved`.
    """
    begin, pairs = writer.position, []
    file = OpenFiles(1, "pread").opened(str(path))
    try:
        with pa.OSFile(str(path)) as source:
            for position, old in places_of_batches(file, sample):
                source.seek(position)
                batch = pa.ipc.read_record_batch(pa.ipc.read_message(source), writer.schema)
                new = writer.write(batch, sample.sample)
                pairs.append((old.buffers[-1][0], new.buffers[-1][0]))
    finally:
        file.close()
    size = writer.position - begin
    moved = Sample(sample.sample, 0, begin, size, sample.batches, sample.contigs, sample.bases, sample.digest)
    return moved, pairs


def shard_of(path: Path, *, packed: bool) -> Shard:
    """Return what a table says of a shard that is complete."""
    return Shard(path.name, path.stat().st_size, packed)
