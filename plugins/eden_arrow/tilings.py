"""Where the windows of rows lie, and the tiling that was chosen when an index was opened."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError
from eden_core.tiling import Tiling, default_stride

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

    def cut(self, columns: Mapping[str, NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return of rows, in arrays of the columns' shape, where the first window begins, how many there are, and the end.

        Args:
            columns: `length`, and of intervals `start` and perhaps `contig_length`.
        """
        tiling, lengths, starts = self.tiling, columns["length"], columns.get("start")
        if starts is None:
            return np.zeros_like(lengths), tiling.counts(lengths), lengths
        if self.placing == "start":
            return starts, tiling.counts(lengths), starts + lengths
        firsts, counts = tiling.interval_windows(starts, lengths, columns.get("contig_length"))
        return firsts * tiling.stride, counts, starts + lengths


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
