"""Which rows of a run were read, by whom, again, or not at all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import InputError
from eden_core.reporting.windows import grown

LISTED = 100
"""overlapping rows, and ranges of missing ones, that a report lists"""
_READERS = np.iinfo(np.uint16).max - 1


class RowReaders:
    """Remembers who read each row first: a reader is a data-parallel rank in a session of processes."""

    def __init__(self) -> None:
        self.again, self.overlaps = 0, 0
        self.overlapping: list[int] = []
        self._owners = np.zeros(0, np.uint16)
        self._readers: dict[tuple[int, int], int] = {}
        self._sessions = [-1]
        self._low: int | None = None
        self._high = -1

    def add(self, rows: NDArray[np.int64], session: int, rank: int) -> None:
        """Take down rows that a data-parallel rank read, each as often as it did."""
        if not rows.size:
            return
        found, times = np.unique(rows, return_counts=True)
        reader = self._reader(session, rank)
        owners = self._owners_of(found)
        shared = (owners != 0) & (owners != reader) & (np.array(self._sessions)[owners] == session)
        self.overlaps += int(shared.sum())
        self.again += int((times - 1).sum()) + int(((owners != 0) & ~shared).sum())
        self.overlapping += found[shared][: LISTED - len(self.overlapping)].tolist()
        self._owners[found[owners == 0]] = reader

    def fill(self, rows: NDArray[np.int64], session: int, rank: int) -> None:
        """Take down rows that a rank read, where nobody is known to have: those without a window have no line in a log."""
        if rows.size:
            free = rows[self._owners_of(rows) == 0]
            self._owners[free] = self._reader(session, rank)

    @property
    def read(self) -> int:
        """How many different rows were read."""
        return int(np.count_nonzero(self._owners))

    def described(self, epoch_rows: int | None) -> dict[str, Any]:
        """Return the range of rows, those missing in it, and the longest stretches of these.

        Args:
            epoch_rows: rows of an epoch, at whose end a last global batch that is not full is left out.
        """
        if self._low is None:
            return {"low": 0, "high": -1, "read": 0, "missing": 0, "at_ends": 0, "gaps": 0, "ranges": []}
        missing = self._owners[self._low : self._high + 1] == 0
        edges = self._low + np.flatnonzero(np.diff(missing, prepend=False, append=False))
        starts, stops = edges[::2], edges[1::2]
        at_end = stops % epoch_rows == 0 if epoch_rows else np.zeros(stops.size, bool)
        longest = np.sort(np.argsort(starts - stops, kind="stable")[:LISTED])
        return {
            "low": self._low,
            "high": self._high,
            "read": self.read,
            "missing": int((stops - starts).sum()),
            "at_ends": int((stops - starts)[at_end].sum()),
            "gaps": int(starts.size),
            "ranges": [[int(starts[i]), int(stops[i]), bool(at_end[i])] for i in longest],
        }

    def _reader(self, session: int, rank: int) -> int:
        if (session, rank) not in self._readers:
            if len(self._sessions) > _READERS:
                raise InputError(
                    f"the logs are of more than {_READERS} readers (ranks, each time the run was started): give fewer"
                )
            self._readers[session, rank] = len(self._sessions)
            self._sessions.append(session)
        return self._readers[session, rank]

    def _owners_of(self, rows: NDArray[np.int64]) -> NDArray[np.uint16]:
        low, high = int(rows.min()), int(rows.max())
        self._low = low if self._low is None else min(low, self._low)
        self._high = max(high, self._high)
        self._owners = grown(self._owners, high + 1)
        return self._owners[rows]
