"""Whether splits are of the contigs that there are and apart from each other, and indexes of their splits."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core.digests import ContigDigests
from eden_core.errors import EdenError
from eden_core.interfaces import WindowIndex
from eden_core.ordered_rows import TYPES, OrderedRows, first_value, ordered_rows, read_columns
from eden_core.plugins import installed_plugins
from eden_core.problems import Problems
from eden_core.tiling import Tiling

_COLUMNS = ("contig_id", "length", "start", "contig_length", "digest")


def check_splits(contigs: Path, splits: Mapping[str, Path], problems: Problems) -> int:
    """Check splits against the table of contigs and each other; return how many contigs are in none.

    Raises:
        InputError: a table cannot be read.
    """
    columns = {name: [c for c in read_columns(path) if c in _COLUMNS] for name, path in splits.items()}
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
        self._remedy = f"eden split {shlex.quote(str(contigs))} --out {shlex.quote(str(contigs.parent))} … --force"

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


@dataclass(frozen=True)
class IndexCheck:
    """An index to check.

    Attributes:
        location: where it lies.
        plugin: name of the index plugin.
        table: the contigs it must be of.
        whole: whether it must have all contigs of the table; else it may have some.
    """

    location: str
    plugin: str
    table: str
    whole: bool


@dataclass
class IndexResult:
    """What was found out about an index."""

    problems: Problems
    notes: list[str]
    windows: int = 0
    tiling: Tiling | None = None


def check_index(check: IndexCheck) -> IndexResult:
    """Check that an index has exactly the windows that its tiling gives for the contigs of a table.

    Raises:
        InputError: the table cannot be read.
    """
    result = IndexResult(Problems(), [])
    try:
        with installed_plugins().index(check.plugin, check.location) as index:
            result.tiling, result.windows = index.tiling, len(index)
            index.check()
            _Windows(check, index, result).compare()
    except EdenError as error:
        if str(error).startswith(check.table):  # not the index is at fault
            raise
        result.problems.add("damaged-index", check.location, str(error), _rebuild(check, result.tiling))
    return result


class _Windows:
    def __init__(self, check: IndexCheck, index: WindowIndex, result: IndexResult) -> None:
        self._check, self._index, self._result = check, index, result
        self._columns = [c for c in read_columns(Path(check.table)) if c in _COLUMNS]
        self._remedy = _rebuild(check, index.tiling)
        self._differences = 0

    def compare(self) -> None:
        """Compare windows, then digests of all contigs where the index has them."""
        schema = next(iter(self._index.contigs())).schema
        if "start" in self._columns:
            self._intervals("start" in schema.names)
            return
        found = OrderedRows(self._in_order(), schema)
        for batch in self._rows():
            if batch.num_rows:
                self._range(pa.Table.from_batches([batch]), found.until(batch.column("contig_id")[-1].as_py()))
        for rows in found.rest():
            self._unknown(rows)
        if not self._differences:
            self._digests()

    def _intervals(self, indexed: bool) -> None:
        """Of intervals, windows lie where the plugin puts them: only the digest is compared."""
        if not indexed:
            self._note("index-windows", f"it is of whole contigs, and {self._check.table} is of intervals (column start)", 1)
            return
        self._result.notes.append(f"{self._check.location}: windows of intervals are compared by their digest only")
        self._digests()

    def _rows(self) -> Iterator[pa.RecordBatch]:
        return ordered_rows(Path(self._check.table), self._columns)

    def _in_order(self) -> Iterator[pa.RecordBatch]:
        last = ""
        for batch in self._index.contigs():
            ids = batch.column("contig_id")
            joined = pa.concat_arrays([pa.array([last], pa.string()), ids])
            falls = pc.greater if "start" in batch.schema.names else pc.greater_equal
            if pc.any(falls(joined[:-1], joined[1:])).as_py():
                self._note("index-windows", "its contigs are not in byte order of their ids, or one occurs twice", 1)
            last = ids[-1].as_py()
            yield batch

    def _range(self, contigs: pa.Table, found: pa.Table) -> None:
        counts = self._index.tiling.counts(contigs["length"].to_numpy())
        expected = contigs.filter(pa.array(counts > 0))
        counts = counts[counts > 0]
        wanted, had = _keys(expected), _keys(found)
        self._unknown(found.filter(pc.is_null(pc.index_in(had, value_set=wanted))))
        places = pc.index_in(wanted, value_set=had)
        missing = pc.is_null(places)
        if self._check.whole and pc.any(missing).as_py():
            what = f"it lacks contig {first_value(expected['contig_id'], missing)} of {self._check.table}"
            self._note("index-windows", what, pc.sum(missing).as_py())
        both, counts = expected.filter(pc.is_valid(places)), counts[pc.is_valid(places).to_numpy(zero_copy_only=False)]
        rows = found.take(places.drop_null())
        self._windows(both, counts, rows["windows"].to_numpy())
        self._lengths(both, rows)

    def _windows(self, contigs: pa.Table, counts: NDArray[np.int64], windows: NDArray[np.int64]) -> None:
        other = counts != windows
        if other.any():
            i = int(np.argmax(other))
            what = (
                f"contig {contigs['contig_id'][i].as_py()} of {contigs['length'][i].as_py()} bases has {windows[i]} windows, "
                f"and its tiling gives {counts[i]}: another tiling, or a contig that changed"
            )
            self._note("index-windows", what, int(other.sum()))

    def _lengths(self, contigs: pa.Table, rows: pa.Table) -> None:
        if "length" not in rows.column_names:
            return
        other = pc.fill_null(pc.not_equal(rows["length"], contigs["length"]), fill_value=False)
        if pc.any(other).as_py():
            values = [first_value(column, other) for column in (contigs["contig_id"], rows["length"], contigs["length"])]
            what = "contig {} has {} bases here, and the table says {}".format(*values)
            self._note("index-stale", what, pc.sum(other).as_py())

    def _unknown(self, rows: pa.Table) -> None:
        if len(rows):
            contig_id = rows["contig_id"][0].as_py()
            what = f"it has windows of contig {contig_id}, for which {self._check.table} gives none"
            self._note("index-windows", what, len(rows))

    def _digests(self) -> None:
        """Compare what numbers of windows do not tell: lengths, and bases where both sides have digests."""
        if self._check.whole and self._index.contigs_digest is not None:
            digests = ContigDigests()
            for batch in self._rows():
                digests.add(batch)
            if self._index.contigs_digest != digests.contigs:
                what = f"it was built before a length of {self._check.table} changed, or for contigs too short for a window"
                self._note("index-stale", what, 1)
                return
            if None not in {self._index.bases_digest, digests.bases}:
                if self._index.bases_digest != digests.bases:
                    self._note("index-stale", f"it was built before bases of contigs in {self._check.table} changed", 1)
                return
        self._result.notes.append(f"{self._check.location}: whether bases changed since it was built cannot be told")

    def _note(self, kind: str, what: str, count: int) -> None:
        self._differences += count
        self._result.problems.add(kind, self._check.location, what, self._remedy, count)


def _keys(rows: pa.Table) -> pa.Array:
    ids = rows["contig_id"].combine_chunks()
    if "start" not in rows.column_names:
        return ids
    return pc.binary_join_element_wise(ids, rows["start"].combine_chunks().cast(pa.string()), "\t")


def _rebuild(check: IndexCheck, tiling: Tiling | None) -> str:
    command = ["eden-precompute", check.table, check.location]
    if tiling is None:
        return f"{shlex.join(command)} --window-size N --stride N --force"
    command += ["--window-size", str(tiling.window_size), "--stride", str(tiling.stride)]
    if tiling.min_length:
        command += ["--window-min-length-threshold", str(tiling.min_length)]
    if tiling.keep_tail:
        command += ["--keep-tail", "--reserve", str(tiling.reserve)]
    return shlex.join([*command, "--force"])
