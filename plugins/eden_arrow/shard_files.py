"""Shards: Arrow files whose record batches hold the sequences of one sample each."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_arrow.batch_places import BatchPlaces
from eden_arrow.id_table import ROW, Sample
from eden_arrow.two_bits import packed as packed_values
from eden_core.digest_table import digests_of
from eden_core.digest_table_writing import RowSorter
from eden_core.errors import FormatError, InputError
from eden_core.open_files import OpenFile, OpenFiles

BATCH_ROWS = 1 << 16
BATCH_BYTES = 1 << 25
"""bases of a record batch, unless one sequence has more"""

ENCODING = b"eden_encoding"
"""key of the schema's metadata: "plain" or "two-bits" """
_ID = pa.field("contig_id", pa.string(), nullable=False)
PLAIN = pa.schema([_ID, pa.field("nt_sequence", pa.large_binary(), nullable=False)], {ENCODING: "plain"})
PACKED = pa.schema(
    [_ID, pa.field("length", pa.int64(), nullable=False), pa.field("nt_packed", pa.large_binary(), nullable=False)],
    {ENCODING: "two-bits"},
)
"""see `eden_arrow.two_bits`"""


def is_packed(schema: pa.Schema) -> bool:
    """Return whether a shard of this schema holds two bits a base.

    Raises:
        FormatError: it is the schema of no shard.
    """
    for kind in (PLAIN, PACKED):
        if schema.equals(kind) and (schema.metadata or {}).get(ENCODING) == kind.metadata[ENCODING]:
            return kind is PACKED
    raise FormatError(f"its columns are {', '.join(schema.names) or '(none)'}; expected {', '.join(PLAIN.names)}")


@dataclass(frozen=True)
class SampleBatch:
    """One record batch, without its bases.

    Attributes:
        ids: of its sequences.
        lengths: their bases, int64 [n].
        places: where what is kept of each begins in the file, and where the last one ends, int64 [n + 1].
    """

    ids: pa.Array
    lengths: NDArray[np.int64]
    places: NDArray[np.int64]


def sample_batches(file: OpenFile, sample: Sample, *, packed: bool) -> Iterator[SampleBatch]:
    """Yield the batches of a sample; ids and lengths are read, bases are not.

    Raises:
        FormatError: they are not there, or not what the table says.
    """
    for _, batch in places_of_batches(file, sample):
        yield _sample_batch(file, batch, packed=packed)


def places_of_batches(file: OpenFile, sample: Sample) -> Iterator[tuple[int, BatchPlaces]]:
    """Yield where each batch of a sample begins, and where its buffers lie.

    Raises:
        FormatError: they are not there.
    """
    position = sample.position
    for _ in range(sample.batches):
        batch = _places_at(file, position)
        yield position, batch
        position = batch.end
    if position != sample.position + sample.bytes:
        raise FormatError(f"{file.path}: the record batches of sample {sample.sample!r} do not end where they should")


def _places_at(file: OpenFile, position: int) -> BatchPlaces:
    try:
        return BatchPlaces.at(position, file.read)
    except FormatError as error:
        raise FormatError(f"{file.path} is damaged: {error}; copy the store again, or import anew") from error


def _sample_batch(file: OpenFile, batch: BatchPlaces, *, packed: bool) -> SampleBatch:
    if len(batch.buffers) != (8 if packed else 6):
        raise FormatError(f"{file.path} is damaged: a record batch has {len(batch.buffers)} buffers")
    read = [bytes(file.read(*batch.buffers[i])) for i in ((1, 2, 4, 6) if packed else (1, 2, 4))]
    ids = pa.Array.from_buffers(pa.string(), batch.rows, [None, pa.py_buffer(read[0]), pa.py_buffer(read[1])])
    offsets = np.frombuffer(read[-1], "<i8", batch.rows + 1)
    lengths = np.frombuffer(read[2], "<i8", batch.rows) if packed else np.diff(offsets)
    return SampleBatch(ids, lengths, offsets + batch.buffers[-1][0])


class ContentDigest:
    """Digests what a sample holds, in its order, whatever the batches and however its bases are kept."""

    def __init__(self) -> None:
        self._id_bytes, self._ids, self._lengths, self._bases = (blake2b(digest_size=16) for _ in range(4))

    def add_ids(self, ids: Iterable[bytes]) -> None:
        """Add ids, in UTF-8."""
        listed = list(ids)
        self._id_bytes.update(np.array([len(each) for each in listed], "<u4").data)
        self._ids.update(b"".join(listed))

    def add_lengths(self, lengths: NDArray[np.int64]) -> None:
        """Add how many bases the sequences have."""
        self._lengths.update(np.ascontiguousarray(lengths, "<i8").data)

    def add_bases(self, bases: bytes | memoryview) -> None:
        """Add bases, those of one sequence behind those of another."""
        self._bases.update(bases)

    def text(self) -> str:
        """Return 32 hexadecimal digits."""
        parts = (each.digest() for each in (self._id_bytes, self._ids, self._lengths, self._bases))
        return blake2b(b"".join(parts), digest_size=16).hexdigest()


class ShardWriter:
    """Writes a shard's file. Use it in a `with` block.

    Args:
        path: where to write.
        packed: whether it holds two bits a base.
    """

    def __init__(self, path: Path, *, packed: bool) -> None:
        self.packed = packed
        self.schema = PACKED if packed else PLAIN
        self._path = path
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self._sink = opened.enter_context(pa.OSFile(str(self._path), "wb"))
            self._writer = opened.enter_context(pa.ipc.new_file(self._sink, self.schema))
            self._file = OpenFiles(1, "pread").opened(str(self._path))
            opened.callback(self._file.close)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._opened.close()

    @property
    def position(self) -> int:
        """Where the next batch begins."""
        # The file's mark and its schema are written with the first batch.
        return int(self._sink.tell()) or 8 + int(self.schema.serialize().size)

    def write(self, batch: pa.RecordBatch, sample: str) -> BatchPlaces:
        """Write a batch of the sequences of one sample."""
        position = self.position
        self._writer.write_batch(batch, custom_metadata={"sample": sample})
        return BatchPlaces.at(position, self._file.read)


class SampleWriter:
    """Writes the sequences of one sample into a shard, with the rows of the table of ids.

    Args:
        shard: where to write.
        rows: takes the rows, which count the sample as number 0.
    """

    def __init__(self, shard: ShardWriter, rows: RowSorter) -> None:
        self._shard = shard
        self._rows = rows
        self._digest = ContentDigest()
        self._waiting: list[tuple[str, bytes]] = []
        self._waiting_bytes = 0
        self._batches = self._contigs = self._bases = 0

    def write(self, name: str, sequences: Iterable[tuple[str, bytes]]) -> Sample:
        """Write all sequences, a batch in memory at a time.

        Raises:
            InputError: a sequence is no ASCII text, or its id none that is UTF-8.
        """
        begin = self._shard.position
        for sequence_id, bases in sequences:
            if not bases.isascii():
                place = next(place for place, byte in enumerate(bases) if byte > 127)
                raise InputError(f"sequence {sequence_id!r} holds a byte that is no ASCII letter at {place}")
            if self._waiting_bytes + len(bases) > BATCH_BYTES or len(self._waiting) == BATCH_ROWS:
                self._flush(name)
            self._waiting.append((sequence_id, bases))
            self._waiting_bytes += len(bases)
        self._flush(name)
        size = self._shard.position - begin
        return Sample(name, 0, begin, size, self._batches, self._contigs, self._bases, self._digest.text())

    def _flush(self, name: str) -> None:
        if not self._waiting:
            return
        names, sequences = zip(*self._waiting, strict=True)
        self._waiting, self._waiting_bytes = [], 0
        lengths = np.array([len(bases) for bases in sequences], np.int64)
        joined = sequences[0] if len(sequences) == 1 else b"".join(sequences)
        self._digest.add_ids(map(_encoded, names))
        self._digest.add_lengths(lengths)
        self._digest.add_bases(joined)
        ids, runs = pa.array(names, pa.string()), np.zeros(lengths.size, np.int64)
        if self._shard.packed:
            values, runs = packed_values(sequences)
            bases = _binary(values)
            columns = [ids, pa.array(lengths), bases]
        else:
            bases = _binary([joined], lengths)
            columns = [ids, bases]
        places = self._shard.write(pa.RecordBatch.from_arrays(columns, schema=self._shard.schema), name)
        offsets = np.frombuffer(bases.buffers()[1], np.int64)[:-1] + places.buffers[-1][0]
        self._rows.add(_rows(names, offsets, lengths, runs))
        self._batches, self._contigs = self._batches + 1, self._contigs + lengths.size
        self._bases += int(lengths.sum())


def _encoded(sequence_id: str) -> bytes:
    try:
        return sequence_id.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"sequence id {sequence_id!r} cannot be written as UTF-8: {error.reason}; rename it") from error


def _binary(values: Sequence[bytes | memoryview], lengths: NDArray[np.int64] | None = None) -> pa.Array:
    """Return a column of values; with `lengths`, of the one value cut into pieces, without a copy."""
    sizes = np.array([len(value) for value in values], np.int64) if lengths is None else lengths
    offsets = np.zeros(sizes.size + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    data = values[0] if len(values) == 1 else b"".join(values)
    return pa.Array.from_buffers(pa.large_binary(), sizes.size, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _rows(
    names: Sequence[str], offsets: NDArray[np.int64], lengths: NDArray[np.int64], runs: NDArray[np.int64]
) -> NDArray[Any]:
    rows = np.zeros(lengths.size, ROW)
    digests = digests_of(names)
    rows["digest"], rows["check"], rows["offset"], rows["length"] = digests[:, 0], digests[:, 1], offsets, lengths
    rows["runs"] = np.minimum(runs, np.iinfo(np.uint16).max)
    return rows
