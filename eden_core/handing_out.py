"""Telling those who observe a dataset which batches are handed out, in every process."""

import os
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eden_core.assembly import chosen_log
from eden_core.batch import Picks, Windows
from eden_core.encoded import EncodedBatch
from eden_core.errors import ConfigurationError, EdenError, PluginContractError
from eden_core.observing import BatchObserver, BatchRead, Reading
from eden_core.parallel import data_parallel_rank, process_rank
from eden_core.plugins import OBSERVER, installed_plugins

if TYPE_CHECKING:
    from eden_core.dataset import EdenDataset

Observer = tuple[str, BatchObserver]
"""whose it is, and what is told"""


@dataclass(frozen=True, eq=False)
class ReadRows:
    """Rows that were read together, without those that only fill a batch up. None of it lies in memory that is used again."""

    rows: NDArray[np.int64]
    """[B], rows of the run"""
    used: NDArray[np.int64]
    """[B], tokens of each that are no padding"""
    picks: Picks
    windows: Windows
    bounds: list[int]
    """where the windows of each row begin, and, last, their number"""

    @classmethod
    def of(
        cls, encoded: EncodedBatch, rows: NDArray[np.int64], repeated: NDArray[np.bool_], used: NDArray[np.int64]
    ) -> "ReadRows":
        """Take over what is to be told of fetched rows; repeats come last."""
        count = rows.size - int(np.count_nonzero(repeated))
        batch = encoded.batch
        bounds = np.searchsorted(batch.picks.rows, np.arange(count + 1)).tolist()
        picks = batch.picks.take(np.arange(bounds[-1]))
        starts, lengths = (column[: bounds[-1]].copy() for column in (batch.windows.starts, batch.windows.lengths))
        windows = Windows(picks.window_ids, batch.windows.sequence_ids[: bounds[-1]], starts, lengths)
        return cls(rows[:count].copy(), used[:count], picks, windows, bounds)

    def batch(self, first: int, count: int, step: int | None, waited_ns: int | None) -> BatchRead | None:
        """Return some of the rows as a batch that is being handed out; None where they only fill one up."""
        rows = self.rows[first : first + count]
        if not rows.size:
            return None
        these = slice(self.bounds[first], self.bounds[first + rows.size])
        picks, windows = self.picks, self.windows
        some = Picks(
            picks.window_ids[these],
            picks.epochs[these],
            picks.rows[these] - first,
            picks.sources[these],
            None if picks.skips is None else picks.skips[these],
            None if picks.limits is None else picks.limits[these],
        )
        places = Windows(some.window_ids, windows.sequence_ids[these], windows.starts[these], windows.lengths[these])
        return BatchRead(step, rows, self.used[first : first + count], some, places, time.time_ns(), waited_ns)


class Observers:
    """Those who observe the batches of one dataset, asked for once in each process.

    They stay in their process: whoever gets a copy of the dataset, pickled or by a fork, asks for observers of its own.
    """

    def __init__(self) -> None:
        self._process: int | None = None
        self._asked: Sequence[Observer] = ()
        self._of: tuple[weakref.ref[EdenDataset], int | None] | None = None
        """what they were asked for"""
        self._ranks = 0, 0
        """rank and data-parallel rank of the process that this was sent from"""

    def ask(self, dataset: "EdenDataset", rank: int | None = None) -> bool:
        """Return whether anybody observes what this process hands out.

        Args:
            dataset: what it hands out.
            rank: its data-parallel rank; None: what "auto" says.

        Raises:
            PluginContractError: a plugin's hook fails, or answers something else than an observer.
            ConfigurationError: an access log is asked for and there is no plugin to keep it.
        """
        if self._process != os.getpid():
            process, data_rank = self._own_ranks()
            log = chosen_log(dataset.log_windows, dataset.log_dir)
            reading = Reading(dataset, dataset.split, process, data_rank if rank is None else rank, *log)
            self._asked, self._process, self._of = _asked(reading), os.getpid(), (weakref.ref(dataset), rank)
            Finalize(self, _close, args=(self._asked,), exitpriority=10)  # also at the end of a worker, which has no atexit
        return bool(self._asked)

    def tell(self, batch: BatchRead | None) -> None:
        """Tell them of a batch; a process that was forked since they were asked for asks for its own first.

        Raises:
            PluginContractError: an observer fails.
        """
        if batch is None:
            return
        if self._process != os.getpid() and self._of is not None and (dataset := self._of[0]()) is not None:
            self.ask(dataset, self._of[1])
        for name, observer in self._asked:
            _call(name, observer.batch_read, batch)

    def close(self) -> None:
        """Let them complete what they keep, in the process that they belong to."""
        if self._process == os.getpid():
            _close(self._asked)

    def _own_ranks(self) -> tuple[int, int]:
        own = process_rank()
        return self._ranks if own is None else (own, data_parallel_rank()[0])

    def __getstate__(self) -> dict[str, Any]:
        return {"_process": None, "_asked": (), "_of": None, "_ranks": self._own_ranks()}


def _asked(reading: Reading) -> Sequence[Observer]:
    registry, found = installed_plugins(), []
    for entry in registry.entries(OBSERVER):
        name = f"observer {entry.name!r} of {entry.origin}"
        answer = _call(name, entry.plugin, reading)
        if isinstance(answer, BatchObserver):
            found.append((name, answer))
        elif answer is not None:
            raise PluginContractError(
                f"{name} answered eden_batch_read() with {answer!r:.80}; expected a BatchObserver or None"
            )
    if reading.log_windows and not found:
        causes = "".join(f"\n  left out: {problem}" for problem in registry.problems)
        raise ConfigurationError(
            f"log_windows is {reading.log_windows!r}, and no plugin that is installed keeps a log; eden-core brings "
            f"'access-log'.{causes}"
        )
    return tuple(found)


def _call(name: str, function: Callable[..., Any], *arguments: object) -> Any:
    try:
        return function(*arguments)
    except EdenError:
        raise
    except Exception as error:
        raise PluginContractError(f"{name} failed with {type(error).__name__}: {error}") from error


def _close(observers: Sequence[Observer]) -> None:
    """Close all of them, also where one fails."""
    with ExitStack() as stack:
        for name, observer in observers:
            stack.callback(_call, name, observer.close)
