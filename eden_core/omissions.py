"""Rows of a run that are left out, and the numbering of those that remain."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core.batch import numbers_of_ranges, offsets_of
from eden_core.errors import ConfigurationError, InputError
from eden_core.interfaces import WindowIndex
from eden_core.mixing import digest_of
from eden_core.order import EpochOrder, Order

_log = logging.getLogger(__name__)
_NONE = np.empty(0, np.int64)

LAST_EPOCH = 10_000
"""epochs that ranges of rows may reach into"""


@dataclass(frozen=True, eq=False)
class Kept:
    """The positions of one epoch that are read.

    Attributes:
        size: positions of the epoch, read or not.
        starts, stops: int64 [k], the ranges that are left out: ascending, disjoint, `stops` not included.
    """

    size: int
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]

    def __len__(self) -> int:
        return self.before(self.size)

    def before(self, position: int) -> int:
        """Return how many positions before this one are read."""
        ranges = int(np.searchsorted(self.starts, position))
        reach = max(0, int(self.stops[ranges - 1]) - position) if ranges else 0
        return position - int(self._left_out[ranges]) + reach

    def positions(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions that are the `numbers`-th to be read, counted from 0."""
        return np.asarray(numbers + self._left_out[np.searchsorted(self._read_before, numbers, side="right")], np.int64)

    @cached_property
    def _left_out(self) -> NDArray[np.int64]:
        """Positions left out before each range, and in all."""
        return offsets_of(self.stops - self.starts)

    @cached_property
    def _read_before(self) -> NDArray[np.int64]:
        """Positions read before each range."""
        return self.starts - self._left_out[:-1]


class Omissions:
    """Which rows of a run are left out: ranges of rows, and those of some windows. The other rows keep their numbers.

    Args:
        order: the run's order.
        skip_rows: pairs (first, stop) of rows of the run, `stop` not included.
        windows: int64, windows that are left out of every epoch, for each source. Where a window is a row, its row is left out;
            elsewhere rows lose windows (see `PrunedOrder`), and all rows are read.
        windows_from: row of the run from which on `windows` are left out.

    Raises:
        ConfigurationError: a pair is no range of rows.
    """

    def __init__(
        self,
        order: Order,
        skip_rows: Sequence[Sequence[int]] = (),
        windows: Sequence[NDArray[np.int64]] = (),
        windows_from: int = 0,
    ) -> None:
        self.skip_rows = sorted(_row_range(pair, len(order)) for pair in skip_rows)
        self.windows_from = windows_from
        self._all_windows = tuple(np.asarray(some, np.int64) for some in windows)
        self.windows = _NONE
        if isinstance(order, EpochOrder) and self._all_windows:
            self.windows = order.chosen(self._all_windows[0])
        self._order = order
        self._recent: dict[tuple[int, int], Kept] = {}
        if self.usual_rows < 1:
            raise ConfigurationError("every window is left out: exclude_contigs names all contigs of the index")

    def __bool__(self) -> bool:
        return bool(self.skip_rows) or self.windows.size > 0

    def __str__(self) -> str:
        parts = [f"rows {first} to {stop - 1}" for first, stop in self.skip_rows]
        if self._all_windows:
            count = sum(some.size for some in self._all_windows)
            parts.append(f"{count} windows of excluded contigs from row {self.windows_from} on")
        return ", ".join(parts) or "nothing"

    @property
    def digest(self) -> str:
        """A short text that changes with what is left out."""
        windows = [some.tobytes() for some in self._all_windows]
        return digest_of(self.skip_rows, windows, self.windows_from if windows else 0)

    @property
    def usual_rows(self) -> int:
        """Rows that are read of an epoch without ranges to skip."""
        return len(self._order) - self.windows.size

    def kept(self, epoch: int, rows: int | None = None) -> Kept:
        """Return which positions of an epoch are read; an epoch has as many rows as the order, unless said otherwise."""
        size = len(self._order) if rows is None else rows
        found = self._recent.get((epoch, size))
        if found is None:
            found = self._kept(epoch, size)
            self._recent = {**dict(list(self._recent.items())[-1:]), (epoch, size): found}
        return found

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of the run that are the `numbers`-th to be read, counted from 0."""
        if not self:
            return numbers
        firsts = self._first_numbers
        beyond = np.maximum(numbers - firsts[-1], 0) // max(1, self.usual_rows)
        epochs = np.searchsorted(firsts, numbers, side="right") - 1
        within = numbers - firsts[epochs] - beyond * self.usual_rows
        epochs += beyond
        rows = epochs * len(self._order)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            rows[here] += self.kept(epoch).positions(within[here])
        return rows

    @cached_property
    def _first_numbers(self) -> NDArray[np.int64]:
        """How many rows are read before each epoch, up to the one from which on all epochs are alike."""
        last = max([self.windows_from, *(stop for _, stop in self.skip_rows)])
        return np.cumsum([0, *(len(self.kept(epoch)) for epoch in range(-(-last // len(self._order))))])

    def _kept(self, epoch: int, size: int) -> Kept:
        starts, stops = self._ranges(epoch, size)
        order = np.argsort(starts, kind="stable")
        starts, reach = starts[order], np.maximum.accumulate(stops[order])
        apart = np.concatenate([[True], starts[1:] > reach[:-1]])[: starts.size]
        last = np.concatenate([apart[1:], [True]])[: starts.size]
        return Kept(size, starts[apart], reach[last])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_recent": {}}

    def _ranges(self, epoch: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ranges of one epoch that are left out, in any order, and they may overlap."""
        bounds = np.array(self.skip_rows, np.int64).reshape(-1, 2) - epoch * size
        starts, stops = bounds[(bounds[:, 0] < size) & (bounds[:, 1] > 0)].clip(0, size).T
        if not self.windows.size or not isinstance(self._order, EpochOrder):
            return starts, stops
        places = self._order.positions(self.windows, epoch)
        places = places[places >= self.windows_from - epoch * size]
        return np.concatenate([starts, places]), np.concatenate([stops, places + 1])


def _row_range(pair: Sequence[int], epoch_rows: int) -> tuple[int, int]:
    values = tuple(pair) if isinstance(pair, Sequence) and not isinstance(pair, str) else ()
    if len(values) != 2 or not all(isinstance(v, Integral) for v in values) or not 0 <= values[0] < values[1]:
        raise ConfigurationError(f"skip_rows has {pair!r}; expected pairs (first, stop) of rows, 0 <= first < stop")
    if values[1] > LAST_EPOCH * epoch_rows:
        raise ConfigurationError(
            f"skip_rows has {pair!r}, which reaches beyond epoch {LAST_EPOCH:,} of {epoch_rows} rows each: give the row at "
            "which reading goes on"
        )
    return int(values[0]), int(values[1])


def windows_of_contigs(indexes: Sequence[WindowIndex], path: str) -> list[NDArray[np.int64]]:
    """Return the windows of the contigs that a text file names, one id a line, in ascending order, for each index.

    Empty lines and lines that begin with `#` are passed over. Ids that no index holds are counted in a warning: one file may
    serve several splits.

    Raises:
        InputError: the file cannot be read, names nothing, or nothing that is there.
    """
    wanted = _contigs_in(path)
    found, windows, example = np.zeros(len(wanted), bool), [], ""
    for index in indexes:
        some = [_NONE]
        for batch in index.contigs():
            named = batch.filter(pc.is_in(batch.column("contig_id"), value_set=wanted))
            found[pc.index_in(named.column("contig_id"), value_set=wanted).to_numpy(zero_copy_only=False)] = True
            example = example or batch.column("contig_id")[0].as_py()
            firsts, counts = (named.column(name).to_numpy() for name in ("first_window", "windows"))
            some.append(numbers_of_ranges(firsts, counts)[0])
        windows.append(np.concatenate(some))
    places = ", ".join(index.location for index in indexes)
    if not found.any():
        raise InputError(
            f"exclude_contigs: none of the {len(wanted)} contigs in {path}, such as {wanted[0].as_py()!r}, is in {places}; ids "
            f"there look like {example!r}"
        )
    if not found.all():
        _log.warning("exclude_contigs: %d of the %d contigs in %s are not in %s", np.sum(~found), len(wanted), path, places)
    return windows


def _contigs_in(path: str) -> pa.Array:
    if not isinstance(path, str | PurePath):
        raise ConfigurationError(f"exclude_contigs is {path!r:.80}; expected the path of a text file, one contig id a line")
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"exclude_contigs: {path} cannot be read ({error}); expected a text file, one contig id a line"
        ) from error
    wanted = pa.array(sorted({line for line in lines if line and not line.startswith("#")}), pa.string())
    if not len(wanted):
        raise InputError(f"exclude_contigs: {path} names no contig; expected one id a line")
    return wanted
