"""EdenDataModule: the loaders of a Lightning Trainer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.utilities import rank_zero_info

from eden_core.dataset import EdenDataset
from eden_core.errors import ConfigurationError
from eden_core.interfaces import SequenceStore
from eden_core.loader import EdenLoader
from eden_core.parallel import data_parallel_rank

_NEEDED_BY_STAGE: dict[str | None, tuple[str, ...]] = {
    None: (),
    "fit": ("train",),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
}
_ARGUMENTS = {
    "train": "train_window_db_path",
    "validation": "val_window_db_path",
    "test": "test_window_db_path",
    "predict": "predict_window_db_path",
}


class EdenDataModule(lightning.LightningDataModule):
    """Training, validation, test and prediction batches for a Lightning `Trainer`.

    Training rows are shuffled anew each epoch and augmented; validation rows come in one fixed seeded order; test and predict
    rows come in index order. Whatever is given and contradicts the index, the Trainer or the ranks is an error.

    Args:
        store: name of a store plugin, or an open store.
        index: name of an index plugin.
        data_dir: a folder with the shards, `train_windows.db`, `validation_windows.db` and `test_windows.db`; it supplies what
            is not given below.
        sequence_db_dir: where the store lies.
        train_window_db_path, val_window_db_path, test_window_db_path, predict_window_db_path: the index of each split.
        seq_length: tokens a row.
        stride, window_size, window_min_length_threshold: what the indexes must have been built with; None: as they were.
        micro_batch_size: rows of a batch on one rank.
        global_batch_size: rows of an optimizer step over all ranks; sets the Trainer's accumulation where that is left at its
            default. None: micro_batch_size x data-parallel ranks x accumulate_grad_batches.
        num_workers: processes that read ahead, for each loader; 0 reads in the trainer's own.
        prefetch_factor: blocks of rows that each worker reads ahead.
        persistent_workers: whether workers live on from epoch to epoch.
        pin_memory: whether batches are in pinned memory; None: where CUDA is available.
        start_method: how workers start: "forkserver", "spawn" or "fork".
        rc_aug: adds the transform "reverse-complement".
        use_control_tags: adds the transform "control-tags".
        transforms: further ones, in order: names, `{"name": {option: value}}`, or `Transform` objects.
        tokenizer: "nucleotide", "byte", a path to a `tokenizer.json`, or a tokenizer object.
        case: "upper", "keep" or "keep-in-labels".
        loss_weights: weight by letter or class, such as `{"ambiguous": 0, "lower": 0.1}`.
        invalid_bases: "error" or "unk".
        include_bos, include_eos: whether rows begin with bos and end with eos.
        create_attention_mask: adds `attention_mask`, bool [B, 1, S, S], True = masked.
        extra_keys: further keys of a batch: "row_ids".
        shuffle: whether training rows are shuffled; None: yes.
        seed: of every order and all random draws.
        drop_last: whether training rows that do not fill a global batch are left out of an epoch.
        data_parallel: "auto" or (rank, size).
        on_mismatch: "error" or "warn" when a checkpoint belongs to other data.
        log_windows, log_dir: the window access log; not offered by this version.
        store_options, index_options: options of the plugins.

    Raises:
        ConfigurationError: arguments that contradict each other, or something needed that is missing.
    """

    def __init__(
        self,
        store: str | SequenceStore = "sqlite-shards",
        index: str = "sqlite",
        *,
        data_dir: str | None = None,
        sequence_db_dir: str | None = None,
        train_window_db_path: str | None = None,
        val_window_db_path: str | None = None,
        test_window_db_path: str | None = None,
        predict_window_db_path: str | None = None,
        seq_length: int = 8192,
        stride: int | None = None,
        window_size: int | None = None,
        window_min_length_threshold: int | None = None,
        micro_batch_size: int = 1,
        global_batch_size: int | None = None,
        num_workers: int = 2,
        prefetch_factor: int = 2,
        persistent_workers: bool = True,
        pin_memory: bool | None = None,
        start_method: str = "forkserver",
        rc_aug: bool = False,
        use_control_tags: bool = False,
        transforms: Sequence[Any] = (),
        tokenizer: Any = "nucleotide",
        case: str = "upper",
        loss_weights: dict[str, float] | None = None,
        invalid_bases: str = "error",
        include_bos: bool = True,
        include_eos: bool = True,
        create_attention_mask: bool = False,
        extra_keys: Sequence[str] = (),
        shuffle: bool | None = None,
        seed: int = 42,
        drop_last: bool = True,
        data_parallel: str | tuple[int, int] = "auto",
        on_mismatch: str = "error",
        log_windows: bool = False,
        log_dir: str | None = None,
        store_options: dict[str, Any] | None = None,
        index_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if log_windows or log_dir is not None:
            raise ConfigurationError("log_windows and log_dir are not offered by this version: leave them out")
        self.store = store
        self.data_dir = None if data_dir is None else str(data_dir)
        self.sequence_db_dir = sequence_db_dir if data_dir is None or sequence_db_dir is not None else str(data_dir)
        given = {
            "train": train_window_db_path,
            "validation": val_window_db_path,
            "test": test_window_db_path,
            "predict": predict_window_db_path,
        }
        self.window_db_paths = _paths(given, data_dir)
        self.micro_batch_size = micro_batch_size
        self.global_batch_size = global_batch_size
        self.drop_last = drop_last
        self.data_parallel = data_parallel
        self._shuffle = shuffle
        self._dataset_options: dict[str, Any] = {
            "index": index,
            "seq_length": seq_length,
            "stride": stride,
            "window_size": window_size,
            "window_min_length_threshold": window_min_length_threshold,
            "rc_aug": rc_aug,
            "use_control_tags": use_control_tags,
            "transforms": tuple(transforms),
            "tokenizer": tokenizer,
            "case": case,
            "loss_weights": loss_weights,
            "invalid_bases": invalid_bases,
            "include_bos": include_bos,
            "include_eos": include_eos,
            "create_attention_mask": create_attention_mask,
            "extra_keys": tuple(extra_keys),
            "seed": seed,
            "store_options": store_options,
            "index_options": index_options,
        }
        self._loader_options: dict[str, Any] = {
            "num_workers": num_workers,
            "prefetch_factor": prefetch_factor,
            "persistent_workers": persistent_workers,
            "pin_memory": pin_memory,
            "start_method": start_method,
            "on_mismatch": on_mismatch,
        }
        self._datasets: dict[str, EdenDataset] = {}
        self._loaders: dict[str, EdenLoader] = {}

    def dataset(self, split: str) -> EdenDataset:
        """Return the dataset of a split ("train", "validation", "test" or "predict").

        Raises:
            ConfigurationError: no index was given for it.
        """
        if split not in self._datasets:
            path = self.window_db_paths[split]
            if path is None:
                place = "" if self.data_dir is None else f" (there is no {Path(self.data_dir) / f'{split}_windows.db'})"
                raise ConfigurationError(
                    f"there is no index of {split} windows{place}: give {_ARGUMENTS[split]}, or data_dir, with a file that "
                    "eden-precompute wrote"
                )
            shuffle = self._shuffle if split == "train" else None
            self._datasets[split] = EdenDataset(
                self.store,
                sequence_db_dir=self.sequence_db_dir,
                window_db_path=path,
                split=split,
                shuffle=shuffle,
                **self._dataset_options,
            )
        return self._datasets[split]

    def setup(self, stage: str | None = None) -> None:
        """Open what a stage reads, and agree on batch sizes with the Trainer.

        Args:
            stage: "fit", "validate", "test" or "predict"; None: every split that has an index.
        """
        needed = _NEEDED_BY_STAGE[stage]
        for split in _ARGUMENTS:
            if split in needed or (stage in {None, "fit"} and self.window_db_paths[split] is not None):
                self.dataset(split)
        if stage == "fit" and self.trainer is not None:
            self._agree_on_accumulation(self.trainer)
            if self.trainer.current_epoch == 0:
                self._drop_loader("train")  # a new run begins with the first epoch, whatever was read before

    def train_dataloader(self) -> EdenLoader:
        """Return the training loader; made anew, it goes on with the next epoch."""
        before = self._loaders.get("train")
        loader = self._loader("train", drop_last=self.drop_last, global_batch_size=self._step_rows())
        if before is not None:
            loader.follow(before)
        return loader

    def val_dataloader(self) -> EdenLoader | list[Any]:
        """Return the validation loader, or nothing to iterate over where there is no validation index."""
        return [] if self.window_db_paths["validation"] is None else self._loader("validation", drop_last=False)

    def test_dataloader(self) -> EdenLoader:
        """Return the test loader."""
        return self._loader("test", drop_last=False)

    def predict_dataloader(self) -> EdenLoader:
        """Return the prediction loader."""
        return self._loader("predict", drop_last=False)

    def teardown(self, stage: str) -> None:
        """Stop the workers and close the files."""
        for loader in self._loaders.values():
            loader.close()

    def on_exception(self, exception: BaseException) -> None:
        """Stop all workers when the Trainer fails."""
        for loader in self._loaders.values():
            loader.close()

    def _loader(self, split: str, *, drop_last: bool, global_batch_size: int | None = None) -> EdenLoader:
        self._drop_loader(split)
        self._loaders[split] = EdenLoader(
            self.dataset(split),
            micro_batch_size=self.micro_batch_size,
            global_batch_size=global_batch_size,
            drop_last=drop_last,
            data_parallel=self.data_parallel,
            **self._loader_options,
        )
        return self._loaders[split]

    def _drop_loader(self, split: str) -> None:
        before = self._loaders.pop(split, None)
        if before is not None:
            before.close()

    def _step_rows(self) -> int | None:
        if self.global_batch_size is not None or self.trainer is None:
            return self.global_batch_size
        _, ranks = data_parallel_rank(self.data_parallel)
        return int(self.micro_batch_size * ranks * self.trainer.accumulate_grad_batches)

    def _agree_on_accumulation(self, trainer: lightning.Trainer) -> None:
        if self.global_batch_size is None:
            return
        _, ranks = data_parallel_rank(self.data_parallel)
        at_once = self.micro_batch_size * ranks
        wanted, rest = divmod(self.global_batch_size, at_once)
        accumulation = trainer.accumulate_grad_batches
        if rest or not wanted or accumulation not in {1, wanted}:
            raise ConfigurationError(
                f"global_batch_size {self.global_batch_size} is not micro_batch_size {self.micro_batch_size} x {ranks} "
                f"data-parallel ranks x accumulate_grad_batches {accumulation} = {at_once * accumulation}; change one of them"
            )
        if accumulation != wanted:
            trainer.accumulate_grad_batches = wanted
            rank_zero_info(f"accumulate_grad_batches set to {wanted}, for global_batch_size {self.global_batch_size}")


def _paths(given: Mapping[str, str | None], data_dir: str | None) -> dict[str, str | None]:
    paths = {split: None if path is None else str(path) for split, path in given.items()}
    if data_dir is not None:
        for split in ("train", "validation", "test"):
            found = Path(data_dir) / f"{split}_windows.db"
            if paths[split] is None and found.exists():
                paths[split] = str(found)
    return paths
