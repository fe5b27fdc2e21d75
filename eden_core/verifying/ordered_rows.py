"""Tables of contigs as streams in byte order of the ids, which go forward side by side."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eden_core.contigs import BATCH_ROWS, count_contigs
from eden_core.errors import InputError
from eden_core.sorted_files import first_fall
from eden_core.sorting import sorted_batches

TYPES = {
    "contig_id": pa.string(),
    "length": pa.int64(),
    "start": pa.int64(),
    "contig_length": pa.int64(),
    "digest": pa.string(),
    "sample": pa.string(),
}
"""columns of a table of contigs that are read; the first two are always there"""

TABLE_COLUMNS = ("contig_id", "length", "start", "contig_length", "digest")
"""those that splits and indexes are compared by"""


def read_columns(path: Path) -> tuple[str, ...]:
    """Return which columns of `TYPES` a table of contigs has.

    Raises:
        InputError: it is no table of contigs.
    """
    count_contigs(path)
    names = pq.ParquetFile(path).schema_arrow.names
    return tuple(name for name in TYPES if name in names)


def read_through(path: Path) -> None:
    """Read a table of contigs once, as far as splits and indexes are compared by it.

    Raises:
        InputError: it cannot be read, or has a null, or a value of another type.
    """
    for _ in _rows(path, tuple(name for name in read_columns(path) if name in TABLE_COLUMNS)):
        pass


def ordered_rows(path: Path, columns: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table in byte order of contig_id, then by start; one that is not sorted is sorted on disk.

    Raises:
        InputError: it cannot be read, or has a null, or a value of another type.
    """
    names: tuple[str, ...] = tuple(columns)
    keys: list[str] = [key for key in ("contig_id", "start") if key in names]
    yield from _rows(path, names) if _in_order(path, keys) else sorted_batches(_rows(path, names), keys)


def _rows(path: Path, names: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH_ROWS, columns=list(names)):
            found = [batch.column(name).cast(TYPES[name]) for name in names]
            for name, column in zip(names, found, strict=True):
                if column.null_count:
                    raise InputError(f"{path} has nulls in its column {name}; every row needs a value")
            yield pa.RecordBatch.from_arrays(found, names=list(names))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _in_order(path: Path, keys: list[str]) -> bool:
    before = pa.table({key: pa.array([], TYPES[key]) for key in keys})
    for batch in _rows(path, tuple(keys)):
        rows = pa.concat_tables([before, pa.Table.from_batches([batch])])
        if first_fall(rows.combine_chunks(), keys) is not None:
            return False
        before = rows.slice(max(0, len(rows) - 1))
    return True


class OrderedRows:
    """A stream of rows in byte order of contig_id, taken up to an id at a time.

    Args:
        batches: the rows.
        schema: of the rows.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        self._batches = iter(batches)
        self._ahead: pa.Table = schema.empty_table()

    def until(self, last: str) -> pa.Table:
        """Take the rows whose ids do not come behind `last`."""
        while not len(self._ahead) or self._ahead["contig_id"][-1].as_py() <= last:
            batch = next(self._batches, None)
            if batch is None:
                break
            if batch.num_rows:
                self._ahead = pa.concat_tables([self._ahead, pa.Table.from_batches([batch])])
        count = pc.sum(pc.less_equal(self._ahead["contig_id"], last)).as_py() or 0
        taken, self._ahead = self._ahead.slice(0, count), self._ahead.slice(count)
        return taken.combine_chunks()

    def rest(self) -> Iterator[pa.Table]:
        """Take all rows that are left."""
        if len(self._ahead):
            yield self._ahead
        self._ahead = self._ahead.schema.empty_table()
        for batch in self._batches:
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


def first_value(values: pa.ChunkedArray, marked: Any) -> Any:
    """Return the first of the values that are marked."""
    return values.filter(marked)[0].as_py()
