"""Bases that are cut into lines: where a stretch of them lies, and taking the line ends out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import offsets_of
from eden_core.kernels import unwrap
from eden_fasta.sequence_file import Places

CopyBytes = Callable[[Places, Places, NDArray[np.uint8], Places], None]
"""as `OpenFile.copy`"""


@dataclass(frozen=True)
class WrappedSequences:
    """Sequences that are cut into lines.

    Attributes:
        offsets: where the first base of each lies, int64 [n].
        line_bases: bases of its lines, int64 [n].
        line_ends: bytes that end these, int64 [n].
    """

    offsets: Places
    line_bases: Places
    line_ends: Places

    def copy(self, copy: CopyBytes, starts: Places, counts: Places, into: NDArray[np.uint8], targets: Places) -> int | None:
        """Copy a stretch of each, without line ends.

        Args:
            copy: copies bytes of the file.
            starts: first bases, int64 [n].
            counts: bases, int64 [n].
            into: uint8, written.
            targets: where stretches go, int64 [n].

        Returns:
            The number of a stretch whose lines do not end where they must, where there is one.
        """
        columns, lines = starts % self.line_bases, starts // self.line_bases
        begins = self.offsets + lines * (self.line_bases + self.line_ends) + columns
        sizes = counts + (columns + counts - 1) // self.line_bases * self.line_ends
        places = offsets_of(sizes)
        raw = np.empty(int(places[-1]), np.uint8)
        copy(begins, sizes, raw, places[:-1])
        return unwrap(raw, places[:-1], columns, self.line_bases, self.line_ends, counts, into, targets)
