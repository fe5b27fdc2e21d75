"""Mixing: which source row i of a run comes from, a pure function of i."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from heapq import heappop, heappush
from itertools import pairwise
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Picks
from eden_core.errors import ConfigurationError, WindowOutOfRangeError
from eden_core.order import Order, checked_rows

LONGEST_PERIOD = 1 << 16
"""rows after which the pattern of sources repeats, at most; weights are rounded to shares of it where they must be"""


def shares(weights: Sequence[float]) -> tuple[int, ...]:
    """Return how many of the rows of a period each source gets: exactly by weight, or rounded to 1/65536 of all rows.

    A weight counts as the decimal fraction that it is written as. Each weight above 0 gets one row at least; what is left
    over by rounding goes to the largest remainders.

    Raises:
        ConfigurationError: a weight is negative or no number, or all are 0.

    >>> shares([0.5, 0.3, 0.2]), shares([1, 1, 1])
    ((5, 3, 2), (1, 1, 1))
    """
    numbers = all(isinstance(weight, Real) and np.isfinite(float(weight)) and weight >= 0 for weight in weights)
    if not numbers or not any(weights):
        raise ConfigurationError(f"weights are {list(weights)}; expected numbers of 0 or more, one of them above 0")
    exact = [Fraction(str(weight)) for weight in weights]
    total = sum(exact)
    wanted = [weight / total for weight in exact]
    period = np.lcm.reduce(np.array([share.denominator for share in wanted], object))
    if period <= LONGEST_PERIOD:
        return tuple(int(share * period) for share in wanted)
    scaled = [share * LONGEST_PERIOD for share in wanted]
    whole = [max(int(share), int(share > 0)) for share in scaled]
    by_remainder = sorted(range(len(whole)), key=lambda i: whole[i] - scaled[i])
    for i in by_remainder[: max(0, LONGEST_PERIOD - sum(whole))]:
        whole[i] += 1
    while sum(whole) > LONGEST_PERIOD:  # many tiny weights were raised to one row each
        whole[whole.index(max(whole))] -= 1
    return tuple(whole)


@lru_cache(maxsize=32)
def interleaved(counts: tuple[int, ...]) -> NDArray[np.int16]:
    """Return the sources of the rows of a period, each as often as it should be, and evenly.

    Of the first n rows each source has its share of n, to within one row. Row k of a source is due between the places where its
    share reaches k and k + 1; of the rows that may be placed the one that is due first is (Baruah, Cohen, Plaxton and Varvel,
    "Proportionate progress", Algorithmica 15, 1996: for one processor the earliest deadline suffices).
    """
    period = sum(counts)
    waiting: list[tuple[int, int]] = []
    ready: list[tuple[int, int]] = []
    done = [0] * len(counts)
    for source, count in enumerate(counts):
        if count:
            heappush(waiting, (0, source))
    pattern = np.empty(period, np.int16)
    for place in range(period):
        while waiting and waiting[0][0] <= place:
            _, source = heappop(waiting)
            heappush(ready, (-(-(done[source] + 1) * period // counts[source]), source))
        _, source = heappop(ready)
        pattern[place] = source
        done[source] += 1
        if done[source] < counts[source]:
            heappush(waiting, (done[source] * period // counts[source], source))
    return pattern


@dataclass(frozen=True)
class Anchor:
    """Where a mixture begins.

    Attributes:
        row: row of the run.
        taken: rows that each source gave before, by the source's name; 0 for those not named.
    """

    row: int = 0
    taken: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Phase:
    """Rows of the run from `first` on that are mixed in one pattern."""

    first: int
    counts: tuple[int, ...]
    taken: NDArray[np.int64]
    """int64 [sources], rows that each source gave before"""

    def taken_before(self, row: int) -> NDArray[np.int64]:
        """Rows that each source gave before a row of this phase, int64 [sources]."""
        if not self.counts:
            return self.taken
        periods, rest = divmod(row - self.first, sum(self.counts))
        begun = np.bincount(interleaved(self.counts)[:rest], minlength=len(self.counts))
        return np.asarray(self.taken + periods * np.array(self.counts, np.int64) + begun, np.int64)

    def first_row_behind(self, source: int, rows: int) -> int | None:
        """The row of the run behind the one with which a source has given `rows`; None where it never will."""
        count = self.counts[source]
        if not count:
            return None
        periods, rest = divmod(rows - int(self.taken[source]) - 1, count)
        place = int(np.flatnonzero(interleaved(self.counts) == source)[rest])
        return self.first + periods * sum(self.counts) + place + 1


class MixedOrder(Order):
    """Rows of several orders, mixed by weight; each source goes through its own epochs.

    Args:
        orders: the order of each source, by name.
        weights: rows of each source in relation to the others, by name.
        max_epochs: after how many epochs a source is used up, by name; the others then share its rows. None: never.
        schedule: (first row, weights by name) of further phases, ascending.
        anchor: where the mixture begins; rows before it cannot be picked.

    Raises:
        ConfigurationError: weights or schedule have no meaning.
    """

    def __init__(
        self,
        orders: Mapping[str, Order],
        weights: Mapping[str, float],
        *,
        max_epochs: Mapping[str, float | None] | None = None,
        schedule: Sequence[tuple[int, Mapping[str, float]]] = (),
        anchor: Anchor = Anchor(),
    ) -> None:
        self.names = tuple(orders)
        self.weights, self.schedule, self.anchor = dict(weights), tuple(schedule), anchor
        self.max_epochs = dict(max_epochs or {})
        self._orders = tuple(orders.values())
        self.most_windows = max(order.most_windows for order in self._orders)
        limits = (self.max_epochs.get(name) for name in self.names)
        self._limits = [
            None if most is None else int(Fraction(str(most)) * len(order))
            for most, order in zip(limits, self._orders, strict=True)
        ]
        self._phases = self._planned()
        self._firsts = np.array([phase.first for phase in self._phases], np.int64)

    def __len__(self) -> int:
        """Return the rows of all sources together."""
        return sum(len(order) for order in self._orders)

    @property
    def plan(self) -> str:
        """Weights, limits and schedule, as text."""
        limits = {name: most for name, most in self.max_epochs.items() if most is not None}
        return (
            f"weights {_floats(self.weights)}"
            + (f", max_epochs {limits}" if limits else "")
            + "".join(f", from row {row} {_floats(weights)}" for row, weights in self.schedule)
        )

    @property
    def shares(self) -> str:
        """How many of the rows of a period each source gets, in every phase of the run."""
        texts = []
        for phase in self._phases:
            dealt = ", ".join(f"{name} {count}" for name, count in zip(self.names, phase.counts, strict=False))
            texts.append(f"from row {phase.first} on " + (f"{dealt} of every {sum(phase.counts)} rows" if dealt else "none"))
        return "; ".join(texts)

    def fingerprint(self) -> str:
        """Return the plan, and where the mixture begins."""
        return f"{self.plan}; begun at row {self.anchor.row} after {dict(self.anchor.taken)}"

    @property
    def end(self) -> int | None:
        """The row of the run behind which all sources are used up; None where that never happens."""
        return None if self._phases[-1].counts else self._phases[-1].first

    @property
    def order_of(self) -> Mapping[str, Order]:
        """The order of each source."""
        return dict(zip(self.names, self._orders, strict=True))

    def continued(self, anchor: Anchor) -> "MixedOrder":
        """Return the same mixture, begun somewhere else."""
        return MixedOrder(self.order_of, self.weights, max_epochs=self.max_epochs, schedule=self.schedule, anchor=anchor)

    def taken(self, row: int) -> dict[str, int]:
        """Return how many rows each source gave before a row of the run."""
        phase = self._phases[max(0, int(np.searchsorted(self._firsts, row, side="right")) - 1)]
        return dict(zip(self.names, phase.taken_before(max(row, phase.first)).tolist(), strict=True))

    def pick(self, rows: NDArray[np.int64]) -> Picks:
        """Return the windows of rows.

        Raises:
            WindowOutOfRangeError: a row lies before the anchor, or all sources are used up before it.
        """
        rows = checked_rows(rows)
        sources, numbers = self._assigned(rows)
        parts = []
        for source in np.unique(sources).tolist():
            places = np.flatnonzero(sources == source)
            picks = self._orders[source].pick(numbers[places])
            parts.append((source, picks, places[picks.rows]))
        return _merged(parts)

    def _assigned(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the source of each row, and which of its rows it is."""
        if rows.size and int(rows.min()) < self.anchor.row:
            raise WindowOutOfRangeError(
                f"row {int(rows.min())} lies before row {self.anchor.row}, from which on the sources are mixed as they are now"
            )
        phases = np.searchsorted(self._firsts, rows, side="right") - 1
        sources, numbers = np.empty_like(rows), np.empty_like(rows)
        for number in np.unique(phases).tolist():
            here, phase = phases == number, self._phases[number]
            if not phase.counts:
                raise WindowOutOfRangeError(
                    f"row {int(rows[here][0])} lies behind row {phase.first}, with which all sources that have a weight have "
                    "reached max_epochs"
                )
            pattern, counts = interleaved(phase.counts), np.array(phase.counts, np.int64)
            periods, places = np.divmod(rows[here] - phase.first, pattern.size)
            sources[here] = pattern[places]
            numbers[here] = phase.taken[sources[here]] + periods * counts[sources[here]] + _ranks(phase.counts)[places]
        return sources, numbers

    def _planned(self) -> list[_Phase]:
        """Return the phases: those of the schedule, and a new one wherever a source is used up."""
        given = [(0, self.weights), *self.schedule]
        rows = [row for row, _ in given]
        if any(later <= earlier for earlier, later in pairwise(rows)):
            raise ConfigurationError(f"schedule has the rows {rows[1:]}; expected ascending rows of the run, from 1 on")
        taken = np.array([self.anchor.taken.get(name, 0) for name in self.names], np.int64)
        row, phases = self.anchor.row, []
        for number, (_, weights) in enumerate(given):
            end = given[number + 1][0] if number + 1 < len(given) else None
            while end is None or row < end:
                phase = self._phase(row, weights, taken)
                phases.append(phase)
                ends = [] if end is None else [end]
                for source, limit in enumerate(self._limits):
                    behind = None if limit is None or not phase.counts else phase.first_row_behind(source, limit)
                    ends += [] if behind is None else [behind]
                if not ends:
                    break
                row = min(ends)
                taken = phase.taken_before(row)
        return phases

    def _phase(self, row: int, weights: Mapping[str, float], taken: NDArray[np.int64]) -> _Phase:
        unknown = sorted(set(weights) - set(self.names))
        if unknown:
            raise ConfigurationError(f"there are weights for {', '.join(unknown)}; sources are {', '.join(self.names)}")
        over = [limit is not None and done >= limit for limit, done in zip(self._limits, taken.tolist(), strict=True)]
        left = [0.0 if is_over else weights.get(name, 0) for name, is_over in zip(self.names, over, strict=True)]
        return _Phase(row, shares(left) if any(left) or not any(over) else (), taken)


class WholeMixture(MixedOrder):
    """Rows of several orders, mixed evenly, each row of each source exactly once an epoch: what evaluation reads.

    Args:
        orders: the order of each source, by name.
    """

    def __init__(self, orders: Mapping[str, Order]) -> None:
        super().__init__(orders, {name: len(order) for name, order in orders.items()}, max_epochs=dict.fromkeys(orders, 1))
        self._sizes = np.array([len(order) for order in orders.values()], np.int64)

    end = None

    def continued(self, anchor: Anchor) -> "WholeMixture":
        """Return the same: evaluation begins anew each time."""
        return self

    def taken(self, row: int) -> dict[str, int]:
        """Return how many rows each source gave before a row of the run."""
        epoch, place = divmod(row, len(self))
        return {name: count + epoch * len(self.order_of[name]) for name, count in super().taken(place).items()}

    def _assigned(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        epochs, places = np.divmod(rows, len(self))
        sources, numbers = super()._assigned(places)
        return sources, np.asarray(numbers + epochs * self._sizes[sources], np.int64)


def _floats(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: float(weight) for name, weight in weights.items()}


@lru_cache(maxsize=32)
def _ranks(counts: tuple[int, ...]) -> NDArray[np.int64]:
    """How many rows of its own source come before each row of a period."""
    pattern = interleaved(counts)
    ranks = np.empty(pattern.size, np.int64)
    for source, count in enumerate(counts):
        ranks[pattern == source] = np.arange(count)
    return ranks


def _merged(parts: Sequence[tuple[int, Picks, NDArray[np.int64]]]) -> Picks:
    """Join the picks of several sources, whose windows belong to the rows given beside them."""
    if not parts:
        none = np.empty(0, np.int64)
        return Picks(none, none, none, none.astype(np.int16))
    rows = np.concatenate([rows for _, _, rows in parts])
    order = np.argsort(rows, kind="stable")
    windows, epochs = (np.concatenate([getattr(p, name) for _, p, _ in parts])[order] for name in ("window_ids", "epochs"))
    sources = np.concatenate([np.full(len(picks), source, np.int16) for source, picks, _ in parts])[order]
    parts_of = {name: [getattr(picks, name) for _, picks, _ in parts] for name in _UNCUT}
    cuts = {
        name: np.concatenate([_filled(c, len(p), _UNCUT[name]) for c, (_, p, _) in zip(columns, parts, strict=True)])[order]
        for name, columns in parts_of.items()
        if any(column is not None for column in columns)
    }
    return Picks(windows, epochs, rows[order], sources, **cuts)


_UNCUT = {"skips": 0, "limits": np.iinfo(np.int64).max}
"""what a window's skip and limit are where it is not cut"""


def _filled(column: NDArray[np.int64] | None, size: int, value: int) -> NDArray[np.int64]:
    return np.full(size, value, np.int64) if column is None else column
