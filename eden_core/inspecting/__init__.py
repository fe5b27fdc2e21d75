"""What an index holds, and how full rows of its windows are, packed and not; bases are never read."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.assembly import index_paths
from eden_core.contigs import first_rows
from eden_core.errors import ConfigurationError, InputError, ShardNotFoundError
from eden_core.inspecting.contig_counts import ContigCounter, ContigReport
from eden_core.interfaces import WindowIndex
from eden_core.layout import Layout
from eden_core.manifest import index_place
from eden_core.order import EpochOrder, Order
from eden_core.patience import Patience
from eden_core.planning import Packing
from eden_core.sidecars import GrowingArray
from eden_core.source import Source
from eden_core.sources import SourceBuilder, SourceSettings
from eden_core.vocabulary import Vocabulary
from eden_core.window_lengths import LengthSource

CLASS_BOUNDS = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1_000_000)
"""bases at which classes of contig length begin, behind the first"""

_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class IndexReport(ContigReport):
    """What an index holds.

    Attributes:
        location: where it lies.
        bytes: of the file; None where it is no file.
        windows: how many there are.
        window_size, stride, min_length, keep_tail, reserve: how the contigs were cut.
    """

    location: str
    bytes: int | None
    windows: int
    window_size: int
    stride: int
    min_length: int
    keep_tail: bool
    reserve: int


@dataclass(frozen=True)
class RowFill:
    """How full rows are.

    Attributes:
        rows: rows an epoch.
        fill: share of their tokens that are not padding.
        mean_segments, most_segments: windows a row.
    """

    rows: int
    fill: float
    mean_segments: float
    most_segments: int


@dataclass(frozen=True)
class LengthClass:
    """Windows of contigs of like length.

    Attributes:
        shortest: bases of the shortest contig that would belong here.
        below: bases of the shortest that would be too long; None: none is.
        windows: how many there are.
        share: of the bases that rows read.
        fill_before, fill_after: how full the rows are in which they lie, on average over the windows, unpacked and packed.
    """

    shortest: int
    below: int | None
    windows: int
    share: float
    fill_before: float
    fill_after: float


@dataclass(frozen=True)
class PackingReport:
    """How full rows are without packing and with it.

    Attributes:
        seq_length: tokens of a row.
        before, after: all rows, unpacked and packed.
        classes: by contig length, those that have windows.
    """

    seq_length: int
    before: RowFill
    after: RowFill
    classes: tuple[LengthClass, ...]


def index_files(path: str | Path, index: str = "sqlite") -> dict[str, str]:
    """Return the indexes of a folder by split, or one index by its own name.

    Args:
        path: the folder or the index.
        index: name of the index plugin.

    Raises:
        InputError: there is none.
    """
    if not Path(path).is_dir():
        return {Path(path).name: str(path)}
    found = index_paths(dict.fromkeys(("train", "validation", "test")), str(path), index)
    there = {split: place for split, place in found.items() if place is not None}
    if not there:
        files = ", ".join(str(index_place("", split, index)) for split in found)
        raise InputError(f"{path} holds no index: expected {files}, as eden-precompute writes them")
    return there


def inspect_index(lengths: LengthSource, *, ask_store: bool = True) -> IndexReport:
    """Count what an index holds.

    Args:
        lengths: the index, and what knows the lengths of its contigs.
        ask_store: whether all shards are listed where neither the index nor a table knows them.
    """
    index = lengths.index
    if lengths.table is None and not ask_store:
        return _report(index, _counted(index.contigs()))
    try:
        counted = _counted(lengths.measured_contigs())
    except (ConfigurationError, InputError, ShardNotFoundError):
        if lengths.table is not None:
            raise
        counted = _counted(index.contigs())
    return _report(index, counted)


def _report(index: WindowIndex, counted: ContigReport) -> IndexReport:
    tiling = index.tiling
    return IndexReport(
        **vars(counted),
        location=index.location,
        bytes=Path(index.location).stat().st_size if Path(index.location).is_file() else None,
        windows=len(index),
        window_size=tiling.window_size,
        stride=tiling.stride,
        min_length=tiling.min_length,
        keep_tail=tiling.keep_tail,
        reserve=tiling.reserve,
    )


def inspect_packing(settings: SourceSettings, packing: Packing, seq_length: int) -> PackingReport:
    """Compare rows of one window with packed ones; the plan is kept beside the index, as training keeps it.

    Args:
        settings: what is read.
        packing: how windows share rows.
        seq_length: tokens a row.

    Raises:
        ConfigurationError: windows are longer than rows, or nothing knows the lengths of contigs.
    """
    layout = Layout(Vocabulary.of("nucleotide"), seq_length)
    builder = SourceBuilder(
        layout, packing, seq_length, seed=0, shuffle=False, augment=False, patience=Patience(), count_once=False
    )
    source = builder.source(settings)
    packed = builder.order(settings, source)
    with tempfile.TemporaryDirectory(prefix="eden-") as folder:
        windows = _Windows.of(source, LengthSource(source.index, source.store, settings.contigs), Path(folder))
        before = _Filled.of(EpochOrder(len(source.index), seed=0, shuffle=False), windows, seq_length)
        after = _Filled.of(packed, windows, seq_length, separate=packing.separate)
    bounds = (0, *CLASS_BOUNDS, None)
    classes = tuple(
        LengthClass(
            shortest=bounds[i] or 0,
            below=bounds[i + 1],
            windows=int(before.windows[i]),
            share=float(before.bases[i] / before.bases.sum()),
            fill_before=float(before.fills[i] / before.windows[i]),
            fill_after=float(after.fills[i] / after.windows[i]),
        )
        for i in np.flatnonzero(before.windows).tolist()
    )
    return PackingReport(seq_length, before.rows, after.rows, classes)


@dataclass(frozen=True, eq=False)
class _Windows:
    """All windows of an index: bases that a row reads, further tokens, and class of the contig's length."""

    bases: NDArray[np.int32]
    overheads: NDArray[np.int32]
    classes: NDArray[np.uint8]

    @classmethod
    def of(cls, source: Source, lengths: LengthSource, folder: Path) -> "_Windows":
        bases, overheads, classes = (GrowingArray(folder, dtype) for dtype in (np.int32, np.int32, np.uint8))
        for windows in lengths.windows():
            room = source.room(windows)
            bases.extend(np.minimum(windows.lengths, room))
            overheads.extend(source.layout.seq_length - room)
        for batch in lengths.measured_contigs():
            found = np.searchsorted(CLASS_BOUNDS, batch.column("length").to_numpy(zero_copy_only=False), side="right")
            classes.extend(np.repeat(found, batch.column("windows").to_numpy(zero_copy_only=False)))
        return cls(bases.array(), overheads.array(), classes.array())


@dataclass(frozen=True, eq=False)
class _Filled:
    """Rows of an order; and by class of contig length its windows, their bases, and the sum of how full their rows are."""

    rows: RowFill
    windows: NDArray[np.float64]
    bases: NDArray[np.float64]
    fills: NDArray[np.float64]

    @classmethod
    def of(cls, order: Order, windows: _Windows, seq_length: int, *, separate: bool = False) -> "_Filled":
        by_class = np.zeros((3, len(CLASS_BOUNDS) + 1))
        tokens = segments = most = 0
        for first in range(0, len(order), _ROWS_AT_ONCE):
            rows = np.arange(first, min(first + _ROWS_AT_ONCE, len(order)))
            picks = order.pick(rows)
            bases = windows.bases[picks.window_ids] - (0 if picks.skips is None else picks.skips)
            bases = bases if picks.limits is None else np.minimum(bases, picks.limits)
            used = np.bincount(picks.rows, windows.overheads[picks.window_ids] + bases, rows.size)
            used += separate * (np.bincount(picks.rows, minlength=rows.size) - 1)
            classes = windows.classes[picks.window_ids]
            for i, values in enumerate((None, bases, used[picks.rows] / seq_length)):
                by_class[i] += np.bincount(classes, values, by_class.shape[1])
            tokens += int(used.sum())
            segments += len(picks)
            most = max(most, int(np.bincount(picks.rows).max()))
        filled = RowFill(len(order), tokens / (len(order) * seq_length), segments / len(order), most)
        return cls(filled, *by_class)


def _counted(batches: Iterable[pa.RecordBatch]) -> ContigReport:
    """Count contigs; intervals of one stand side by side."""
    counter = ContigCounter()
    last = None
    for batch in batches:
        if batch.num_rows:
            counter.add(batch.filter(first_rows(batch.column("contig_id"), last)))
            last = batch.column("contig_id")[-1].as_py()
    return counter.report()
