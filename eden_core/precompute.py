"""From a table of contigs to an index of windows."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eden_core.atomic import clear_drafts, refuse_existing
from eden_core.contigs import column_names, count_contigs, sorted_contigs
from eden_core.coverage import Coverage, CoverageCount, check_gaps, with_and_without_tail
from eden_core.cutting import Cut, why_no_window
from eden_core.digests import ContigDigests
from eden_core.errors import FormatError, InputError
from eden_core.interfaces import WindowIndex
from eden_core.plugins import installed_plugins
from eden_core.tiling import Tiling

__all__ = ["PrecomputeSummary", "Progress", "precompute"]

Progress = Callable[[int, int], None]
"""called with (contigs done, contigs in all)"""


@dataclass
class PrecomputeSummary:
    """What a run of `precompute` found and wrote."""

    sequences: int = 0
    """in the table"""
    windows: int = 0
    """in the index"""
    bases: int = 0
    """of the sequences"""
    bases_read: int = 0
    """different bases that rows will read"""
    bases_in_rows: int = 0
    """the same, those of overlaps as often as they are read"""
    padding: float = 0.0
    """share of the room for bases in all rows that stays empty"""
    windows_left_out: int = 0
    """shorter than the minimum length, or empty"""
    kept: bool = False
    """whether the index was there already, and the same"""
    coverage: dict[str, Coverage] = field(default_factory=dict)
    """of the same contigs "without_tail" and "with_tail", where a report was asked for"""
    seconds: float = 0.0
    """that it took"""

    @property
    def bases_never_seen(self) -> int:
        """Bases that no row will read."""
        return self.bases - self.bases_read


def precompute(
    split: str | Path,
    output: str | Path | None,
    tiling: Tiling,
    *,
    index: str = "sqlite",
    force: bool = False,
    allow_gaps: bool = False,
    skip_existing: bool = False,
    report: bool = False,
    progress: Progress | None = None,
) -> PrecomputeSummary:
    """Build an index of the contigs in a Parquet file, complete or not at all.

    Args:
        split: table with contig_id (string) and length (integer, bases); sorted out of core where it is not in byte order.
            With a column `start` its rows are intervals of contigs, which may also have `contig_length`; `digest` tells bases.
        output: where the index goes; None: nowhere, what it would hold is counted.
        tiling: how to cut.
        index: name of an index plugin.
        force: whether an existing output is replaced.
        allow_gaps: whether rows may leave bases between windows unread.
        skip_existing: whether an existing output is left as it is where it was built from the same contigs in the same way.
        report: whether `coverage` is counted.
        progress: told how far it is.

    Raises:
        InputError: the table cannot be used; the message names the row or the id.
        ConfigurationError: the stride is larger than what a row reads, without `allow_gaps`.
        OutputExistsError: the output exists, without `force`, and not as `skip_existing` allows.
    """
    started = time.perf_counter()
    check_gaps(tiling, allow_gaps=allow_gaps)
    plugin = installed_plugins().index_class(index)
    total = count_contigs(split)
    known = skip_existing and output is not None and Path(output).is_file()
    if output is not None and not known:
        refuse_existing(output, force=force)

    def contigs(count: "_Count") -> Iterator[pa.RecordBatch]:
        for batch in sorted_contigs(split, _further_columns(split)):
            count.add(batch)
            yield batch
            if progress:
                progress(count.summary.sequences, total)
        if output is not None and not count.summary.windows:
            raise InputError(count.no_window_of(split))

    count = _Count(tiling, report=report)
    if output is None or known:
        deque(contigs(count), maxlen=0)
        count.summary.kept = output is not None and count.is_that_of(plugin, str(output))
    if output is not None and count.summary.kept:
        clear_drafts(output)
    if output is not None and not count.summary.kept:
        refuse_existing(output, force=force, remedy=_OTHER if known else _REPLACE)
        count = _Count(tiling, report=report)
        count.summary.windows = plugin.build(str(output), contigs(count), tiling).windows
    return count.finished(time.perf_counter() - started)


_LARGER_REGIONS = ". Take a smaller window size, or split again with larger shares or a smaller --guard"
_REPLACE = "give --force to replace it"
_OTHER = "and was built from other contigs or in another way: give --force to replace it"


def _further_columns(split: str | Path) -> list[str]:
    """Return the columns of a table that an index is built from, beside id and length."""
    columns = column_names(split)
    wanted = ("start", "contig_length", "digest") if "start" in columns else ("digest",)
    return [name for name in wanted if name in columns]


class _Count:
    """Counts contigs as they come by."""

    def __init__(self, tiling: Tiling, *, report: bool) -> None:
        self.summary = PrecomputeSummary()
        self._tiling, self._longest, self._intervals = tiling, 0, False
        self._digests = ContigDigests()
        self._coverage = {name: CoverageCount(each) for name, each in with_and_without_tail(tiling).items()} if report else {}

    def add(self, batch: pa.RecordBatch) -> None:
        cut, every = Cut.of(batch, self._tiling), Cut.of(batch, replace(self._tiling, min_length=0))
        summary = self.summary
        summary.sequences += batch.num_rows
        summary.windows += int(cut.counts.sum())
        summary.bases += pc.sum(batch.column("length")).as_py() or 0
        summary.bases_read += int(cut.bases_read.sum())
        summary.bases_in_rows += int(cut.bases_in_rows.sum())
        summary.windows_left_out += int((np.maximum(every.counts, 1) - cut.counts).sum())
        self._longest = max(self._longest, pc.max(batch.column("length")).as_py() or 0)
        self._intervals |= "start" in batch.schema.names
        self._digests.add(batch)
        for count in self._coverage.values():
            count.add(batch)

    def no_window_of(self, split: str | Path) -> str:
        """Say why a table gives not one window, and what to do."""
        if not self.summary.sequences:
            return f"{split} has no rows, so there is not one window"
        why = why_no_window(self._tiling, self.summary.sequences, self._longest, intervals=self._intervals)
        return f"{split}: not one window: {why}{_LARGER_REGIONS if self._intervals else ''}"

    def is_that_of(self, plugin: type[WindowIndex], location: str) -> bool:
        """Whether an index was built from these contigs in this way, as far as it knows."""
        try:
            with plugin(location) as found:
                known = (found.tiling, found.contigs_digest, found.bases_digest)
        except FormatError:
            return False
        return known == (self._tiling, self._digests.contigs, self._digests.bases)

    def finished(self, seconds: float) -> PrecomputeSummary:
        self.summary.padding = 1 - self.summary.bases_in_rows / max(1, self.summary.windows * self._tiling.row_bases)
        self.summary.coverage = {name: count.coverage for name, count in self._coverage.items()}
        self.summary.seconds = seconds
        return self.summary
