"""Checkpoints made at every point of a run: the run that goes on trains on the rows that the unbroken one trained on.

One rank is enough: of one global batch, fewer or more ranks read the same rows as larger or smaller micro-batches do.
"""

import itertools
import warnings
from dataclasses import dataclass, field

import lightning
import pytest
import torch
from plain import write_seed_index, write_seed_shard

from eden_core import EdenDataModule, errors

ROWS = 21
EPOCHS = {"max_epochs": 2}
STEPS = {"max_steps": 8, "max_epochs": -1}
HOOKS = [
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_before_optimizer_step",
    "on_train_batch_end",
    "on_validation_start",
    "on_validation_batch_end",
    "on_validation_end",
    "on_train_epoch_end",
    "on_train_end",
]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore:.*does not have many workers:UserWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    sequences = {f"BCR__ECT-S1__CT{i:02}-1": "ACGT" * 12 for i in range(ROWS)}
    write_seed_shard(folder, "S1", sequences)
    write_seed_index(folder / "train_windows.db", dict.fromkeys(sequences, 48), 64, 48)
    write_seed_index(folder / "validation_windows.db", dict.fromkeys(list(sequences)[:3], 48), 64, 48)
    return folder


class Trained(lightning.LightningModule):
    """Keeps the rows of each optimizer step, the logger's number of it, and the steps before each validation."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.steps, self.numbers, self.validated, self.pending = [], [], [], []

    def training_step(self, batch, index):
        self.pending += batch["row_ids"].tolist()
        return self.weight * batch["loss_mask"].mean()

    def optimizer_step(self, *args, **kwargs):
        super().optimizer_step(*args, **kwargs)
        self.steps.append(self.pending)
        self.numbers.append(self.trainer.fit_loop.epoch_loop._batches_that_stepped)
        self.pending = []

    def configure_optimizers(self):
        assert self.trainer.estimated_stepping_batches  # asks for the loader before the checkpoint is restored
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Validated(Trained):
    def validation_step(self, batch, index):
        pass

    def on_validation_end(self):
        self.validated.append(self.trainer.global_step)


@dataclass
class Saver(lightning.Callback):
    """Saves a checkpoint each time that a hook is called."""

    hook: str
    folder: str
    saved: list = field(default_factory=list)

    def __post_init__(self):
        setattr(self, self.hook, self.save)

    def save(self, trainer, *args, **kwargs):
        path = f"{self.folder}/{self.hook}-{len(self.saved)}.ckpt"
        self.saved.append((path, trainer.global_step))
        trainer.save_checkpoint(path)


def fit(folder, model, trainer_options, data_options, ckpt_path=None, **further):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    options = quiet | {"num_sanity_val_steps": 0, "default_root_dir": str(folder)} | trainer_options | further
    trainer = lightning.Trainer(accelerator="cpu", **options)
    defaults = {"seq_length": 64, "num_workers": 0, "extra_keys": ("row_ids",), "run_dir": ""}
    data = EdenDataModule(data_dir=str(folder), **defaults | data_options)
    trainer.fit(model, data, ckpt_path=ckpt_path)
    return trainer


def warned(run) -> str:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run()
    return "\n".join(str(warning.message) for warning in seen)


def check_all_save_points(folder, tmp_path, kind, trainer_options, before, after=None):
    for hook in HOOKS if kind is Validated else [hook for hook in HOOKS if "validation" not in hook]:
        saver, unbroken = Saver(hook, str(tmp_path)), kind()
        whole = fit(folder, unbroken, trainer_options, before, callbacks=[saver])
        for path, step in saver.saved:
            model = kind()
            trainer = fit(folder, model, trainer_options, after or before, path)
            assert sum(model.steps, []) == sum(unbroken.steps[step:], []), path
            assert model.numbers == unbroken.numbers[step:], path
            assert trainer.global_step == whole.global_step, path
            if model.steps:
                assert trainer.current_epoch == whole.current_epoch, path
            if after is None:  # else validation is due after other batches
                assert [s for s in model.validated if s > step] == [s for s in unbroken.validated if s > step], path


@pytest.mark.parametrize("kind", [Trained, Validated])
@pytest.mark.parametrize("until", [EPOCHS, STEPS], ids=["epochs", "steps"])
@pytest.mark.parametrize(
    "further",
    [
        {},
        {"limit_train_batches": 3},
        {"limit_train_batches": 0.7},
        {"accumulate_grad_batches": 2},
        {"accumulate_grad_batches": 2, "limit_train_batches": 3},
        {"reload_dataloaders_every_n_epochs": 1},
    ],
    ids=str,
)
def test_a_resumed_run_trains_on_what_the_unbroken_one_trains_on(folder, tmp_path, kind, until, further):
    check_all_save_points(folder, tmp_path, kind, until | further, {"micro_batch_size": 4})


@pytest.mark.parametrize("until", [EPOCHS, STEPS], ids=["epochs", "steps"])
@pytest.mark.parametrize("interval", [2, 0.5])
def test_validation_goes_on_where_it_was_due(folder, tmp_path, until, interval):
    check_all_save_points(folder, tmp_path, Validated, until | {"val_check_interval": interval}, {"micro_batch_size": 4})


@pytest.mark.parametrize("kind", [Trained, Validated])
@pytest.mark.parametrize("until", [EPOCHS, STEPS], ids=["epochs", "steps"])
@pytest.mark.parametrize(("before", "after"), [(4, 2), (4, 1), (2, 4)])
def test_with_other_micro_batches_the_global_batches_are_the_same(folder, tmp_path, kind, until, before, after):
    further = {"val_check_interval": 0.5} if kind is Validated else {"limit_train_batches": 0.8}
    sizes = [{"micro_batch_size": micro, "global_batch_size": 4} for micro in (before, after)]
    check_all_save_points(folder, tmp_path, kind, until | further, *sizes)


@pytest.mark.parametrize("until", [{"max_epochs": 4}, {"max_steps": 17, "max_epochs": -1}], ids=["epochs", "steps"])
@pytest.mark.parametrize(("before", "after"), [((4, 4), (3, 3)), ((2, 6), (5, 5)), ((1, 2), (2, 10)), ((4, 4), (21, 21))])
def test_with_other_global_batches_no_row_comes_twice_and_later_epochs_are_whole(folder, tmp_path, until, before, after):
    sizes = [{"micro_batch_size": micro, "global_batch_size": total} for micro, total in (before, after)]
    for hook in ("on_before_optimizer_step", "on_train_batch_end", "on_train_epoch_end"):
        saver, first = Saver(hook, str(tmp_path)), Trained()
        fit(folder, first, until, sizes[0], callbacks=[saver])
        for path, step in saver.saved:
            model = Trained()
            trainer = fit(folder, model, until, sizes[1], path)
            seen = sum(first.steps[:step], []) + sum(model.steps, [])
            assert len(set(seen)) == len(seen), path
            epochs = [[row % ROWS for row in group] for _, group in itertools.groupby(seen, lambda row: row // ROWS)]
            assert all(epoch == list(range(len(epoch))) for epoch in epochs), path
            whole = epochs[:-1] if "max_steps" in until else epochs
            assert all(ROWS - len(epoch) < max(sizes[0]["global_batch_size"], after[1]) for epoch in whole), path
            assert len(epochs) == 4 if "max_epochs" in until and until["max_epochs"] > 0 else trainer.global_step == 17, path


@pytest.mark.parametrize("kind", [Trained, Validated])
@pytest.mark.parametrize(("first", "then"), [(3, 13), (5, 13), (8, 13), (8, 3)])
def test_training_that_ended_within_an_epoch_goes_on_with_the_rest_of_it(folder, tmp_path, kind, first, then):
    further = STEPS | {"max_steps": then} if then > first else EPOCHS
    unbroken, sizes = kind(), {"micro_batch_size": 4}
    fit(folder, unbroken, further, sizes)
    for hook in ("on_train_batch_end", "on_train_epoch_end", "on_train_end"):
        saver = Saver(hook, str(tmp_path))
        trainer = fit(folder, kind(), STEPS | {"max_steps": first}, sizes, callbacks=[saver])
        trainer.save_checkpoint(tmp_path / "afterwards.ckpt")
        for path, step in [*saver.saved, (str(tmp_path / "afterwards.ckpt"), first)]:
            model = kind()
            fit(folder, model, further, sizes, path)
            assert model.steps == unbroken.steps[step:], path
            assert model.numbers == unbroken.numbers[step:], path


@pytest.mark.parametrize("until", [EPOCHS, STEPS], ids=["epochs", "steps"])
@pytest.mark.parametrize("kind", [Trained, Validated])
@pytest.mark.parametrize(
    ("further", "skip_rows", "micro"),
    [({}, [(4, 12)], 4), ({}, [(2, 9), (25, 34)], 4), ({"accumulate_grad_batches": 2, "limit_train_batches": 5}, [(2, 15)], 2)],
    ids=str,
)
def test_an_epoch_that_rows_are_skipped_in_ends_like_any_other(folder, tmp_path, kind, until, further, skip_rows, micro):
    check_all_save_points(folder, tmp_path, kind, until | further, {"micro_batch_size": micro, "skip_rows": skip_rows})


def test_an_epoch_that_rows_are_skipped_in_is_validated_at_its_end(folder):
    model = Validated()
    fit(folder, model, EPOCHS, {"micro_batch_size": 4, "skip_rows": [(4, 12)]})
    assert model.validated == [3, 8]


def test_with_workers_a_later_epoch_goes_on_in_its_own_order(folder, tmp_path):
    """Lightning sets a loader's epoch only after its workers have been asked for their first batches (issue 21938 there)."""
    saver, unbroken = Saver("on_train_batch_end", str(tmp_path)), Trained()
    fit(folder, unbroken, EPOCHS, {"micro_batch_size": 4}, callbacks=[saver])
    model = Trained()
    fit(folder, model, EPOCHS, {"micro_batch_size": 4, "num_workers": 2}, saver.saved[7][0])
    assert model.steps == unbroken.steps[8:]


def test_training_told_to_leave_an_epoch_early_goes_on_with_the_next(folder, tmp_path):
    class Impatient(Trained):
        def on_train_batch_start(self, batch, index):
            return -1 if index == 2 else None

    saver, unbroken = Saver("on_train_epoch_end", str(tmp_path)), Impatient()
    fit(folder, unbroken, EPOCHS, {"micro_batch_size": 4}, callbacks=[saver])
    model = Impatient()
    fit(folder, model, EPOCHS, {"micro_batch_size": 4}, saver.saved[0][0])
    assert model.steps == unbroken.steps[2:]


def test_data_can_begin_anew_with_old_weights(folder, tmp_path):
    saver, first = Saver("on_train_batch_end", str(tmp_path)), Trained()
    fit(folder, first, EPOCHS, {"micro_batch_size": 4}, callbacks=[saver])
    model = Trained()
    options = {"micro_batch_size": 4, "seed": 7, "resume_data": "restart"}
    trainers = []
    text = warned(lambda: trainers.append(fit(folder, model, EPOCHS, options, saver.saved[2][0])))
    assert "a job that is requeued must go on with resume_data='continue'" in text
    assert [rows[0] for rows in model.steps] == [0, 4, 8, 12, 16, 21, 25, 29, 33, 37]
    assert trainers[0].global_step == 3 + 10


def test_other_data_stop_the_run_and_print_both_sides(folder, tmp_path):
    saver = Saver("on_train_batch_end", str(tmp_path))
    fit(folder, Trained(), EPOCHS, {"micro_batch_size": 4}, callbacks=[saver])
    with pytest.raises(errors.ConfigurationError, match="seed was 42, is 7"):
        fit(folder, Trained(), EPOCHS, {"micro_batch_size": 4, "seed": 7}, saver.saved[2][0])
    model = Validated()
    options = {"micro_batch_size": 4, "seed": 7, "on_mismatch": "warn"}
    assert "seed was 42, is 7" in warned(lambda: fit(folder, model, EPOCHS, options, saver.saved[2][0]))
    assert model.steps[0] == [12, 13, 14, 15]


def test_a_checkpoint_without_a_position_begins_with_the_first_epoch_and_says_so(folder, tmp_path):
    path = str(tmp_path / "other.ckpt")
    saver = Saver("on_train_batch_end", str(tmp_path))
    fit(folder, Trained(), EPOCHS, {"micro_batch_size": 4}, callbacks=[saver])
    checkpoint = torch.load(saver.saved[2][0])
    del checkpoint["EdenDataModule"], checkpoint["loops"]["fit_loop"]["state_dict"]["combined_loader"]
    torch.save(checkpoint, path)
    model = Validated()
    text = warned(lambda: fit(folder, model, EPOCHS, {"micro_batch_size": 4}, path))
    assert "holds no position in the data" in text
    assert [rows[0] for rows in model.steps] == [0, 4, 8, 12, 16, 21, 25, 29, 33, 37]


def test_a_data_module_of_another_name_finds_its_position(folder, tmp_path):
    saver, unbroken = Saver("on_train_batch_end", str(tmp_path)), Trained()
    fit(folder, unbroken, EPOCHS, {"micro_batch_size": 4}, callbacks=[saver])
    checkpoint = torch.load(saver.saved[2][0])
    checkpoint["MyDataModule"] = checkpoint.pop("EdenDataModule")
    torch.save(checkpoint, tmp_path / "renamed.ckpt")
    model = Trained()
    fit(folder, model, EPOCHS, {"micro_batch_size": 4}, str(tmp_path / "renamed.ckpt"))
    assert model.steps == unbroken.steps[3:]


def sources_of(folder, *names) -> list[dict]:
    return [{"name": name, "data_dir": str(folder), "weight": 1} for name in names]


@pytest.mark.parametrize("kind", [Trained, Validated])
def test_a_mixture_goes_on_like_one_source(folder, tmp_path, kind):
    check_all_save_points(folder, tmp_path, kind, EPOCHS, {"micro_batch_size": 4, "sources": sources_of(folder, "a", "b")})


@pytest.mark.parametrize("hook", ["on_before_optimizer_step", "on_train_batch_end", "on_train_epoch_end", "on_validation_end"])
@pytest.mark.parametrize("names", [("b", "c", "d"), ("b",)])
@pytest.mark.parametrize("limits", [{}, {"limit_train_batches": 5}])
def test_other_sources_go_on_with_the_row_that_follows(folder, tmp_path, hook, names, limits):
    saver, first = Saver(hook, str(tmp_path)), Validated()
    before = {"micro_batch_size": 4, "sources": sources_of(folder, "a", "b")}
    fit(folder, first, EPOCHS | limits, before, callbacks=[saver])
    for path, step in saver.saved:
        model, after = Validated(), before | {"sources": sources_of(folder, *names)}
        trainer = fit(folder, model, {"max_steps": step + 40, "max_epochs": -1} | limits, after, path)
        assert trainer.global_step == step + 40
        assert sum(model.steps, []) == list(range(4 * step, 4 * (step + 40))), path
        assert len(model.validated) >= 40 // (len(names) * ROWS // 4)
