"""Whether indexes have exactly the windows that their tilings give for the contigs of a table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core.cutting import Cut
from eden_core.digests import ContigDigests
from eden_core.errors import ConfigurationError, EdenError, InputError, PluginOptionError
from eden_core.interfaces import WindowIndex
from eden_core.plugins import installed_plugins
from eden_core.remedies import Remedies, precompute_command
from eden_core.tiling import Tiling
from eden_core.verifying.ordered_rows import TABLE_COLUMNS, OrderedRows, first_value, ordered_rows, read_columns
from eden_core.verifying.problems import Problems


@dataclass(frozen=True)
class IndexCheck:
    """An index to check.

    Attributes:
        location: where it lies.
        plugin: name of the index plugin.
        table: the contigs it must be of.
        whole: whether it must have all contigs of the table; else it may have some.
        split: the table of its split, which it would be built from, whether it is there or not.
        options: of the plugin.
    """

    location: str
    plugin: str
    table: str
    whole: bool
    split: str
    options: Mapping[str, Any] = field(default_factory=dict)


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
        PluginOptionError, ConfigurationError: the options are not right.
    """
    result = IndexResult(Problems(), [])
    try:
        with installed_plugins().index(check.plugin, check.location, check.options) as index:
            result.tiling, result.windows = index.tiling, len(index)
            index.check()
            _Windows(check, index, result).compare()
    except (InputError, PluginOptionError):  # not the index is at fault
        raise
    except EdenError as error:
        if check.options and isinstance(error, ConfigurationError):
            raise
        result.problems.add("damaged-index", check.location, str(error), _rebuild(check, result.tiling))
    return result


class _Stretch(NamedTuple):
    """Windows that follow each other in a contig."""

    contig_id: str
    start: int
    windows: int


def _told(stretch: _Stretch | None) -> str:
    return f"{stretch.windows} windows of {stretch.contig_id} from base {stretch.start} on" if stretch else "none"


def _joined(stretches: Iterator[_Stretch], stride: int) -> Iterator[_Stretch]:
    """Join stretches that follow each other in a contig; those without windows are passed over."""
    last: _Stretch | None = None
    for one in stretches:
        if not one.windows:
            continue
        if last and (last.contig_id, last.start + last.windows * stride) == (one.contig_id, one.start):
            last = last._replace(windows=last.windows + one.windows)
            continue
        if last:
            yield last
        last = one
    if last:
        yield last


class _Windows:
    def __init__(self, check: IndexCheck, index: WindowIndex, result: IndexResult) -> None:
        self._check, self._index, self._result = check, index, result
        self._columns = [c for c in read_columns(Path(check.table)) if c in TABLE_COLUMNS]
        self._remedy = _rebuild(check, index.tiling)
        self._differences = 0

    def compare(self) -> None:
        """Compare windows, then digests of all contigs where the index has them."""
        schema = next(iter(self._index.contigs())).schema
        if "start" in schema.names and "start" not in self._columns:
            self._note("index-windows", f"it is of intervals of contigs, and no {self._check.split} says which", 1)
            return
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
        if not indexed:
            self._note("index-windows", f"it is of whole contigs, and {self._check.table} is of intervals (column start)", 1)
            return
        stride = self._index.tiling.stride
        for wanted, found in zip_longest(*(_joined(some, stride) for some in (self._wanted(), self._found()))):
            if wanted != found:
                what = f"it has {_told(found)} where its tiling gives {_told(wanted)}: other intervals or another tiling"
                self._note("index-windows", what, 1)
                return
        self._digests()

    def _wanted(self) -> Iterator["_Stretch"]:
        """Yield the windows of the table's intervals."""
        stride = self._index.tiling.stride
        for batch in self._rows():
            cut = Cut.of(batch, self._index.tiling)
            columns = batch.column("contig_id").to_pylist(), (cut.firsts * stride).tolist(), cut.counts.tolist()
            yield from map(_Stretch._make, zip(*columns, strict=True))

    def _found(self) -> Iterator["_Stretch"]:
        for batch in self._index.contigs():
            columns = (batch.column(name).to_pylist() for name in ("contig_id", "start", "windows"))
            yield from map(_Stretch._make, zip(*columns, strict=True))

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
        wanted, had = (rows["contig_id"].combine_chunks() for rows in (expected, found))
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


def _rebuild(check: IndexCheck, tiling: Tiling | None) -> str:
    if check.table == check.split:
        return precompute_command(check.table, check.location, check.plugin, tiling)
    remedies = Remedies(Path(check.split).parent, check.table)
    if Path(check.split).stem not in remedies.splits:
        return precompute_command(check.table, check.location, check.plugin, tiling)
    return f"{remedies.splitting()}, then {precompute_command(check.split, check.location, check.plugin, tiling)}"
