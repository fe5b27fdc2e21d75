"""The passes of one rank through a dataset: what each reads, which follows it, and where a run stands within one."""

import logging
import warnings
from dataclasses import dataclass, replace
from typing import Any

from eden_core.assembly import whole_number
from eden_core.dataset import EdenDataset
from eden_core.errors import ConfigurationError
from eden_core.parallel import data_parallel_rank
from eden_core.sampler import RankSampler
from eden_core.state import Restored, State, restored_state, state_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pass:
    """One run through an epoch, from a position of it on."""

    epoch: int = 0
    start: int = 0


class Passes:
    """What one data-parallel rank reads of a dataset, pass by pass.

    Args:
        dataset: what is read.
        micro_batch_size, global_batch_size, drop_last, data_parallel, on_mismatch, limit_batches, repeat_epoch: as
            `EdenLoader` takes them.

    Attributes:
        sampler: which rows a pass reads.

    Raises:
        ConfigurationError: sizes that do not divide, or an epoch without one whole global batch.
    """

    def __init__(
        self,
        dataset: EdenDataset,
        *,
        micro_batch_size: int = 1,
        global_batch_size: int | None = None,
        drop_last: bool | None = None,
        data_parallel: Any = "auto",
        on_mismatch: str = "error",
        limit_batches: float | None = None,
        repeat_epoch: bool = False,
    ) -> None:
        if dataset.num_samples is not None:
            raise ConfigurationError("num_samples is for plain loops over a dataset: a loader runs over epochs by itself")
        if on_mismatch not in {"error", "warn"}:
            raise ConfigurationError(f"on_mismatch is {on_mismatch!r}; expected 'error' or 'warn'")
        self.dataset, self.on_mismatch, self.repeat_epoch = dataset, on_mismatch, repeat_epoch
        self._mixed = dataset.mixture is not None and dataset.split == "train"
        rank, size = data_parallel_rank(data_parallel)
        self.sampler = RankSampler(
            dataset.epoch_rows,
            micro_batch_size,
            rank,
            size,
            global_batch_size,
            dataset.split == "train" if drop_last is None else drop_last,
            limit_batches,
            dataset.omissions,
            consecutive=self._mixed,
            end=self._end,
        )
        if rank == 0:
            self._log_ends()

    def epoch(self, wanted: int) -> int:
        """Return the epoch that a pass reads which is to be of this one: each pass of evaluation is the first.

        Raises:
            ConfigurationError: it is no whole number from 0 on.
        """
        epoch = whole_number("epoch", wanted, least=0)
        return epoch if self.dataset.split == "train" else 0

    def batches(self, this: Pass) -> int:
        """Return how many micro-batches a pass has."""
        return self.sampler.batches(this.epoch, this.start)

    def after(self, this: Pass) -> Pass:
        """Return the pass that follows: evaluation begins anew each time."""
        return Pass(this.epoch + 1) if self.dataset.split == "train" and not self.repeat_epoch else Pass()

    def check_rows_left(self, this: Pass) -> None:
        """Raise `ConfigurationError` where a mixture has no row left for a pass."""
        if self.sampler.end is not None and not self.batches(this):
            raise ConfigurationError(
                f"the sources are used up: all that have a weight have reached max_epochs with row {self.sampler.end}"
            )

    def state(self, this: Pass, done: int) -> State:
        """Return where a run stands that has read so many micro-batches of a pass: plain numbers and texts.

        Of a global batch that was not read as a whole, every row counts as unread.
        """
        if done and done >= self.batches(this):
            this = self.after(this)
            return state_of(self.dataset, this.epoch, this.start, self.sampler.pitch)
        whole = done - done % self.sampler.step_batches
        position = self.sampler.position(this.epoch, this.start, whole)
        return state_of(self.dataset, this.epoch, position, self.sampler.pitch)

    def restore(self, state: State) -> Restored:
        """Return what a state says, and mix the sources from there on as it says.

        Raises:
            ConfigurationError: the state belongs to other data (unless `on_mismatch` is "warn").
        """
        restored = restored_state(state, self.dataset, self.sampler.pitch)
        if restored.differences:
            message = (
                "the state was taken on other data than this dataset reads, so rows would not go on where they stopped:"
                + restored.differences
            )
            if self.on_mismatch != "warn":
                raise ConfigurationError(
                    f"{message}\nGo on all the same with on_mismatch='warn', or begin the data anew with resume_data='restart'"
                )
            warnings.warn(message, UserWarning, stacklevel=3)
        if self.sampler.rank == 0:
            for note in restored.notes:
                _log.warning(note)
        if restored.anchor is not None:
            self.dataset.continue_mixture(restored.anchor)
            self.sampler = replace(self.sampler, end=self._end)
        return restored

    @property
    def _end(self) -> int | None:
        return self.dataset.mixture.end if self._mixed and self.dataset.mixture is not None else None

    def _log_ends(self) -> None:
        sampler = self.sampler
        over = len(sampler) * sampler.stride - sampler.usual_rows
        if self._mixed and self.dataset.mixture is not None:
            _log.info("sources are mixed: %s", self.dataset.mixture.shares)
        if self.dataset.omissions:
            _log.info("left out: %s", self.dataset.omissions)
        if sampler.dropped:
            text = "%d of %d rows do not fill a global batch of %d and are left out of each epoch"
            _log.info(text, sampler.dropped, sampler.usual_rows, sampler.step_rows)
        elif over > 0:
            text = "%d repeats with loss_mask 0 fill the last global batch of each epoch up, behind %d rows"
            _log.info(text, over, sampler.usual_rows)
