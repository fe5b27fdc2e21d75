"""The horizontal axis of the plots: steps where all are known, else time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.reporting.accesses import UNKNOWN, Accesses, Batches, Record

BINS = 200


@dataclass(frozen=True)
class Axis:
    """Equal stretches of steps or of time.

    Attributes:
        kind: "step", "time", or "none" where neither is known.
        low, high: the first and the last step, or ns since 1970.
        bins: how many stretches.
    """

    kind: str
    low: int
    high: int
    bins: int

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Axis":
        """Return the axis on which all these logs lie."""
        steps = [one.steps for one in records if one.steps is not None]
        spans = [one.span for one in records if one.span is not None]
        if len(steps) == len(records):
            low, high = min(map(min, steps)), max(map(max, steps))
            return cls("step", low, high, min(BINS, high - low + 1))
        if spans:
            return cls("time", min(map(min, spans)), max(map(max, spans)), BINS)
        return cls("none", 0, 0, 1)

    def places(self, piece: Accesses | Batches) -> NDArray[np.int64]:
        """Return the stretch of each window or batch, `UNKNOWN` where it has no step."""
        values = piece.steps if self.kind == "step" else piece.times
        if values is None:
            return np.full(len(piece.windows) if isinstance(piece, Accesses) else piece.steps.size, UNKNOWN)
        shares = (values - self.low) / (self.high - self.low + 1)
        found = np.clip((shares * self.bins).astype(np.int64), 0, self.bins - 1)
        return np.where(values == UNKNOWN, UNKNOWN, found)

    def described(self) -> dict[str, Any]:
        """Return the axis as the page has it; times in ms, which JavaScript holds exactly."""
        unit = 1_000_000 if self.kind == "time" else 1
        return {"kind": self.kind, "low": self.low / unit, "high": self.high / unit, "bins": self.bins}
