"""Sorting more rows than memory holds: runs that fit are sorted, written to a temporary folder, and merged."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from eden_core.errors import InputError
from eden_core.sorted_files import STREAM_ROWS, Span, Stream, first_fall, lanes_of

BATCH_ROWS = 65_536
"""rows of a batch that is handed out; the last has fewer"""

ROWS_IN_MEMORY = 1 << 20

_BYTES_IN_MEMORY = 1 << 28
_OPEN_FILES = 128


def sorted_batches(
    batches: Iterable[pa.RecordBatch],
    keys: Sequence[str] = ("contig_id",),
    *,
    rows_in_memory: int = ROWS_IN_MEMORY,
    folder: Path | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield rows in order of some columns: strings by the bytes of their UTF-8; equals by the next column, then as they came.

    Args:
        batches: rows of one schema, without nulls in the keys.
        keys: columns of strings or integers.
        rows_in_memory: rows that are sorted at a time.
        folder: where temporary files go; None: where `TMPDIR` says. They are gone when the generator ends, however it ends.

    Yields:
        Batches of `BATCH_ROWS` rows, the last of fewer.

    Raises:
        OSError: the temporary folder is full or cannot be written.
    """
    runs = _runs(batches, keys, rows_in_memory)
    head = list(islice(runs, 2))
    if len(head) < 2:
        yield from rebatched(batch for run in head for batch in run.batches())
        return
    with _temporary_folder(folder) as scratch:
        files: list[Path] = []
        while run := head.pop(0) if head else next(runs, None):
            files.append(_written(scratch / f"run_{len(files)}.arrow", run.batches()))
        yield from merged(files, keys, folder=scratch)


def merged(
    files: Sequence[Path], keys: Sequence[str] = ("contig_id",), *, folder: Path | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of sorted files in order; rows with equal keys in the order of the files.

    Files whose keys do not overlap are read one after another, so they are neither sorted again nor open together.

    Args:
        files: Parquet or Arrow IPC files of one schema, each sorted as `sorted_batches` sorts.
        keys: columns of strings or integers.
        folder: where temporary files go, should too many files overlap; None: where `TMPDIR` says.

    Yields:
        Batches of `BATCH_ROWS` rows, the last of fewer.

    Raises:
        InputError: a file is not sorted, or has other columns than the first.
        OSError: a file cannot be read, or the temporary folder is full.
    """
    spans = [span for number, path in enumerate(files) if (span := Span.of(number, Path(path), keys)) is not None]
    lanes = lanes_of(spans)
    if len(lanes) <= _OPEN_FILES:
        yield from rebatched(_merge(lanes, keys))
        return
    with _temporary_folder(folder) as scratch:
        while len(lanes) > _OPEN_FILES:
            spans = _fewer(spans, len(lanes), keys, scratch)
            lanes = lanes_of(spans)
        yield from rebatched(_merge(lanes, keys))


def rebatched(batches: Iterable[pa.RecordBatch], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of `rows`, the last of fewer."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        taken = 0
        while taken < batch.num_rows:
            part = batch.slice(taken, rows - count)
            taken, count = taken + part.num_rows, count + part.num_rows
            waiting.append(part)
            if count == rows:
                yield _one(waiting)
                waiting, count = [], 0
    if waiting:
        yield _one(waiting)


@dataclass(frozen=True)
class _Run:
    """Rows in memory, and the order in which they come; None: they are in order."""

    table: pa.Table
    order: pa.Array | None

    @classmethod
    def of(cls, table: pa.Table, keys: Sequence[str]) -> "_Run":
        for key in keys:
            if table[key].null_count:
                raise InputError(f"column {key} holds nulls, so rows cannot be sorted by it; give every row a value")
        if first_fall(table, keys) is None:
            return cls(table, None)
        table = table.combine_chunks()
        return cls(table, pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys]))

    def batches(self) -> Iterator[pa.RecordBatch]:
        for first in range(0, len(self.table), STREAM_ROWS):
            if self.order is None:
                part = self.table.slice(first, STREAM_ROWS)
            else:
                part = self.table.take(self.order.slice(first, STREAM_ROWS))
            yield _one(part.to_batches())


def _runs(batches: Iterable[pa.RecordBatch], keys: Sequence[str], rows_in_memory: int) -> Iterator[_Run]:
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        for first in range(0, batch.num_rows, rows_in_memory):
            part = batch.slice(first, rows_in_memory)
            waiting.append(part)
            rows, size = rows + part.num_rows, size + part.nbytes
            if rows >= rows_in_memory or size >= _BYTES_IN_MEMORY:
                yield _Run.of(pa.Table.from_batches(waiting), keys)
                waiting, rows, size = [], 0, 0
    if waiting:
        yield _Run.of(pa.Table.from_batches(waiting), keys)


def _one(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return parts[0] if len(parts) == 1 else pa.Table.from_batches(parts).combine_chunks().to_batches()[0]


@contextmanager
def _temporary_folder(folder: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="eden-sort-", dir=folder) as scratch:
        yield Path(scratch)


def _written(path: Path, batches: Iterator[pa.RecordBatch]) -> Path:
    first = next(batches)
    try:
        with pa.OSFile(str(path), "wb") as sink:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            with pa.ipc.new_file(sink, first.schema, options=options) as writer:
                for batch in chain((first,), batches):
                    writer.write_batch(batch)
    except OSError as error:
        hint = ". TMPDIR=FOLDER moves it" if path.is_relative_to(tempfile.gettempdir()) else ""
        raise OSError(f"rows are sorted in the folder {path.parent}, which cannot be written: {error}{hint}") from error
    return path


def _fewer(spans: list[Span], lanes: int, keys: Sequence[str], scratch: Path) -> list[Span]:
    """Merge files that stand side by side: as many as are too many where all overlap, which will do, else all by groups."""
    excess = lanes - _OPEN_FILES + 1
    if lanes == len(spans) and excess < _OPEN_FILES:
        groups = [spans[:excess], *([span] for span in spans[excess:])]
    else:
        groups = [spans[i : i + _OPEN_FILES] for i in range(0, len(spans), _OPEN_FILES)]
    fewer = []
    for group in groups:
        if len(group) == 1:
            fewer += group
            continue
        path = _written(Path(tempfile.mkdtemp(dir=scratch)) / "merged.arrow", _merge(lanes_of(group), keys))
        for span in group:
            if scratch in span.path.parents:
                span.path.unlink()
        first, last = min(span.first for span in group), max(span.last for span in group)
        fewer.append(Span(group[0].number, path, first, last))
    return fewer


def _merge(lanes: Sequence[Sequence[Span]], keys: Sequence[str]) -> Iterator[pa.RecordBatch]:
    streams = [Stream(lane, keys) for lane in lanes]
    for stream in streams:
        if stream.schema != streams[0].schema:
            raise InputError(
                f"{stream.path} has the columns {stream.schema}, and {streams[0].path} has {streams[0].schema}: sorted files "
                "are merged only where their columns are the same"
            )
    while streams:
        streams.sort(key=lambda stream: stream.number)
        lasts = [stream.last for stream in streams]
        place = lasts.index(min(lasts))
        bound = lasts[place]
        # Of a file further on, rows with that very key must wait for those of this one's next batch.
        taken = [stream.take(bound, inclusive=i <= place) for i, stream in enumerate(streams)]
        some = [batch for batch in taken if batch.num_rows]
        yield from some if len(some) == 1 else _Run.of(pa.Table.from_batches(some), keys).batches()
        streams = [stream for stream in streams if not stream.empty or stream.advance()]
