"""Windows that follow each other in one sequence, found as rows of an index come by."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.contigs import first_rows

CONTIG_SCHEMA = pa.schema(
    [
        pa.field("contig_id", pa.string(), nullable=False),
        pa.field("first_window", pa.int64(), nullable=False),
        pa.field("windows", pa.int64(), nullable=False),
        pa.field("length", pa.int64()),
    ]
)
"""columns of `WindowIndex.contigs`"""

_SCHEMA = CONTIG_SCHEMA.append(pa.field("start", pa.int64(), nullable=False))


def stretches(batches: Iterable[list[tuple[str, int]]], stride: int) -> Iterator[pa.RecordBatch]:
    """Yield what `WindowIndex.contigs` does of an index of intervals, from its rows (sequence id, number of the window)."""
    done = 0
    ids, numbers, firsts = pa.array([], pa.string()), np.empty(0, np.int64), np.empty(0, np.int64)
    last_id: str | None = None
    last_number = 0
    for rows in batches:
        names, places = zip(*rows, strict=True)
        found, at = pa.array(names, pa.string()), np.array(places, np.int64)
        is_new = first_rows(found, last_id).to_numpy(zero_copy_only=False)
        begins = np.flatnonzero(is_new | (np.diff(at, prepend=last_number) != 1))
        ids = pa.concat_arrays([ids, found.take(pa.array(begins))])
        numbers, firsts = np.concatenate([numbers, at[begins]]), np.concatenate([firsts, begins + done])
        last_id, last_number, done = names[-1], places[-1], done + len(rows)
        if len(ids) > 1:  # the last may go on
            yield _batch(ids[:-1], firsts[:-1], np.diff(firsts), numbers[:-1] * stride)
            ids, numbers, firsts = ids[-1:], numbers[-1:], firsts[-1:]
    if len(ids):
        yield _batch(ids, firsts, done - firsts, numbers * stride)


def _batch(ids: pa.Array, firsts: NDArray[np.int64], counts: NDArray[np.int64], starts: NDArray[np.int64]) -> pa.RecordBatch:
    columns = [ids, pa.array(firsts), pa.array(counts), pa.nulls(len(ids), pa.int64()), pa.array(starts)]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)
