"""How often rows read the bases of contigs, and how much of the rows is padding."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from eden_core.cutting import Cut
from eden_core.errors import ConfigurationError
from eden_core.inspecting import CLASS_BOUNDS
from eden_core.tiling import PLAIN_RESERVE, Tiling


@dataclass(frozen=True)
class Coverage:
    """What rows will read, were contigs cut in one way.

    Attributes:
        windows: rows of one window each.
        never_seen, seen_once, seen_more: bases by how many rows read them.
        padding: room for bases that stays empty, in tokens.
        padding_share: the same, as a share of the room in all rows.
        windows_by_class: windows by the length of their contig; the classes begin at 0 and at `CLASS_BOUNDS`.
    """

    windows: int
    never_seen: int
    seen_once: int
    seen_more: int
    padding: int
    padding_share: float
    windows_by_class: tuple[int, ...]


class CoverageCount:
    """Counts as batches of contigs come by.

    Args:
        tiling: how they are cut.
    """

    def __init__(self, tiling: Tiling) -> None:
        self._tiling = tiling
        self._bases = self._read = self._again = self._in_rows = 0
        self._by_class = np.zeros(len(CLASS_BOUNDS) + 1, np.int64)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count contigs, or intervals of them (columns: see `WindowIndex.build`)."""
        cut = Cut.of(batch, self._tiling)
        lengths = batch.column("length").to_numpy()
        self._bases += int(lengths.sum())
        self._read += int(cut.bases_read.sum())
        self._again += int(cut.bases_read_again.sum())
        self._in_rows += int(cut.bases_in_rows.sum())
        known = "start" in batch.schema.names and "contig_length" in batch.schema.names
        classes = np.searchsorted(CLASS_BOUNDS, batch.column("contig_length").to_numpy() if known else lengths, side="right")
        np.add.at(self._by_class, classes, cut.counts)

    @property
    def coverage(self) -> Coverage:
        """What was counted so far."""
        windows = int(self._by_class.sum())
        room = windows * self._tiling.row_bases
        padding = room - self._in_rows
        seen = (self._bases - self._read, self._read - self._again, self._again)
        return Coverage(windows, *seen, padding, padding / max(1, room), tuple(self._by_class.tolist()))


def with_and_without_tail(tiling: Tiling) -> dict[str, Tiling]:
    """Return a tiling with the tail left out and with the tail kept."""
    reserve = min(tiling.reserve, tiling.window_size - 1)
    return {
        "without_tail": replace(tiling, keep_tail=False),
        "with_tail": tiling if tiling.keep_tail else replace(tiling, keep_tail=True, reserve=reserve),
    }


def check_gaps(tiling: Tiling, *, allow_gaps: bool) -> None:
    """Raise `ConfigurationError` when rows would leave bases between windows unread, unless `allow_gaps`."""
    if tiling.stride > tiling.row_bases and not allow_gaps:
        reserve = tiling.reserve if tiling.keep_tail else PLAIN_RESERVE
        raise ConfigurationError(
            f"stride {tiling.stride} is larger than the {tiling.row_bases} bases that a row reads (window size "
            f"{tiling.window_size} less {reserve} special and tag tokens): the bases between would never be seen. Use --stride "
            f"{tiling.row_bases} or less, or --allow-gaps"
        )
