"""The table of ids of a store: where the bases of each sequence lie, a `DigestTable` whose tail has the samples and shards."""

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.digest_table import DigestTable
from eden_core.open_files import OpenFile

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
sample among the samples, how many runs of exceptions its packed bases have (65535: that many or more), and its checksum"""

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


class IdTable(DigestTable):
    """A table of ids that is open.

    Args:
        file: the table, closed with this one.
        remove: what to remove where it is damaged, before its samples are imported anew.

    Raises:
        FormatError: it is no such table, cut short, or its samples are damaged. What else is damaged is found when it is used.
    """

    MAGIC: ClassVar[bytes] = b"EDENIDS\x02"
    ROW: ClassVar[np.dtype[np.void]] = ROW

    def __init__(self, file: OpenFile, remove: Path) -> None:
        super().__init__(file, f"copy the store again, or remove {remove} and import anew")

    def read_tail(self, tail: bytes) -> None:
        """Take the samples and shards, an Arrow file."""
        try:
            with pa.ipc.open_file(pa.py_buffer(tail)) as reader:
                self._samples = reader.get_batch(0)
                of_shards = json.loads(reader.schema.metadata[_SHARDS])
            self.shards = tuple(Shard(**each) for each in of_shards["shards"])
            self.next_shard: int = of_shards["next_shard"]
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise self.damage(f"its samples cannot be read: {error}") from error
        self.shard_of_sample: NDArray[np.int32] = np.frombuffer(self._samples["shard"].buffers()[1], "<i4", self.sample_count)
        self._begins, self._sizes = (
            np.frombuffer(self._samples[name].buffers()[1], "<u8", self.sample_count) for name in ("position", "bytes")
        )
        self._packed = np.array([shard.packed for shard in self.shards], np.bool_)

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

    def check_rows(self, rows: NDArray[Any]) -> None:
        """Raise for rows that lie outside their samples."""
        samples = rows["sample"]
        if samples.max() >= self.sample_count:
            raise self.damage(f"a row is of sample number {samples.max():,}, and it has {self.sample_count:,} samples")
        lengths = rows["length"]
        kept = np.where(self._packed[self.shard_of_sample[samples]], lengths // np.uint64(4), lengths)
        before = rows["offset"] - self._begins[samples]  # wraps around below 0
        sizes = self._sizes[samples]
        if ((before > sizes) | (kept > sizes - np.minimum(before, sizes))).any():
            raise self.damage("the bases of a row lie outside those of its sample")
