"""How many bases each window of an index has, where the index itself may not know."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eden_core.batch import Windows, offsets_of
from eden_core.contigs import CONTIGS, SCHEMA, column_names, first_rows, sorted_contigs
from eden_core.errors import ConfigurationError, InputError, NotSupportedError
from eden_core.interfaces import SequenceStore, WindowIndex
from eden_core.runs import RunLimit
from eden_core.sorting import sorted_batches

WINDOWS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class LengthSource:
    """Where the lengths of contigs come from, if not from the index: a table of contigs, else the store.

    Args:
        index: the index.
        store: the store.
        contigs: the table, or None to look for `contigs.parquet` beside the index and in the store's folder.
    """

    index: WindowIndex
    store: SequenceStore
    contigs: str | None = None

    @property
    def table(self) -> str | None:
        """The table of contigs, where there is one."""
        if self.contigs is not None:
            return self.contigs
        places = [Path(self.index.location).parent / CONTIGS, Path(self.store.location) / CONTIGS]
        return next((str(place) for place in places if place.is_file()), None)

    def windows(self, limits: Sequence[RunLimit] = ()) -> Iterator[Windows]:
        """Yield all windows of the index, in its order, with as many bases as they have; those that break a limit left out.

        Raises:
            ConfigurationError: nothing knows the lengths.
            InputError: the table does not hold a contig of the index.
        """
        filters = [limit.filter() for limit in limits]
        for batch in _cut(self.measured_contigs()):
            ids = batch.column("contig_id")
            firsts, counts, lengths = (
                np.asarray(batch.column(name).to_numpy(zero_copy_only=False), np.int64)
                for name in ("first_window", "windows", "length")
            )
            contig = np.repeat(np.arange(counts.size), counts)
            number = np.arange(contig.size) - np.repeat(offsets_of(counts)[:-1], counts)
            starts = number * self.index.tiling.stride
            if "start" in batch.schema.names:
                starts += batch.column("start").to_numpy()[contig]
            ends = batch.column("end").to_numpy() if "end" in batch.schema.names else lengths
            bases = np.minimum(ends[contig] - starts, self.index.tiling.window_size)
            if bases.size and int(bases.min()) < 1:
                i = int(np.argmin(bases))
                raise InputError(
                    f"{self.index.location} has a window at base {starts[i]} of {ids[int(contig[i])].as_py()!r}, which has "
                    f"{lengths[contig[i]]} bases according to {self.named}: they do not belong together; build the index again"
                )
            kept = np.ones(contig.size, bool)
            for each in filters:
                kept &= each.keeps(ids, lengths, contig, starts, bases)
            names = ids.take(pa.array(contig[kept])).to_pylist()
            yield Windows((firsts[contig] + number)[kept], tuple(names), starts[kept], bases[kept])

    @property
    def named(self) -> str:
        """The source's name, for messages."""
        return self.table or f"store {self.store.location}"

    def measured_contigs(self) -> Iterator[pa.RecordBatch]:
        """Yield what `WindowIndex.contigs` does, with all lengths.

        Raises:
            ConfigurationError: nothing knows them.
            InputError: the table does not hold a contig of the index.
        """
        batches = self.index.contigs()
        first = next(batches)
        batches = _chain(first, batches)
        if not first.column("length").null_count:
            return batches
        return _joined(batches, self._lengths(), self.index.location, self.named)

    def _lengths(self) -> Iterator[pa.RecordBatch]:
        if self.table is not None:
            return _whole_contigs(self.table)
        try:
            return sorted_batches(batch.select(SCHEMA.names).cast(SCHEMA) for batch in self.store.contigs())
        except NotSupportedError as error:
            raise ConfigurationError(
                f"the lengths of windows are needed, and neither index {self.index.location} nor store "
                f"{self.store.location} knows them: give contigs, a Parquet table with contig_id and length"
            ) from error


def _cut(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches of contigs so that each has some 262,144 windows at most."""
    for batch in batches:
        reach = np.cumsum(batch.column("windows").to_numpy())
        first = 0
        while first < batch.num_rows:
            before = int(reach[first - 1]) if first else 0
            stop = max(first + 1, int(np.searchsorted(reach, before + WINDOWS_AT_ONCE, side="right")))
            yield batch.slice(first, stop - first)
            first = stop


def _chain(first: pa.RecordBatch, rest: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _whole_contigs(table: str) -> Iterator[pa.RecordBatch]:
    """Yield the contigs of a table; of a table of intervals, each contig once, as long as it is."""
    columns = column_names(table)
    if "start" not in columns:
        yield from sorted_contigs(table)
        return
    if "contig_length" not in columns:
        raise InputError(
            f"{table} holds intervals of contigs (a column start) and not how long the contigs are: give the table of whole "
            "contigs, such as contigs.parquet of eden import"
        )
    last = None
    for batch in sorted_contigs(table, ("start", "contig_length")):
        ids = batch.column("contig_id")
        new = first_rows(ids, last)
        last = ids[-1].as_py()
        yield pa.RecordBatch.from_arrays([ids, batch.column("contig_length")], schema=SCHEMA).filter(new)


def _joined(
    batches: Iterator[pa.RecordBatch], lengths: Iterator[pa.RecordBatch], index: str, source: str
) -> Iterator[pa.RecordBatch]:
    """Fill the lengths of contigs in, both sides in byte order of the ids."""
    ahead = SCHEMA.empty_table()
    for batch in batches:
        ids = batch.column("contig_id")
        while not len(ahead) or ahead["contig_id"][-1].as_py() < ids[-1].as_py():
            more = next(lengths, None)
            if more is None:
                break
            ahead = pa.concat_tables([ahead, pa.Table.from_batches([more])]).combine_chunks()
        places = pc.index_in(ids, value_set=ahead["contig_id"])
        if places.null_count:
            missing = ids[pc.index(pc.is_null(places), value=True).as_py()].as_py()
            raise InputError(
                f"{source} has no contig {missing!r}, of which {index} has windows (or one of them is not in byte order of the "
                "ids): give the table of contigs that the index was built from"
            )
        found = pa.array(ahead["length"].to_numpy()[places.to_numpy(zero_copy_only=False)])
        yield batch.set_column(batch.schema.get_field_index("length"), "length", found)
        ahead = ahead.slice(pc.max(places).as_py())  # the next batch may begin with the same contig
