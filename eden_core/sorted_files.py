"""Files of sorted rows, read a batch at a time."""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eden_core.errors import InputError

STREAM_ROWS = 8192
"""rows of a batch that is read"""

Key = tuple[Any, ...]


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
class Span:
    """A sorted file, its place among the files, and its first and last key."""

    number: int
    path: Path
    first: Key
    last: Key

    @classmethod
    def of(cls, number: int, path: Path, keys: Sequence[str]) -> "Span | None":
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


def lanes_of(spans: Sequence[Span]) -> list[list[Span]]:
    """Share files out to as few lanes as possible; in a lane, each begins behind the end of the one before."""
    lanes: list[list[Span]] = []
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


class Stream:
    """The rows of a lane, a batch of one file at a time."""

    _at: int
    """rows of the batch that were taken"""

    def __init__(self, lane: Sequence[Span], keys: Sequence[str]) -> None:
        self._keys = keys
        self._batches = ((span, batch) for span in lane for batch in _batches(span.path) if batch.num_rows)
        self._show(*next(self._batches))

    def advance(self) -> bool:
        """Go on to the next batch; False: there is none."""
        before = self.last
        for span, batch in self._batches:
            self._show(span, batch)
            if self._key(0) < before:
                raise _unsorted(self.path, self._keys, self._key(0))
            return True
        return False

    def take(self, bound: Key, *, inclusive: bool) -> pa.RecordBatch:
        """Take the rows of the batch that come before a key, or have it."""
        bisect = bisect_right if inclusive else bisect_left
        stop = bisect(range(self._batch.num_rows), bound, lo=self._at, key=self._key)
        taken = self._batch.slice(self._at, stop - self._at)
        self._at = stop
        return taken

    @property
    def empty(self) -> bool:
        """Whether all rows of the batch were taken."""
        return self._at == int(self._batch.num_rows)

    def _show(self, span: Span, batch: pa.RecordBatch) -> None:
        self._batch, self._at = batch, 0
        self._columns = [batch.column(key) for key in self._keys]
        self.number, self.path, self.schema = span.number, span.path, batch.schema
        self.last = self._key(batch.num_rows - 1)
        fall = first_fall(pa.Table.from_batches([batch]), self._keys)
        if fall is not None:
            raise _unsorted(span.path, self._keys, self._key(fall))

    def _key(self, row: int) -> Key:
        return tuple(column[row].as_py() for column in self._columns)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet or Arrow IPC file."""
    if _is_parquet(path):
        with pq.ParquetFile(path, buffer_size=1 << 16) as table:
            yield from table.iter_batches(batch_size=STREAM_ROWS)
        return
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as table:
        for number in range(table.num_record_batches):
            batch = table.get_batch(number)
            for first in range(0, batch.num_rows, STREAM_ROWS):
                yield batch.slice(first, STREAM_ROWS)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _unsorted(path: Path, keys: Sequence[str], found: Key) -> InputError:
    return InputError(f"{path} is not sorted by {', '.join(keys)}: {', '.join(map(repr, found))} comes too late; sort it first")
