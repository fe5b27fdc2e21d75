"""From a table of contigs to an index of windows."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from eden_core.atomic import refuse_existing
from eden_core.contigs import count_contigs, sorted_contigs
from eden_core.errors import ConfigurationError
from eden_core.plugins import installed_plugins
from eden_core.tiling import PLAIN_RESERVE, Tiling

Progress = Callable[[int, int], None]
"""called with (contigs done, contigs in all)"""


@dataclass
class PrecomputeSummary:
    """What a run of `precompute` found and wrote."""

    sequences: int = 0
    """in the table"""
    windows: int = 0
    bases: int = 0
    bases_read: int = 0
    """different bases that rows will read"""
    bases_in_rows: int = 0
    """the same, those of overlaps as often as they are read"""
    padding: float = 0.0
    """share of the room for bases in all rows that stays empty"""
    windows_left_out: int = 0
    """shorter than the minimum length, or empty"""
    seconds: float = 0.0

    @property
    def bases_never_seen(self) -> int:
        """Bases that no row will read."""
        return self.bases - self.bases_read


def precompute(
    split: str | Path,
    output: str | Path,
    tiling: Tiling,
    *,
    index: str = "sqlite",
    force: bool = False,
    allow_gaps: bool = False,
    progress: Progress | None = None,
) -> PrecomputeSummary:
    """Build an index of the contigs in a Parquet file, complete or not at all.

    Args:
        split: table with contig_id (string) and length (integer, bases); sorted out of core where it is not in byte order.
        output: where the index goes.
        tiling: how to cut.
        index: name of an index plugin.
        force: whether an existing output is replaced.
        allow_gaps: whether rows may leave bases between windows unread.
        progress: told how far it is.

    Raises:
        InputError: the table cannot be used; the message names the row or the id.
        ConfigurationError: the stride is larger than what a row reads, without `allow_gaps`.
        OutputExistsError: the output exists, without `force`.
    """
    started = time.perf_counter()
    check_gaps(tiling, allow_gaps=allow_gaps)
    plugin = installed_plugins().index_class(index)
    total = count_contigs(split)
    refuse_existing(output, force=force)
    summary = PrecomputeSummary()
    counted = _counted(sorted_contigs(split), tiling, summary, lambda done: progress(done, total) if progress else None)
    summary.windows = plugin.build(str(output), counted, tiling).windows
    summary.padding = 1 - summary.bases_in_rows / (summary.windows * tiling.row_bases)
    summary.seconds = time.perf_counter() - started
    return summary


def check_gaps(tiling: Tiling, *, allow_gaps: bool) -> None:
    """Raise `ConfigurationError` when rows would leave bases between windows unread, unless `allow_gaps`."""
    if tiling.stride > tiling.row_bases and not allow_gaps:
        reserve = tiling.reserve if tiling.keep_tail else PLAIN_RESERVE
        raise ConfigurationError(
            f"stride {tiling.stride} is larger than the {tiling.row_bases} bases that a row reads (window size "
            f"{tiling.window_size} less {reserve} special and tag tokens): the bases between would never be seen. Use --stride "
            f"{tiling.row_bases} or less, or --allow-gaps"
        )


def _counted(
    batches: Iterator[pa.RecordBatch], tiling: Tiling, summary: PrecomputeSummary, report: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        lengths = batch.column("length").to_numpy()
        summary.sequences += len(lengths)
        summary.bases += int(lengths.sum())
        summary.bases_read += int(tiling.bases_read(lengths).sum())
        summary.bases_in_rows += int(tiling.bases_in_rows(lengths).sum())
        possible = np.where(lengths > 0, tiling.all_counts(lengths), 1)
        summary.windows_left_out += int((possible - tiling.counts(lengths)).sum())
        yield batch
        report(summary.sequences)
