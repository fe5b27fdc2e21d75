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
from eden_core.workers import WorkerPool

BLOCK_ROWS = 64
"""rows that a worker reads in one go, or one micro-batch where that is larger"""

_log = logging.getLogger(__name__)


class EdenLoader:
    """Iterates over the micro-batches of one data-parallel rank; Lightning takes it as it is.

    Each pass over a training dataset is the next epoch, in a new order; other splits begin anew at each pass. A worker's task
    is a block of consecutive micro-batches. Nothing starts before the first batch is asked for.

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
        pin_memory: whether batches are in pinned memory; None: where CUDA is available.
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
        rank, size = data_parallel_rank(data_parallel)
        drop = dataset.split == "train" if drop_last is None else drop_last
        self.dataset = dataset
        self.rank_sampler = RankSampler(dataset.epoch_rows, micro_batch_size, rank, size, global_batch_size, drop)
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
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
        """Yield the micro-batches of the next epoch, or the rest of the one that was loaded."""
        epoch, first = self._begin
        if self.dataset.split == "train":
            self._begin = (epoch + 1, 0)
        done, silent = first, 0
        blocks = self.rank_sampler.blocks(epoch, first, BLOCK_ROWS)
        fetched = self._fetch(block.rows for block in self.rank_sampler.blocks(epoch, first, BLOCK_ROWS))
        for block, encoded in zip(blocks, fetched, strict=True):
            batch = self._finished(encoded, block)
            silent += self._rows_without_weight(batch, block)
            for part in self._micro_batches(batch):
                done += 1
                self._position = (epoch, done)
                yield part
        if silent:
            rows = (done - first) * self.rank_sampler.micro_batch_size
            _log.warning("%d of the %d rows of this pass had no loss weight at all", silent, rows)

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
        self._begin = (epoch, done) if done < len(self) else (epoch + 1, 0)

    def follow(self, before: "EdenLoader") -> None:
        """Begin with the epoch that would come after the passes of another loader of the same data."""
        self._begin = before._begin  # noqa: SLF001 - of the same class

    def close(self) -> None:
        """Stop the workers and close the files."""
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
        if block.repeated.any():
            kept = torch.from_numpy(~block.repeated).to(torch.float32)
            batch["loss_mask"] = batch["loss_mask"] * kept[:, None]
        return batch

    def _rows_without_weight(self, batch: Batch, block: RowBlock) -> int:
        if not self.dataset.reader.layout.weighted:
            return 0
        without = (batch["loss_mask"].sum(1) == 0).numpy()
        return int(without[~block.repeated].sum())

    def _micro_batches(self, batch: Batch) -> Iterator[Batch]:
        size = self.rank_sampler.micro_batch_size
        for start in range(0, len(batch["tokens"]), size):
            part = {key: value[start : start + size] for key, value in batch.items()}
            yield {key: value.pin_memory() for key, value in part.items()} if self.pin_memory else part

    def _mismatch(self, message: str) -> None:
        if self.on_mismatch != "warn":
            raise ConfigurationError(f"{message} (on_mismatch='warn' goes on all the same)")
        warnings.warn(message, UserWarning, stacklevel=3)
