"""Keeping Lightning's counting of epochs and batches in step with the rows of a run."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import lightning
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature

from eden_core.ledger import RunStart, last_start
from eden_core.loader import EdenLoader

if TYPE_CHECKING:
    from eden_core.datamodule import EdenDataModule


class RunProgress(lightning.Callback):
    """Added to the Trainer by `EdenDataModule`: rewrites the progress in a checkpoint before Lightning restores it.

    Lightning counts batches, which stand for other rows once ranks or batch sizes change, and after an interruption it may pass
    over a batch that was not trained on. What it restores must say what is left of the rows of the epoch.
    """

    def __init__(self) -> None:
        self._resumed = False

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Rewrite the progress in a checkpoint that training goes on from."""
        fit_loop, data = checkpoint.get("loops", {}).get("fit_loop"), _data_of(trainer)
        if trainer.state.fn != "fit" or fit_loop is None or data is None:
            return
        saved = fit_loop["state_dict"].get("combined_loader", [])
        if len(saved) == 1 and "sources" in saved[0]:
            # Lightning restores a loader's own state in some cases only; the data module does so in every one.
            del fit_loop["state_dict"]["combined_loader"]
            if data.restored_epoch is None:
                data.load_state_dict({"train": saved[0]})
        rewrite_progress(fit_loop, data.training_loader(), data.restored_epoch)
        self._resumed = True
        if data.arguments["resume_data"] == "restart":
            rank_zero_warn(
                "resume_data='restart': the data begin with the first epoch again, as they will with every checkpoint until it "
                "is taken out; a job that is requeued must go on with resume_data='continue'"
            )
        elif data.restored_epoch is None:
            rank_zero_warn(
                "the checkpoint holds no position in the data of EdenDataModule: training begins with the first epoch"
            )

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add this start to the run ledger, and have the loader count steps as Lightning does."""
        data = _data_of(trainer)
        if data is not None:
            data.training_loader().next_step = trainer.global_step
        if data is None or not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        run_dir = data.arguments["run_dir"]
        place = str(trainer.default_root_dir if run_dir is None else run_dir)
        start = RunStart.of_loader(data.training_loader(), trainer.global_step)
        before = last_start(place, "epochs") if place else None
        other = "" if before is None else before.fingerprint_recorded.differences(data.training_loader().dataset.fingerprint)
        if other and not self._resumed:
            rank_zero_warn(
                f"the ledger in {place} holds another run, with other data, so `eden replay` must be told which start is "
                f"meant: give each run a run_dir of its own{other}"
            )
        start.append_or_warn(place)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Have Lightning count an epoch that rows are skipped in as whole, and loggers go on with the step that follows.

        After some checkpoints Lightning counts one step too many.
        """
        data = _data_of(trainer)
        if data is not None and data.training_loader().handed_out == 1:
            skip_what_is_left_out(trainer, data.training_loader())
        if self._resumed and pl_module.automatic_optimization:
            trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step  # noqa: SLF001
        self._resumed = False


def _data_of(trainer: Any) -> "EdenDataModule | None":
    """The data module of the run, which may be another one than that which added the callback."""
    from eden_core.datamodule import EdenDataModule

    return trainer.datamodule if isinstance(trainer.datamodule, EdenDataModule) else None


def rewrite_progress(fit_loop: dict[str, Any], loader: EdenLoader, epoch: int | None) -> None:
    """Make the saved state of Lightning's fit loop say how much of its epoch a restored loader has left.

    Args:
        fit_loop: what Lightning 2.6 saves under `loops.fit_loop`; changed in place.
        loader: the training loader, its own state restored.
        epoch: the epoch of the data in which the checkpoint was made; None: the data begin anew.
    """
    progress, epochs = fit_loop["epoch_loop.batch_progress"], fit_loop["epoch_progress"]
    current, total = progress["current"], progress["total"]
    interrupted = current["ready"] != current["processed"]
    last = progress["is_last_batch"] and not interrupted  # also where training was told to leave the rest of the epoch out
    ended = loader.restored is not None and loader.restored.ended  # in a mixture, whose epochs may have another length now
    if last and epoch is not None and loader.position.start and not ended:
        loader.set_epoch(loader.position.epoch + 1)
    between_epochs = epochs["current"]["started"] == epochs["current"]["processed"]
    if (
        between_epochs and loader.position.start and not ended
    ):  # Lightning counts an epoch that training stopped in as a whole one
        between_epochs = False
        for tracker in epochs.values():
            tracker["processed"] = tracker["completed"] = tracker["started"] - 1
    over = last or between_epochs or (epoch is not None and loader.position.epoch > epoch)
    left = 0 if over else loader.rank_sampler.batches(loader.position.epoch, loader.position.start)
    moved = loader.rank_sampler.pass_batches - left - current["processed"]
    if over and (between_epochs or moved or not last):
        # Left to itself Lightning would train on one more batch before it begins the next epoch.
        for tracker in epochs.values():
            tracker.update(dict.fromkeys(tracker, tracker["started"]))
        current.update(dict.fromkeys(current, 0))
        total.update(dict.fromkeys(total, total["processed"]))
        progress["is_last_batch"] = False
        return
    for tracker in (current, total):
        settled = interrupted or (moved and not over)
        tracker.update({key: (tracker["processed"] if settled else count) + moved for key, count in tracker.items()})
    progress["is_last_batch"] = over


def skip_what_is_left_out(trainer: Any, loader: EdenLoader) -> None:
    """Count the batches that a pass is shorter than an epoch as done, before its first batch is trained on.

    Else an epoch with skipped rows would end before validation and checkpoints at its end are due.
    """
    at, fetcher = loader.position, trainer.fit_loop._data_fetcher  # noqa: SLF001
    progress = trainer.fit_loop.epoch_loop.batch_progress
    left_out = loader.rank_sampler.pass_batches - loader.rank_sampler.batches(at.epoch, at.start)
    moved = left_out + 1 - progress.current.ready
    if moved <= 0 or fetcher.length is None:
        return
    for name in ("ready", "started", "processed", "completed"):
        setattr(progress.current, name, getattr(progress.current, name) + moved)
    fetcher.fetched += moved
    fetcher.done = progress.is_last_batch = fetcher.fetched >= fetcher.length


def trained_batches(trainer: lightning.Trainer) -> Callable[[], int] | None:
    """Return what counts the batches that a Trainer has trained on, or None where a training step fetches its own batches."""
    if is_param_in_hook_signature(trainer.lightning_module.training_step, "dataloader_iter", explicit=True):
        return None
    total: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return lambda: int(total.processed)
