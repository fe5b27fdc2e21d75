"""EdenLoader: the batches of one rank, in order, read ahead by workers."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eden_core.ahead import OneAhead
from eden_core.assembly import whole_number
from eden_core.dataset import EdenDataset
from eden_core.encoded import EncodedBatch
from eden_core.errors import ConfigurationError
from eden_core.handing_out import Observers, ReadRows
from eden_core.parallel import FirstBatch, compare_ranks, digest_of_batch, is_distributed
from eden_core.passes import Pass, Passes
from eden_core.sampler import RankSampler, RowBlock
from eden_core.segments import SegmentLayout
from eden_core.start_methods import check_start_method
from eden_core.state import Restored
from eden_core.tensors import Batch, expanded
from eden_core.waits import WaitMeter
from eden_core.workers import WorkerPool

BLOCK_ROWS = 64
BLOCK_TOKENS = BLOCK_ROWS * 8192
"""tokens that a worker reads in one go, in 64 rows at most, or one micro-batch where that is larger"""

LAST_BLOCK_SECONDS = 5.0
"""how long closing waits for the block that is being fetched, before it stops the workers all the same"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LaidOut:
    """A block as tensors, with what else is known of it; nothing here lies in the memory that blocks travel in."""

    block: RowBlock
    batch: Batch
    used: NDArray[np.int64] | None
    """[B], tokens of each row that are no padding, where rows are to be trimmed"""
    unread: NDArray[np.bool_]
    """[B], rows of which something could not be read"""
    weighted: bool
    """whether rows may have no loss weight at all"""
    read: ReadRows | None = None
    """what observers are told of"""


class EdenLoader:
    """Iterates over the micro-batches of one data-parallel rank.

    A batch is a dict of tensors, as `EdenDataset.batch` gives it: `tokens`, `labels`, `position_ids` (int64 [B, S]) and
    `loss_mask` (float32 [B, S]), B = `micro_batch_size`, S = the dataset's `seq_length`.

    Lightning takes it as it is; exact resume there needs `EdenDataModule`, which mends what Lightning counts.

    Each pass over a training dataset is the next epoch, in a new order; other splits begin anew at each pass. One pass runs at
    a time. A worker's task is a block of consecutive micro-batches. Nothing starts before the first batch is asked for.

    Loss masks of full rows and position ids are shared between batches: copy them before writing to them.

    Args:
        dataset: what to read.
        micro_batch_size: rows of a batch.
        global_batch_size: rows of an optimizer step over all ranks; None: micro_batch_size x ranks.
        drop_last: whether rows that do not fill a global batch are left out of an epoch (they are logged), or it is filled up
            with repeats whose loss_mask is 0; None: left out of training only.
        data_parallel: "auto", (rank, size) or a DeviceMesh, see `eden_core.parallel.data_parallel_rank`.
        num_workers: processes that read ahead; 0 reads in this one.
        prefetch_factor: blocks that each worker reads ahead.
        persistent_workers: whether workers live on from pass to pass.
        pin_memory: whether batches are in pinned memory; None: where there is an accelerator.
        start_method: "forkserver", "spawn" or "fork".
        expand_on: "host", or "device": batches are then a ninth of the size, and `eden_core.expanded` makes them what they
            are otherwise, bit for bit, once they are on the device.
        on_mismatch: "error" or "warn" when a loaded state belongs to other data.
        limit_batches: micro-batches, or the share of them, after which an epoch is over; None: when its rows are. `len` stays
            that of a whole epoch.
        repeat_epoch: whether each pass reads the first epoch again.
        check_ranks: whether the first training batch is compared between all processes of torch.distributed, which then must
            all read it.

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
        num_workers: int = 2,
        prefetch_factor: int = 2,
        persistent_workers: bool = True,
        pin_memory: bool | None = None,
        start_method: str = "forkserver",
        expand_on: str = "host",
        on_mismatch: str = "error",
        limit_batches: float | None = None,
        repeat_epoch: bool = False,
        check_ranks: bool = True,
    ) -> None:
        if expand_on not in {"host", "device"}:
            raise ConfigurationError(f"expand_on is {expand_on!r}; expected 'host' or 'device'")
        if expand_on == "device" and dataset.batches.attention_mask:
            raise ConfigurationError("an attention mask is made on the host: leave create_attention_mask or expand_on out")
        check_start_method(start_method)
        self._narrow = expand_on == "device"
        self.dataset = dataset
        self._run = Passes(
            dataset,
            micro_batch_size=micro_batch_size,
            global_batch_size=global_batch_size,
            drop_last=drop_last,
            data_parallel=data_parallel,
            on_mismatch=on_mismatch,
            limit_batches=limit_batches,
            repeat_epoch=repeat_epoch,
        )
        self.pin_memory = torch.accelerator.is_available() and pin_memory is not False
        if pin_memory and not self.pin_memory:
            _log.warning("pin_memory=True has no effect: there is no accelerator")
        self.trained_batches: Callable[[], int] | None = None
        """what counts the micro-batches that were trained on, where somebody does; else those handed out count as such"""
        self.restored: Restored | None = None
        """what the state said that was loaded last"""
        self._check_ranks = check_ranks and dataset.split == "train"
        self._pool: WorkerPool | None = None
        self._ahead: OneAhead[LaidOut] | None = None
        self._waits = WaitMeter(num_workers if self.rank_sampler.rank == 0 else 0)
        self._num_workers = whole_number("num_workers", num_workers, least=0)
        self._block_rows = min(BLOCK_ROWS, -(-BLOCK_TOKENS // dataset.seq_length))
        self._worker_options: dict[str, Any] = {
            "block_rows": self._block_rows + micro_batch_size - 1,
            "prefetch_factor": whole_number("prefetch_factor", prefetch_factor, least=1),
            "persistent": persistent_workers,
            "start_method": start_method,
        }
        self._next = self._pass = Pass()
        self._passes = self._done = self._trained_before = 0
        self._first_step: int | None = 0
        self._observers: Observers | None = None
        self._counts = {"read": 0, "without weight": 0, "unread": 0}

    def __len__(self) -> int:
        """Return the micro-batches of a whole epoch."""
        return len(self.rank_sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the micro-batches of the next epoch, or the rest of the one that was loaded.

        Raises:
            ConfigurationError: another pass has begun meanwhile.
            RankMismatchError: the ranks do not read what they should.
        """
        self._first_step = self.next_step
        self._pass, self._next, self._done = self._next, self._run.after(self._next), 0
        self._report()
        self._passes += 1
        self._trained_before = self._trained()
        this_pass, epoch, start = self._passes, self._pass.epoch, self._pass.start
        self._run.check_rows_left(self._pass)
        self._observers = observers = self.dataset.observers(self.rank_sampler.rank)
        self._waits.start()
        for laid_out in self._blocks(epoch, start):
            self._count(laid_out)
            before = self._done
            for part in self._micro_batches(laid_out):
                if self._check_ranks:
                    self._compare(part, laid_out.block)
                self._done += 1
                waited = self._waits.given()
                if observers is not None:
                    self._tell(observers, laid_out, self._done - before - 1, waited)
                yield part
                self._waits.asked()
                if this_pass != self._passes:
                    raise ConfigurationError("this pass is over: another pass of the loader has begun, or it was closed")
        self._report()

    def state_dict(self) -> dict[str, Any]:
        """Return where reading stands: plain numbers and strings, the same on every rank.

        Of a global batch that is not trained on as a whole, every row counts as unread.
        """
        return self._run.state(self._pass, min(self._done, self._trained() - self._trained_before))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken, with any number of ranks and workers and any batch sizes.

        Raises:
            ConfigurationError: the state belongs to other data (unless `on_mismatch` is "warn").
        """
        restored = self._run.restore(state)
        if restored.anchor is not None:
            self._close_pool()
        self.restored = restored
        loaded = Pass(restored.epoch, restored.position)
        self.next_step = None
        self._begin(loaded if self._run.batches(loaded) else self._run.after(loaded))

    def set_epoch(self, epoch: int) -> None:
        """Begin the next pass with this epoch, unless reading is within it already; only training has epochs.

        Raises:
            ConfigurationError: it is no whole number from 0 on.
        """
        epoch = self._run.epoch(epoch)
        under_way = 0 < self._done < self._run.batches(self._pass)
        if epoch not in {self._next.epoch, self._pass.epoch if under_way else None}:
            self._begin(Pass(epoch))

    def follow(self, before: "EdenLoader") -> None:
        """Begin with the epoch that would come after the passes of another loader of the same data."""
        self._begin(before._next)  # noqa: SLF001 - of the same class
        self.next_step = before.next_step
        self._check_ranks = before._check_ranks  # noqa: SLF001

    @property
    def rank_sampler(self) -> RankSampler:
        """Which rows a pass reads."""
        return self._run.sampler

    @property
    def repeat_epoch(self) -> bool:
        """Whether each pass reads the first epoch again."""
        return self._run.repeat_epoch

    @property
    def position(self) -> Pass:
        """Where the pass began that is under way or was the last, or where the first will begin."""
        return self._pass

    @property
    def handed_out(self) -> int:
        """Batches of that pass that were asked for."""
        return self._done

    @property
    def next_step(self) -> int | None:
        """The optimizer step that the next pass begins with, from 0; None: not known, as after `load_state_dict`.

        Observers are told of steps, such as the access log. A loop that goes on from a checkpoint says with which.
        """
        return None if self._first_step is None else self._first_step + self._steps_done

    @next_step.setter
    def next_step(self, step: int | None) -> None:
        self._first_step = None if step is None else step - self._steps_done

    @property
    def _steps_done(self) -> int:
        """Steps that the pass has begun which is under way or was the last."""
        return -(-self._done // self.rank_sampler.step_batches)

    @property
    def coming(self) -> Pass:
        """Where the next pass will begin."""
        return self._next

    def close(self) -> None:
        """Stop the workers and close the files."""
        self._passes += 1
        self._report()
        self._close_pool()
        self.dataset.close()

    def _stop_ahead(self, seconds: float | None = None) -> None:
        if self._ahead is not None:
            self._ahead.stop(seconds)
            self._ahead = None

    def _close_pool(self) -> None:
        self._stop_ahead(LAST_BLOCK_SECONDS)
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _begin(self, this: Pass) -> None:
        self._first_step = self.next_step
        self._next, self._pass, self._done = this, this, 0
        self._passes += 1

    def _trained(self) -> int:
        return self.trained_batches() if self.trained_batches is not None else self._done

    def _blocks(self, epoch: int, start: int) -> Iterator[LaidOut]:
        """Return the blocks of a pass, laid out; with workers, the next one is being laid out while one is used."""
        self._stop_ahead()
        blocks = self.rank_sampler.blocks(epoch, start, self._block_rows, max(1, self._num_workers))
        asked: deque[RowBlock] = deque()
        laid_out = self._lay_out(self._fetch(_rows_of(blocks, asked)), asked)
        if not self._num_workers:
            return laid_out
        self._ahead = OneAhead(laid_out)
        return iter(self._ahead)

    def _lay_out(self, fetched: Iterator[EncodedBatch], asked: deque[RowBlock]) -> Iterator[LaidOut]:
        for encoded in fetched:
            block = asked.popleft()
            batch = self.dataset.tensors(encoded, block.rows, block.repeated, narrow=self._narrow)
            unread = np.zeros_like(block.repeated)
            if encoded.unread is not None:
                unread[encoded.batch.picks.rows[encoded.unread]] = True
            layout = self.dataset.reader.layout
            weighted = layout.weighted or encoded.batch.weights is not None or isinstance(layout, SegmentLayout)
            used = None if self.dataset.batches.pad_to_multiple_of is None else layout.used(encoded)
            read = None
            if self._observers is not None:
                read = ReadRows.of(encoded, block.rows, block.repeated, layout.used(encoded))
            yield LaidOut(block, batch, used, unread, weighted, read)

    def _fetch(self, rows: Iterator[NDArray[np.int64]]) -> Iterator[EncodedBatch]:
        if not self._num_workers:
            return map(self.dataset.reader_of_rank(self.rank_sampler.rank).fetch, rows)
        if self._pool is None:
            reader = self.dataset.reader_of_rank(self.rank_sampler.rank)
            self._pool = WorkerPool(reader, self._num_workers, **self._worker_options)
        return self._pool.fetch(rows)

    def _micro_batches(self, laid_out: LaidOut) -> Iterator[Batch]:
        size, shapes, batch = self.rank_sampler.micro_batch_size, self.dataset.batches, laid_out.batch
        keys, columns = tuple(batch), [torch.split(value, size) for value in batch.values()]
        for number, values in enumerate(zip(*columns, strict=True)):
            part = dict(zip(keys, values, strict=True))
            if shapes.attention_mask:
                part = shapes.masked(part, self.dataset.seq_length, causal=self.dataset.reader.objective.shifted)
            if laid_out.used is not None:
                part = shapes.trimmed(part, laid_out.used[number * size : (number + 1) * size], self.dataset.seq_length)
            yield {key: value.pin_memory() for key, value in part.items()} if self.pin_memory else part

    def _tell(self, observers: Observers, laid_out: LaidOut, number: int, waited: float) -> None:
        """Tell observers of a micro-batch, the n-th of its block, which is about to be handed out."""
        size, step = self.rank_sampler.micro_batch_size, None
        if self.dataset.split == "train" and self._first_step is not None:
            step = self._first_step + (self._done - 1) // self.rank_sampler.step_batches
        if laid_out.read is not None:
            observers.tell(laid_out.read.batch(number * size, size, step, round(1e9 * waited)))

    def _compare(self, batch: Batch, block: RowBlock) -> None:
        """Compare the first batch of a run between all ranks."""
        self._check_ranks = False
        if not is_distributed():
            return
        sampler = self.rank_sampler
        first = slice(sampler.micro_batch_size)
        seen = digest_of_batch(block.rows[first][~block.repeated[first]], expanded(batch))
        at = self._pass
        plan = (
            f"position {at.start} of epoch {at.epoch}, micro_batch_size {sampler.micro_batch_size}, global batch "
            f"{sampler.step_rows}, drop_last {sampler.drop_last}, limit {sampler.limit}, left out "
            f"{self.dataset.omissions.digest}"
        )
        compare_ranks(FirstBatch(sampler.rank, sampler.size, seen, str(self.dataset.fingerprint), plan))

    def _count(self, laid_out: LaidOut) -> None:
        """Count rows that could not be read, and those whose letters or transforms leave no loss weight at all."""
        told = ~laid_out.block.repeated
        self._counts["read"] += int(told.sum())
        self._counts["unread"] += int((laid_out.unread & told).sum())
        if laid_out.weighted:
            without = (laid_out.batch["loss_mask"].sum(1) == 0).numpy()
            self._counts["without weight"] += int((without & told & ~laid_out.unread).sum())

    def _report(self) -> None:
        for what, text in (("without weight", "had no loss weight at all"), ("unread", "could not be read and were masked")):
            if self._counts[what]:
                _log.warning("%d of the last %d rows %s", self._counts[what], self._counts["read"], text)
        self._counts = dict.fromkeys(self._counts, 0)


def _rows_of(blocks: Iterator[RowBlock], ahead: deque[RowBlock]) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of blocks, and note the blocks that were asked for."""
    for block in blocks:
        ahead.append(block)
        yield block.rows
