"""Whether splits are of the contigs that there are, and apart from each other."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core.remedies import Remedies
from eden_core.verifying.ordered_rows import TABLE_COLUMNS, TYPES, OrderedRows, first_value, ordered_rows, read_columns
from eden_core.verifying.problems import Problems


def check_splits(contigs: Path, splits: Mapping[str, Path], problems: Problems) -> int:
    """Check splits against the table of contigs and each other; return how many contigs are in none.

    Raises:
        InputError: a table cannot be read.
    """
    columns = {name: [c for c in read_columns(path) if c in TABLE_COLUMNS] for name, path in splits.items()}
    schemas = {name: pa.schema([(c, TYPES[c]) for c in some]) for name, some in columns.items()}
    streams = {name: OrderedRows(ordered_rows(splits[name], columns[name]), schemas[name]) for name in splits}
    check = _SplitCheck(contigs, splits, problems)
    unused = 0
    for batch in ordered_rows(contigs, [c for c in ("contig_id", "length", "digest") if c in read_columns(contigs)]):
        if batch.num_rows:
            last = batch.column("contig_id")[-1].as_py()
            unused += check.check(pa.Table.from_batches([batch]), {name: rows.until(last) for name, rows in streams.items()})
    for name, stream in streams.items():
        for rows in stream.rest():
            check.unknown(name, rows["contig_id"])
    return unused


class _SplitCheck:
    def __init__(self, contigs: Path, splits: Mapping[str, Path], problems: Problems) -> None:
        self._contigs, self._splits, self._problems = contigs, splits, problems
        self._remedy = Remedies(next(iter(splits.values())).parent, contigs).splitting()

    def check(self, contigs: pa.Table, splits: dict[str, pa.Table]) -> int:
        """Check a range of contigs; return how many are in no split."""
        known, parts = contigs["contig_id"].combine_chunks(), {}
        for name, rows in splits.items():
            places = pc.index_in(rows["contig_id"].combine_chunks(), value_set=known)
            self.unknown(name, rows["contig_id"].filter(pc.is_null(places)))
            parts[name] = rows.filter(pc.is_valid(places)).append_column("place", places.drop_null())
            self._check_values(name, parts[name], contigs)
        self._check_apart(parts)
        used = [rows["place"].to_numpy() for rows in parts.values()]
        return len(contigs) - np.unique(np.concatenate(used)).size if used else 0

    def unknown(self, name: str, ids: pa.ChunkedArray) -> None:
        """Note contigs that the table of contigs does not have."""
        if len(ids):
            self._note("unknown-contig", name, f"contig {ids[0].as_py()} is not in {self._contigs}", len(ids))

    def _check_values(self, name: str, rows: pa.Table, contigs: pa.Table) -> None:
        lengths = contigs["length"].take(rows["place"])
        if "start" in rows.column_names:
            ends = pc.add(rows["start"], rows["length"])
            other = pc.or_(pc.or_(pc.less(rows["start"], 0), pc.less(rows["length"], 0)), pc.greater(ends, lengths))
            what = "an interval of contig {} with {} bases lies outside its {}"
        else:
            other, what = pc.not_equal(rows["length"], lengths), "contig {} has {} bases here, and the table of contigs says {}"
        if pc.any(other).as_py():
            values = [first_value(column, other) for column in (rows["contig_id"], rows["length"], lengths)]
            self._note("split-length", name, what.format(*values), pc.sum(other).as_py())
        if "contig_length" in rows.column_names:
            other = pc.not_equal(rows["contig_length"], lengths)
            if pc.any(other).as_py():
                values = [first_value(column, other) for column in (rows["contig_id"], rows["contig_length"], lengths)]
                what = "contig {} has {} bases in all here, and the table of contigs says {}".format(*values)
                self._note("split-length", name, what, pc.sum(other).as_py())
        if "digest" in rows.column_names and "digest" in contigs.column_names:
            other = pc.not_equal(rows["digest"], contigs["digest"].take(rows["place"]))
            if pc.any(other).as_py():
                contig_id = first_value(rows["contig_id"], other)
                what = f"contig {contig_id} has another digest in {self._contigs}: its bases changed"
                self._note("split-stale", name, what, pc.sum(other).as_py())

    def _check_apart(self, parts: dict[str, pa.Table]) -> None:
        """Find intervals of one contig that overlap; without starts, an interval is the whole contig."""
        ids, names, places, starts, ends = _laid_out(parts)
        if not len(ids):
            return
        step = int(ends.max()) + 1
        first, last = places * step + starts, places * step + ends
        order = np.lexsort((first, places))
        first, last = first[order], last[order]
        furthest = np.maximum.accumulate(last)
        owners = np.maximum.accumulate(np.where(last == furthest, np.arange(last.size), 0))
        into = np.flatnonzero(first[1:] < furthest[:-1])  # rows before the one that begins too early
        pairs = np.sort(np.stack([names[order[owners[into]]], names[order[into + 1]]], axis=1), axis=1)
        for (one, other), place, count in zip(*np.unique(pairs, axis=0, return_index=True, return_counts=True), strict=True):
            contig_id = ids[int(order[into[place] + 1])].as_py()
            self._overlap(list(parts)[one], list(parts)[other], contig_id, int(count))

    def _overlap(self, one: str, other: str, contig_id: str, count: int) -> None:
        if one == other:
            self._note("split-repeats", one, f"contig {contig_id} is in it twice, or two of its intervals overlap", count)
        else:
            where, what = f"{self._splits[one]} and {self._splits[other].name}", f"contig {contig_id} has bases in both"
            self._problems.add("split-overlap", where, what, self._remedy, count)

    def _note(self, kind: str, name: str, what: str, count: int) -> None:
        self._problems.add(kind, str(self._splits[name]), what, self._remedy, count)


def _laid_out(
    parts: dict[str, pa.Table],
) -> tuple[pa.ChunkedArray, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return of all rows of all splits: id, number of the split, place among the contigs, start, end (a base at least)."""
    ids = pa.chunked_array([chunk for rows in parts.values() for chunk in rows["contig_id"].chunks], pa.string())
    names = np.repeat(np.arange(len(parts)), [len(rows) for rows in parts.values()])
    columns = [[_column(rows, name) for rows in parts.values()] for name in ("place", "start", "length")]
    places, starts, lengths = (np.concatenate(some) for some in columns)
    return ids, names, places, starts, starts + np.maximum(lengths, 1)


def _column(rows: pa.Table, name: str) -> NDArray[np.int64]:
    return rows[name].to_numpy().astype(np.int64) if name in rows.column_names else np.zeros(len(rows), np.int64)
