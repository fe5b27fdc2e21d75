import shutil
import warnings
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from access_logs import logs_in
from lightning.pytorch.callbacks import GradientAccumulationScheduler, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import CSVLogger

from eden_core import EdenDataModule, EdenDataset, errors
from eden_core.ledger import read_ledger
from eden_core.replay import dataset_of, rows_of_step
from eden_core.shuffling import BlockShuffle
from eden_reverse_complement import ReverseComplement

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore:.*does not have many workers:UserWarning")


class Recorder(lightning.LightningModule):
    """Keeps the row ids of every batch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "validation": [], "test": [], "predict": []}

    def _record(self, split, batch):
        self.seen[split].append(batch["row_ids"].tolist())

    def training_step(self, batch, index):
        self._record("train", batch)
        return self.weight * batch["loss_mask"].mean()

    def validation_step(self, batch, index):
        self._record("validation", batch)

    def test_step(self, batch, index):
        self._record("test", batch)

    def predict_step(self, batch, index):
        self._record("predict", batch)
        return batch["row_ids"]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data(small, **options) -> EdenDataModule:
    path = str(small.windows)
    paths = {f"{split}_window_db_path": path for split in ("train", "val", "test", "predict")}
    defaults = {"seq_length": 64, "micro_batch_size": 4, "num_workers": 0, "extra_keys": ("row_ids",)}
    return EdenDataModule(**({"sequence_db_dir": str(small.directory)} | paths | defaults | options))


def trainer(tmp_path, **options) -> lightning.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return lightning.Trainer(accelerator="cpu", default_root_dir=tmp_path, **(quiet | options))


@pytest.mark.parametrize("workers", [0, 2])
def test_fit_runs_whole_epochs_and_validates(small, tmp_path, workers):
    model, module = Recorder(), data(small, num_workers=workers)
    trainer(tmp_path, max_epochs=2, num_sanity_val_steps=1).fit(model, module)
    rows = len(EdenDataset(**small.options))
    whole = rows - rows % 4
    seen = sum(model.seen["train"], [])
    assert seen == [*range(whole), *range(rows, rows + whole)]
    sanity, first, second = (sum(part, []) for part in _thirds(model.seen["validation"], 1, -(-rows // 4)))
    assert first == second
    assert first[: len(sanity)] == sanity
    assert sorted(first[:rows]) == list(range(rows))


def test_batches_that_are_expanded_on_the_device_are_the_same(small, tmp_path):
    class Keeping(Recorder):
        def training_step(self, batch, index):
            self.seen["train"].append(batch)
            return self.weight * batch["loss_mask"].mean()

    runs = {}
    for place in ("host", "device"):
        model = Keeping()
        trainer(tmp_path, max_steps=3).fit(model, data(small, expand_on=place, rc_aug=True, val_window_db_path=None))
        runs[place] = model.seen["train"]
    for wanted, made in zip(runs["host"], runs["device"], strict=True):
        assert {key: value.dtype for key, value in made.items()} == {key: value.dtype for key, value in wanted.items()}
        assert all(torch.equal(made[key], wanted[key]) for key in wanted)


def _thirds(batches, sanity, epoch):
    return batches[:sanity], batches[sanity : sanity + epoch], batches[sanity + epoch :]


def test_without_a_validation_index_training_runs(small, tmp_path):
    model = Recorder()
    trainer(tmp_path, max_steps=2).fit(model, data(small, val_window_db_path=None))
    assert len(model.seen["train"]) == 2
    assert model.seen["validation"] == []


def test_test_and_predict_rows_come_in_index_order(small, tmp_path):
    model, module = Recorder(), data(small, micro_batch_size=7)
    trainer(tmp_path).test(model, module, verbose=False)
    predicted = trainer(tmp_path).predict(model, module)
    rows = len(EdenDataset(**small.options))
    for split in ("test", "predict"):
        assert sum(model.seen[split], [])[:rows] == list(range(rows))
    assert torch.cat(predicted)[:rows].tolist() == list(range(rows))
    windows = module.dataset("test").locate(range(rows)).window_ids.tolist()
    assert windows == list(range(rows))


def test_validation_rows_are_shuffled(small):
    dataset = data(small).dataset("validation")
    assert dataset.locate(range(20)).window_ids.tolist() != list(range(20))


def test_only_training_rows_are_shuffled_in_blocks(small):
    module = data(small, shuffle={"block": {"rows": 5, "buffer_blocks": 2}})
    assert module.dataset("train").shuffle == BlockShuffle(5, 2)
    assert [module.dataset(split).shuffle for split in ("validation", "test")] == [True, False]


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("false", False), ("block", "block"), ('{"block": {"rows": 64}}', {"block": {"rows": 64}})],
)
def test_a_way_to_shuffle_on_the_command_line(text, value):
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(EdenDataModule, "data")
    assert parser.parse_args([f"--data.shuffle={text}"]).data.shuffle == value


def test_global_batch_size_sets_the_accumulation(small, tmp_path):
    running = trainer(tmp_path, max_steps=1)
    model = Recorder()
    running.fit(model, data(small, global_batch_size=12))
    assert running.accumulate_grad_batches == 3
    assert len(model.seen["train"]) == 3


def test_a_global_batch_size_that_contradicts_the_trainer(small, tmp_path):
    with pytest.raises(errors.ConfigurationError, match="12 is not micro_batch_size 4 x 1 .* x accumulate_grad_batches 2 = 8"):
        trainer(tmp_path, max_steps=1, accumulate_grad_batches=2).fit(Recorder(), data(small, global_batch_size=12))


def test_sizes_that_would_fit_are_printed(small, tmp_path):
    with pytest.raises(errors.ConfigurationError, match="that make 10: 1 x 1 x 10, 1 x 2 x 5, 1 x 5 x 2, 1 x 10 x 1"):
        trainer(tmp_path, max_steps=1).fit(Recorder(), data(small, global_batch_size=10))


def test_a_changing_accumulation_is_refused(small, tmp_path):
    callback = GradientAccumulationScheduler({0: 2, 1: 1})
    with pytest.raises(errors.ConfigurationError, match="GradientAccumulationScheduler"):
        trainer(tmp_path, max_steps=1, callbacks=[callback]).fit(Recorder(), data(small))


def test_overfitting_reads_the_same_batches_each_epoch(small, tmp_path):
    model = Recorder()
    trainer(tmp_path, max_epochs=3, overfit_batches=2).fit(model, data(small))
    assert model.seen["train"] == [[0, 1, 2, 3], [4, 5, 6, 7]] * 3


def test_validation_can_be_limited_and_sees_a_fair_subset(small, tmp_path):
    model = Recorder()
    options = {"max_epochs": 2, "limit_train_batches": 1, "limit_val_batches": 3, "num_sanity_val_steps": 2}
    trainer(tmp_path, **options).fit(model, data(small))
    rows = [list(range(first, first + 4)) for first in (0, 4, 8)]
    assert model.seen["validation"] == [*rows[:2], *rows, *rows]


def test_validation_within_an_epoch_does_not_move_training(small, tmp_path):
    model = Recorder()
    options = {"val_check_interval": 5, "limit_val_batches": 2, "num_sanity_val_steps": 0}
    trainer(tmp_path, max_epochs=1, **options).fit(model, data(small))
    assert sum(model.seen["train"], []) == list(range(80))
    assert len(model.seen["validation"]) == 2 * 4


def test_rows_are_left_out_of_training_only(small, tmp_path):
    (tmp_path / "contigs.txt").write_text(small.expected_windows()[0][0])
    module = data(small, skip_rows=[(0, 4)], exclude_contigs=str(tmp_path / "contigs.txt"))
    assert module.dataset("train").omissions
    assert not module.dataset("validation").omissions


def test_arguments_are_kept_plain_so_that_checkpoints_load_safely(small, tmp_path):
    module = data(small, transforms=[ReverseComplement(0.2)], seed=np.int64(3), data_dir=Path("somewhere"))
    running = trainer(tmp_path, max_steps=2)
    running.fit(Recorder(), module)
    running.save_checkpoint(tmp_path / "run.ckpt")
    saved = torch.load(tmp_path / "run.ckpt", weights_only=True)["datamodule_hyper_parameters"]
    assert saved["transforms"] == [{"reverse-complement": {"probability": 0.2}}]
    assert (saved["seed"], saved["data_dir"], saved["seq_length"]) == (3, "somewhere", 64)
    again = EdenDataModule.load_from_checkpoint(tmp_path / "run.ckpt")
    assert again.dataset("train").fingerprint == module.dataset("train").fingerprint


def test_a_model_with_a_seed_of_its_own_may_log(small, tmp_path):
    class Seeded(Recorder):
        def __init__(self, seed):
            super().__init__()
            self.save_hyperparameters()

    trainer(tmp_path, max_steps=1, logger=CSVLogger(tmp_path), log_every_n_steps=1).fit(Seeded(1), data(small, seed=2))


def test_a_sample_that_the_store_lacks_is_found_before_the_first_batch(small, tmp_path):
    shutil.copytree(small.directory, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "S2")
    model = Recorder()
    with pytest.raises(errors.ShardNotFoundError, match="S2"):
        trainer(tmp_path, max_steps=1).fit(model, data(small, sequence_db_dir=str(tmp_path / "copy")))
    assert model.seen["train"] == []


def test_preparing_writes_nothing(small):
    def state():
        return sorted((path, path.stat().st_mtime_ns) for path in small.directory.rglob("*"))

    before = state()
    data(small).prepare_data()
    assert state() == before


def test_each_start_adds_a_line_to_the_ledger(small, tmp_path):
    running = trainer(tmp_path, max_steps=3)
    running.fit(Recorder(), data(small, global_batch_size=8))
    running.save_checkpoint(tmp_path / "run.ckpt")
    options = {"micro_batch_size": 2, "global_batch_size": 8, "skip_rows": [(30, 40)]}
    trainer(tmp_path, max_steps=5).fit(Recorder(), data(small, **options), ckpt_path=str(tmp_path / "run.ckpt"))
    first, second = read_ledger(tmp_path)
    assert (first.step, first.position, first.micro_batch_size, first.global_batch_size) == (0, 0, 4, 8)
    assert (second.step, second.position, second.micro_batch_size) == (3, 24, 2)
    assert second.left_out["text"] == "rows 30 to 39"


def test_another_run_in_the_same_folder_is_warned_about(small, tmp_path):
    trainer(tmp_path, max_steps=1).fit(Recorder(), data(small))
    trainer(tmp_path, max_steps=1).fit(Recorder(), data(small))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        trainer(tmp_path, max_steps=1).fit(Recorder(), data(small, seed=5))
    (text,) = [str(warning.message) for warning in seen if "another run" in str(warning.message)]
    assert "changes the order: seed was 42, is 5" in text


def test_the_ledger_s_place_can_be_chosen_or_none(small, tmp_path):
    trainer(tmp_path, max_steps=1).fit(Recorder(), data(small, run_dir=str(tmp_path / "run")))
    trainer(tmp_path / "other", max_steps=1).fit(Recorder(), data(small, run_dir=""))
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.jsonl")] == [Path("run/eden-run.jsonl")]


def test_an_unknown_way_to_resume(small):
    with pytest.raises(errors.ConfigurationError, match="'continue' or 'restart'"):
        data(small, resume_data="again")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transforms": ["reverse-complment"]}, "reverse-complement"),
        ({"transforms": [{"reverse-complement": {"chance": 1}}]}, "chance"),
        ({"seq_length": 70_000, "create_attention_mask": True}, "an attention mask for seq_length 70000 takes 4.6 GiB"),
        ({"store": "no-such"}, "no store plugin is named 'no-such'"),
    ],
)
def test_mistakes_stop_the_run_before_the_first_batch(small, tmp_path, options, message):
    model = Recorder()
    with pytest.raises(errors.EdenError, match=message):
        trainer(tmp_path, max_steps=1).fit(model, data(small, **options))
    assert model.seen["train"] == []


def test_reloaded_every_epoch_it_goes_on_with_the_next(small, tmp_path):
    model = Recorder()
    options = {"max_epochs": 2, "reload_dataloaders_every_n_epochs": 1, "limit_train_batches": 3, "limit_val_batches": 0}
    trainer(tmp_path, **options).fit(model, data(small))
    rows = len(EdenDataset(**small.options))
    assert sum(model.seen["train"], []) == [*range(12), *range(rows, rows + 12)]


def test_a_second_run_begins_with_the_first_epoch(small, tmp_path):
    module, models = data(small), (Recorder(), Recorder())
    for model in models:
        trainer(tmp_path, max_epochs=1, limit_val_batches=0).fit(model, module)
    assert models[0].seen["train"] == models[1].seen["train"]


def test_a_new_run_begins_its_mixture_anew(small, tmp_path):
    place = {"sequence_db_dir": str(small.directory), "train_window_db_path": str(small.windows)}
    first, second = ([{"name": "a", "weight": a, **place}, {"name": "b", "weight": 1, **place}] for a in (1, 4))
    trainer(tmp_path, max_steps=3, enable_checkpointing=True, callbacks=[ModelCheckpoint(tmp_path, filename="x")]).fit(
        Recorder(), data(small, run_dir="", sources=first)
    )
    module, model = data(small, run_dir="", sources=second), Recorder()
    trainer(tmp_path, max_steps=5).fit(Recorder(), module, ckpt_path=tmp_path / "x.ckpt")
    trainer(tmp_path, max_steps=1).fit(model, module)
    assert model.seen["train"][0] == [0, 1, 2, 3]


def test_data_dir_supplies_what_is_not_given(small, tmp_path):
    model = Recorder()
    module = EdenDataModule(data_dir=str(small.directory), seq_length=64, num_workers=0, extra_keys=("row_ids",))
    trainer(tmp_path, max_steps=2).fit(model, module)
    assert len(model.seen["train"]) == 2


def test_no_train_index(small, tmp_path):
    with pytest.raises(errors.ConfigurationError, match="no index of train windows: give train_window_db_path"):
        trainer(tmp_path, max_steps=1).fit(Recorder(), data(small, train_window_db_path=None))


def test_a_sequence_length_that_the_index_was_not_built_for(small, tmp_path):
    with pytest.raises(errors.ConfigurationError, match="eden-precompute"):
        trainer(tmp_path, max_steps=1).fit(Recorder(), data(small, seq_length=128))


def test_all_loaders_are_closed_also_where_one_fails(small):
    module, closed = data(small), []
    for split, loader in (("train", module.train_dataloader()), ("validation", module.val_dataloader())):
        loader.dataset._observers.close = lambda split=split: closed.append(split) or 1 / 0
    with pytest.raises(ZeroDivisionError):
        module.teardown("fit")
    assert sorted(closed) == ["train", "validation"]


def test_workers_stop_when_training_ends(small, tmp_path):
    import multiprocessing

    before = set(multiprocessing.active_children())
    trainer(tmp_path, max_steps=1).fit(Recorder(), data(small, num_workers=1))
    assert set(multiprocessing.active_children()) <= before


def logged_steps(folder) -> dict[int, list[int]]:
    """Step -> rows of the last start's training log."""
    log = max(logs_in(folder, "train"), key=lambda log: log.batches[0]["time_ns"])
    steps = {}
    for batch in log.batches:
        steps.setdefault(batch["step"], []).extend(batch["rows"])
    return steps


def replayed_steps(run, steps) -> dict[int, list[int]]:
    start = read_ledger(run)[-1]
    dataset = dataset_of(start)
    return {step: rows_of_step(start, step, dataset)[0].rows.tolist() for step in steps}


def test_a_window_log_has_what_the_run_read_under_the_steps_of_replay(small, tmp_path):
    logging = {"log_windows": True, "log_dir": str(tmp_path / "logs"), "global_batch_size": 8}

    def run(steps, checkpoint=None, **options):
        keep = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=5, save_top_k=-1)
        running = trainer(tmp_path, max_steps=steps, enable_checkpointing=True, callbacks=[keep], limit_val_batches=2)
        running.fit(model := Recorder(), data(small, **options), ckpt_path=checkpoint)
        return model

    model = run(13, **logging)
    (train,), (validation,) = logs_in(tmp_path / "logs", "train"), logs_in(tmp_path / "logs", "validation")
    assert [batch["rows"] for batch in train.batches] == model.seen["train"]
    assert [batch["rows"] for batch in validation.batches] == model.seen["validation"]  # the sanity check is in both
    assert {batch["step"] for batch in validation.batches} == {None}
    assert logged_steps(tmp_path / "logs") == replayed_steps(tmp_path, range(13))
    run(12, tmp_path / "step=10.ckpt", global_batch_size=8)
    assert len(logs_in(tmp_path / "logs", "train")) == 1
    run(25, tmp_path / "step=5.ckpt", **logging)
    assert logged_steps(tmp_path / "logs") == replayed_steps(tmp_path, range(5, 25))


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("parquet", "parquet"), ("csv", "csv")])
def test_a_window_log_on_the_command_line(text, value):
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(EdenDataModule, "data")
    found = parser.parse_args([f"--data.log_windows={text}", "--data.log_dir=logs"]).data
    assert (found.log_windows, found.log_dir) == (value, "logs")


def test_a_window_log_of_another_form_is_refused_at_once(small):
    with pytest.raises(errors.ConfigurationError, match="log_windows is 'json'; expected"):
        data(small, log_windows="json")


def test_it_works_without_a_trainer(small):
    batch = next(iter(data(small).train_dataloader()))
    assert batch["tokens"].shape == (4, 64)


def test_a_missing_index_in_data_dir_is_named(tmp_path):
    module = EdenDataModule(data_dir=str(tmp_path / "nope"))
    with pytest.raises(errors.ConfigurationError, match=r"there is no .*nope/train_windows.db"):
        module.train_dataloader()


def test_setup_without_a_stage_opens_what_there_is(small):
    module = data(small, test_window_db_path=None)
    module.setup(None)
    assert sorted(module._datasets) == ["predict", "train", "validation"]
