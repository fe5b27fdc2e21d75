"""The first windows of blocks of rows: what tells in which block a window lies, for one tiling."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_arrow.contig_file import ContigFile
from eden_arrow.tilings import Placement
from eden_core.sidecars import GrowingArray, Sidecar, sidecar

_MOST_BLOCKS = 1 << 22
_ROWS_IN_MEMORY = 1 << 16
_ROWS_AT_ONCE = 1 << 18


class Directory:
    """The number of the first window of each block of rows, and the number of all windows at the end.

    That of a file of few rows is kept in memory; of more rows it is worked out once and memory-mapped from a sidecar, of
    32 MiB at most. In smaller files a block is one row.

    Args:
        file: the rows.
        placement: how they are cut.
    """

    def __init__(self, file: ContigFile, placement: Placement) -> None:
        self.block_rows = 1
        while file.rows > _MOST_BLOCKS * self.block_rows:
            self.block_rows *= 2
        self._array: NDArray[np.int64] | None = None
        self._sidecar: Sidecar | None = None
        if file.rows <= _ROWS_IN_MEMORY:
            self._array = np.concatenate([*self._parts(file, placement)])
        else:
            key = (placement, self.block_rows, file.rows, sorted(file.metadata.items()))

            def build(folder: Path) -> dict[str, NDArray[Any]]:
                found = GrowingArray(folder, np.int64)
                for part in self._parts(file, placement):
                    found.extend(part)
                return {"first_windows": found.array()}

            self._sidecar = sidecar(file.path, "directory", key, build)

    @property
    def first_windows(self) -> NDArray[np.int64]:
        """Of each block the number of its first window, and then of all windows, int64 [blocks + 1]."""
        found = self._array if self._sidecar is None else self._sidecar["first_windows"]
        return np.asarray(found)

    def _parts(self, file: ContigFile, placement: Placement) -> Any:
        done = 0
        for columns in file.number_batches(_ROWS_AT_ONCE):
            counts = placement.counts(columns)
            reach = np.cumsum(counts)
            yield (reach - counts + done)[:: self.block_rows]
            done += int(reach[-1])
        yield np.array([done])
