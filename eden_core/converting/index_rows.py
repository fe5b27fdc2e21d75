"""What an index was built from: the contigs, or intervals of them, that explain its windows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.contigs import CONTIGS, SCHEMA, OrderCheck
from eden_core.converting.stretches import STRETCH, first_difference, joined, stretches_of_index, stretches_of_rows
from eden_core.digests import ContigDigests
from eden_core.errors import InputError
from eden_core.interfaces import SequenceStore, WindowIndex
from eden_core.tiling import Tiling
from eden_core.verifying.ordered_rows import TABLE_COLUMNS, ordered_rows, read_columns
from eden_core.window_lengths import LengthSource

_SUFFIX = "_windows"


@dataclass(frozen=True)
class IndexRows:
    """Rows to build an index from.

    Attributes:
        batches: yields them, in byte order of the ids (columns: see `WindowIndex.build`).
        table: the table they are read from; None: the index itself, and what knows the lengths of its contigs.
    """

    batches: Callable[[], Iterator[pa.RecordBatch]]
    table: str | None


def rows_of_index(index: WindowIndex, store: SequenceStore, contigs: str | None = None) -> IndexRows:
    """Return the rows that an index was built from, as far as they can be found.

    A table is taken where it has the digest that the index knows, or, where the index knows none, where it gives the same
    windows: the one that is given, that of the index's split, or `contigs.parquet` beside the index or in the store's folder.
    Else the rows are the index's own, and such a table, or the store, says how long the contigs are.

    Args:
        index: the index.
        store: the store that it is of.
        contigs: a table of contigs.

    Raises:
        InputError: no tiling explains the windows, or what knows the lengths lacks a contig.
    """
    tables = _tables(index, store, contigs)
    for table in tables:
        if _explains(table, index):
            return IndexRows(partial(_rows_of_table, table), table)
    if "end" in next(iter(index.contigs())).schema.names:
        raise InputError(
            f"{index.location} has windows that are cut short where intervals end, which no table of contigs explains: build "
            "the other index with eden-precompute, from a table of these intervals"
        )
    lengths = LengthSource(index, store, contigs)
    own = partial(_own_rows, index, lengths)
    difference = first_difference(stretches_of_index(index), stretches_of_rows(_checked(own(), index.location), index.tiling))
    if difference is not None:
        raise InputError(
            f"{index.location} cannot be carried over: with contigs as long as {lengths.named} says, its tiling "
            f"({index.tiling}) gives {difference}. Give --contigs TABLE, the table that it was built from, or build the other "
            "index from such a table with eden-precompute"
        )
    return IndexRows(own, None)


def _tables(index: WindowIndex, store: SequenceStore, contigs: str | None) -> list[str]:
    place = Path(index.location)
    found = [place.with_name(f"{place.stem.removesuffix(_SUFFIX)}.parquet"), place.with_name(CONTIGS)]
    found.append(Path(store.location) / CONTIGS)
    given = [] if contigs is None else [contigs]
    return list(dict.fromkeys([*given, *(str(path) for path in found if path.is_file())]))


def _rows_of_table(table: str) -> Iterator[pa.RecordBatch]:
    found = read_columns(Path(table))
    left_out = () if "start" in found else ("contig_length",)
    return ordered_rows(Path(table), [name for name in found if name in TABLE_COLUMNS and name not in left_out])


def _explains(table: str, index: WindowIndex) -> bool:
    if index.contigs_digest is None:
        return first_difference(stretches_of_index(index), stretches_of_rows(_rows_of_table(table), index.tiling)) is None
    digests = ContigDigests()
    for batch in _rows_of_table(table):
        digests.add(batch)
    bases = {index.bases_digest, digests.bases}
    return digests.contigs == index.contigs_digest and (None in bases or len(bases) == 1)


def _own_rows(index: WindowIndex, lengths: LengthSource) -> Iterator[pa.RecordBatch]:
    batches = lengths.measured_contigs()
    first = next(batches)
    batches = chain([first], batches)
    if "start" not in first.schema.names:
        yield from (batch.select(SCHEMA.names) for batch in batches)
        return
    names = [*STRETCH.names, "length"]
    yield from (_intervals(batch, index.tiling) for batch in joined((b.select(names) for b in batches), index.tiling.stride))


def _intervals(stretches: pa.RecordBatch, tiling: Tiling) -> pa.RecordBatch:
    """Return the intervals that hold stretches of windows; one whose last window reaches its contig's end ends there too."""
    starts, windows, wholes = (_numbers(stretches, name) for name in ("start", "windows", "length"))
    ends = np.minimum(starts + (windows - 1) * tiling.stride + tiling.window_size, wholes)
    columns = [stretches.column("contig_id"), *map(pa.array, (starts, ends - starts, wholes))]
    return pa.RecordBatch.from_arrays(columns, names=["contig_id", "start", "length", "contig_length"])


def _numbers(rows: pa.RecordBatch, name: str) -> NDArray[np.int64]:
    return np.asarray(rows.column(name).to_numpy(zero_copy_only=False), np.int64)


def _checked(batches: Iterable[pa.RecordBatch], where: str) -> Iterator[pa.RecordBatch]:
    check = OrderCheck(where)
    for batch in batches:
        check(batch)
        yield batch
