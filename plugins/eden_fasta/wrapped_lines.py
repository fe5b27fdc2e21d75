"""Bases that are cut into lines: where a stretch of them lies, and taking the line ends out."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import offsets_of
from eden_core.kernels import unwrap
from eden_fasta.sequence_file import Places

CopyBytes = Callable[[Places, Places, NDArray[np.uint8], Places], None]
"""as `OpenFile.copy`"""


def copy_unwrapped(
    copy: CopyBytes,
    offsets: Places,
    line_bases: Places,
    line_ends: Places,
    starts: Places,
    counts: Places,
    into: NDArray[np.uint8],
    targets: Places,
) -> int | None:
    """Copy stretches of sequences that are cut into lines.

    Args:
        copy: copies bytes of the file.
        offsets: where the first bases of the sequences lie, int64 [n].
        line_bases, line_ends: bases of their lines, and bytes that end these, int64 [n].
        starts, counts: first bases, and how many, int64 [n].
        into: uint8, written.
        targets: where stretches go, int64 [n].

    Returns:
        The number of a stretch whose lines do not end where they must, where there is one.
    """
    columns, lines = starts % line_bases, starts // line_bases
    begins = offsets + lines * (line_bases + line_ends) + columns
    sizes = counts + (columns + counts - 1) // line_bases * line_ends
    places = offsets_of(sizes)
    raw = np.empty(int(places[-1]), np.uint8)
    copy(begins, sizes, raw, places[:-1])
    return unwrap(raw, places[:-1], columns, line_bases, line_ends, counts, into, targets)
