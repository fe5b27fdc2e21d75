"""EdenBatchSampler: the order of a run, for torch's DataLoader and torchdata's StatefulDataLoader."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from torch.utils.data import Sampler

from eden_core.assembly import whole_number
from eden_core.dataset import EdenDataset
from eden_core.errors import ConfigurationError
from eden_core.passes import Pass, Passes
from eden_core.sampler import RowBlock


class EdenBatchSampler(Sampler[RowBlock]):
    """Gives a DataLoader the micro-batches of one data-parallel rank, the rows that `EdenLoader` gives.

    Use it as `DataLoader(dataset, batch_sampler=EdenBatchSampler(dataset), collate_fn=dataset.collate_fn)`. Each pass over a
    training dataset is the next epoch, in a new order; other splits begin anew at each pass.

    torchdata's `StatefulDataLoader` saves its state with each batch that it hands out. A plain DataLoader with workers asks for
    batches before they are needed, so there `state_dict` must be told how many were used.

    Args:
        dataset: what the DataLoader reads; without `num_samples`.
        micro_batch_size: rows of a batch.
        global_batch_size: rows of an optimizer step over all ranks; None: micro_batch_size x ranks.
        drop_last: whether rows that do not fill a global batch are left out of an epoch, or it is filled up with repeats whose
            loss_mask is 0; None: left out of training only.
        data_parallel: "auto", (rank, size) or a DeviceMesh, see `eden_core.parallel.data_parallel_rank`.
        on_mismatch: "error" or "warn" when a loaded state belongs to other data.

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
    ) -> None:
        self._run = Passes(
            dataset,
            micro_batch_size=micro_batch_size,
            global_batch_size=global_batch_size,
            drop_last=drop_last,
            data_parallel=data_parallel,
            on_mismatch=on_mismatch,
        )
        self._pass = self._next = Pass()
        self._number = self._asked = 0

    def __len__(self) -> int:
        """Return the micro-batches of a whole epoch."""
        return len(self._run.sampler)

    def __iter__(self) -> "BatchesOfPass":
        """Return what gives the batches of the next epoch, or of the rest of the one that was loaded."""
        self._begin(self._next)
        return BatchesOfPass(partial(self._give, self._number), self._is_over)

    @property
    def batch_size(self) -> None:
        """None: accelerate, which asks for it before it deals batches to processes, then deals them whole.

        Raises:
            ConfigurationError: the sampler gives the batches of one rank of several, so they must not be dealt once more.
        """
        sampler = self._run.sampler
        if sampler.size > 1:
            raise ConfigurationError(
                f"these are the batches of rank {sampler.rank} of {sampler.size} already, and something is about to split them "
                "between ranks once more: give EdenBatchSampler data_parallel=(0, 1), or do not prepare its DataLoader"
            )

    @property
    def epoch(self) -> int:
        """The epoch of the pass that is under way, or was the last, or will be the first."""
        return self._pass.epoch

    def state_dict(self, batches: int | None = None) -> dict[str, Any]:
        """Return where reading stands, as `EdenLoader.state_dict` does: either goes on from it.

        Args:
            batches: how many batches of this pass were used; None: all that were asked for, which are more than were handed out
                where a plain DataLoader has workers.

        Raises:
            ConfigurationError: `batches` is no whole number from 0 on.
        """
        return self._run.state(self._pass, self._asked if batches is None else whole_number("batches", batches, least=0))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken, with any number of ranks and any batch sizes.

        Raises:
            ConfigurationError: the state belongs to other data (unless `on_mismatch` is "warn").
        """
        restored = self._run.restore(state)
        loaded = Pass(restored.epoch, restored.position)
        self._begin(loaded if self._run.batches(loaded) else self._run.after(loaded))

    def set_epoch(self, epoch: int) -> None:
        """Begin the next pass with this epoch, unless reading is within it already; only training has epochs.

        Raises:
            ConfigurationError: it is no whole number from 0 on.
        """
        epoch = self._run.epoch(epoch)
        within = self._pass.epoch if self._asked and not self._is_over() else None
        if epoch not in {self._next.epoch, within}:
            self._next = Pass(epoch)

    def _give(self, number: int, batch: int) -> RowBlock:
        """A batch of the pass that was begun as the `number`-th, or `StopIteration` where it has no such batch."""
        if number != self._number:
            raise ConfigurationError("this pass is over: another pass of the sampler has begun")
        if batch == 0:
            self._pass, self._next = self._next, self._run.after(self._next)
            self._run.check_rows_left(self._pass)
        if batch >= self._run.batches(self._pass):
            raise StopIteration
        self._asked = batch + 1
        block = self._run.sampler.block(self._pass.epoch, self._pass.start, range(batch, batch + 1))
        mixture = self._run.dataset.mixture
        return block if mixture is None else replace(block, anchor=mixture.anchor)

    def _is_over(self) -> bool:
        """Whether the last batch of a pass was asked for, and the next pass has not begun."""
        return 0 < self._run.batches(self._pass) <= self._asked

    def _begin(self, this: Pass) -> None:
        self._pass = self._next = this
        self._number += 1
        self._asked = 0


class BatchesOfPass(Iterator[RowBlock]):
    """Gives the batches of one pass.

    Its state tells `StatefulDataLoader` whether the pass was over: torchdata then iterates over what is left of it, nothing,
    before it begins the next.

    Args:
        give: gives the batch of a number, from 0 on.
        is_over: says whether the last batch was given.
    """

    def __init__(self, give: Callable[[int], RowBlock], is_over: Callable[[], bool]) -> None:
        self._give, self._is_over = give, is_over
        self._given, self._over = 0, False

    def __next__(self) -> RowBlock:
        if self._over:
            raise StopIteration
        block = self._give(self._given)
        self._given += 1
        return block

    def state_dict(self) -> dict[str, bool]:
        """Return whether the pass is over; where it stands is the sampler's to say."""
        return {"over": self._over or self._is_over()}

    def load_state_dict(self, state: dict[str, bool]) -> None:
        """Give nothing where the pass was over."""
        self._over = state["over"]
