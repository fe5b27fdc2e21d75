"""A table of contigs, read in byte order of the ids as often as wanted."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from eden_core.contigs import BATCH_ROWS, SCHEMA, column_names, read_contigs
from eden_core.errors import InputError


class OrderedContigs:
    """Batches of contigs in byte order of their ids, each id once. Each iteration is a new pass.

    A file in byte order, such as `eden import` writes, is streamed at each pass. Another is sorted in memory, which takes
    about three times the bytes of its ids and of the columns asked for, for as long as this lives.

    Args:
        path: Parquet table with contig_id and length.
        columns: further columns that are wanted where the table has them.

    Raises:
        InputError: the table cannot be used, or repeats an id.
    """

    def __init__(self, path: str | Path, columns: Sequence[str] = ()) -> None:
        self.path = path
        known = column_names(path)
        self.columns = tuple(name for name in dict.fromkeys(columns) if name in known and name not in SCHEMA.names)
        self._sorted: pa.Table | None = None
        if not self._check_order():
            self._sorted = self._sort()
            self._check_order()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        if self._sorted is None:
            yield from read_contigs(self.path, self.columns)
            return
        for first in range(0, self._sorted.num_rows, BATCH_ROWS):
            batch = self._sorted[first : first + BATCH_ROWS].combine_chunks()
            yield from batch.set_column(0, SCHEMA.field(0), batch["contig_id"].cast(pa.string())).to_batches()

    def _sort(self) -> pa.Table:
        batches = list(read_contigs(self.path, self.columns))
        table = pa.Table.from_batches(batches)
        # 64-bit offsets: all ids together may be longer than 2 GiB.
        for place, field in enumerate(table.schema):
            if pa.types.is_string(field.type):
                table = table.set_column(place, field.name, table[field.name].cast(pa.large_string()))
        return table.combine_chunks().sort_by("contig_id")

    def _check_order(self) -> bool:
        """Return whether the ids are in byte order; a repeated one among ordered ones is an error."""
        last = None
        for batch in self if self._sorted is not None else read_contigs(self.path):
            ids = batch.column("contig_id")
            joined = pa.concat_arrays([pa.array([last], pa.string()), ids]) if last is not None else ids
            if pc.any(pc.greater(joined[:-1], joined[1:])).as_py():
                return False
            repeat = pc.index(pc.equal(joined[:-1], joined[1:]), value=True).as_py()
            if repeat >= 0:
                raise InputError(
                    f"{self.path}: contig_id {joined[repeat].as_py()!r} occurs more than once; each contig must have one row"
                )
            last = ids[-1].as_py() if len(ids) else last
        return True
