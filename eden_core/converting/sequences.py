"""Whole sequences out of any store, read in pieces of a bounded size."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.batch import Windows
from eden_core.contigs import SCHEMA
from eden_core.errors import FormatError
from eden_core.interfaces import SequenceStore

BASES_AT_ONCE = 1 << 22
"""bases of one read: a piece of a long contig, or several short ones"""


def contigs_of(store: SequenceStore, sample: str) -> Iterator[pa.RecordBatch]:
    """Yield the contigs of a sample as batches of `eden_core.contigs.SCHEMA`."""
    for batch in store.contigs(sample):
        if batch.num_rows:
            yield batch.select(SCHEMA.names).cast(SCHEMA)


def bases_of(store: SequenceStore, contigs: pa.RecordBatch) -> Iterator[bytes]:
    """Yield all bases of each contig; no more than one long contig is in memory, or `BASES_AT_ONCE` of short ones.

    Args:
        store: what they are read from.
        contigs: contig_id and length; neighbours should lie in one shard.

    Raises:
        FormatError: a contig is not as long as it is said to be.
    """
    ids: list[str] = contigs.column("contig_id").to_pylist()
    lengths = contigs.column("length").to_numpy()
    ends = np.cumsum(lengths)
    first = 0
    while first < len(ids):
        done = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, done + BASES_AT_ONCE, side="right")))
        if stop == first + 1:
            yield _whole(store, ids[first], int(lengths[first]))
        else:
            yield from _some(store, ids[first:stop], lengths[first:stop])
        first = stop


def _whole(store: SequenceStore, contig_id: str, length: int) -> bytes:
    starts = np.arange(0, length, BASES_AT_ONCE)
    pieces = (_read(store, [contig_id], starts[i : i + 1], _rest(length, starts[i : i + 1]))[0] for i in range(starts.size))
    return b"".join(pieces)


def _rest(length: int, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(length - starts, BASES_AT_ONCE)


def _some(store: SequenceStore, contig_ids: Sequence[str], lengths: NDArray[np.int64]) -> Iterator[bytes]:
    filled = np.flatnonzero(lengths)  # of no bases there is nothing to read
    some = [contig_ids[i] for i in filled.tolist()]
    rows = iter(_read(store, some, np.zeros(filled.size, np.int64), lengths[filled]) if some else ())
    for length in lengths.tolist():
        yield next(rows) if length else b""


def _read(
    store: SequenceStore, contig_ids: Sequence[str], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> list[bytes]:
    rows = store.read(Windows(np.arange(len(contig_ids)), tuple(contig_ids), starts, lengths))
    short = np.flatnonzero(rows.lengths != lengths)
    if short.size:
        i = int(short[0])
        raise FormatError(
            f"{store.location}: contig {contig_ids[i]!r} has no {int(starts[i] + lengths[i]):,} bases, as its store lists it: "
            f"reading from base {int(starts[i]):,} on gave {int(rows.lengths[i]):,}"
        )
    return [row.tobytes() for row in rows]
