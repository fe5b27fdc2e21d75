"""The table of ids: where the bases of each sequence lie, found by the digest of its id.

A file of four parts: a header of one page, the rows in order of their digests, a directory that says where the digests with
each leading bits begin, and the samples and shards as an Arrow file. Numbers are little-endian.
"""

import json
import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_arrow.open_files import MappedFile, OpenFile
from eden_core.errors import FormatError

MAGIC = b"EDENIDS\x01"
HEADER_BYTES = 4096
HEADER = struct.Struct("<8s4Q")
"""magic, rows, leading bits of a digest that the directory goes by, where the samples begin, bytes of them"""
ROWS_A_PLACE = 64
"""rows that share their leading bits, on average"""

ROW = np.dtype(
    [("digest", "<u8"), ("check", "<u8"), ("offset", "<u8"), ("length", "<u8"), ("sample", "<u4"), ("runs", "<u4")], align=True
)
"""one sequence: its id's digest in two words, where its bases begin in the shard's file, how many they are, the number of its
sample among the samples, and how many runs of exceptions its packed bases have"""

SAMPLES = pa.schema(
    [
        pa.field("sample", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("batches", pa.int64(), nullable=False),
        pa.field("contigs", pa.int64(), nullable=False),
        pa.field("bases", pa.int64(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
    ]
)
"""the samples of a table in byte order: the place of the shard among the shards, where its first record batch begins in the
shard's file, bytes and number of its batches, what it holds, and the digest of that"""
_SHARDS = b"eden_shards"


@dataclass(frozen=True)
class Shard:
    """One shard's file.

    Attributes:
        name: of the file, its path from the store's folder `shards` on.
        bytes: its size.
        packed: whether it holds two bits a base.
    """

    name: str
    bytes: int
    packed: bool


@dataclass(frozen=True)
class Sample:
    """What a table says of one sample; see `SAMPLES`."""

    sample: str
    shard: int
    position: int
    bytes: int
    batches: int
    contigs: int
    bases: int
    digest: str


def samples_bytes(samples: Sequence[Sample], shards: Sequence[Shard], next_shard: int) -> bytes:
    """Return the last part of a table."""
    columns = [pa.array([getattr(each, field.name) for each in samples], field.type) for field in SAMPLES]
    told = json.dumps({"shards": [asdict(shard) for shard in shards], "next_shard": next_shard})
    schema = SAMPLES.with_metadata({_SHARDS: told})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return bytes(sink.getvalue())


class IdTable:
    """A table of ids that is open.

    Args:
        file: the table, closed with this one.

    Raises:
        FormatError: it is no such table, or cut short.
    """

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        if file.size < HEADER_BYTES:
            raise self._damage("it is too short")
        magic, self.rows, self._bits, samples_at, size = HEADER.unpack(file.read(0, HEADER.size))
        self._directory_at = HEADER_BYTES + self.rows * ROW.itemsize
        if magic != MAGIC or samples_at + size != file.size or samples_at != self._directory_at + 8 * (2**self._bits + 1):
            raise self._damage("its header does not fit the rest")
        try:
            with pa.ipc.open_file(pa.py_buffer(bytes(file.read(samples_at, size)))) as reader:
                self._samples = reader.get_batch(0)
                told = json.loads(reader.schema.metadata[_SHARDS])
            self.shards = tuple(Shard(**each) for each in told["shards"])
            self.next_shard: int = told["next_shard"]
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise self._damage(f"its samples cannot be read: {error}") from error
        self.shard_of_sample: NDArray[np.int32] = np.frombuffer(self._samples["shard"].buffers()[1], "<i4", self.sample_count)
        self._directory = np.empty(0, np.uint64)
        self._view: NDArray[Any] | None = None
        if isinstance(file, MappedFile):
            self._directory = np.frombuffer(file.view, "<u8", 2**self._bits + 1, self._directory_at)
            self._view = np.frombuffer(file.view, ROW, self.rows, HEADER_BYTES)

    @property
    def path(self) -> str:
        """Where the table lies."""
        return self._file.path

    @property
    def sample_count(self) -> int:
        """How many samples it has."""
        return int(self._samples.num_rows)

    def sample(self, number: int) -> Sample:
        """Return what it says of a sample."""
        return Sample(**{name: self._samples[name][number].as_py() for name in SAMPLES.names})

    def number_of(self, sample: str) -> int | None:
        """Return a sample's number; None: it is not there."""
        names = self._samples["sample"]
        place = bisect_left(range(len(names)), sample.encode(), key=lambda i: names[i].as_py().encode())
        return place if place < len(names) and names[place].as_py() == sample else None

    def sample_names(self) -> list[str]:
        """Return all samples, in byte order."""
        names: list[str] = self._samples["sample"].to_pylist()
        return names

    def find(self, digests: NDArray[np.uint64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Look ids up.

        Args:
            digests: of n ids, uint64 [n, 2].

        Returns:
            Rows (`ROW` [n]), and whether each was found (bool [n]); those that were not mean nothing.
        """
        if not self.rows:
            return np.zeros(len(digests), ROW), np.zeros(len(digests), np.bool_)
        return self._find_by_reads(digests) if self._view is None else self._find_in(self._view, digests)

    def chunks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield all rows, so many at a time, as copies."""
        for first in range(0, self.rows, rows):
            count = min(rows, self.rows - first)
            raw = self._file.read(HEADER_BYTES + first * ROW.itemsize, count * ROW.itemsize)
            yield np.frombuffer(raw, ROW).copy()

    def close(self) -> None:
        """Close the file."""
        self._directory, self._view = np.empty(0, np.uint64), None
        self._file.close()

    def _bounds(self, digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first row with a digest's leading bits, and the first behind those."""
        places = _leading(digests[:, 0], self._bits)
        return self._directory[places].astype(np.int64), self._directory[places + 1].astype(np.int64)

    def _find_in(self, view: NDArray[Any], digests: NDArray[np.uint64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Search the ranges of all digests at once, by halves."""
        wanted, checks = digests[:, 0], digests[:, 1]
        low, end = self._bounds(digests)
        high, words, last = end.copy(), view["digest"], self.rows - 1
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = (low + high) >> 1
            is_below = (words[np.minimum(middle, last)] < wanted) & (middle < high)
            low = np.where(is_below, middle + 1, low)
            high = np.where(is_below, high, middle)
        rows = view[np.minimum(low, last)]
        same = (rows["digest"] == wanted) & (low < end)
        found = same & (rows["check"] == checks)
        for i in np.flatnonzero(same & ~found).tolist():  # the first words of two digests are the same
            place = int(low[i]) + 1
            while place < self.rows and view[place]["digest"] == wanted[i] and not found[i]:
                rows[i], found[i] = view[place], view[place]["check"] == checks[i]
                place += 1
        return rows, found

    def _find_by_reads(self, digests: NDArray[np.uint64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read the rows with each digest's leading bits."""
        if not self._directory.size:
            raw = self._file.read(self._directory_at, 8 * (2**self._bits + 1))
            self._directory = np.frombuffer(raw, "<u8")
        rows, found = np.zeros(len(digests), ROW), np.zeros(len(digests), np.bool_)
        low, high = self._bounds(digests)
        for i, (first, end) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            some = np.frombuffer(self._file.read(HEADER_BYTES + first * ROW.itemsize, (end - first) * ROW.itemsize), ROW)
            hits = np.flatnonzero((some["digest"] == digests[i, 0]) & (some["check"] == digests[i, 1]))
            if hits.size:
                rows[i], found[i] = some[hits[0]], True
        return rows, found

    def _damage(self, how: str) -> FormatError:
        return FormatError(f"{self.path} is no table of ids that can be read: {how}; copy the store again, or import anew")


def directory_of(counts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the directory of digests of which so many have each leading bits."""
    return np.concatenate([[0], np.cumsum(counts)]).astype("<u8")


def leading_bits(rows: int) -> int:
    """Return how many leading bits of digests a table of so many rows goes by."""
    return max(0, (rows // ROWS_A_PLACE).bit_length())


def _leading(words: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    return (words >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(words.size, np.int64)
