"""What observes the batches that a process hands out, such as an access log."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Picks, Windows

if TYPE_CHECKING:
    from eden_core.dataset import EdenDataset

__all__ = ["BatchObserver", "BatchRead", "Reading"]


@dataclass(frozen=True, eq=False)
class Reading:
    """A dataset that a process is about to read batches of."""

    dataset: "EdenDataset"
    """what is read; it must not be read by its observers"""
    split: str
    """"train", "validation", "test" or "predict\""""
    rank: int
    """of this process in torch.distributed; in a worker process that of the one that started it; 0 without ranks"""
    data_parallel_rank: int
    """ranks that share it read the same rows"""
    log_windows: bool | str
    """the access log that the user asks for: False, "csv" or "parquet\""""
    log_dir: str | None
    """where it should lie; None: in the working directory"""


@dataclass(frozen=True, eq=False)
class BatchRead:
    """A batch of B rows, made of W windows, that was handed out. Arrays are the observer's to keep, and not to write to."""

    step: int | None
    """the optimizer step that it belongs to, counted from 0 as by `eden replay`; None: not known, or no training batch"""
    rows: NDArray[np.int64]
    """[B], rows of the run; those that only fill a last batch up are left out"""
    used: NDArray[np.int64]
    """[B], tokens of each row that are no padding"""
    picks: Picks
    """the W windows; `picks.rows` counts within `rows`"""
    windows: Windows
    """where they lie, as rows read them: behind the bases that `picks.skips` leaves out"""
    time_ns: int
    """when it was handed out, nanoseconds since 1970"""
    waited_ns: int | None
    """how long the loop waited for it, in nanoseconds; None: not known"""


class BatchObserver(ABC):
    """Is told of every batch of one dataset that one process hands out, in order; used by one thread at a time."""

    @abstractmethod
    def batch_read(self, batch: BatchRead) -> None:
        """Take a batch down, quickly: the training loop waits meanwhile.

        An error that is raised here ends the loop.
        """

    @abstractmethod
    def close(self) -> None:
        """Complete what was taken down; repeatable, and called at the end of the process too. Further batches may come."""
