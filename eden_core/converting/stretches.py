"""Windows as stretches that follow each other in a contig, by which indexes of any kind are compared."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core.cutting import Cut
from eden_core.interfaces import WindowIndex
from eden_core.sorting import rebatched
from eden_core.tiling import Tiling

STRETCH = pa.schema([pa.field("contig_id", pa.string()), pa.field("start", pa.int64()), pa.field("windows", pa.int64())])
"""contig_id, the base at which the first window begins, and how many windows there are, one every stride"""


def stretches_of_index(index: WindowIndex) -> Iterator[pa.RecordBatch]:
    """Yield the windows of an index as batches of `STRETCH`, in their order, none of which goes on in the next."""
    return joined((_stretches(batch) for batch in index.contigs()), index.tiling.stride)


def stretches_of_rows(rows: Iterable[pa.RecordBatch], tiling: Tiling) -> Iterator[pa.RecordBatch]:
    """Yield in the same way the windows that contigs or intervals of them have (columns: see `WindowIndex.build`)."""
    return joined((_cut(batch, tiling) for batch in rows), tiling.stride)


def first_difference(wanted: Iterable[pa.RecordBatch], found: Iterable[pa.RecordBatch]) -> str | None:
    """Return what two sides differ in first, or None where they have the same windows in the same order."""
    for one, other in zip_longest(rebatched(wanted), rebatched(found)):
        if one is None or other is None or not one.equals(other):
            sides = [[] if side is None else side.to_pylist() for side in (one, other)]
            pairs = zip_longest(*sides)
            was, now = next((was, now) for was, now in pairs if was != now)
            return f"{_told(now)} where there should be {_told(was)}"
    return None


def _told(row: dict[str, object] | None) -> str:
    if row is None:
        return "no further windows"
    return f"{row['windows']} windows of contig {row['contig_id']!r} from base {row['start']} on"


def _stretches(batch: pa.RecordBatch) -> pa.RecordBatch:
    starts = batch.column("start") if "start" in batch.schema.names else pa.array(np.zeros(batch.num_rows, np.int64))
    return pa.RecordBatch.from_arrays([batch.column("contig_id"), starts, batch.column("windows")], schema=STRETCH)


def _cut(batch: pa.RecordBatch, tiling: Tiling) -> pa.RecordBatch:
    cut = Cut.of(batch, tiling)
    columns = [batch.column("contig_id"), pa.array(cut.firsts * tiling.stride), pa.array(cut.counts)]
    return pa.RecordBatch.from_arrays(columns, schema=STRETCH)


def joined(batches: Iterable[pa.RecordBatch], stride: int) -> Iterator[pa.RecordBatch]:
    """Yield stretches, those of which one goes on in the next as one; without those of no windows.

    Args:
        batches: of `STRETCH`, or with further columns behind, of which the first of joined stretches is kept.
        stride: bases from one window's start to the next one's.
    """
    last: pa.RecordBatch | None = None
    for batch in batches:
        rows = batch.filter(pc.greater(batch.column("windows"), 0))
        if not rows.num_rows:
            continue
        rows = _join(rows if last is None else pa.concat_batches([last, rows]), stride)
        yield rows.slice(0, rows.num_rows - 1)
        last = rows.slice(rows.num_rows - 1)
    if last is not None:
        yield last


def _join(rows: pa.RecordBatch, stride: int) -> pa.RecordBatch:
    ids, starts, counts = rows.column("contig_id"), _numbers(rows, "start"), _numbers(rows, "windows")
    same = pc.equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False) & (starts[1:] == (starts + counts * stride)[:-1])
    begins = np.flatnonzero(~np.append(False, same))
    place = rows.schema.get_field_index("windows")
    return rows.take(pa.array(begins)).set_column(place, rows.schema.field(place), pa.array(np.add.reduceat(counts, begins)))


def _numbers(rows: pa.RecordBatch, name: str) -> NDArray[np.int64]:
    return np.asarray(rows.column(name).to_numpy(zero_copy_only=False), np.int64)
