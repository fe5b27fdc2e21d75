"""What a report names: windows read too often, rows that two ranks read, contigs; found by reading the logs once more."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.reporting.accesses import UNKNOWN, Accesses
from eden_core.reporting.contigs import ContigCount
from eden_core.reporting.course import course_of
from eden_core.reporting.tally import Tally

LISTED = 100
"""windows that a report lists"""
READINGS = 12
"""of each, how many readings"""


@dataclass
class Repeated:
    """A window that was read more often than is usual in an epoch.

    Attributes:
        usual: how often windows are read in that epoch otherwise.
        readings: step, rank, row and time of the first few.
    """

    source: int
    window: int
    epoch: int
    times: int
    usual: int
    contig: str = ""
    start: int | None = None
    readings: list[dict[str, int | float | None]] = field(default_factory=list)


@dataclass(frozen=True)
class Repeats:
    """Windows read more often than is usual.

    Attributes:
        windows: how many there are; one counts in each epoch anew.
        reads: how often they were read beyond what is usual.
        listed: those that were read most often.
    """

    windows: int
    reads: int
    listed: list[Repeated]


def repeats_of(tally: Tally) -> Repeats:
    """Return the windows that were read too often, without their names and readings."""
    windows, reads = 0, 0
    listed: list[Repeated] = []
    evaluation = tally.split != "train"
    tolerated = tally.sessions if evaluation else 0  # Lightning begins each start with some batches, its sanity check
    for source, counts in enumerate(tally.counts):
        for epoch, times in counts.epochs.items():
            usual = counts.usual(epoch, of_one_epoch=tally.knows_epochs, by_median=evaluation)
            found = np.flatnonzero(times > usual + tolerated)
            windows, reads = windows + found.size, reads + int((times[found].astype(np.int64) - usual).sum())
            most = found[np.argsort(-times[found].astype(np.int64), kind="stable")[:LISTED]]
            listed += [Repeated(source, int(window), epoch, int(times[window]), usual) for window in most]
    return Repeats(windows, reads, sorted(listed, key=lambda one: (-one.times, one.epoch, one.window))[:LISTED])


class Naming:
    """Names what a report lists, from the indexes where they can be read, else from the logs.

    Args:
        tally: what was counted.
        repeated: windows to name, and whose readings are looked for.
        contigs: contigs to name.
        rows: rows whose readings are looked for.
    """

    def __init__(self, tally: Tally, repeated: list[Repeated], contigs: list[ContigCount], rows: list[int]) -> None:
        self.tally = tally
        self.rows: dict[int, list[dict[str, Any]]] = {row: [] for row in rows}
        self._repeated = {(one.source, one.window, one.epoch): one for one in repeated}
        self._windows = np.array(sorted({one.window for one in repeated}), np.int64)
        self._names = {(one.source, one.origin): "" for one in contigs if one.origin is not None}
        self._origins = np.array(sorted({origin for _, origin in self._names}), np.int64)
        self._ask_indexes()

    @property
    def needed(self) -> bool:
        """Whether the logs must be read again."""
        return bool(self._repeated or self._names or self.rows)

    def read(self) -> Iterator[int]:
        """Read the logs again; yields the number of lines after each piece."""
        if not self.needed:
            return
        for log in self.tally.logs:
            for course in course_of(log.record.accesses(names=not self.tally.indexed)):
                if log.peer_of is None:
                    self._look(course.piece, course.begins_row, course.continued)
                yield len(course.piece)

    def named(self, contigs: list[ContigCount]) -> list[ContigCount]:
        """Return contigs with their names."""
        return [one if one.origin is None else replace(one, contig=self._names[one.source, one.origin]) for one in contigs]

    def _ask_indexes(self) -> None:
        for source, index in enumerate(self.tally.indexes):
            asked = [one for one in self._repeated.values() if one.source == source]
            if index is None or not asked:
                continue
            windows = index.lookup(np.array([one.window for one in asked], np.int64))
            for one, contig, start in zip(asked, windows.sequence_ids, windows.starts.tolist(), strict=True):
                one.contig, one.start = contig, start

    def _look(self, piece: Accesses, begins_row: NDArray[np.bool_], continued: NDArray[np.bool_]) -> None:
        if self._windows.size:
            epochs = self.tally.epochs(piece)
            for i in np.flatnonzero(np.isin(piece.windows, self._windows) & ~continued).tolist():
                one = self._repeated.get((int(piece.sources[i]), int(piece.windows[i]), int(epochs[i])))
                if one is not None and len(one.readings) < READINGS:
                    one.readings.append(_reading(piece, i))
                    self._name_window(one, piece, i)
        if piece.rows is not None and self.rows:
            for i in np.flatnonzero(np.isin(piece.rows, list(self.rows)) & begins_row).tolist():
                found = self.rows[int(piece.rows[i])]
                if len(found) < READINGS:
                    found.append(_reading(piece, i))
        if self._origins.size and piece.in_sequence is not None and piece.sequence_ids is not None:
            self._name_contigs(piece.windows - piece.in_sequence, piece.sources, piece.sequence_ids)

    def _name_window(self, one: Repeated, piece: Accesses, i: int) -> None:
        if not one.contig and piece.sequence_ids is not None and piece.in_sequence is not None:
            one.contig = piece.sequence_ids[i].as_py()
            stride = self.tally.facts.sources[one.source].stride
            one.start = None if stride is None else int(piece.in_sequence[i]) * stride

    def _name_contigs(self, origins: NDArray[np.int64], sources: NDArray[np.int16], names: pa.Array) -> None:
        wanted = np.flatnonzero(np.isin(origins, self._origins))
        _, places = np.unique(np.stack([sources[wanted], origins[wanted]]), axis=1, return_index=True)
        for i in wanted[places].tolist():
            key = (int(sources[i]), int(origins[i]))
            if self._names.get(key) == "":
                self._names[key] = names[i].as_py()


def _reading(piece: Accesses, i: int) -> dict[str, int | float | None]:
    step = UNKNOWN if piece.steps is None else int(piece.steps[i])
    return {
        "step": None if step == UNKNOWN else step,
        "rank": int(piece.ranks[i]),
        "row": None if piece.rows is None else int(piece.rows[i]),
        "time": None if piece.times is None else int(piece.times[i]) / 1e6,
    }
