"""The table of ids: where the bases of each sequence lie, found by the digest of its id.

A file of four parts: a header of one page, the rows in order of their digests, a directory that says where the digests with
each leading bits begin, and the samples and shards as an Arrow file. Numbers are little-endian.

The directory is held in memory, 17 MB for 217 million rows; the rows are read, one call for each id that is looked up: of a map
they would become part of the process's memory page by page, and cost as much time where they are not yet.
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

from eden_arrow.open_files import OpenFile
from eden_core.errors import FormatError

MAGIC = b"EDENIDS\x01"
HEADER_BYTES = 4096
HEADER = struct.Struct("<8s4Q")
"""magic, rows, leading bits of a digest that the directory goes by, where the samples begin, bytes of them"""
ROWS_A_PLACE = 128
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
        rows, found = np.zeros(len(digests), ROW), np.zeros(len(digests), np.bool_)
        firsts, counts = self._ranges(digests)
        ends = np.cumsum(counts)
        candidates = np.empty(int(ends[-1]) if ends.size else 0, ROW)
        into = memoryview(candidates.view(np.uint8))  # type: ignore[arg-type] # numpy arrays are buffers
        targets = ((ends - counts) * ROW.itemsize).tolist()
        self._file.copy((HEADER_BYTES + firsts * ROW.itemsize).tolist(), targets, (counts * ROW.itemsize).tolist(), into)
        asked = np.repeat(np.arange(len(digests)), counts)
        hits = np.flatnonzero(candidates["digest"] == digests[asked, 0])
        hits = hits[candidates["check"][hits] == digests[asked[hits], 1]]
        rows[asked[hits]], found[asked[hits]] = candidates[hits], True
        return rows, found

    def chunks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield all rows, so many at a time, as copies."""
        for first in range(0, self.rows, rows):
            count = min(rows, self.rows - first)
            raw = self._file.read(HEADER_BYTES + first * ROW.itemsize, count * ROW.itemsize)
            yield np.frombuffer(raw, ROW).copy()

    def close(self) -> None:
        """Close the file."""
        self._directory = np.empty(0, np.uint64)
        self._file.close()

    def _ranges(self, digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first row with each digest's leading bits, and how many such rows there are."""
        if not self._directory.size:
            self._directory = np.frombuffer(self._file.read(self._directory_at, 8 * (2**self._bits + 1)), "<u8")
        places = _leading(digests[:, 0], self._bits)
        firsts = self._directory[places].astype(np.int64)
        return firsts, self._directory[places + 1].astype(np.int64) - firsts

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
