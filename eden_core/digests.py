"""Digests of the contigs, and of their bases, that an index is built from."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ContigDigests:
    """Digests contigs as they come by, in whatever batches, to integers of 56 bits, which fit an SQLite integer."""

    def __init__(self) -> None:
        self._contigs, self._bases = (hashlib.blake2b(digest_size=7) for _ in range(2))
        self._has_bases = False

    def add(self, batch: pa.RecordBatch) -> None:
        """Add contigs, or intervals of them (columns: see `WindowIndex.build`)."""
        self._contigs.update(_lines(batch, ("contig_id", "start", "length", "contig_length")))
        self._bases.update(_lines(batch, ("digest",)))
        self._has_bases |= "digest" in batch.schema.names

    @property
    def contigs(self) -> int:
        """Which contigs or intervals there are."""
        return int.from_bytes(self._contigs.digest(), "big")

    @property
    def bases(self) -> int | None:
        """Which bases they have; None: the batches have no column `digest`."""
        return int.from_bytes(self._bases.digest(), "big") if self._has_bases else None


def _lines(batch: pa.RecordBatch, names: Sequence[str]) -> memoryview:
    """Return the columns that a batch has of these as text, one line a row."""
    columns = [batch.column(name).cast(pa.string()) for name in names if name in batch.schema.names]
    if not columns or not batch.num_rows:
        return memoryview(b"")
    lines = pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, "\t"), "", "\n").cast(pa.large_string())
    _, offsets, text = lines.buffers()
    bounds = np.frombuffer(offsets, np.int64)[lines.offset :]
    return memoryview(text)[bounds[0] : bounds[batch.num_rows]]
