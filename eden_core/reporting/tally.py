"""Everything that is counted of one reading: the logs of a split that have one seed, one order and the same sources."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eden_core.interfaces import WindowIndex
from eden_core.reporting.accesses import UNKNOWN, Accesses, Facts
from eden_core.reporting.axis import Axis
from eden_core.reporting.contigs import Coverage
from eden_core.reporting.course import Course, course_of
from eden_core.reporting.heat import Heat
from eden_core.reporting.rows import RowReaders
from eden_core.reporting.sessions import Placed
from eden_core.reporting.timing import Fill, WaitedFor, Waits
from eden_core.reporting.windows import WindowCounts, grown


class Tally:
    """Counts the logs of one reading, in memory that depends on the number of windows and rows, not of lines.

    Args:
        split: "train", "validation", …
        facts: what the logs say of the reading.
        logs: the logs.
        indexes: the index of each source; None: it cannot be read.
    """

    def __init__(self, split: str, facts: Facts, logs: Sequence[Placed], indexes: Sequence[WindowIndex | None]) -> None:
        self.split, self.facts, self.logs, self.indexes = split, facts, list(logs), list(indexes)
        sizes = [s.windows if i is None else len(i) for s, i in zip(facts.sources, self.indexes, strict=True)]
        self.size = None if None in sizes else sum(size or 0 for size in sizes)
        self.offsets = np.cumsum([0, *(size or 0 for size in sizes)])[:-1]
        self.axis = Axis.of([log.record for log in self.logs])
        self.counts = [WindowCounts(size) for size in sizes]
        self.heat, self.rows, self.coverage = Heat(self.axis, self.size), RowReaders(), Coverage()
        self.waits, self.gaps = Waits(self.axis), Waits(self.axis)
        self.fill = None if facts.seq_length is None else Fill(self.axis, facts.seq_length)
        self.lines, self.following = [0] * len(self.logs), 0
        self.ranks: set[int] = set()
        self._steps = np.zeros(0, bool)
        self.rows_known = self.batches_known = True
        self._has_epochs = False

    @property
    def knows_epochs(self) -> bool:
        """Whether each window's epoch is known."""
        return self._has_epochs or (self.rows_known and self.facts.rows is not None and len(self.counts) == 1)

    @property
    def sessions(self) -> int:
        """How often processes were started."""
        return len({log.session for log in self.logs})

    @property
    def indexed(self) -> bool:
        """Whether the index of every source can be read."""
        return None not in self.indexes

    @property
    def steps(self) -> int:
        """How many different steps were seen."""
        return int(np.count_nonzero(self._steps))

    @property
    def reads(self) -> int:
        """How many windows were read, each as often as it was, by the ranks that count."""
        return sum(sum(counts.reads.values()) for counts in self.counts)

    def count(self) -> Iterator[int]:
        """Read the logs once; yields the number of lines after each piece."""
        for number, log in enumerate(self.logs):
            for course in course_of(log.record.accesses(names=not self.indexed)):
                self.lines[number] += len(course.piece)
                self._add(log, course)
                yield len(course.piece)
            self._add_batches(log)
        for source, (index, counts) in enumerate(zip(self.indexes, self.counts, strict=True)):
            if index is None:
                self.coverage.add_met(source, counts)
            else:
                self.coverage.add_indexed(source, index, counts)

    def places(self, piece: Accesses) -> NDArray[np.int64]:
        """Return where windows lie when the indexes of all sources are laid end to end, int64 [W]."""
        return np.asarray(piece.windows + self.offsets[piece.sources], np.int64)

    def _add(self, log: Placed, course: Course) -> None:
        piece, record = course.piece, log.record
        columns = self.axis.places(piece)
        self.ranks.update(np.unique(piece.ranks).tolist())
        if piece.steps is not None:
            known = piece.steps[piece.steps != UNKNOWN]
            self._steps = grown(self._steps, int(known.max(initial=-1)) + 1)
            self._steps[known] = True
        if piece.times is not None:
            begins = course.handed_out
            steps = np.full(len(piece), UNKNOWN) if piece.steps is None else piece.steps
            handed_out = WaitedFor(course.gaps[begins], columns[begins], steps[begins], piece.times[begins])
            self.gaps.add(handed_out, record.rank)
        if log.peer_of is not None:
            return
        begun = ~course.continued
        self.following += int((course.follows & begun).sum())
        self.heat.add(columns[begun], self.places(piece)[begun])
        self._count_windows(course)
        if piece.rows is None:
            self.rows_known = False
        else:
            self.rows.add(piece.rows[course.begins_row], log.session, record.data_parallel_rank)

    def _count_windows(self, course: Course) -> None:
        piece = course.piece
        epochs = self.epochs(piece)
        for source, counts in enumerate(self.counts):
            chosen = np.flatnonzero((piece.sources == source) & ~course.continued)
            known = self.indexes[source] is not None
            in_sequence = None if known or piece.in_sequence is None else piece.in_sequence[chosen]
            fresh = chosen[counts.add(piece.windows[chosen], epochs[chosen], in_sequence)]
            if piece.samples is not None and not known and chosen.size:
                here = np.zeros(len(piece), bool)
                here[fresh] = True
                self.coverage.add_met_samples(piece.samples.take(chosen), np.flatnonzero(here[chosen]))

    def epochs(self, piece: Accesses) -> NDArray[np.int64]:
        """Return the epoch of each window, int64 [W]; 0 where they are not known."""
        if piece.epochs is not None:
            self._has_epochs = True
            return piece.epochs
        if piece.rows is not None and self.facts.rows and len(self.counts) == 1:
            return piece.rows // self.facts.rows
        return np.zeros(len(piece), np.int64)

    def _add_batches(self, log: Placed) -> None:
        met = False
        for batches in log.record.batches():
            met = True
            places = self.axis.places(batches)
            self.waits.add(WaitedFor(batches.waits, places, batches.steps, batches.times), log.record.rank)
            if log.peer_of is not None:
                continue
            self.rows.fill(batches.rows.values, log.session, log.record.data_parallel_rank)
            if self.fill is not None:
                self.fill.add(batches, places)
        self.batches_known &= met
