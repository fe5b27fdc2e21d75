"""What each window of a log is to the one before it, also from piece to piece."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.reporting.accesses import Accesses


@dataclass(frozen=True, eq=False)
class Course:
    """Windows that one process read, and how they go on from those before.

    Attributes:
        piece: the windows, W of them.
        handed_out: bool [W], whether a batch begins, which the time tells.
        begins_row: bool [W], whether a row begins.
        follows: bool [W], whether it is the next window of the index.
        continued: bool [W], whether it goes on from another row.
        gaps: int64 [W], ns since the window before; -1 for the first one.
    """

    piece: Accesses
    handed_out: NDArray[np.bool_]
    begins_row: NDArray[np.bool_]
    follows: NDArray[np.bool_]
    continued: NDArray[np.bool_]
    gaps: NDArray[np.int64]


def course_of(pieces: Iterator[Accesses]) -> Iterator[Course]:
    """Yield the pieces of one process with their course; those without a window are left out."""
    before: Accesses | None = None
    for piece in pieces:
        if len(piece):
            yield _course(piece, before)
            before = piece


def _course(piece: Accesses, before: Accesses | None) -> Course:
    started = before is not None
    step = _since(piece.windows, before.windows if before else None)
    same_source = _since(piece.sources.astype(np.int64), before.sources if before else None) == 0
    if not started:
        same_source[0] = False
    gaps = np.full(len(piece), -1) if piece.times is None else _since(piece.times, before.times if before else None)
    handed_out = gaps != 0
    begins_row = np.ones(len(piece), bool) if piece.rows is None else _since(piece.rows, before.rows if before else None) != 0
    begins_row |= handed_out & (piece.times is not None)
    if not started:
        gaps[0], handed_out[0], begins_row[0] = -1, True, True
    continued = np.zeros(len(piece), bool) if piece.continued is None else piece.continued
    return Course(piece, handed_out, begins_row, same_source & (step == 1), continued, gaps)


def _since(values: NDArray[np.int64], before: NDArray[Any] | None) -> NDArray[np.int64]:
    """Return how much larger each value is than the one before it; 0 for the first of all."""
    first = values[0] if before is None else before[-1]
    return np.diff(values, prepend=first)
