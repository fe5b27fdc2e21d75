"""The tables of a split: stretches of contigs become rows, with what the table of contigs says of them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eden_core.contigs import BATCH_ROWS, SCHEMA
from eden_core.splitting.contig_names import samples_of
from eden_core.splitting.places import Stretches
from eden_core.splitting.text_hashes import hash_texts
from eden_core.splitting.words import SPLITS

KEPT = ("sample", "tag", "digest")
"""columns of a table of contigs that go into the tables of its splits, where it has them"""

_START, _CONTIG_LENGTH = (pa.field(name, pa.int64(), nullable=False) for name in ("start", "contig_length"))
_PENDING = 1 << 20


class SplitTable:
    """Writes one split's table, and counts what goes in.

    Args:
        path: file to write, not atomic.
        columns: of `KEPT`, those that the table of contigs has.
        with_starts: whether rows are regions of contigs.
    """

    def __init__(self, path: Path, columns: Iterable[str], *, with_starts: bool) -> None:
        fields = [SCHEMA.field("contig_id"), SCHEMA.field("length")]
        if with_starts:
            fields[1:1] = [_START]
            fields.append(_CONTIG_LENGTH)
        self._schema = pa.schema([*fields, *(pa.field(name, pa.string()) for name in KEPT if name in columns)])
        self.path = path
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self.contigs = self.rows = self.bases = 0
        self._samples: list[NDArray[np.uint64]] = []
        self._waiting: list[pa.RecordBatch] = []

    def write(self, contigs: pa.RecordBatch, samples: pa.Array, stretches: Stretches) -> None:
        """Write stretches of a batch of contigs; `stretches.contigs` counts from the first of the batch."""
        rows = pa.array(stretches.contigs)
        taken = {name: contigs.column(name).take(rows) for name in self._schema.names if name in contigs.schema.names}
        taken["contig_length"] = taken["length"]
        taken |= {"start": pa.array(stretches.starts), "length": pa.array(stretches.lengths)}
        arrays = [taken[field.name].cast(field.type) for field in self._schema]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= BATCH_ROWS:
            self._flush()
        self.rows += len(rows)
        self.contigs += 1 + int(np.count_nonzero(np.diff(stretches.contigs)))
        self.bases += int(stretches.lengths.sum())
        self._samples.append(hash_texts(pc.unique(samples.take(rows))))
        if sum(map(len, self._samples)) > 2 * len(self._samples[0]) + _PENDING:
            self._samples = [np.unique(np.concatenate(self._samples))]

    @property
    def samples(self) -> int:
        """Different samples so far, "" not counted."""
        every = np.unique(np.concatenate(self._samples)) if self._samples else np.empty(0, np.uint64)
        return int((every != hash_texts(pa.array([""]))[0]).sum())

    def close(self) -> None:
        """Complete the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._waiting = []
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)


def write_tables(batches: Iterable[pa.RecordBatch], stretches: Stretches, tables: dict[str, SplitTable]) -> None:
    """Write every stretch into the table of its split.

    Args:
        batches: all contigs, in byte order of their ids.
        stretches: in order of (contig, start).
        tables: by split.
    """
    first = 0
    for batch in batches:
        low, high = np.searchsorted(stretches.contigs, [first, first + batch.num_rows])
        here = stretches.take(np.arange(low, high))
        samples = samples_of(batch)
        for name, table in tables.items():
            of_split = here.take(here.places == SPLITS.index(name))
            if of_split.contigs.size:
                table.write(batch, samples, of_split.counted_from(first))
        first += batch.num_rows
