"""Every public name that the older module's documentation has; tests/integration/test_sharded_eden.py runs its scripts."""

import inspect
import logging
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import lightning
import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain import COMPLEMENT, SEP, plain_reverse_complement, plain_row, write_seed_index
from torch.utils.data import DataLoader
from typer.testing import CliRunner

import eden_core
from eden_core import EdenDataModule, EdenDataset, errors
from eden_core.sharded_eden import (
    ShardedEdenDataModule,
    ShardedEdenDataset,
    compute_num_windows,
    extract_sample_id,
    precompute_window_database,
)
from eden_core.sharded_eden.__main__ import app

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore:.*does not have many workers:UserWarning")

SEQ_LENGTH, STRIDE = 64, 48


class Letters:
    """A tokenizer as the older module takes it, one token a base."""

    bos_id, eos_id, _sep_id, pad_id = 5, 6, 7, 8

    def tokenize(self, text: str) -> list[int]:
        return [ord(letter) + 100 for letter in text]


class Triplets:
    """One token for up to three bases."""

    bos_id, eos_id, _sep_id, pad_id = 5, 6, 7, 8

    def text_to_ids(self, text: str) -> list[int]:
        return [100 + len(text[i : i + 3]) * 50 + ord(text[i]) % 50 for i in range(0, len(text), 3)]


def dataset(small, tokenizer=None, **options) -> ShardedEdenDataset:
    paths = {"sequence_db_dir": str(small.directory), "window_db_path": str(small.windows)}
    return ShardedEdenDataset(tokenizer, **(paths | {"seq_length": SEQ_LENGTH, "stride": STRIDE} | options))


def module(small, **options) -> ShardedEdenDataModule:
    paths = [str(small.directory), *[str(small.windows)] * 3]
    return ShardedEdenDataModule(*paths, **({"seq_length": SEQ_LENGTH, "stride": STRIDE, "num_workers": 0} | options))


def defaults(function) -> dict:
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD}


needed = inspect.Parameter.empty


def test_the_arguments_of_the_dataset():
    assert defaults(ShardedEdenDataset) == {
        "tokenizer": needed, "sequence_db_dir": needed, "window_db_path": needed, "seq_length": needed,
        "create_attention_mask": False, "rc_aug": False, "stride": 7992, "window_min_length_threshold": None,
        "use_control_tags": False, "split": "train", "log_windows": False, "log_dir": None, "skip_stats": True,
        "log_tokens": True,
    }  # fmt: skip


def test_the_arguments_of_the_data_module():
    assert list(defaults(ShardedEdenDataModule).items()) == list({
        "sequence_db_dir": needed, "train_window_db_path": needed, "val_window_db_path": needed, "test_window_db_path": needed,
        "seq_length": 8192, "tokenizer": None, "micro_batch_size": 1, "global_batch_size": 4, "rampup_batch_size": None,
        "num_workers": 8, "pin_memory": True, "persistent_workers": False, "create_attention_mask": False, "vocab_file": None,
        "merges_file": None, "rc_aug": False, "stride": 7992, "window_min_length_threshold": None, "use_control_tags": False,
        "seed": 42, "num_epochs": 1, "log_windows": False, "log_dir": None,
    }.items())  # fmt: skip


def test_row_i_is_window_i(small):
    rows = dataset(small)
    for row, (name, start) in zip(rows, small.expected_windows(), strict=True):
        wanted = plain_row(small.sequences[name][start : start + SEQ_LENGTH - 2], SEQ_LENGTH)
        assert {key: value.tolist() for key, value in row.items()} == wanted
        assert {key: value.dtype for key, value in row.items()} == {
            "tokens": torch.int64, "labels": torch.int64, "position_ids": torch.int64, "loss_mask": torch.float32
        }  # fmt: skip


def test_the_attributes(small):
    given = {"rc_aug": True, "use_control_tags": True, "window_min_length_threshold": None, "split": "val"}
    rows = dataset(small, Letters(), **given)
    paths = {"sequence_db_dir": str(small.directory), "window_db_path": str(small.windows)}
    wanted = given | paths | {"seq_length": SEQ_LENGTH, "stride": STRIDE, "length": len(small.expected_windows())}
    wanted |= {"distinct_sequences": 21, "create_attention_mask": False, "attention_mask": None}
    wanted |= {"skip_stats": True, "log_windows": False}
    assert {name: getattr(rows, name) for name in wanted} == wanted
    assert len(rows) == rows.length
    assert isinstance(rows.tokenizer, Letters)
    assert torch.equal(rows.position_ids, torch.arange(SEQ_LENGTH))


def test_a_row_has_the_attention_mask_that_is_asked_for(small):
    rows = dataset(small, create_attention_mask=True)
    mask = rows[0]["attention_mask"]
    assert (mask.dtype, mask.shape) == (torch.bool, (1, SEQ_LENGTH, SEQ_LENGTH))
    assert torch.equal(mask, rows.attention_mask)
    assert not mask[0, 5, 5]
    assert mask[0, 5, 6]


@pytest.mark.parametrize("row", [np.int64(3), np.int32(3), torch.tensor(3)])
def test_rows_are_numbered_by_any_integer(small, row):
    assert torch.equal(dataset(small)[row]["tokens"], dataset(small)[3]["tokens"])


def test_behind_the_end_is_an_index_error(small):
    rows = dataset(small)
    with pytest.raises(IndexError, match="rows"):
        rows[np.int64(len(rows))]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_torch_loader_gives_the_rows(small, workers):
    rows = dataset(small, create_attention_mask=True)
    batches = list(DataLoader(rows, batch_size=5, num_workers=workers, collate_fn=rows.collate_fn))
    assert torch.equal(torch.cat([batch["tokens"] for batch in batches]), torch.stack([row["tokens"] for row in rows]))
    assert batches[0]["attention_mask"].shape == (5, 1, SEQ_LENGTH, SEQ_LENGTH)


def test_collate_fn_stacks_rows(small):
    rows = dataset(small)
    batch = rows.collate_fn([rows[4], rows[2]])
    assert torch.equal(batch["labels"], torch.stack([rows[4]["labels"], rows[2]["labels"]]))


@given(st.text("".join(COMPLEMENT)))
def test_reverse_complement_knows_the_iupac_letters(bases):
    assert ShardedEdenDataset.reverse_complement(bases) == plain_reverse_complement(bases)


def test_either_strand_is_read_and_always_the_same(small):
    rows = dataset(small, rc_aug=True)
    turned = 0
    for row, again, (name, start) in zip(rows, dataset(small, rc_aug=True), small.expected_windows(), strict=True):
        bases = small.sequences[name][start : start + SEQ_LENGTH - 2]
        there, back = (plain_row(each, SEQ_LENGTH)["tokens"] for each in (bases, plain_reverse_complement(bases)))
        assert row["tokens"].tolist() in (there, back)
        assert torch.equal(row["tokens"], again["tokens"])
        turned += row["tokens"].tolist() != there
    assert 0.3 < turned / len(rows) < 0.7


def test_tags_stand_before_sep_and_the_bases(small):
    name, start = small.expected_windows()[3]
    row = dataset(small, use_control_tags=True)[3]
    room = SEQ_LENGTH - len("<ctrl_bcr>") - 3
    assert row["tokens"].tolist() == plain_row(small.sequences[name][start : start + room], SEQ_LENGTH, "<ctrl_bcr>")["tokens"]
    assert SEP not in dataset(small)[3]["tokens"]


def test_a_tokenizer_object_with_one_token_a_base(small):
    name, start = small.expected_windows()[3]
    tag = [ord(letter) + 100 for letter in "<ctrl_bcr>"]
    row = dataset(small, Letters(), use_control_tags=True)[3]["tokens"].tolist()
    bases = [ord(base) + 100 for base in small.sequences[name][start : start + SEQ_LENGTH - 13].upper()]
    assert row == ([5, *tag, 7, *bases, 6] + [8] * SEQ_LENGTH)[:SEQ_LENGTH]


def test_a_tokenizer_object_with_one_token_for_many_bases(small):
    name, start = small.expected_windows()[3]
    ids = Triplets().text_to_ids(small.sequences[name][start : start + SEQ_LENGTH].upper())
    row = dataset(small, Triplets())[3]
    assert row["tokens"].tolist() == [5, *ids, 6] + [8] * (SEQ_LENGTH - len(ids) - 2)
    assert row["loss_mask"].sum() == len(ids)


def test_bos_and_eos_can_be_left_out(small):
    name, start = small.expected_windows()[3]
    row = dataset(small, include_bos=False, include_eos=False)[3]["tokens"].tolist()
    bases = small.sequences[name][start : start + SEQ_LENGTH].upper()
    assert row == [ord(base) for base in bases] + [1] * (SEQ_LENGTH - len(bases))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seq_length": 32}, "built with window_size 64, but window_size 32 is asked for"),
        ({"seq_length": 32, "tokenizer": Triplets()}, "built with window_size 64, but window_size 32 is asked for"),
        ({"stride": 40}, "built with stride 48, but stride 40 is asked for"),
        ({"stride": None}, "built with stride 48, but stride 7992 is asked for"),
        ({"window_min_length_threshold": 9}, "built with min_length 0, but min_length 9 is asked for"),
    ],
)
def test_a_database_of_other_windows_is_refused(small, options, message):
    with pytest.raises(ValueError, match=f"{message}.*Follow the index with"):
        dataset(small, **options)


def test_a_database_without_short_windows_is_read_where_that_is_asked_for(small, tmp_path):
    lengths = {name: len(bases) for name, bases in small.sequences.items()}
    path = str(write_seed_index(tmp_path / "w.db", lengths, SEQ_LENGTH, STRIDE, threshold=60))
    found = dataset(small, window_db_path=path, window_min_length_threshold=60)
    assert len(found) == sum(len(small.sequences[name]) >= 60 for name, _ in small.expected_windows())
    with pytest.raises(ValueError, match="built with min_length 60, but min_length 0 is asked for"):
        dataset(small, window_db_path=path)


def test_a_directory_without_shards_is_refused_at_once(small, tmp_path):
    with pytest.raises(ValueError, match="holds no shards at all"):
        dataset(small, sequence_db_dir=str(tmp_path))


def test_a_shard_that_is_missing_is_told_at_once(small, tmp_path):
    shutil.copytree(small.directory, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "S1")
    with pytest.raises(ValueError, match=r"S1.*is missing"):
        dataset(small, sequence_db_dir=str(tmp_path / "copy"))


def test_a_window_whose_sequence_is_missing_is_an_error(small, tmp_path):
    windows = write_seed_index(tmp_path / "w.db", {"BCR__ECT-S1__GONE": 64}, SEQ_LENGTH, STRIDE)
    rows = dataset(small, window_db_path=str(windows))
    with pytest.raises(errors.SequenceNotFoundError, match="BCR__ECT-S1__GONE"):
        rows[0]


def test_the_log_tells_how_much_there_is(small, caplog):
    with caplog.at_level(logging.INFO):
        dataset(small, skip_stats=False)
    assert f"{len(small.expected_windows())} windows of 21 sequences" in caplog.text


@given(st.integers(0, 10**6), st.integers(1, 10**4), st.integers(1, 10**4))
def test_the_number_of_windows(length, size, stride):
    assert compute_num_windows(length, size, stride) == (1 if length < size else 1 + (length - size) // stride)


def test_a_negative_length_is_refused():
    with pytest.raises(ValueError, match="seq_len is -1"):
        compute_num_windows(-1)


def test_the_sample_of_a_sequence():
    assert extract_sample_id("BCR__ECT-SAMPLE1__CT1-1") == "SAMPLE1"


@pytest.fixture
def split(small, tmp_path):
    lengths = {name: len(bases) for name, bases in small.sequences.items()}
    pl.DataFrame({"contig_id": list(lengths), "length": list(lengths.values())}).write_parquet(tmp_path / "split.parquet")
    return tmp_path / "split.parquet"


def windows_in(path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.execute("SELECT sequence_id, window_in_seq_idx * 48 FROM window_mappings ORDER BY window_idx"))


def test_a_window_database_is_built_in_place_of_what_was_there(small, split, tmp_path):
    (tmp_path / "w.db").write_text("anything")
    precompute_window_database(split, tmp_path / "w.db", SEQ_LENGTH, STRIDE)
    assert windows_in(tmp_path / "w.db") == small.expected_windows()
    precompute_window_database(str(split), str(tmp_path / "w.db"), SEQ_LENGTH, STRIDE, 60)
    assert windows_in(tmp_path / "w.db") == [w for w in small.expected_windows() if len(small.sequences[w[0]]) >= 60]


def test_a_table_with_wrong_columns_is_refused(tmp_path):
    pl.DataFrame({"contig_id": ["a"], "bases": [9]}).write_parquet(tmp_path / "split.parquet")
    with pytest.raises(ValueError, match="length"):
        precompute_window_database(tmp_path / "split.parquet", tmp_path / "w.db")
    assert not (tmp_path / "w.db").exists()


def test_a_stride_that_leaves_bases_out_is_warned_about(split, tmp_path):
    with pytest.warns(errors.UnreadBasesWarning, match="A stride of 62 or less"):
        precompute_window_database(split, tmp_path / "w.db", SEQ_LENGTH, SEQ_LENGTH)


def test_the_functions_need_no_torch():
    code = "import sys; import eden_core.sharded_eden.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "eden_core.sharded_eden.windows" in loaded
    assert not {"torch", "lightning"} & set(loaded)


def test_the_command_names_one_that_reads_tails(split, tmp_path):
    done = CliRunner().invoke(app, ["precompute", str(split), str(tmp_path / "w.db"), "--window-size", "64", "--stride", "48"])
    assert "never seen; eden-precompute --keep-tail reads them" in done.stdout


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        eden_core.sharded_eden.no_such_name  # noqa: B018


class Recorder(lightning.LightningModule):
    """Keeps the row ids of every batch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch):
        self.seen += batch["row_ids"].tolist()
        return self.weight * batch["loss_mask"].mean()

    def validation_step(self, batch):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(tmp_path, data, checkpoint=None, **options) -> tuple[list[int], lightning.Trainer]:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    options = {"limit_val_batches": 1, "num_sanity_val_steps": 0} | options
    trainer = lightning.Trainer(accelerator="cpu", default_root_dir=tmp_path, **quiet, **options)
    model = Recorder()
    trainer.fit(model, data, ckpt_path=checkpoint)
    return model.seen, trainer


def test_the_arguments_of_the_data_module_are_its_attributes(small):
    data = module(small, micro_batch_size=2, window_min_length_threshold=None, stride=None, num_epochs=3)
    wanted = {name: value for name, value in defaults(ShardedEdenDataModule).items() if value is not needed}
    wanted |= {"seq_length": SEQ_LENGTH, "stride": 7992, "num_workers": 0, "micro_batch_size": 2, "num_epochs": 3}
    wanted |= {"sequence_db_dir": str(small.directory), "tokenizer": "nucleotide"}
    wanted |= {f"{split}_window_db_path": str(small.windows) for split in ("train", "val", "test")}
    assert {name: getattr(data, name) for name in wanted} == wanted


def test_its_batches_are_those_of_eden(small):
    options = {"rc_aug": True, "use_control_tags": True, "create_attention_mask": True, "micro_batch_size": 3, "seed": 7}
    paths = {f"{split}_window_db_path": str(small.windows) for split in ("train", "val", "test")}
    eden = EdenDataModule(
        sequence_db_dir=str(small.directory), seq_length=SEQ_LENGTH, num_workers=0, global_batch_size=6, **paths, **options
    )
    data = module(small, global_batch_size=6, **options)
    data.setup()  # needs no Trainer
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for batch, wanted in zip(getattr(data, loader)(), getattr(eden, loader)(), strict=True):
            assert batch.keys() == wanted.keys()
            assert all(torch.equal(batch[key], wanted[key]) for key in wanted)


def test_further_arguments_are_those_of_eden(small):
    data = module(small, extra_keys=["row_ids"], loss_weights={"ambiguous": 0})
    assert "row_ids" in next(iter(data.train_dataloader()))
    assert data.arguments["loss_weights"] == {"ambiguous": 0}


def test_arguments_that_mean_nothing_are_warned_about(small):
    with pytest.warns(UserWarning, match="ignored.*'persist': True"):
        module(small, persist=True, other=None)


@pytest.mark.parametrize("name", ["vocab_file", "merges_file", "rampup_batch_size"])
def test_what_eden_does_otherwise_is_refused(small, name):
    with pytest.raises(errors.ConfigurationError, match=f"{name} is 'x', and "):
        module(small, **{name: "x"})


def test_pinned_memory_without_an_accelerator_is_no_warning(small, caplog):
    data = module(small, pin_memory=True)
    assert next(iter(data.train_dataloader()))["tokens"].is_pinned() is torch.accelerator.is_available()
    assert not caplog.records


def test_num_epochs_multiplies_the_epochs_of_a_trainer(small, tmp_path):
    data = module(small, num_epochs=2, micro_batch_size=8, global_batch_size=8, extra_keys=["row_ids"])
    seen, trainer = fit(tmp_path, data, max_epochs=1)
    rows, whole = data.dataset("train").epoch_rows, len(seen) // 2
    assert seen == [*range(whole), *range(rows, rows + whole)]
    trainer.fit(Recorder(), data)
    assert trainer.max_epochs == 2


@pytest.mark.parametrize("limits", [{"max_epochs": 1, "limit_train_batches": 2}, {"max_steps": 2}])
def test_num_epochs_leaves_other_limits_alone(small, tmp_path, limits):
    data = module(small, num_epochs=3, global_batch_size=1, extra_keys=["row_ids"])
    assert len(fit(tmp_path, data, **limits)[0]) == 2


def test_a_run_goes_on_with_eden_s_own_module(small, tmp_path):
    """Whichever of the two made the checkpoint, the next row is the one that the unbroken run would have read."""
    paths = {f"{split}_window_db_path": str(small.windows) for split in ("train", "val")}
    eden = {"sequence_db_dir": str(small.directory), "seq_length": SEQ_LENGTH, "num_workers": 0, "global_batch_size": 4}
    first, trainer = fit(tmp_path, module(small, extra_keys=["row_ids"]), max_steps=3)
    trainer.save_checkpoint(tmp_path / "3.ckpt")
    own = EdenDataModule(extra_keys=["row_ids"], **eden, **paths)
    second, trainer = fit(tmp_path, own, tmp_path / "3.ckpt", max_steps=5)
    trainer.save_checkpoint(tmp_path / "5.ckpt")
    third, _ = fit(tmp_path, module(small, extra_keys=["row_ids"]), tmp_path / "5.ckpt", max_steps=6)
    assert first + second + third == list(range(24))


class OlderDataModule(EdenDataModule):
    """Saves what the older module did, under its name."""

    def state_dict(self):
        return {"consumed_samples": 12}


OlderDataModule.__qualname__ = "ShardedEdenDataModule"


@pytest.fixture
def older_checkpoint(small, tmp_path):
    options = {"sequence_db_dir": str(small.directory), "seq_length": SEQ_LENGTH, "num_workers": 0, "global_batch_size": 4}
    data = OlderDataModule(train_window_db_path=str(small.windows), extra_keys=["row_ids"], **options)
    trainer = fit(tmp_path, data, max_steps=3)[1]
    trainer.save_checkpoint(tmp_path / "older.ckpt")
    saved = torch.load(tmp_path / "older.ckpt", weights_only=False)
    del saved["loops"]["fit_loop"]["state_dict"]["combined_loader"]
    torch.save(saved, tmp_path / "older.ckpt")
    return tmp_path / "older.ckpt"


def test_a_checkpoint_of_the_older_module_is_refused(small, tmp_path, older_checkpoint):
    with pytest.raises(errors.ConfigurationError, match=r"older module, after 12 samples.*resume_data='restart'"):
        fit(tmp_path, module(small), older_checkpoint, max_steps=5)


@pytest.mark.filterwarnings("ignore:resume_data='restart':UserWarning")
def test_a_checkpoint_of_the_older_module_begins_the_data_anew_where_that_is_asked_for(small, tmp_path, older_checkpoint):
    data = module(small, resume_data="restart", extra_keys=["row_ids"])
    seen, trainer = fit(tmp_path, data, older_checkpoint, max_steps=5)
    assert seen == list(range(8))
    assert trainer.global_step == 5


def test_it_is_made_again_from_a_checkpoint(small, tmp_path):
    trainer = fit(tmp_path, module(small, num_epochs=2, stride=STRIDE, extra_keys=["row_ids"]), max_steps=1)[1]
    trainer.save_checkpoint(tmp_path / "1.ckpt")
    made = ShardedEdenDataModule.load_from_checkpoint(tmp_path / "1.ckpt")
    assert (made.num_epochs, made.stride, made.arguments["extra_keys"]) == (2, STRIDE, ["row_ids"])


logged = pytest.mark.skipif("log_windows" not in inspect.signature(EdenDataset).parameters, reason="there is no access log yet")


@logged
def test_a_dataset_logs_the_windows_that_are_read(small, tmp_path):
    rows = dataset(small, log_windows=True, log_dir=str(tmp_path / "log"))
    rows[5]
    rows.close()
    (log,) = (tmp_path / "log").glob("window_access_train_rank0_*.csv")
    assert pl.read_csv(log)["window_idx"].to_list() == [5]


@logged
def test_a_data_module_logs_the_windows_that_are_read(small, tmp_path):
    data = module(small, log_windows=True, log_dir=str(tmp_path / "log"), extra_keys=["row_ids"])
    seen, _ = fit(tmp_path, data, max_steps=2, limit_val_batches=0)
    (log,) = (tmp_path / "log").glob("window_access_train_rank0_*.csv")
    assert pl.read_csv(log)["row"].to_list() == seen
