"""Fill and waits over time, from batches: histograms of a fixed size, however many there are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.reporting.accesses import Batches
from eden_core.reporting.axis import Axis

SLOWEST = 25
"""batches that a report lists"""
FILL_BINS = 50
_BASE = np.log(1.01)
"""waits are counted in classes whose limits differ by 1 %"""
_CLASSES = 4200
"""of them, up to 1.01 ** 4200 ns: many years"""
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, eq=False)
class WaitedFor:
    """Batches, B of them, that a loop waited for.

    Attributes:
        waits: int64 [B], ns; those below 0 are not known, and passed over.
        places: int64 [B], their stretches of the axis; those below 0 are in none, and passed over.
        steps: int64 [B], `UNKNOWN` where they are not known.
        times: int64 [B], when they were handed out, ns since 1970.
    """

    waits: NDArray[np.int64]
    places: NDArray[np.int64]
    steps: NDArray[np.int64]
    times: NDArray[np.int64]


class Waits:
    """Counts waits in classes of 1 % width, for each stretch of the axis.

    Args:
        axis: the axis.
    """

    def __init__(self, axis: Axis) -> None:
        self.axis, self.count, self.total = axis, 0, 0
        self._classes = np.zeros((axis.bins, _CLASSES), np.uint32)
        self._most = np.zeros(axis.bins, np.int64)
        self._slowest: list[tuple[int, dict[str, Any]]] = []

    def add(self, batches: WaitedFor, rank: int) -> None:
        """Count the waits of a rank."""
        waits, places, steps, times = batches.waits, batches.places, batches.steps, batches.times
        known = (waits >= 0) & (places >= 0)
        waits, places, steps, times = waits[known], places[known], steps[known], times[known]
        if not waits.size:
            return
        self.count, self.total = self.count + waits.size, self.total + int(waits.sum())
        classes = np.minimum((np.log(np.maximum(waits, 1)) / _BASE).astype(np.int64), _CLASSES - 1)
        np.add.at(self._classes, (places, classes), 1)
        np.maximum.at(self._most, places, waits)
        for i in np.argsort(-waits, kind="stable")[:SLOWEST].tolist():
            one = {"step": int(steps[i]), "rank": rank, "time": int(times[i]) / 1e6, "wait": int(waits[i])}
            self._slowest.append((int(waits[i]), one))
        self._slowest = sorted(self._slowest, key=lambda one: -one[0])[:SLOWEST]

    def described(self) -> dict[str, Any] | None:
        """Return quantiles of all and over time, in ns, to 0.5 %, with the longest; None where there are no waits."""
        if not self.count:
            return None
        over = [_quantiles(self._classes[i], int(self._most[i])) for i in range(self.axis.bins)]
        return {
            "count": self.count,
            "mean": self.total / self.count,
            "quantiles": _quantiles(self._classes.sum(0), int(self._most.max())),
            "max": int(self._most.max()),
            "over": over,
            "most": [int(most) if found is not None else None for most, found in zip(self._most, over, strict=True)],
            "slowest": [one for _, one in self._slowest],
        }


def _quantiles(classes: NDArray[np.uint32], most: int) -> list[float] | None:
    """Return `QUANTILES` as the nearest-rank method has them, each as the middle of its class."""
    reached = np.cumsum(classes, dtype=np.int64)
    if not reached[-1]:
        return None
    found = np.searchsorted(reached, np.ceil(np.array(QUANTILES) * reached[-1]))
    return [float(value) for value in np.minimum(np.exp((found + 0.5) * _BASE), most)]


class Fill:
    """Adds up the tokens that rows use.

    Args:
        axis: the axis.
        seq_length: tokens a row.
    """

    def __init__(self, axis: Axis, seq_length: int) -> None:
        self.axis, self.seq_length = axis, seq_length
        self._used, self._rows = np.zeros(axis.bins, np.int64), np.zeros(axis.bins, np.int64)
        self._least = np.full(axis.bins, seq_length, np.int64)
        self._shares = np.zeros(FILL_BINS, np.int64)

    def add(self, batches: Batches, places: NDArray[np.int64]) -> None:
        """Count the rows of batches, which lie at these places on the axis [B]."""
        at = np.repeat(places, batches.rows.lengths)[: batches.used.size]
        used, at = batches.used[at >= 0], at[at >= 0]
        np.add.at(self._used, at, used)
        np.add.at(self._rows, at, 1)
        np.minimum.at(self._least, at, used)
        shares = np.minimum(used * FILL_BINS // self.seq_length, FILL_BINS - 1)
        self._shares += np.bincount(shares, minlength=FILL_BINS)

    def described(self) -> dict[str, Any] | None:
        """Return the mean fill, over time with the emptiest row of each stretch, and the histogram; None: no rows."""
        rows = int(self._rows.sum())
        if not rows:
            return None
        met = self._rows > 0
        means = (self._used / np.maximum(self._rows, 1) / self.seq_length).round(5).tolist()
        least = (self._least / self.seq_length).round(5).tolist()
        return {
            "rows": rows,
            "mean": int(self._used.sum()) / rows / self.seq_length,
            "over": [mean if here else None for mean, here in zip(means, met, strict=True)],
            "least": [emptiest if here else None for emptiest, here in zip(least, met, strict=True)],
            "shares": self._shares.tolist(),
        }
