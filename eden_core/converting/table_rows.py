"""What a folder's table of contigs says of each contig, given to the tasks that convert them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from eden_core.contigs import SCHEMA, count_contigs
from eden_core.errors import InputError
from eden_core.verifying.grouping import Group, group_count, group_of, only_sample, with_samples, write_groups
from eden_core.verifying.ordered_rows import TYPES, OrderedRows, first_value, ordered_rows, read_columns

_KIND = "contigs"
_COLUMNS = (*SCHEMA.names, "digest", "sample")


@dataclass(frozen=True)
class TableRows:
    """The rows of a table of contigs, shared out by sample to files.

    Attributes:
        table: the table.
        folder: where the files lie.
        groups: how many there are.
        only: the one sample whose shard serves every id; None: each has its own.
    """

    table: str
    folder: str
    groups: int
    only: str | None

    @classmethod
    def written(cls, table: Path, folder: Path, samples: Sequence[str], workers: int) -> "TableRows":
        """Share the rows out.

        Args:
            table: the table.
            folder: for the files.
            samples: that have a shard.
            workers: that read the files at a time.

        Raises:
            InputError: the table cannot be read, or names a sample that has no shard.
        """
        names = [name for name in read_columns(table) if name in _COLUMNS]
        groups = group_count(count_contigs(table), len(samples), workers)
        named = write_groups(with_samples(ordered_rows(table, names)), folder, _KIND, groups)
        only = only_sample(named, samples)
        missing = sorted(named - set(samples)) if only is None else []
        if missing:
            what = f"sample {missing[0]!r}" if missing[0] else "contigs of no sample"
            raise InputError(
                f"{table} names {what}, and the store has no shard of it: mend the folder first; eden verify "
                f"{table.parent} says what is wrong"
            )
        return cls(str(table), str(folder), groups, only)

    def of_sample(self, sample: str) -> "SampleRows":
        """Return the rows of one sample."""
        group = Group(Path(self.folder), _KIND, group_of(sample, self.groups) if self.only is None else 0, self.only)
        return SampleRows(self.table, group.rows(sample))


class SampleRows:
    """The rows of one sample, taken while its contigs come by.

    Args:
        table: the table, for messages.
        rows: in byte order of the ids.
    """

    def __init__(self, table: str, rows: Iterator[pa.RecordBatch]) -> None:
        self._table = table
        first = next(rows, None)
        schema = pa.schema([(name, TYPES[name]) for name in SCHEMA.names]) if first is None else first.schema
        self._rows = OrderedRows((batch for batch in (first, *rows) if batch is not None), schema)

    def digests(self, contigs: pa.RecordBatch) -> list[str | None]:
        """Return the digest of each of the next contigs of the shard; None: the table says nothing of it.

        Args:
            contigs: contig_id and length, in byte order of the ids; at least one.

        Raises:
            InputError: the table has other lengths, or contigs that the shard lacks.
        """
        rows = self._rows.until(contigs.column("contig_id")[-1].as_py())
        places = pc.index_in(contigs.column("contig_id"), value_set=rows["contig_id"].combine_chunks())
        self._refuse_missing(rows, contigs)
        lengths = rows["length"].take(places)
        other = pc.fill_null(pc.not_equal(lengths, contigs.column("length")), fill_value=False)
        if pc.any(other).as_py():
            columns = (contigs.column("contig_id"), contigs.column("length"), lengths)
            self._refuse("contig {} has {:,} bases in its shard, and {:,}".format(*(first_value(c, other) for c in columns)))
        if "digest" not in rows.column_names:
            return [None] * contigs.num_rows
        found: list[str | None] = rows["digest"].take(places).to_pylist()
        return found

    def finish(self) -> None:
        """Raise `InputError` where the table has contigs behind the last one of the shard."""
        for rows in self._rows.rest():
            self._refuse_missing(rows, None)

    def _refuse_missing(self, rows: pa.Table, contigs: pa.RecordBatch | None) -> None:
        ids = rows["contig_id"]
        known = pa.array([], pa.string()) if contigs is None else contigs.column("contig_id")
        missing = pc.invert(pc.is_in(ids, value_set=known))
        if pc.any(missing).as_py():
            self._refuse(f"contig {first_value(ids, missing)} is not in its shard, and is")

    def _refuse(self, what: str) -> None:
        raise InputError(f"{what} in {self._table}: mend the folder first; eden verify {Path(self._table).parent} says how")
