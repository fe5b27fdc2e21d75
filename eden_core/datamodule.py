"""EdenDataModule: the loaders of a Lightning Trainer."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Literal

import lightning
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.utilities import rank_zero_info

from eden_core.arguments import arguments_of, plain_arguments, shared_arguments
from eden_core.assembly import INDEX_ARGUMENTS, TRAINING_ONLY, check_samples, chosen_log, index_paths
from eden_core.dataset import EdenDataset
from eden_core.errors import ConfigurationError
from eden_core.interfaces import SequenceStore
from eden_core.lightning_progress import RunProgress, trained_batches
from eden_core.loader import EdenLoader
from eden_core.manifest import check_plugins, index_place, index_plugin, store_plugin
from eden_core.mixture import Anchor
from eden_core.parallel import data_parallel_rank
from eden_core.sampler import sizes_that_fit
from eden_core.sources import sources_of_split
from eden_core.tensors import expanded

_NEEDED_BY_STAGE: dict[str | None, tuple[str, ...]] = {
    None: (),
    "fit": ("train",),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
}


class EdenDataModule(lightning.LightningDataModule):
    """Training, validation, test and prediction batches for a Lightning `Trainer`.

    Training rows are shuffled anew each epoch and augmented; validation rows come in one fixed seeded order; test and predict
    rows come in index order (packed ones in the order of the plan). Whatever is given and contradicts the index, the Trainer or
    the ranks is an error.

    A batch is a dict: `tokens`, `labels`, `position_ids` (int64 [B, S]) and `loss_mask` (float32 [B, S]),
    B = `micro_batch_size`, S = `seq_length`, with what `create_attention_mask`, `packing` and `extra_keys` add.

    Args:
        store: name of a store plugin, or an open store; None: that of `data_dir`, else "sqlite-shards".
        index: name of an index plugin; None: that of `data_dir`, else "sqlite".
        data_dir: a folder with the shards, `train_windows.db`, `validation_windows.db` and `test_windows.db`; it supplies what
            is not given below.
        sequence_db_dir: where the store lies.
        train_window_db_path, val_window_db_path, test_window_db_path, predict_window_db_path: the index of each split.
        seq_length: tokens a row.
        stride, window_size, window_min_length_threshold: what the indexes must have been built with, or, of a plugin that can
            ("arrow"), how they are cut; None: as they were built.
        micro_batch_size: rows of a batch on one rank.
        global_batch_size: rows of an optimizer step over all ranks; sets the Trainer's accumulation where that is left at its
            default. None: micro_batch_size x data-parallel ranks x accumulate_grad_batches.
        num_workers: processes that read ahead, for each loader; 0 reads in the trainer's own.
        prefetch_factor: blocks of rows that each worker reads ahead.
        persistent_workers: whether workers live on from epoch to epoch.
        pin_memory: whether batches are in pinned memory; None: where there is an accelerator.
        start_method: how workers start: "forkserver", "spawn" or "fork".
        expand_on: "host", or "device": a ninth of the bytes is then moved to the device, where it becomes the same batch.
        rc_aug: adds the transform "reverse-complement".
        use_control_tags: adds the transform "control-tags".
        transforms: further ones, in order: names, `{"name": {option: value}}`, or `Transform` objects.
        tokenizer: "nucleotide", "byte", a path to a `tokenizer.json`, or a tokenizer object.
        case: "upper", "keep" or "keep-in-labels".
        loss_weights: weight by letter or class, such as `{"ambiguous": 0, "lower": 0.1}`.
        invalid_bases: "error" or "unk".
        include_bos, include_eos: whether rows begin with bos and end with eos.
        packing, pack_by, pad_segments_to, separate_segments, split_windows: how windows share rows, see `EdenDataset`.
        contigs: Parquet table with the lengths of contigs, where the index does not know them.
        max_n_fraction, max_soft_masked_fraction: windows with a larger share of N, or of lower-case letters, are left out.
        objective: "causal", "mlm", `{"name": {option: value}}`, or an `Objective`.
        sources: several sources that are mixed: dicts of `name`, `weight`, `max_epochs`, and of those arguments in which a
            source differs from what is given here: store, index, data_dir, the paths, transforms and the like. Evaluation
            reads every row of every source that has an index for it.
        weights_in: what the weights of sources count, "rows" or "bases".
        schedule: (first row, {source: weight}) pairs: other weights from these rows of the run on.
        pad_to_multiple_of: what a batch's longest row is padded to a multiple of, in place of `seq_length`.
        create_attention_mask: adds `attention_mask`, bool [B, 1, S, S], True = masked.
        count_once: whether bases that overlapping windows share get their loss weight in one of them only.
        extra_keys: further keys of a batch: "row_ids", "repeated", "source", "token_counts".
        shuffle: whether training rows are shuffled; None: yes. "block" or `{"block": {"rows": 64, "buffer_blocks": 2048}}`: in
            blocks, for spinning disks and network file systems, see `EdenDataset`.
        seed: of every order and all random draws.
        drop_last: whether training rows that do not fill a global batch are left out of an epoch.
        data_parallel: "auto", (rank, size) or a DeviceMesh, see `eden_core.parallel.data_parallel_rank`.
        on_mismatch: "error" or "warn" when a checkpoint belongs to other data.
        resume_data: "continue" to go on with the rows that a checkpoint has not seen, "restart" to begin with the first epoch.
        skip_rows: (first, stop) ranges of rows of the run that training leaves out.
        exclude_contigs: a text file, one contig id a line, whose windows training leaves out from here on.
        on_read_error: "raise", or "mask" to give windows that cannot be read a row without loss weight.
        read_warning_seconds: seconds after which a read that hangs is warned about; 0: never.
        read_threads: threads of each process that read from a store at once, as many as it allows: for stores that wait for a
            network or for many disks.
        run_dir: folder of the ledger `eden-run.jsonl`, to which each start of a training run adds a line; None: the Trainer's
            `default_root_dir`; "": no ledger.
        log_windows: whether each process keeps a log of the windows that it hands out: True or "csv", or "parquet" (see
            `eden_access_log`).
        log_dir: the folder of the logs; None: the working directory.
        store_options, index_options: options of the plugins.

    Raises:
        ConfigurationError: arguments that contradict each other, or something needed that is missing.
    """

    def __init__(
        self,
        store: str | SequenceStore | None = None,
        index: str | None = None,
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
        expand_on: str = "host",
        rc_aug: bool = False,
        use_control_tags: bool = False,
        transforms: Sequence[Any] = (),
        tokenizer: Any = "nucleotide",
        case: str = "upper",
        loss_weights: dict[str, float] | None = None,
        invalid_bases: str = "error",
        include_bos: bool = True,
        include_eos: bool = True,
        packing: str = "none",
        pack_by: str = "length",
        pad_segments_to: int = 1,
        separate_segments: bool = False,
        split_windows: bool = False,
        contigs: str | None = None,
        max_n_fraction: float | None = None,
        max_soft_masked_fraction: float | None = None,
        objective: Any = "causal",
        sources: Sequence[dict[str, Any]] = (),
        weights_in: str = "rows",
        schedule: Sequence[Any] = (),
        pad_to_multiple_of: int | None = None,
        create_attention_mask: bool = False,
        count_once: bool = False,
        extra_keys: Sequence[str] = (),
        shuffle: bool | Literal["block"] | dict[str, dict[str, int]] | None = None,
        seed: int = 42,
        drop_last: bool = True,
        data_parallel: Any = "auto",
        on_mismatch: str = "error",
        resume_data: str = "continue",
        skip_rows: Sequence[Sequence[int]] = (),
        exclude_contigs: str | None = None,
        on_read_error: str = "raise",
        read_warning_seconds: float = 120.0,
        read_threads: int = 1,
        run_dir: str | None = None,
        log_windows: bool | str = False,
        log_dir: str | None = None,
        store_options: dict[str, Any] | None = None,
        index_options: dict[str, Any] | None = None,
    ) -> None:
        arguments = arguments_of(EdenDataModule, locals())
        super().__init__()
        chosen_log(log_windows, log_dir)
        if resume_data not in {"continue", "restart"}:
            raise ConfigurationError(f"resume_data is {resume_data!r}; expected 'continue' or 'restart'")
        if data_dir is not None:
            check_plugins(data_dir, store=store, index=index)
        if store is None:
            arguments["store"] = "sqlite-shards" if data_dir is None else store_plugin(data_dir)
        if index is None:
            arguments["index"] = "sqlite" if data_dir is None else index_plugin(data_dir)
        self.save_hyperparameters(plain_arguments(arguments), logger=False)
        self.arguments = arguments
        """what it was made with"""
        self.sequence_db_dir = sequence_db_dir if data_dir is None or sequence_db_dir is not None else str(data_dir)
        given = {split: arguments[name] for split, name in INDEX_ARGUMENTS.items()}
        self.window_db_paths = index_paths(given, data_dir, arguments["index"])
        """split -> where its index lies; None where it has none"""
        self._datasets: dict[str, EdenDataset] = {}
        self._loaders: dict[str, EdenLoader] = {}
        self.restored_epoch: int | None = None
        """the epoch of the training data that a checkpoint was made in, once it is restored"""

    def dataset(self, split: str) -> EdenDataset:
        """Return the dataset of a split ("train", "validation", "test" or "predict").

        Raises:
            ConfigurationError: no index was given for it.
        """
        if split not in self._datasets:
            self._datasets[split] = self._open(split)
        return self._datasets[split]

    def prepare_data(self) -> None:
        """Check that what the stage reads can be read, on many nodes at once, if need be.

        Nothing is written but what packing keeps beside an index.

        Raises:
            ConfigurationError: an argument contradicts the index.
            FormatError: an index or a shard is missing, damaged, or of another format.
            ShardNotFoundError: the store lacks samples of the index; at most 256 are looked for.
        """
        stage = None if self.trainer is None else self.trainer.state.fn
        for split in self._splits_of(stage):
            with closing(self._open(split)) as dataset:
                for source in dataset.sources:
                    check_samples(source.index, source.store)

    def setup(self, stage: str | None = None) -> None:
        """Open what a stage reads, and agree on batch sizes with the Trainer.

        Args:
            stage: "fit", "validate", "test" or "predict"; None: every split that has an index.

        Raises:
            ConfigurationError: an argument contradicts the index or the Trainer, or a split has no index.
            FormatError: an index is missing, damaged, or of another format.
        """
        for split in self._splits_of(stage):
            self.dataset(split)
        trainer: Any = self.trainer
        if stage == "fit" and trainer is not None:
            self._agree_on_accumulation(trainer)
            if not any(isinstance(callback, RunProgress) for callback in trainer.callbacks):
                trainer.callbacks.insert(0, RunProgress())
            self.restored_epoch = None
            if trainer.current_epoch == 0:
                self._drop_loader("train")  # a new run begins with the first epoch, whatever was read before
                if self.dataset("train").mixture is not None:
                    self.dataset("train").continue_mixture(Anchor())

    def train_dataloader(self) -> EdenLoader:
        """Return the training loader; made anew, it goes on with the next epoch.

        Raises:
            ConfigurationError: sizes that do not divide, or no training index.
        """
        before = self._loaders.get("train")
        trainer: Any = self.trainer
        options: dict[str, Any] = {"drop_last": self.arguments["drop_last"], "global_batch_size": self._step_rows()}
        if trainer is not None:
            options |= {"limit_batches": trainer.limit_train_batches, "repeat_epoch": trainer.overfit_batches > 0}
        loader = self._loader("train", **options)
        if trainer is not None:
            loader.trained_batches = trained_batches(trainer)
        if before is not None:
            loader.follow(before)
        return loader

    def val_dataloader(self) -> EdenLoader | list[Any]:
        """Return the validation loader, or nothing to iterate over where there is no validation index."""
        return self._loader("validation", drop_last=False) if self._has("validation") else []

    def test_dataloader(self) -> EdenLoader:
        """Return the test loader.

        Raises:
            ConfigurationError: there is no test index.
        """
        return self._loader("test", drop_last=False)

    def predict_dataloader(self) -> EdenLoader:
        """Return the prediction loader.

        Raises:
            ConfigurationError: there is no index of windows to predict.
        """
        return self._loader("predict", drop_last=False)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return a batch as every consumer sees it, made on the device where `expand_on` says so."""
        return expanded(batch) if self.arguments["expand_on"] == "device" else batch

    def state_dict(self) -> dict[str, Any]:
        """Return where training stands, the same on every rank (see `EdenLoader.state_dict`)."""
        return {"train": self._loaders["train"].state_dict()} if "train" in self._loaders else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where training stood, with any number of ranks and workers and any batch sizes.

        Raises:
            ConfigurationError: the state belongs to other data (unless `on_mismatch` is "warn").
        """
        training = self.trainer is None or self.trainer.state.fn == "fit"
        if training and "train" in state_dict and self.arguments["resume_data"] == "continue":
            loader = self.training_loader()
            loader.load_state_dict(state_dict["train"])
            self.restored_epoch = None if loader.restored is None else loader.restored.before

    def training_loader(self) -> EdenLoader:
        """Return the training loader that there is, or make the first one."""
        return self._loaders["train"] if "train" in self._loaders else self.train_dataloader()

    def teardown(self, stage: str) -> None:
        """Stop the workers and close the files."""
        self._close_loaders()

    def on_exception(self, exception: BaseException) -> None:
        """Stop all workers when the Trainer fails."""
        self._close_loaders()

    def _close_loaders(self) -> None:
        with ExitStack() as stack:
            for loader in self._loaders.values():
                stack.callback(loader.close)

    def _open(self, split: str) -> EdenDataset:
        if not self._has(split):
            data_dir = self.arguments["data_dir"]
            place = "" if data_dir is None else index_place(Path(data_dir).absolute(), split, self.arguments["index"])
            missing = f" (there is no {place})" if place else ""
            raise ConfigurationError(
                f"there is no index of {split} windows{missing}: give {INDEX_ARGUMENTS[split]}, or data_dir, with a file that "
                "eden-precompute wrote"
            )
        options = shared_arguments(EdenDataset, self.arguments)
        if split != "train":
            options = {name: value for name, value in options.items() if name not in TRAINING_ONLY}
        options |= {"sequence_db_dir": self.sequence_db_dir, "window_db_path": self.window_db_paths[split], "split": split}
        return EdenDataset(**options | {"sources": self._sources(split)})

    def _has(self, split: str) -> bool:
        """Whether there is an index of a split."""
        return self.window_db_paths[split] is not None or bool(self._sources(split))

    def _sources(self, split: str) -> list[dict[str, Any]]:
        return sources_of_split(self.arguments["sources"], split, self.arguments["index"])

    def _splits_of(self, stage: str | None) -> list[str]:
        """The splits that a stage reads: those that it needs, and for fitting what there is besides."""
        there = stage in {None, "fit"}
        return [s for s in INDEX_ARGUMENTS if s in _NEEDED_BY_STAGE[stage] or (there and self._has(s))]

    def _loader(self, split: str, **options: Any) -> EdenLoader:
        self._drop_loader(split)
        given = shared_arguments(EdenLoader, self.arguments) | {"global_batch_size": None, "data_parallel": self._ranks()}
        self._loaders[split] = EdenLoader(self.dataset(split), **given | options)
        return self._loaders[split]

    def _drop_loader(self, split: str) -> None:
        before = self._loaders.pop(split, None)
        if before is not None:
            before.close()

    def _ranks(self) -> tuple[int, int]:
        return data_parallel_rank(self.arguments["data_parallel"], None if self.trainer is None else self.trainer.strategy)

    def _step_rows(self) -> int | None:
        given: int | None = self.arguments["global_batch_size"]
        if given is not None or self.trainer is None:
            return given
        return int(self.arguments["micro_batch_size"] * self._ranks()[1] * self.trainer.accumulate_grad_batches)

    def _agree_on_accumulation(self, trainer: Any) -> None:
        total, micro, ranks = self.arguments["global_batch_size"], self.arguments["micro_batch_size"], self._ranks()[1]
        if any(isinstance(callback, GradientAccumulationScheduler) for callback in trainer.callbacks):
            raise ConfigurationError(
                "GradientAccumulationScheduler changes the global batch during a run, and a checkpoint could not tell which "
                "rows were trained on: use accumulate_grad_batches or global_batch_size"
            )
        if total is None:
            return
        wanted, rest = divmod(total, micro * ranks)
        accumulation = trainer.accumulate_grad_batches
        if rest or not wanted or accumulation not in {1, wanted}:
            raise ConfigurationError(
                f"global_batch_size {total} is not micro_batch_size {micro} x {ranks} data-parallel ranks x "
                f"accumulate_grad_batches {accumulation} = {micro * ranks * accumulation}; change one of them. "
                f"{sizes_that_fit(total, ranks)}"
            )
        if wanted > 1 and not trainer.lightning_module.automatic_optimization:
            raise ConfigurationError(
                f"global_batch_size {total} needs {wanted} micro-batches a step, which Lightning accumulates under automatic "
                f"optimization only: leave global_batch_size out, and step by yourself every {wanted} batches"
            )
        if accumulation != wanted:
            trainer.accumulate_grad_batches = wanted
            rank_zero_info(f"accumulate_grad_batches set to {wanted}, for global_batch_size {total}")
