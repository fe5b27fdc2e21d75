"""Where the windows of rows lie, and the tiling that was chosen when an index was opened."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.assembly import true_or_false
from eden_core.errors import ConfigurationError
from eden_core.tiling import Tiling, default_stride

Columns = Mapping[str, NDArray[np.int64]]

PLACINGS = ("grid", "start")
"""how windows may be placed in intervals"""
MOST_BASES = 1 << 48
"""what a number of bases may be: sums of several, and of places in sequences, stay below 2**63"""


@dataclass(frozen=True)
class Placement:
    """How rows are cut.

    Attributes:
        tiling: the rules.
        placing: of intervals: "grid", windows begin at multiples of the stride in their contigs (`Tiling.interval_windows`);
            "start", each interval is cut as a sequence of its own.
    """

    tiling: Tiling
    placing: str = "grid"

    def counts(self, columns: Columns) -> NDArray[np.int64]:
        """Return how many windows rows have, an array of the columns' shape.

        Args:
            columns: `length`, and of intervals `start` and perhaps `contig_length`.
        """
        lengths, starts = columns["length"], columns.get("start")
        if starts is None or self.placing == "start":
            return self.tiling.counts(lengths)
        return self.tiling.interval_windows(starts, lengths, columns.get("contig_length"))[1]

    def bounds(self, columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the first window of rows begins, if they have one, and behind which base none of their windows reads.

        Args:
            columns: as for `counts`.
        """
        lengths, starts = columns["length"], columns.get("start")
        if starts is None:
            return np.zeros_like(lengths), lengths
        ends = starts + lengths
        return (starts if self.placing == "start" else ends - self.tiling.interval_rests(starts, lengths)), ends


def chosen_tiling(
    built: Tiling,
    *,
    window_size: int | None,
    stride: int | None,
    min_length: int | None,
    keep_tail: bool | None,
    reserve: int | None,
    allow_gaps: bool,
) -> Tiling:
    """Return the tiling that options ask for; what they leave out is as built, the stride as a new window size needs it.

    Raises:
        ConfigurationError: an option is no number of bases, or bases between windows would stay unread, without `allow_gaps`.
    """
    given = {"window_size": window_size, "stride": stride, "min_length": min_length, "reserve": reserve}
    wrong = {name: value for name, value in given.items() if value is not None and not _is_count(value)}
    if wrong:
        found = ", ".join(f"{name} is {value!r}" for name, value in wrong.items())
        raise ConfigurationError(f"{found}; expected integers of up to {MOST_BASES:,}")
    given["keep_tail"] = None if keep_tail is None else true_or_false("keep_tail", keep_tail)
    if stride is None and window_size not in {None, built.window_size}:
        given["stride"] = default_stride(int(window_size or 0))
    chosen = replace(built, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    if chosen != built and chosen.stride > chosen.row_bases and not allow_gaps:
        raise ConfigurationError(
            f"stride {chosen.stride} is larger than the {chosen.row_bases} bases that a row reads of windows of "
            f"{chosen.window_size}: the bases between would never be seen. Give a stride of {chosen.row_bases} or less, or the "
            "index option allow_gaps"
        )
    return chosen


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value <= MOST_BASES
