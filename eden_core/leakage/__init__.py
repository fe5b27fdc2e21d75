"""What splits have in common: near-identical stretches of sequence, found by shared k-mers on either strand.

A window of 1,000 held-out bases has a match where a stretch of 1,500 bases of the other split holds 5 % of the window's
k-mers, and 4 at least. Of k-mers of k = 21 bases (canonical: of either strand) those are compared whose hash is in the
lowest quarter of the range, 245 of the 980 of a window.

Found is: at an identity of p, a k-mer survives with probability p^21, 0.34 at 95 %. A copy of 1,000 bases covers at least
750 of the best window, as windows begin every 500; 0.34 x 730 / 4 = 62 k-mers are expected there, against a threshold of
0.05 x 245 = 13. Since neighbouring k-mers share bases, the standard deviation is not 6 but 15 (variance of the survivors
730 x (0.34 x 0.66 + 2 x 0.34 x (0.95 + … + 0.95^20) - 40 x 0.34^2) = 2,800, sampled: 2,800 / 16 + 250 x 3 / 16): 13 lies 3.3
of them below. Of 40,000 simulated copies at the worst place none had fewer (mean 62.0, standard deviation 14.9). The
threshold is passed by 1,000 bases at 87 % identity, or by 70 bases that are identical.

Not found is what is alike by chance: two unrelated windows and stretches share a given 21-mer with probability
980 x 1,500 / (4^21 / 2) = 7e-7, a quarter of that in the sketches, so that 4 unrelated k-mers coincide with probability
4e-29, in 2e17 pairs (10^8 held-out bases against 10^12 of training) hardly ever; and a chance match long enough to hold 4
sampled k-mers, of some 35 bases, is about as unlikely. At 80 % A+T a 21-mer is 600 times as likely, and the same holds.
K-mers of low complexity are left out (`eden_core.leakage.kmers.sampled_kmers`), and those that lie in many places of the
held-out sequence are thinned (`eden_core.leakage.sketches.Sketch`), so that repeats do not drown the report.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.errors import InputError
from eden_core.interfaces import ExecutorFactory
from eden_core.leakage.kmers import K
from eden_core.leakage.pairs import WORST, LeakingPair, pairs_of
from eden_core.leakage.sketches import FEWEST, REACH, Found, Sketch, opened_sketch
from eden_core.mixing import key_of, mix
from eden_core.splitting.reading import Rows, bases_of, read_stretches, split_rows
from eden_core.splitting.words import SPLITS
from eden_core.store_at import StoreAt
from eden_core.tasks import absolute, run_tasks

__all__ = ["MOST_HELD_OUT", "Leakage", "Overlap", "Progress", "check_leakage"]

MOST_HELD_OUT = 200_000_000
"""bases that are sketched, which takes 1 GB; of more held-out sequence, stretches are drawn"""

_PENDING = 1 << 18
"""windows with a match that wait to be compared with the best so far"""
_DRAWN = 1 << 16
"""bases of such a stretch"""
_TASK = 1 << 25
"""bases that a task reads"""

Progress = Callable[[int, int], None]
"""called with (bases compared, bases in all)"""


@dataclass(frozen=True)
class Overlap:
    """What one held-out split shares with another split."""

    held_out: str
    """the split whose contigs were looked for"""
    other: str
    """the split that they were looked for in"""
    windows: int
    """stretches of 1,000 held-out bases, one every 500, that were compared; a shorter contig is one"""
    matched: int
    """of these, the ones with a match there"""
    unchecked: int
    """further ones, that have too few k-mers to tell: short, ambiguous or repetitive sequence"""

    @property
    def share(self) -> float:
        """Of the windows compared, those with a match."""
        return self.matched / self.windows if self.windows else 0.0


@dataclass(frozen=True)
class Leakage:
    """What splits have in common."""

    overlaps: list[Overlap]
    """a line for each pair of splits"""
    worst: list[LeakingPair]
    """at most 20, by shared k-mers"""
    drawn: float
    """share of the held-out bases that was compared: 1 unless there are more than `MOST_HELD_OUT`"""
    bases: int
    """that held-out sequence was compared with"""

    @property
    def into_training(self) -> float:
        """Largest share of held-out windows with a match in training."""
        return max((overlap.share for overlap in self.overlaps if overlap.other == "train"), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """Return it as numbers and texts."""
        return {
            "overlaps": [{**asdict(overlap), "share": overlap.share} for overlap in self.overlaps],
            "worst": [asdict(pair) for pair in self.worst],
            "drawn": self.drawn,
            "bases": self.bases,
        }


def check_leakage(
    splits: Mapping[str, str | Path],
    store: str,
    sequence_db_dir: str | Path,
    factory: ExecutorFactory,
    *,
    store_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Leakage:
    """Compare validation and test with training, and test with validation.

    Sketches of the held-out splits lie in a temporary folder beside their tables while this runs; every worker maps them,
    and streams its part of the other splits. Memory: 1 GB at most for the sketches, which all workers of a machine share, and
    some 150 MB a worker.

    Args:
        splits: tables by name of split ("train", "validation", "test"), as `split_contigs` writes them.
        store: name of the store plugin that has the bases.
        sequence_db_dir: where the store lies.
        factory: where the tasks run.
        store_options: options of the store.
        progress: told how far it is.

    Raises:
        InputError: there are not two splits to compare.
        SequenceNotFoundError, ShardNotFoundError, StaleIndexError: the store lacks a contig, or a part of one.
    """
    tables = {name: absolute(splits[name]) for name in SPLITS if name in splits}
    if len(tables) < 2:
        raise InputError(f"leakage is looked for between splits, and there is only {' and '.join(tables) or 'none'}")
    held_out = list(tables)[1:] if "train" in tables else list(tables)[-1:]
    others = list(tables)[:-1]
    place = StoreAt(store, absolute(sequence_db_dir), store_options or {})
    with tempfile.TemporaryDirectory(prefix=".leakage-", dir=Path(tables[held_out[0]]).parent) as folder:
        rows = _HeldOut({name: tables[name] for name in held_out})
        with place.opened() as opened:
            sketch = Sketch.write(Path(folder), rows.rows, read_stretches(opened, rows.rows, K - 1))
        firsts = {other: rows.first_window(SPLITS[SPLITS.index(other) + 1 :]) for other in others}
        tasks = [
            _Task(tables[other], other, place, folder, firsts[other], *part)
            for other in others
            for part in _parts(tables[other])
        ]
        found = _search(tasks, factory, progress or (lambda _done, _total: None))
    return _leakage(rows, sketch, tables, found, sum(task.bases for task in tasks))


class _HeldOut:
    """The rows that are sketched, numbered from 0, split by split in the order of `SPLITS`."""

    def __init__(self, tables: Mapping[str, str]) -> None:
        self.drawn = min(1.0, MOST_HELD_OUT / max(sum(map(bases_of, tables.values())), 1))
        parts = {name: list(self._drawn_rows(name, table)) for name, table in tables.items()}
        self.counts = {name: sum(part.lengths.size for part in several) for name, several in parts.items()}
        every = [part for several in parts.values() for part in several]
        ids = pa.concat_arrays([pa.array([], pa.string()), *(part.ids for part in every)])
        starts, lengths = (np.concatenate([np.empty(0, np.int64), *arrays]) for arrays in _columns(every))
        self.rows = Rows(np.arange(len(ids)), ids, starts, lengths)

    def _drawn_rows(self, name: str, table: str) -> Iterator[Rows]:
        """Yield all rows, or some stretches of them, each taken or not by its row and start alone."""
        for rows in split_rows(table):
            if self.drawn == 1:
                yield rows
                continue
            pieces = rows.cut(_DRAWN)
            draws = mix(mix(key_of(f"leakage {name}"), pieces.numbers), pieces.starts)
            yield pieces.take(np.flatnonzero(draws < np.uint64(self.drawn * 2.0**64)))

    @cached_property
    def first_bins(self) -> NDArray[np.int64]:
        """Number of the first window of each row, and of none behind the last, [R + 1]."""
        return Sketch.first_bins(self.rows.lengths)

    def first_window(self, names: tuple[str, ...]) -> int:
        """Return the first window of the first of these splits that is sketched."""
        row = 0
        for name, count in self.counts.items():
            if name in names:
                break
            row += count
        return int(self.first_bins[row])

    def range_of(self, name: str) -> tuple[int, int]:
        """Return the windows of a split: the first, and the one behind the last."""
        first = self.first_window((name,))
        row = int(np.searchsorted(self.first_bins, first)) + self.counts[name]
        return first, int(self.first_bins[row])


def _columns(parts: list[Rows]) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    return [part.starts for part in parts], [part.lengths for part in parts]


@dataclass(frozen=True)
class _Task:
    """Rows of a table that are compared with the sketch in a folder."""

    table: str
    split: str
    store: StoreAt
    folder: str
    first_window: int
    first: int
    stop: int
    skip: int
    """bases of a single row that are left to earlier tasks"""
    bases: int


def _parts(table: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield (first row, row behind the last, bases to skip, bases): rows of `_TASK` bases together, or part of a longer one."""
    for rows in split_rows(table):
        lengths, first = rows.lengths, int(rows.numbers[0])
        long = lengths > _TASK
        groups = (np.cumsum(lengths) - lengths) // _TASK
        new = (np.diff(groups) != 0) | long[1:] | long[:-1]
        bounds = [0, *(np.flatnonzero(new) + 1).tolist(), lengths.size]
        for low, high in pairwise(bounds):
            if not long[low]:
                yield first + low, first + high, 0, int(lengths[low:high].sum())
                continue
            length = int(lengths[low])
            for skip in range(0, length - REACH, _TASK):
                yield first + low, first + high, skip, min(_TASK + REACH, length - skip)


def _search(tasks: list[_Task], factory: ExecutorFactory, progress: Progress) -> dict[str, Found]:
    total, done = sum(task.bases for task in tasks), 0
    found: dict[str, list[Found]] = {task.split: [] for task in tasks}
    for task, outcome in run_tasks(_compare, tasks, factory):
        if isinstance(outcome, Exception):
            raise outcome
        parts = found[task.split]
        parts.append(outcome)
        if sum(part.windows.size for part in parts[1:]) > parts[0].windows.size + _PENDING:
            found[task.split] = [Found.best(parts)]
        done += task.bases
        progress(done, total)
    return {split: Found.best(parts) for split, parts in found.items()}


def _compare(task: _Task) -> Found:
    sketch = opened_sketch(task.folder)
    found = []
    with task.store.opened() as store:
        for rows in split_rows(task.table, task.first, task.stop):
            part = rows
            if task.skip or task.bases < int(rows.lengths.sum()):
                part = Rows(rows.numbers, rows.ids, rows.starts + task.skip, np.array([task.bases]))
            found += [sketch.search(stretch, task.first_window) for stretch in read_stretches(store, part, REACH)]
    return Found.best(found)


def _leakage(rows: _HeldOut, sketch: Sketch, tables: Mapping[str, str], found: Mapping[str, Found], bases: int) -> Leakage:
    overlaps, pairs = [], []
    for name in rows.counts:
        for other in SPLITS[: SPLITS.index(name)]:
            if other not in found:
                continue
            matches = found[other]
            first, stop = rows.range_of(name)
            of_split = (matches.windows >= first) & (matches.windows < stop)
            checkable = sketch.sizes[first:stop][sketch.is_window[first:stop]] >= FEWEST
            overlaps.append(Overlap(name, other, int(checkable.sum()), int(of_split.sum()), int((~checkable).sum())))
            pairs += pairs_of(matches.take(of_split), sketch, rows.rows, rows.first_bins, name, other)
    worst = sorted(pairs, key=lambda one: (-one.pair.shared, one.pair.contig, one.pair.start, one.row))[:WORST]
    return Leakage(overlaps, [one.named(tables[one.pair.other]) for one in worst], rows.drawn, bases)
