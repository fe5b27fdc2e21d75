"""From how rows shall be packed to the order that does it, planned once per index and kept beside it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Windows, offsets_of
from eden_core.errors import ConfigurationError
from eden_core.order import EpochOrder, Order, SelectedOrder
from eden_core.packing import PackedOrder, class_lengths, plan_rows
from eden_core.runs import RunLimit
from eden_core.sequence_ids import sample_or_empty
from eden_core.shuffling import BlockShuffle, Shuffle
from eden_core.sidecars import GrowingArray, Sidecar, sidecar
from eden_core.stitching import StitchedOrder, WindowBlock, stitched_rows
from eden_core.window_lengths import LengthSource

PACKINGS = ("none", "concat", "thd")
PACK_BY = ("length", "sample")
_BATCH_ROWS = 4096
_SORTED_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Packing:
    """How windows share rows.

    Args:
        kind: "none": one window a row; "concat": several, one after another; "thd": several, with `cu_seqlens`.
        by: "length": windows that fill a row together; "sample": windows that follow each other in one sample.
        pad_segments_to: with "thd", what the tokens of a segment are padded to a multiple of.
        separate: with "concat", whether sep stands between segments.
        split_windows: with "sample", whether a window that does not fit into a row goes on in the next.

    Raises:
        ConfigurationError: an unknown word, or settings that have no meaning together.
    """

    kind: str = "none"
    by: str = "length"
    pad_segments_to: int = 1
    separate: bool = False
    split_windows: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (("packing", self.kind, PACKINGS), ("pack_by", self.by, PACK_BY)):
            if value not in known:
                raise ConfigurationError(f"{name} is {value!r}; expected one of {', '.join(map(repr, known))}")
        if self.pad_segments_to < 1:
            raise ConfigurationError(f"pad_segments_to must be at least 1 token, not {self.pad_segments_to}")
        needs = {
            "pack_by='sample' needs packing='concat' or 'thd'": self.by == "sample" and not self,
            "pad_segments_to needs packing='thd'": self.pad_segments_to > 1 and self.kind != "thd",
            "separate_segments needs packing='concat'": self.separate and self.kind != "concat",
            "split_windows needs pack_by='sample': packed by length, whole windows fill rows": self.split_windows
            and self.by != "sample",
        }
        wrong = [what for what, is_wrong in needs.items() if is_wrong]
        if wrong:
            raise ConfigurationError("; ".join(wrong))

    def __bool__(self) -> bool:
        return self.kind != "none"


@dataclass(frozen=True)
class RowPlanner:
    """Makes the order of a source.

    Args:
        packing: how windows share rows.
        seq_length: tokens a row.
        limits: what windows may hold of runs.
        lengths: where the lengths of windows come from.
        overheads: tokens of windows that are no bases, int64 [W].
        key: what `overheads` depends on.
        seed: the run's seed.
        shuffle: how rows are shuffled.
    """

    packing: Packing
    seq_length: int
    limits: Sequence[RunLimit]
    lengths: LengthSource
    overheads: Callable[[Windows], NDArray[np.int64]]
    key: object
    seed: int
    shuffle: Shuffle

    def order(self) -> Order:
        """Return the order, planned now where that was not done before.

        Raises:
            ConfigurationError: settings that have no meaning together.
        """
        seed, shuffle = self.seed, self.shuffle
        if not self.packing:
            if not self.limits:
                return EpochOrder(len(self.lengths.index), seed=seed, shuffle=shuffle)
            return SelectedOrder(self._kept("selected", self._selected), seed=seed, shuffle=shuffle)
        if self.seq_length % self.packing.pad_segments_to:
            raise ConfigurationError(
                f"seq_length {self.seq_length} is no multiple of pad_segments_to {self.packing.pad_segments_to}, so a full "
                "window would not fit into a row"
            )
        if self.packing.by == "sample":
            pieces = self._kept("stitched", self._stitched)
            return StitchedOrder(pieces, seed=seed, shuffle=shuffle, split=self.packing.split_windows)
        if isinstance(shuffle, BlockShuffle):
            raise ConfigurationError(
                "shuffle='block' needs pack_by='sample' where windows share rows: packed by length, a row takes its windows "
                "from all over the index, so that blocks of rows lie together nowhere"
            )
        classes = self._kept("packed", self._classified)
        counts = np.diff(classes["first_windows"])
        plan = plan_rows(np.array(classes["lengths"]), counts, self._capacity)
        return PackedOrder(plan, classes, seed=seed, shuffle=shuffle)

    @property
    def _capacity(self) -> int:
        """Tokens of a row; a separator stands behind every segment but the last."""
        return self.seq_length + self.packing.separate

    def _kept(self, what: str, build: Callable[[Path], Mapping[str, NDArray[Any]]]) -> Sidecar:
        index, table = self.lengths.index, self.lengths.table
        limits = [(limit.most, _identity(limit.table)) for limit in self.limits]
        lengths = self.lengths.store.fingerprint() if table is None else _identity(table)
        identity = (index.fingerprint(), _identity(index.location), lengths, limits)
        rows = (self.packing, self.seq_length, self.key) if self.packing else ()
        return sidecar(index.location, what, (identity, rows), build)

    def _windows(self) -> Iterator[tuple[Windows, NDArray[np.int64], NDArray[np.int64]]]:
        """Windows with their overheads, and the bases that fit into a row."""
        for windows in self.lengths.windows(self.limits):
            if len(windows):
                overheads = self.overheads(windows)
                yield windows, overheads, np.minimum(windows.lengths, self.seq_length - overheads)

    def _selected(self, folder: Path) -> dict[str, NDArray[Any]]:
        windows = GrowingArray(folder, self._window_dtype)
        for found in self.lengths.windows(self.limits):
            windows.extend(found.window_ids)
        return {"windows": self._some(windows.array())}

    def _classified(self, folder: Path) -> dict[str, NDArray[Any]]:
        ids, tokens = GrowingArray(folder, self._window_dtype), GrowingArray(folder, np.int32)
        counts = np.zeros(self._capacity + 1, np.int64)
        multiple = self.packing.pad_segments_to
        for windows, overheads, bases in self._windows():
            needed = class_lengths(overheads + bases + self.packing.separate, self._capacity, multiple)
            counts += np.bincount(needed, minlength=counts.size)
            ids.extend(windows.window_ids)
            tokens.extend(needed)
        lengths = np.flatnonzero(counts)
        first_windows = offsets_of(counts[lengths])
        grouped = _grouped(self._some(ids.array()), tokens.array(), lengths, first_windows, folder)
        return {"lengths": lengths, "first_windows": first_windows, "windows": grouped}

    def _stitched(self, folder: Path) -> dict[str, NDArray[Any]]:
        widths, windows = GrowingArray(folder, np.int64), GrowingArray(folder, self._window_dtype)
        skips, bases = (GrowingArray(folder, np.int32) for _ in range(2))
        split, multiple = self.packing.split_windows, self.packing.pad_segments_to
        rows = stitched_rows(self._blocks(), self._capacity, multiple=multiple, split=split)
        while some := list(islice(rows, _BATCH_ROWS)):
            widths.extend([len(row) for row in some])
            for column, values in zip((windows, skips, bases), zip(*chain(*some), strict=True), strict=True):
                column.extend(values)
        arrays = {"first_pieces": offsets_of(widths.array()), "windows": self._some(windows.array()), "bases": bases.array()}
        return arrays | ({"skips": skips.array()} if split else {})

    @property
    def _window_dtype(self) -> type[np.signedinteger[Any]]:
        return np.int32 if len(self.lengths.index) < 2**31 else np.int64

    def _blocks(self) -> Iterator[WindowBlock]:
        last = ""
        for windows, overheads, bases in self._windows():
            samples = [sample_or_empty(sequence_id) for sequence_id in windows.sequence_ids]
            begins = np.array([here != before for before, here in pairwise([last, *samples])], bool)
            last = samples[-1]
            yield WindowBlock(windows.window_ids, begins, overheads + self.packing.separate, bases)

    def _some(self, windows: NDArray[Any]) -> NDArray[Any]:
        if not windows.size:
            raise ConfigurationError(
                f"no window of {self.lengths.index.location} is left: max_n_fraction and max_soft_masked_fraction leave all out"
            )
        return windows


def _identity(location: str) -> tuple[int, int] | None:
    """Size and time of a local file: what tells it from a later one under the same name."""
    try:
        found = Path(location).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _grouped(
    ids: NDArray[Any],
    tokens: NDArray[np.int32],
    lengths: NDArray[np.int64],
    first_places: NDArray[np.int64],
    folder: Path,
) -> NDArray[Any]:
    """Return ids class by class (a class is a length), in the order in which they come; sorted some at a time, on disk."""
    target: NDArray[Any] = np.lib.format.open_memmap(folder / "grouped", "w+", ids.dtype, (ids.size,))
    places = first_places[:-1].copy()
    for first in range(0, ids.size, _SORTED_AT_ONCE):
        some = slice(first, first + _SORTED_AT_ONCE)
        classes = np.searchsorted(lengths, tokens[some])
        order = np.argsort(classes, kind="stable")
        found, firsts, counts = np.unique(classes[order], return_index=True, return_counts=True)
        within = np.arange(order.size) - np.repeat(firsts, counts)
        target[np.repeat(places[found], counts) + within] = ids[some][order]
        places[found] += counts
    return target
