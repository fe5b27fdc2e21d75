"""A store that has every contig: it reads those of another one under other names."""

import zlib
from collections.abc import Mapping

import numpy as np

from eden_core import Ragged, SequenceStore, Windows, installed_plugins


class RenamedStore(SequenceStore):
    """Reads the first bases of a contig of another store that the id of a window's contig is hashed to.

    Args:
        location: where the other store lies.
        store: its name.
        lengths: its contigs and their lengths.
    """

    name = "renamed"

    def __init__(self, location: str, *, store: str, lengths: Mapping[str, int]) -> None:
        self.inner = installed_plugins().store(store, location)
        self.names, self.shortest = tuple(lengths), min(lengths.values())

    def read(self, windows: Windows) -> Ragged[np.uint8]:
        """Read as many bases as are wanted, or as the other store's shortest contig has."""
        names = tuple(self.names[zlib.crc32(name.encode()) % len(self.names)] for name in windows.sequence_ids)
        starts = np.zeros(len(windows), np.int64)
        return self.inner.read(Windows(windows.window_ids, names, starts, np.minimum(windows.lengths, self.shortest)))

    def fingerprint(self) -> str:
        """Name it, and the other store."""
        return f"{self.name} {self.inner.fingerprint()}"

    def close(self) -> None:
        """Close the other store."""
        self.inner.close()
