"""The heat map: how often windows were read, by step or time and by their place in the index."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.reporting.axis import Axis

BINS = 120
_LEAST, _FULL = 30, 2
"""fewer stretches of the index, down to so many, are drawn where cells would hold fewer reads than so many on average"""


class Heat:
    """Counts reads in cells of equal stretches of axis and index.

    Args:
        axis: the horizontal axis.
        size: windows of the index; None: stretches grow with the windows that are met.
    """

    def __init__(self, axis: Axis, size: int | None) -> None:
        self._width = 1 if size is None else max(1, -(-size // BINS))
        self._cells = np.zeros((axis.bins, BINS), np.int64)

    def add(self, columns: NDArray[np.int64], windows: NDArray[np.int64]) -> None:
        """Count windows [W] in columns [W] of the axis; those in none (-1) are passed over."""
        windows, columns = windows[columns >= 0], columns[columns >= 0]
        if not windows.size:
            return
        while int(windows.max()) >= BINS * self._width:
            folded = self._cells.reshape(-1, BINS // 2, 2).sum(2)
            self._cells = np.pad(folded, ((0, 0), (0, BINS // 2)))
            self._width *= 2
        cells = columns * BINS + windows // self._width
        self._cells += np.bincount(cells, minlength=self._cells.size).reshape(self._cells.shape)

    def described(self, size: int) -> dict[str, Any]:
        """Return the cells, column by column, of the stretches up to `size` windows, and how many windows a stretch has."""
        rows, width, cells = max(1, -(-size // self._width)), self._width, self._cells
        while rows > _LEAST and cells.sum() < _FULL * cells.shape[0] * rows:
            cells = np.pad(cells, ((0, 0), (0, cells.shape[1] % 2))).reshape(cells.shape[0], -1, 2).sum(2)
            rows, width = -(-rows // 2), 2 * width
        return {"width": width, "rows": rows, "cells": cells[:, :rows].reshape(-1).tolist()}
