"""Where the windows of rows lie, and the tiling that was chosen when an index was opened."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError
from eden_core.tiling import Tiling, default_stride

Columns = Mapping[str, NDArray[np.int64]]

PLACINGS = ("grid", "start")
"""how windows may be placed in intervals"""


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
        ConfigurationError: rows would leave bases between windows unread, without `allow_gaps`.
    """
    given = {"window_size": window_size, "stride": stride, "min_length": min_length, "keep_tail": keep_tail, "reserve": reserve}
    wrong = {name: value for name, value in given.items() if value is not None and not isinstance(value, int)}
    if wrong:
        raise ConfigurationError(", ".join(f"{name} is {value!r}" for name, value in wrong.items()) + "; expected integers")
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
