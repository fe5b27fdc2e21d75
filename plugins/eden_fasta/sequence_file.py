"""What the files of these stores have in common."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.open_files import PlainFile
from eden_fasta.locations import Stamp

Places = NDArray[np.int64]

Entries = Iterator[tuple[list[str], NDArray[Any]]]
"""sequences of a file, many at a time: their ids, and rows of the store's table of ids, which say where they lie"""


class SequenceFile(ABC):
    """One open file of sequences. Several threads may copy from it at once.

    Args:
        path: where it lies.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.stamp = Stamp.of(self._descriptor)
        self._file = PlainFile(path, self._descriptor, self.stamp.size)

    @property
    def is_unchanged(self) -> bool:
        """Whether nobody wrote to the file since it was opened."""
        return Stamp.of(self._descriptor) == self.stamp

    @abstractmethod
    def entries(self) -> Entries:
        """Yield all sequences in the order of the file; of a row, `digest`, `check`, `file` and `checksum` are not set.

        Raises:
            FormatError: the file is no such file, or damaged.
        """

    @abstractmethod
    def copy(self, rows: NDArray[Any], starts: Places, counts: Places, into: NDArray[np.uint8], targets: Places) -> None:
        """Copy stretches of sequences into an array.

        Args:
            rows: where the sequences lie, [n], in order of the stretches' places in the file.
            starts: first bases, int64 [n].
            counts: bases, at least one each, int64 [n]; all lie within their sequences.
            into: uint8, large enough.
            targets: where they go, int64 [n].

        Raises:
            FormatError: the file is damaged, or another one than was indexed.
            OSError: the file system failed.
        """

    @abstractmethod
    def check(self) -> Entries:
        """Read all of the file, looking for damage, and yield all sequences as they are found there.

        Raises:
            FormatError: it is damaged.
        """

    def close(self) -> None:
        """Close it; repeatable."""
        self._file.close()
