"""Datasets for Megatron-LM and Megatron-Bridge: every rank builds them, the loop's own sampler numbers their samples."""

import importlib.util
import inspect
import logging
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eden_core.assembly import TRAINING_ONLY, index_paths
from eden_core.dataset import EdenDataset
from eden_core.errors import ConfigurationError
from eden_core.ledger import LEDGER, RunStart, last_start
from eden_core.manifest import index_place
from eden_core.parallel import FirstBatch, compare_ranks, data_parallel_rank, digest_of_batch, is_distributed
from eden_core.sources import sources_of_split
from eden_core.tensors import Batch
from eden_core.vocabulary import Vocabulary

__all__ = ["EdenDatasetProvider", "collate_for_bridge", "packed_seq_params"]

_log = logging.getLogger(__name__)


@dataclass
class _LoaderConfig:
    """The fields of Megatron-Bridge's `DataloaderConfig`, for where it is not installed."""

    dataloader_type: str | None = None
    num_workers: int = 8
    data_sharding: bool = True
    pin_memory: bool = True
    persistent_workers: bool = False
    trust_remote_code: bool | None = None


def _provider_base() -> Any:
    try:
        found = importlib.util.find_spec("megatron.bridge")
    except ModuleNotFoundError:
        found = None
    if found is None:
        return _LoaderConfig
    try:
        from megatron.bridge.training.config import DatasetProvider
    except Exception as error:  # noqa: BLE001 - whatever a half-installed Bridge raises, training with Megatron-LM must go on
        warnings.warn(
            f"Megatron-Bridge cannot be imported, EdenDatasetProvider is none of its providers: {error}", stacklevel=2
        )
        return _LoaderConfig
    return DatasetProvider


@dataclass
class EdenDatasetProvider(_provider_base()):  # type: ignore[misc] # which base it has depends on what is installed
    """Builds the training, validation and test datasets of a Megatron run; a `DatasetProvider` where Megatron-Bridge is.

    The datasets are map-style, as long as the loop asks (epochs follow each other in new orders), and cheap to build once for
    each chunk of a virtual pipeline. Batches are the same on all tensor-, context- and pipeline-parallel ranks.

    Attributes:
        store, index: names of plugins.
        data_dir: a folder as for `EdenDataModule`; it supplies what is not given below.
        sequence_db_dir, train_window_db_path, val_window_db_path, test_window_db_path: where store and indexes lie.
        seq_length: tokens a row.
        dataset_options: further arguments of `EdenDataset`, such as `{"rc_aug": True, "seed": 7}`. Without a "tokenizer" among
            them the one of the run is used, else "nucleotide".
        run_dir: folder of the ledger `eden-run.jsonl`; "": none is kept.
        consumed_samples: samples that were trained on before this start; None: what Megatron-LM's arguments say, if they do.
        on_mismatch: "error" or "warn" when the data are not those of the last start in the ledger.
        check_ranks: whether all processes compare what they would read first; all of them must then build the datasets.
        dataloader_type: Bridge's; "single" goes through the samples in order, which is Eden's own, shuffled one.

    Raises:
        ConfigurationError: options that `EdenDataset` does not have, or that are given here by another name.
    """

    dataloader_type: str | None = "single"
    store: str = "sqlite-shards"
    index: str = "sqlite"
    data_dir: str | None = None
    sequence_db_dir: str | None = None
    train_window_db_path: str | None = None
    val_window_db_path: str | None = None
    test_window_db_path: str | None = None
    seq_length: int = 8192
    dataset_options: dict[str, Any] = field(default_factory=dict)
    run_dir: str = "."
    consumed_samples: int | None = None
    on_mismatch: str = "error"
    check_ranks: bool = True

    def __post_init__(self) -> None:
        if self.on_mismatch not in {"error", "warn"}:
            raise ConfigurationError(f"on_mismatch is {self.on_mismatch!r}; expected 'error' or 'warn'")
        own = {"store", "index", "seq_length", "sequence_db_dir", "window_db_path", "split", "num_samples"}
        known = inspect.signature(EdenDataset).parameters
        wrong = sorted(name for name in self.dataset_options if name in own or name not in known)
        if wrong:
            raise ConfigurationError(
                f"dataset_options has {', '.join(wrong)}; expected arguments of EdenDataset, but not {', '.join(sorted(own))}, "
                "which the provider gives itself"
            )
        self._started = False
        self._vocabulary: tuple[Any, Vocabulary] | None = None

    def build_datasets(self, context: Any) -> tuple[EdenDataset | None, EdenDataset | None, EdenDataset | None]:
        """Return the training, validation and test datasets; None for a split that is not asked for or has no index.

        Args:
            context: has `train_samples`, `valid_samples` and `test_samples`, and may have the run's `tokenizer`.

        Raises:
            ConfigurationError: training samples are asked for and there is no train index; or the data are not those of the
                last start in the ledger.
            RankMismatchError: the processes would not read what they should.
        """
        tokenizer = self._tokenizer(context)
        train = self._dataset("train", context.train_samples, tokenizer)
        validation = self._dataset("validation", context.valid_samples, tokenizer)
        test = self._dataset("test", context.test_samples, tokenizer)
        if train is not None and not self._started:
            self._begin(train)
            self._started = True
        return train, validation, test

    def _dataset(self, split: str, samples: int, tokenizer: str | Vocabulary) -> EdenDataset | None:
        mixed = sources_of_split(self.dataset_options.get("sources"), split, self.index)
        given = {"train": self.train_window_db_path, "validation": self.val_window_db_path, "test": self.test_window_db_path}
        path = index_paths(given, self.data_dir, self.index)[split]
        if not samples:
            return None
        if path is None and not mixed and split != "train":
            _log.warning("%d %s samples are asked for, and there is no index of that split", samples, split)
            return None
        if path is None and not mixed:
            place = "" if self.data_dir is None else index_place(Path(self.data_dir).absolute(), "train", self.index)
            missing = f" (there is no {place})" if place else ""
            raise ConfigurationError(f"there is no index of train windows{missing}: give train_window_db_path, or data_dir")
        options = {name: v for name, v in self.dataset_options.items() if split == "train" or name not in TRAINING_ONLY}
        folder = self.sequence_db_dir if self.sequence_db_dir is not None else self.data_dir
        options |= {"sequence_db_dir": folder, "window_db_path": path, "seq_length": self.seq_length, "tokenizer": tokenizer}
        options["sources"] = mixed
        dataset = EdenDataset(self.store, self.index, split=split, num_samples=samples, **options)
        if dataset.packing.kind == "thd" and _bridge_names(self):
            dataset.collate_fn = collate_for_bridge  # type: ignore[method-assign]
        return dataset

    def _tokenizer(self, context: Any) -> str | Vocabulary:
        """The tokenizer by name, or its vocabulary, made once: probing takes longer than opening a dataset."""
        chosen = self.dataset_options.get("tokenizer") or getattr(context, "tokenizer", None) or "nucleotide"
        if isinstance(chosen, str):
            return chosen
        if self._vocabulary is None or self._vocabulary[0] is not chosen:
            self._vocabulary = chosen, Vocabulary.of(chosen)
        return self._vocabulary[1]

    def _begin(self, dataset: EdenDataset) -> None:
        """Compare the ranks and the ledger, and add this start to it."""
        rank, ranks = data_parallel_rank()
        micro, total = _batch_sizes()
        consumed = _consumed_samples() if self.consumed_samples is None else self.consumed_samples
        if self.check_ranks and is_distributed():
            samples = (consumed or 0) + rank * (micro or 1) + np.arange(micro or 1)
            samples = samples[samples < len(dataset)]
            seen = digest_of_batch(samples, dataset.batch(samples, observed=False))
            plan = f"consumed {consumed}, micro-batch {micro}, left out {dataset.omissions.digest}"
            compare_ranks(FirstBatch(rank, ranks, seen, str(dataset.fingerprint), plan))
        if not self.run_dir:
            return
        if consumed != 0:
            self._compare_with_ledger(dataset)
        if _is_first_process():
            start = RunStart.of_samples(
                dataset, consumed=consumed, data_parallel_size=ranks, micro_batch_size=micro, global_batch_size=total
            )
            start.append_or_warn(self.run_dir)

    def _compare_with_ledger(self, dataset: EdenDataset) -> None:
        before = last_start(self.run_dir, "samples")
        differences = "" if before is None else before.fingerprint_recorded.differences(dataset.fingerprint)
        if before is None or not differences:
            return
        ledger = Path(self.run_dir) / LEDGER
        message = f"{ledger} says that this run read other data when it was started at {before.time}:{differences}"
        if self.on_mismatch != "warn":
            raise ConfigurationError(
                f"{message}\nSamples would be repeated or left out. Go on all the same with on_mismatch='warn'; a new run "
                "wants a run_dir of its own"
            )
        warnings.warn(message, UserWarning, stacklevel=3)


def _bridge_names(provider: EdenDatasetProvider) -> bool:
    return not isinstance(provider, _LoaderConfig)


def collate_for_bridge(rows: Sequence[Batch]) -> Batch:
    """Return the batch of packed rows under the names that Megatron-Bridge knows.

    There `cu_seqlens` counts with the padding of segments, `cu_seqlens_unpadded` without it, and `cu_seqlens_argmin` (int64 [B,
    1]) says where the -1 begin (megatron-bridge 0.3.1, `get_packed_seq_params`).
    """
    batch = EdenDataset.collate_fn(rows)
    named = {key: value for key, value in batch.items() if not key.startswith("cu_seqlens")}
    bounds = {"cu_seqlens": batch.get("cu_seqlens_padded", batch["cu_seqlens"])}
    if "cu_seqlens_padded" in batch:
        bounds["cu_seqlens_unpadded"] = batch["cu_seqlens"]
    for name, value in bounds.items():
        ended = torch.nn.functional.pad(value, (0, 1), value=-1)  # Bridge looks for the first -1, so there must be one
        named |= {name: ended, f"{name}_argmin": ended.argmin(1, keepdim=True)}
    return named | {"max_seqlen": batch["max_seqlen"][:, None]}


def packed_seq_params(batch: Batch) -> Any:
    """Return megatron-core's `PackedSeqParams` of a packed batch of one row.

    Its `cu_seqlens_q` and the like are int32 [segments + 1], without the -1 that follow in the batch.

    Raises:
        ConfigurationError: it has more rows, which megatron-core does not take, or none is packed.
    """
    from megatron.core.packed_seq_params import PackedSeqParams

    if "cu_seqlens" not in batch or len(batch["cu_seqlens"]) != 1:
        raise ConfigurationError("packed_seq_params takes a batch of one row (micro_batch_size=1), packed with packing='thd'")
    count = int((batch["cu_seqlens"][0] >= 0).sum())
    bounds, longest = batch["cu_seqlens"][0, :count], int(batch["max_seqlen"][0])
    padded = batch["cu_seqlens_padded"][0, :count] if "cu_seqlens_padded" in batch else None
    return PackedSeqParams(
        qkv_format="thd",
        cu_seqlens_q=bounds,
        cu_seqlens_kv=bounds,
        cu_seqlens_q_padded=padded,
        cu_seqlens_kv_padded=padded,
        max_seqlen_q=longest,
        max_seqlen_kv=longest,
    )


def _batch_sizes() -> tuple[int | None, int | None]:
    """Micro-batch and global batch size as megatron-core counts them; no global one while it is ramped up."""
    calculator = sys.modules.get("megatron.core.num_microbatches_calculator")
    try:
        micro, total = calculator.get_micro_batch_size(), calculator.get_current_global_batch_size()  # type: ignore[union-attr]
    except AttributeError:  # none is there, or none was initialised
        return None, None
    ramped = "Rampup" in type(calculator._GLOBAL_NUM_MICROBATCHES_CALCULATOR).__name__  # type: ignore[union-attr] # noqa: SLF001
    return micro, None if ramped else total


def _consumed_samples() -> int | None:
    """What Megatron-LM's arguments say."""
    variables = sys.modules.get("megatron.training.global_vars")
    arguments = getattr(variables, "_GLOBAL_ARGS", None)
    return getattr(arguments, "consumed_train_samples", None)


def _is_first_process() -> bool:
    import torch.distributed

    started = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not started or torch.distributed.get_rank() == 0
