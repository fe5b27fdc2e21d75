"""The table of ids: where the bases of each sequence lie, found by the digest of its id.

A file of four parts: a header of one page, the rows in order of their digests, a directory that says where the digests with
each leading bits begin, and the samples and shards as an Arrow file. Numbers are little-endian.

The directory is held in memory, 17 MB for 217 million rows; the rows are read, one call for each id that is looked up: of a map
they would become part of the process's memory page by page, and cost as much time where they are not yet.
"""

import json
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_arrow.open_files import OpenFile
from eden_core.errors import FormatError

MAGIC = b"EDENIDS\x02"
HEADER_BYTES = 4096
_HEAD = struct.Struct("<8s4QI")
_CHECKSUM = struct.Struct("<I")
ROWS_A_PLACE = 128
"""rows that share their leading bits, on average"""

ROW = np.dtype(
    [
        ("digest", "<u8"),
        ("check", "<u8"),
        ("offset", "<u8"),
        ("length", "<u8"),
        ("sample", "<u4"),
        ("runs", "<u2"),
        ("checksum", "<u2"),
    ],
    align=True,
)
"""one sequence: its id's digest in two words, where its bases begin in the shard's file, how many they are, the number of its
sample among the samples, how many runs of exceptions its packed bases have (65535: that many or more), and `checksums`"""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

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
        remove: what to remove where it is damaged, before its samples are imported anew.

    Raises:
        FormatError: it is no such table, cut short, or its samples are damaged. What else is damaged is found when it is used.
    """

    def __init__(self, file: OpenFile, remove: Path) -> None:
        self._file = file
        self._remove = remove
        try:
            self._open()
        except BaseException:
            file.close()
            raise

    def _open(self) -> None:
        file = self._file
        if file.size < HEADER_BYTES:
            raise self._damage("it is too short")
        head = bytes(file.read(0, _HEAD.size + _CHECKSUM.size))
        magic, self.rows, self._bits, samples_at, size, self._directory_checksum = _HEAD.unpack_from(head)
        if magic != MAGIC:
            raise self._damage(f"it begins with {magic!r} instead of {MAGIC!r}, or it is of another version of Eden")
        self._directory_at = HEADER_BYTES + self.rows * ROW.itemsize
        fits = self._bits <= 64 and samples_at == self._directory_at + 8 * (2**self._bits + 1)
        if not fits or samples_at + size != file.size:
            raise self._damage("its header does not fit the rest")
        told = bytes(file.read(samples_at, size))
        if _CHECKSUM.unpack_from(head, _HEAD.size)[0] != zlib.crc32(told, zlib.crc32(head[: _HEAD.size])):
            raise self._damage("its header and samples do not have the checksum that they were written with")
        try:
            with pa.ipc.open_file(pa.py_buffer(told)) as reader:
                self._samples = reader.get_batch(0)
                of_shards = json.loads(reader.schema.metadata[_SHARDS])
            self.shards = tuple(Shard(**each) for each in of_shards["shards"])
            self.next_shard: int = of_shards["next_shard"]
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise self._damage(f"its samples cannot be read: {error}") from error
        self.shard_of_sample: NDArray[np.int32] = np.frombuffer(self._samples["shard"].buffers()[1], "<i4", self.sample_count)
        self._begins, self._sizes = (
            np.frombuffer(self._samples[name].buffers()[1], "<u8", self.sample_count) for name in ("position", "bytes")
        )
        self._packed = np.array([shard.packed for shard in self.shards], np.bool_)
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

    def sample_digests(self) -> dict[str, str]:
        """Return all samples, in byte order, with the digest of what each holds."""
        return dict(zip(self.sample_names(), self._samples["digest"].to_pylist(), strict=True))

    def find(self, digests: NDArray[np.uint64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Look ids up.

        Args:
            digests: of n ids, uint64 [n, 2].

        Returns:
            Rows (`ROW` [n]), and whether each was found (bool [n]); those that were not mean nothing.

        Raises:
            FormatError: what says where they lie is damaged.
        """
        rows, found = np.zeros(len(digests), ROW), np.zeros(len(digests), np.bool_)
        firsts, counts = self._ranges(digests)
        ends = np.cumsum(counts)
        candidates = np.empty(int(ends[-1]) if ends.size else 0, ROW)
        starts, targets = HEADER_BYTES + firsts * ROW.itemsize, (ends - counts) * ROW.itemsize
        self._file.copy(starts, counts * ROW.itemsize, candidates.view(np.uint8), targets)
        asked = np.repeat(np.arange(len(digests)), counts)
        hits = np.flatnonzero(candidates["digest"] == digests[asked, 0])
        hits = hits[candidates["check"][hits] == digests[asked[hits], 1]]
        self._check(candidates[hits])
        rows[asked[hits]], found[asked[hits]] = candidates[hits], True
        return rows, found

    def chunks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield all rows, so many at a time, as copies.

        Raises:
            FormatError: some are damaged.
        """
        for first in range(0, self.rows, rows):
            count = min(rows, self.rows - first)
            raw = self._file.read(HEADER_BYTES + first * ROW.itemsize, count * ROW.itemsize)
            some = np.frombuffer(raw, ROW).copy()
            self._check(some)
            yield some

    def close(self) -> None:
        """Close the file."""
        self._directory = np.empty(0, np.uint64)
        self._file.close()

    def _ranges(self, digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first row with each digest's leading bits, and how many such rows there are."""
        if not self._directory.size:
            raw = self._file.read(self._directory_at, 8 * (2**self._bits + 1))
            if zlib.crc32(raw) != self._directory_checksum:
                raise self._damage("its directory does not have the checksum that it was written with")
            self._directory = np.frombuffer(raw, "<u8")
        places = _leading(digests[:, 0], self._bits)
        firsts = self._directory[places].astype(np.int64)
        return firsts, self._directory[places + 1].astype(np.int64) - firsts

    def _check(self, rows: NDArray[Any]) -> None:
        """Raise for rows that are not as they were written, or lie outside their samples."""
        if (rows["checksum"] != checksums(rows)).any():
            raise self._damage("a row does not have the checksum that it was written with")
        if not rows.size:
            return
        samples = rows["sample"]
        if samples.max() >= self.sample_count:
            raise self._damage(f"a row is of sample number {samples.max():,}, and it has {self.sample_count:,} samples")
        lengths = rows["length"]
        kept = np.where(self._packed[self.shard_of_sample[samples]], lengths // np.uint64(4), lengths)
        before = rows["offset"] - self._begins[samples]  # wraps around below 0
        sizes = self._sizes[samples]
        if ((before > sizes) | (kept > sizes - np.minimum(before, sizes))).any():
            raise self._damage("the bases of a row lie outside those of its sample")

    def _damage(self, how: str) -> FormatError:
        return FormatError(f"{self.path} is damaged: {how}; copy the store again, or remove {self._remove} and import anew")


def header(rows: int, bits: int, samples_at: int, samples: bytes, directory: NDArray[np.uint64]) -> bytes:
    """Return the first bytes of a table.

    They are, in little-endian numbers: magic, rows, leading bits of a digest that the directory goes by, where the samples
    begin, bytes of them (uint64), the CRC-32 of the directory, and that of all before and the samples (uint32).
    """
    head = _HEAD.pack(MAGIC, rows, bits, samples_at, len(samples), zlib.crc32(directory.data))
    return head + _CHECKSUM.pack(zlib.crc32(samples, zlib.crc32(head)))


def checksums(rows: NDArray[Any]) -> NDArray[np.uint16]:
    """Return what the column `checksum` of rows must hold, of all that they say: uint16 [n]."""
    found = rows["sample"].astype(np.uint64) << np.uint64(16) | rows["runs"]
    for name in ("digest", "check", "offset", "length"):
        found = (found ^ found >> np.uint64(32) ^ rows[name]) * _FACTOR
    result: NDArray[np.uint16] = (found >> np.uint64(48)).astype(np.uint16)
    return result


def directory_of(counts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the directory of digests of which so many have each leading bits."""
    return np.concatenate([[0], np.cumsum(counts)]).astype("<u8")


def leading_bits(rows: int) -> int:
    """Return how many leading bits of digests a table of so many rows goes by."""
    return max(0, (rows // ROWS_A_PLACE).bit_length())


def _leading(words: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    return (words >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(words.size, np.int64)
