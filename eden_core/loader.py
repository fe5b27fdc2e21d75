"""EdenLoader: the batches of one rank, in order, read ahead by workers."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eden_core.dataset import Batch, EdenDataset
from eden_core.errors import ConfigurationError
from eden_core.layout import EncodedBatch
from eden_core.parallel import data_parallel_rank
from eden_core.sampler import RankSampler, RowBlock
from eden_core.workers import WorkerPool, check_start_method

BLOCK_ROWS = 64
"""rows that a worker reads in one go, or one micro-batch where that is larger"""

_log = logging.getLogger(__name__)


class EdenLoader:
    """Iterates over the micro-batches of one data-parallel rank; Lightning takes it as it is.

    Each pass over a training dataset is the next epoch, in a new order; other splits begin anew at each pass. One pass runs at
    a time. A worker's task is a block of consecutive micro-batches. Nothing starts before the first batch is asked for.

    Loss masks of full rows and position ids are shared between batches: copy them before writing to them.

    Args:
        dataset: what to read.
        micro_batch_size: rows of a batch.
        global_batch_size: rows of an optimizer step over all ranks; None: micro_batch_size x ranks.
        drop_last: whether rows that do not fill a global batch are left out of an epoch (they are logged), or it is filled up
            with repeats whose loss_mask is 0; None: left out of training only.
        data_parallel: "auto" or (rank, size).
        num_workers: processes that read ahead; 0 reads in this one.
        prefetch_factor: blocks that each worker reads ahead.
        persistent_workers: whether workers live on from pass to pass.
        pin_memory: whether batches are in pinned memory; None: where there is an accelerator.
        start_method: "forkserver", "spawn" or "fork".
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
        data_parallel: str | Sequence[int] = "auto",
        num_workers: int = 2,
        prefetch_factor: int = 2,
        persistent_workers: bool = True,
        pin_memory: bool | None = None,
        start_method: str = "forkserver",
        on_mismatch: str = "error",
    ) -> None:
        if dataset.num_samples is not None:
            raise ConfigurationError("num_samples is for plain loops over a dataset: a loader runs over epochs by itself")
        if on_mismatch not in {"error", "warn"}:
            raise ConfigurationError(f"on_mismatch is {on_mismatch!r}; expected 'error' or 'warn'")
        check_start_method(start_method)
        rank, size = data_parallel_rank(data_parallel)
        drop = dataset.split == "train" if drop_last is None else drop_last
        self.dataset = dataset
        self.rank_sampler = RankSampler(dataset.epoch_rows, micro_batch_size, rank, size, global_batch_size, drop)
        self.pin_memory = torch.accelerator.is_available() and pin_memory is not False
        if pin_memory and not self.pin_memory:
            _log.warning("pin_memory=True has no effect: there is no accelerator")
        self.on_mismatch = on_mismatch
        self._pool: WorkerPool | None = None
        self._num_workers = num_workers
        self._worker_options: dict[str, Any] = {
            "prefetch_factor": prefetch_factor,
            "persistent": persistent_workers,
            "start_method": start_method,
        }
        self._begin = (0, 0)
        self._position = (0, 0)
        self._pass = 0
        self._silent = self._seen = 0
        if self.rank_sampler.dropped and rank == 0:
            _log.info(
                "%d of %d rows do not fill a global batch of %d and are left out of each epoch",
                self.rank_sampler.dropped,
                dataset.epoch_rows,
                self.rank_sampler.step_rows,
            )

    def __len__(self) -> int:
        """Return the micro-batches of a whole epoch."""
        return len(self.rank_sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the micro-batches of the next epoch, or the rest of the one that was loaded.

        Raises:
            ConfigurationError: another pass has begun meanwhile.
        """
        epoch, done = self._begin
        self._begin = self._after(epoch)
        self._report_silence()
        self._pass += 1
        this_pass = self._pass
        fetched = self._fetch(block.rows for block in self.rank_sampler.blocks(epoch, done, BLOCK_ROWS))
        for block in self.rank_sampler.blocks(epoch, done, BLOCK_ROWS):
            batch = self._finished(next(fetched), block)
            for part in self._micro_batches(batch):
                done += 1
                self._position = (epoch, done)
                yield part
                if this_pass != self._pass:
                    raise ConfigurationError("this pass is over: another pass of the loader has begun, or it was closed")
        self._report_silence()

    def _after(self, epoch: int) -> tuple[int, int]:
        """Where the pass that follows an epoch begins: evaluation begins anew each time."""
        return (epoch + 1, 0) if self.dataset.split == "train" else (0, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return where reading stands: plain numbers and strings, the same on every rank."""
        epoch, done = self._position
        consumed = done * self.rank_sampler.stride
        source = {"source": 0, "epoch": epoch, "consumed": consumed, "fingerprint": self.dataset.fingerprint}
        return {"sources": [source]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken, with any number of workers.

        Raises:
            ConfigurationError: the state belongs to other data (unless `on_mismatch` is "warn"), or was taken at a place that
                no micro-batch of this loader starts at.
        """
        (source,) = state["sources"]
        found = self.dataset.fingerprint
        if source["fingerprint"] != found:
            self._mismatch(
                f"the state was taken on data with fingerprint {source['fingerprint']}, and this dataset has {found}: store, "
                "index, seed, tokenizer, transforms and layout must be the same for rows to go on where they stopped"
            )
        epoch, consumed = source["epoch"], source["consumed"]
        done, rest = divmod(consumed, self.rank_sampler.stride)
        if rest:
            raise ConfigurationError(
                f"{consumed} rows of the epoch were consumed, which is no multiple of micro_batch_size x ranks = "
                f"{self.rank_sampler.stride}; resume with sizes that divide it"
            )
        self._position = (epoch, done)
        self._begin = (epoch, done) if done < len(self) else self._after(epoch)

    def follow(self, before: "EdenLoader") -> None:
        """Begin with the epoch that would come after the passes of another loader of the same data."""
        self._begin = before._begin  # noqa: SLF001 - of the same class

    def close(self) -> None:
        """Stop the workers and close the files."""
        self._pass += 1
        self._report_silence()
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        self.dataset.close()

    def _fetch(self, rows: Iterator[NDArray[np.int64]]) -> Iterator[EncodedBatch]:
        if not self._num_workers:
            return map(self.dataset.reader.fetch, rows)
        if self._pool is None:
            self._pool = WorkerPool(self.dataset.reader, self._num_workers, **self._worker_options)
        return self._pool.fetch(rows)

    def _finished(self, encoded: EncodedBatch, block: RowBlock) -> Batch:
        batch = self.dataset.tensors(encoded, block.rows)
        self._count_silence(encoded, batch, block)
        if block.repeated.any():
            kept = torch.from_numpy(~block.repeated).to(torch.float32)
            batch["loss_mask"] = batch["loss_mask"] * kept[:, None]
        return batch

    def _count_silence(self, encoded: EncodedBatch, batch: Batch, block: RowBlock) -> None:
        """Count rows whose letters or transforms leave no loss weight at all."""
        self._seen += int((~block.repeated).sum())
        if self.dataset.reader.layout.weighted or encoded.batch.weights is not None:
            without = (batch["loss_mask"].sum(1) == 0).numpy()
            self._silent += int(without[~block.repeated].sum())

    def _report_silence(self) -> None:
        if self._silent:
            _log.warning("%d of the last %d rows had no loss weight at all", self._silent, self._seen)
        self._silent = self._seen = 0

    def _micro_batches(self, batch: Batch) -> Iterator[Batch]:
        size = self.rank_sampler.micro_batch_size
        for start in range(0, len(batch["tokens"]), size):
            part = {key: value[start : start + size] for key, value in batch.items()}
            yield {key: value.pin_memory() for key, value in part.items()} if self.pin_memory else part

    def _mismatch(self, message: str) -> None:
        if self.on_mismatch != "warn":
            raise ConfigurationError(f"{message} (on_mismatch='warn' goes on all the same)")
        warnings.warn(message, UserWarning, stacklevel=3)
