"""Contigs, or intervals of them, in batches for `WindowIndex.build`."""

from collections.abc import Sequence

import pyarrow as pa


def batches_of(rows: Sequence[tuple]) -> list[pa.RecordBatch]:
    names = ("contig_id", "length") if len(rows[0]) == 2 else ("contig_id", "start", "length", "contig_length")[: len(rows[0])]
    table = pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})
    return [batch for part in (table.slice(0, 2), table.slice(2)) for batch in part.to_batches()]
