"""ShardedEdenDataModule: an `EdenDataModule` with the arguments and attributes of the older module."""

import inspect
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from eden_core.arguments import arguments_of, plain_arguments, shared_arguments
from eden_core.assembly import whole_number
from eden_core.datamodule import EdenDataModule
from eden_core.errors import ConfigurationError
from eden_core.sharded_eden.arguments import check_served, chosen_stride, chosen_tokenizer, known_among
from eden_core.tiling import DEFAULT_STRIDE


class ShardedEdenDataModule(EdenDataModule):
    """Training, validation and test batches from per-sample SQLite files and one window database a split.

    Arguments are kept as attributes of their names.

    Args:
        sequence_db_dir: the directory of the shards.
        train_window_db_path, val_window_db_path, test_window_db_path: the window databases; None: there is no such split.
        seq_length: tokens a row, and bases a window.
        tokenizer: an object with `bos_id`, `eos_id`, `_sep_id`, `pad_id` and `tokenize` or `text_to_ids`, or whatever
            `EdenDataModule` takes; None: "nucleotide".
        micro_batch_size: rows of a batch on one rank.
        global_batch_size: rows of an optimizer step over all ranks; sets the Trainer's accumulation where that is left at its
            default.
        rampup_batch_size, vocab_file, merges_file: None; anything else is refused.
        num_workers: processes that read ahead, for each loader.
        pin_memory: whether batches are in pinned memory, where there is an accelerator.
        persistent_workers: whether workers live on from epoch to epoch.
        create_attention_mask: adds `attention_mask`, bool [B, 1, S, S], True = masked.
        rc_aug: reads training windows from either strand, drawn by seed, epoch and window.
        stride: what the databases must have been built with; None: 7992.
        window_min_length_threshold: likewise; None or 0: no window may have been left out as too short.
        use_control_tags: puts the tag of its sequence, such as `<ctrl_bcr>`, and sep before the bases of a window.
        seed: of the order and all random draws.
        num_epochs: what the Trainer's `max_epochs` is multiplied by, where it has one and `limit_train_batches` is no number of
            batches.
        log_windows, log_dir: the window access log, see `EdenDataModule`.
        kwargs: further arguments of `EdenDataModule`, such as `resume_data`; others are ignored, with a warning unless None.

    Raises:
        ConfigurationError: arguments that contradict each other or that Eden does not serve; the message says what to do.
    """

    train_window_db_path: str | None
    val_window_db_path: str | None
    test_window_db_path: str | None
    seq_length: int
    tokenizer: Any
    micro_batch_size: int
    global_batch_size: int | None
    rampup_batch_size: None
    num_workers: int
    pin_memory: bool
    persistent_workers: bool
    create_attention_mask: bool
    vocab_file: None
    merges_file: None
    rc_aug: bool
    stride: int
    window_min_length_threshold: int | None
    use_control_tags: bool
    seed: int
    num_epochs: int
    log_windows: bool | str
    log_dir: str | None

    def __init__(
        self,
        sequence_db_dir: str,
        train_window_db_path: str | None,
        val_window_db_path: str | None,
        test_window_db_path: str | None,
        seq_length: int = 8192,
        tokenizer: Any = None,
        micro_batch_size: int = 1,
        global_batch_size: int | None = 4,
        rampup_batch_size: list[int] | None = None,
        num_workers: int = 8,
        pin_memory: bool = True,
        persistent_workers: bool = False,
        create_attention_mask: bool = False,
        vocab_file: str | None = None,
        merges_file: str | None = None,
        rc_aug: bool = False,
        stride: int | None = DEFAULT_STRIDE,
        window_min_length_threshold: int | None = None,
        use_control_tags: bool = False,
        seed: int = 42,
        num_epochs: int = 1,
        log_windows: bool | str = False,
        log_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = arguments_of(ShardedEdenDataModule, locals())
        del given["kwargs"]
        check_served(given)
        whole_number("num_epochs", num_epochs, least=1)
        given |= {"stride": chosen_stride(stride), "tokenizer": chosen_tokenizer(tokenizer)}
        served = shared_arguments(EdenDataModule, given) | {
            "window_size": seq_length,
            "window_min_length_threshold": window_min_length_threshold or 0,
            "pin_memory": None if pin_memory else False,
        }
        super().__init__(**served | known_among(kwargs, inspect.signature(EdenDataModule).parameters))
        self.save_hyperparameters(plain_arguments(given), logger=False)
        vars(self).update(given)
        self._multiplied: tuple[Any, int] | None = None

    def setup(self, stage: str | None = None) -> None:
        """Open what a stage reads, and agree on batch sizes and epochs with the Trainer, where there is one.

        Args:
            stage: "fit", "validate", "test" or "predict"; None: every split that has an index.
        """
        super().setup(stage)
        if stage == "fit" and self.trainer is not None:
            self._multiply_epochs(self.trainer)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where training stood.

        Raises:
            ConfigurationError: the state belongs to other data (unless `on_mismatch` is "warn"), or is the older module's.
        """
        training = self.trainer is None or self.trainer.state.fn == "fit"
        if training and "consumed_samples" in state_dict and self.arguments["resume_data"] == "continue":
            raise ConfigurationError(
                f"the checkpoint was made by the older module, after {state_dict['consumed_samples']} samples: its rows came "
                "in another order, so training cannot go on behind them. Begin the data anew with resume_data='restart', and "
                "take that out again once this run has a checkpoint of its own"
            )
        super().load_state_dict(state_dict)

    def _multiply_epochs(self, trainer: Any) -> None:
        """Have the Trainer read the data as often as the older module's one pass over `num_epochs` epochs did."""
        epochs = self.num_epochs
        limited = isinstance(trainer.limit_train_batches, int)
        if epochs == 1 or limited or trainer.max_epochs in {None, -1} or self._multiplied == (trainer, trainer.max_epochs):
            return
        trainer.fit_loop.max_epochs *= epochs
        self._multiplied = trainer, trainer.max_epochs
        rank_zero_info(f"max_epochs set to {trainer.max_epochs}, for num_epochs {epochs}")
