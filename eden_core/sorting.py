"""Sorting more rows than memory holds: runs that fit are sorted, written to a temporary folder, and merged."""

import heapq
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eden_core.errors import InputError

BATCH_ROWS = 65_536
"""rows of a batch that is handed out; the last has fewer"""

ROWS_IN_MEMORY = 1 << 20

_BYTES_IN_MEMORY = 1 << 28
_STREAM_ROWS = 8192
_OPEN_FILES = 128

Key = tuple[Any, ...]


def sorted_batches(
    batches: Iterable[pa.RecordBatch],
    keys: Sequence[str] = ("contig_id",),
    *,
    rows_in_memory: int = ROWS_IN_MEMORY,
    folder: Path | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield rows in order of some columns: strings by the bytes of their UTF-8, then by the further columns; equals stay in order.

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
    spans = [span for number, path in enumerate(files) if (span := _Span.of(number, Path(path), keys)) is not None]
    lanes = _lanes(spans)
    if len(lanes) <= _OPEN_FILES:
        yield from rebatched(_merge(lanes, keys))
        return
    with _temporary_folder(folder) as scratch:
        while len(lanes) > _OPEN_FILES:
            spans = _fewer(spans, len(lanes), keys, scratch)
            lanes = _lanes(spans)
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


def first_fall(table: pa.Table, keys: Sequence[str], *, strictly: bool = False) -> int | None:
    """Return the first row whose keys are below those of the row before it (or equal to them, if `strictly`)."""
    equal: Any = True
    falls: Any = False
    for key in keys:
        before, after = table[key][:-1], table[key][1:]
        falls = pc.or_(falls, pc.and_(equal, pc.greater(before, after)))
        equal = pc.and_(equal, pc.equal(before, after))
    if strictly:
        falls = pc.or_(falls, equal)
    place = pc.index(falls, value=True).as_py() if len(table) > 1 else -1
    return None if place < 0 else place + 1


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
        for first in range(0, len(self.table), _STREAM_ROWS):
            if self.order is None:
                part = self.table.slice(first, _STREAM_ROWS)
            else:
                part = self.table.take(self.order.slice(first, _STREAM_ROWS))
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
        raise OSError(
            f"rows are sorted in the temporary folder {path.parent}, which cannot be written: {error}. TMPDIR=FOLDER moves it"
        ) from error
    return path


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet or Arrow IPC file."""
    if _is_parquet(path):
        with pq.ParquetFile(path, buffer_size=1 << 16) as table:
            yield from table.iter_batches(batch_size=_STREAM_ROWS)
        return
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as table:
        for number in range(table.num_record_batches):
            batch = table.get_batch(number)
            for first in range(0, batch.num_rows, _STREAM_ROWS):
                yield batch.slice(first, _STREAM_ROWS)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


@dataclass(frozen=True)
class _Span:
    """A sorted file, its place among the files, and its first and last key."""

    number: int
    path: Path
    first: Key
    last: Key

    @classmethod
    def of(cls, number: int, path: Path, keys: Sequence[str]) -> "_Span | None":
        """Look at the ends of a file; None: it has no rows."""
        ends = _ends_of_parquet(path, keys) if _is_parquet(path) else _ends_of_ipc(path, keys)
        if not len(ends):
            return None
        first, last = (tuple(ends[key][row].as_py() for key in keys) for row in (0, len(ends) - 1))
        if last < first:
            raise _unsorted(path, keys, last)
        return cls(number, path, first, last)


def _ends_of_parquet(path: Path, keys: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(path) as file:
        groups = [i for i in range(file.num_row_groups) if file.metadata.row_group(i).num_rows]
        return file.read_row_groups(sorted({groups[0], groups[-1]}) if groups else [], columns=list(keys))


def _ends_of_ipc(path: Path, keys: Sequence[str]) -> pa.Table:
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
        count = file.num_record_batches
        parts = [file.get_batch(i) for i in sorted({0, count - 1})] if count else []
        if count > 2 and not all(part.num_rows for part in parts):
            parts = [file.get_batch(i) for i in range(count)]
        return pa.Table.from_batches(parts, file.schema).select(list(keys))


def _lanes(spans: Sequence[_Span]) -> list[list[_Span]]:
    """Share files out to as few lanes as possible; in a lane, each begins behind the end of the one before."""
    lanes: list[list[_Span]] = []
    ends: list[tuple[Key, int]] = []
    for span in sorted(spans, key=lambda span: (span.first, span.number)):
        if ends and ends[0][0] < span.first:
            lane = ends[0][1]
            heapq.heapreplace(ends, (span.last, lane))
            lanes[lane].append(span)
        else:
            heapq.heappush(ends, (span.last, len(lanes)))
            lanes.append([span])
    return lanes


def _fewer(spans: list[_Span], lanes: int, keys: Sequence[str], scratch: Path) -> list[_Span]:
    """Merge files that stand side by side: as many as are too many, or all by groups where that would not do."""
    excess = lanes - _OPEN_FILES + 1
    if excess < _OPEN_FILES:
        groups = [spans[:excess], *([span] for span in spans[excess:])]
    else:
        groups = [spans[i : i + _OPEN_FILES] for i in range(0, len(spans), _OPEN_FILES)]
    fewer = []
    for group in groups:
        if len(group) == 1:
            fewer += group
            continue
        path = _written(Path(tempfile.mkdtemp(dir=scratch)) / "merged.arrow", _merge(_lanes(group), keys))
        for span in group:
            if scratch in span.path.parents:
                span.path.unlink()
        first, last = min(span.first for span in group), max(span.last for span in group)
        fewer.append(_Span(group[0].number, path, first, last))
    return fewer


class _Stream:
    """The rows of a lane, a batch of one file at a time."""

    def __init__(self, lane: Sequence[_Span], keys: Sequence[str]) -> None:
        self._keys = keys
        self._batches = ((span, batch) for span in lane for batch in _batches(span.path) if batch.num_rows)
        self._last: Key | None = None
        self.number = lane[0].number
        self.schema: pa.Schema | None = None
        self.advance()

    def advance(self) -> bool:
        """Go on to the next batch; False: there is none."""
        span, self._batch = next(self._batches, (None, None))
        if span is None:
            return False
        fall = first_fall(pa.Table.from_batches([self._batch]), self._keys)
        self._columns = [self._batch.column(key) for key in self._keys]
        self._at, self._stop, self.number, self.path = 0, self._batch.num_rows, span.number, span.path
        if self._last is not None and self._key(0) < self._last:
            fall = 0
        if fall is not None:
            raise _unsorted(span.path, self._keys, self._key(fall))
        self._last = self._key(self._stop - 1)
        self.schema = self._batch.schema
        return True

    @property
    def last(self) -> Key:
        """The keys of the batch's last row."""
        assert self._last is not None
        return self._last

    def take(self, bound: Key, *, inclusive: bool) -> pa.RecordBatch:
        """Take the rows of the batch that come before a key, or have it."""
        bisect = bisect_right if inclusive else bisect_left
        stop = bisect(range(self._stop), bound, lo=self._at, key=self._key)
        taken = self._batch.slice(self._at, stop - self._at)
        self._at = stop
        return taken

    @property
    def empty(self) -> bool:
        """Whether all rows of the batch were taken."""
        return self._at == self._stop

    def _key(self, row: int) -> Key:
        return tuple(column[row].as_py() for column in self._columns)


def _merge(lanes: Sequence[Sequence[_Span]], keys: Sequence[str]) -> Iterator[pa.RecordBatch]:
    streams = [_Stream(lane, keys) for lane in lanes]
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


def _unsorted(path: Path, keys: Sequence[str], found: Key) -> InputError:
    return InputError(f"{path} is not sorted by {', '.join(keys)}: {', '.join(map(repr, found))} comes too late; sort it first")
