"""A run ledger as a reading: the windows of each step, by number, without reading a base."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from eden_core.dataset import EdenDataset
from eden_core.errors import InputError
from eden_core.interfaces import WindowIndex
from eden_core.ledger import RunStart
from eden_core.replay import rows_of_step, start_of_step, with_steps
from eden_core.reporting.accesses import Accesses, Facts, Record, SourceFacts

_AT_ONCE = 1 << 16
"""rows whose windows are looked up at once"""


def ledger_records(
    starts: Sequence[RunStart], steps: int | None, opened: Callable[[RunStart], EdenDataset]
) -> list["LedgerRecord"]:
    """Return what each start of a run read, of the steps that were not done again by a later one.

    Args:
        starts: those in the ledger.
        steps: how many steps the run made; None: those until its last start, since the ledger does not say where that ended.
        opened: opens the dataset of a start.

    Raises:
        InputError: the ledger does not say where the run began, or no step is known to have been made.
    """
    begun = sorted({start.step for start in with_steps(starts) if start.step is not None})
    last = begun[-1] if begun else 0
    stop = last if steps is None else steps
    if not begun or stop <= begun[0]:
        raise InputError(
            f"the last start in the ledger began with step {last}, and how many it made is not written there: give --steps N, "
            "the number of steps of the run"
        )
    edges = [*(step for step in begun if step < stop), stop]
    chosen: list[tuple[RunStart, range]] = []
    for step, end in pairwise(edges):
        start = start_of_step(starts, step)
        first = chosen.pop()[1].start if chosen and chosen[-1][0] == start else step
        chosen.append((start, range(first, end)))
    return [LedgerRecord(start, made, opened(start)) for start, made in chosen]


@dataclass
class LedgerRecord(Record):
    """The steps that one start of a run made, all ranks in one.

    Args:
        start: the start.
        made: its steps.
        dataset: what it read.
    """

    start: RunStart
    made: range
    dataset: EdenDataset

    def __post_init__(self) -> None:
        sources = self.dataset.sources
        self.name = f"start of {self.start.time}"
        self.split, self.rank, self.data_parallel_rank = self.dataset.split, 0, 0
        self.span, self.steps = None, (self.made.start, self.made.stop - 1)
        described = tuple(SourceFacts(s.name, s.index.name, s.index.location, len(s.index)) for s in sources)
        dataset = self.dataset
        packing = str(dataset.arguments["packing"])
        self.facts = Facts(dataset.seq_length, dataset.seed, dataset.epoch_rows, packing, sources=described)

    def accesses(self, *, names: bool) -> Iterator[Accesses]:
        """Yield the windows of the steps, those of each step by rank."""
        rows: list[np.ndarray] = []
        ranks: list[np.ndarray] = []
        steps: list[np.ndarray] = []
        waiting = 0
        for step in self.made:
            for rank, block in enumerate(rows_of_step(self.start, step, self.dataset)):
                kept = block.rows[~block.repeated]
                rows.append(kept)
                ranks.append(np.full(kept.size, rank))
                steps.append(np.full(kept.size, step))
                waiting += kept.size
            if waiting >= _AT_ONCE or step == self.made[-1]:
                yield self._windows(*(np.concatenate(part) for part in (rows, ranks, steps)))
                rows, ranks, steps, waiting = [], [], [], 0

    def indexes(self) -> list[WindowIndex | None]:
        """Return the indexes of the sources, which are open."""
        return [source.index for source in self.dataset.sources]

    def _windows(self, rows: np.ndarray, ranks: np.ndarray, steps: np.ndarray) -> Accesses:
        picks = self.dataset.picks(rows)
        return Accesses(
            picks.window_ids,
            picks.sources,
            ranks[picks.rows],
            rows[picks.rows],
            steps[picks.rows],
            epochs=picks.epochs,
            continued=None if picks.skips is None else picks.skips > 0,
        )
