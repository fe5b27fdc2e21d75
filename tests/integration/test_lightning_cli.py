"""LightningCLI, in this process: what stands in YAML is what EdenDataModule is given, and its rows are trained on."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import lightning
import pytest
import torch
import yaml
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from eden_core import EdenDataModule

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore:.*does not have many workers:UserWarning")

OTHER_VALUES = {
    bool: True,
    int: 3,
    float: 2.5,
    str: "s3://somewhere/x",
    dict: {"a": 1},
    Sequence: [[1, 2]],
    "store": "arrow-shards",
    "tokenizer": "byte",
    "objective": {"mlm": {"probability": 0.2}},
    "data_parallel": [1, 4],
    "transforms": ["control-tags", {"reverse-complement": {"probability": 0.3}}],
    "sources": [{"name": "a", "weight": 0.5, "transforms": [{"reverse-complement": {"probability": 0.1}}], "rc_aug": True}],
    "schedule": [[100, {"a": 1, "b": 0.5}]],
    "loss_weights": {"ambiguous": 0.0, "lower": 0.1},
    "extra_keys": ["row_ids", "source"],
    "shuffle": {"block": {"rows": 64, "buffer_blocks": 8}},
}


class Model(lightning.LightningModule):
    def __init__(self, learning_rate: float = 0.1):
        super().__init__()
        self.learning_rate = learning_rate
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, index):
        self.seen.append({key: value.clone() for key, value in batch.items()})
        return self.weight * batch["loss_mask"].mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.learning_rate)


@pytest.fixture(scope="module")
def parser() -> LightningArgumentParser:
    made = LightningArgumentParser()
    made.add_lightning_class_args(EdenDataModule, "data")
    return made


def another(name: str, parameter: inspect.Parameter) -> Any:
    """A value of an argument's type that is not its default."""
    if name in OTHER_VALUES:
        return OTHER_VALUES[name]
    if isinstance(parameter.default, bool):
        return not parameter.default
    kind = get_type_hints(EdenDataModule.__init__)[name]
    members = {kind, *map(get_origin, (kind, *get_args(kind))), *get_args(kind)}
    return next(value for known, value in OTHER_VALUES.items() if known in members)


def test_every_argument_is_typed_and_comes_back_as_it_was_printed(parser):
    values = {name: another(name, one) for name, one in inspect.signature(EdenDataModule).parameters.items()}
    given = parser.parse_string(yaml.safe_dump({"data": values}))
    assert given.data.as_dict() == values
    assert parser.parse_string(parser.dump(given)) == given


@pytest.mark.parametrize("wrong", ["no_such_argument: 1", "micro_batch_size: many", "loss_weights: {lower: much}"])
def test_unknown_names_and_wrong_types_are_errors_at_once(parser, wrong, capsys):
    with pytest.raises(SystemExit):
        parser.parse_string(f"data: {{{wrong}}}")
    assert wrong.partition(":")[0] in capsys.readouterr().err


CONFIG = """
seed_everything: 1
trainer:
  accelerator: cpu
  max_steps: 4
  default_root_dir: run
  log_every_n_steps: 1
  enable_progress_bar: false
  enable_model_summary: false
  logger: {class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: run}}
  callbacks:
    - class_path: eden_core.TokenCounts
    - {class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {dirpath: run, filename: last}}
data:
  seq_length: 64
  micro_batch_size: 2
  num_workers: 0
  use_control_tags: true
  transforms:
    - reverse-complement: {probability: 0.3}
  loss_weights: {ambiguous: 0, lower: 0.1}
  sources:
    - {name: a, weight: 3}
    - {name: b, weight: 1, transforms: [], rc_aug: true}
  schedule:
    - [12, {a: 1, b: 1}]
  extra_keys: [row_ids, source, token_counts]
  run_dir: ledger
  log_windows: true
  log_dir: logs
"""


@pytest.fixture
def config(small, tmp_path, monkeypatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = yaml.safe_load(CONFIG)
    for source in made["data"]["sources"]:
        source |= {"sequence_db_dir": str(small.directory), "train_window_db_path": str(small.windows)}
    return made


def run(config: dict[str, Any], *more: str) -> LightningCLI:
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return LightningCLI(Model, EdenDataModule, args=["fit", "--config", "config.yaml", *more])


def test_a_run_reads_the_rows_that_its_yaml_says_and_goes_on_from_a_checkpoint(config):
    first = run(config)
    second = run(config, "--ckpt_path", "run/last.ckpt", "--trainer.max_steps", "6", "--data.micro_batch_size", "4")
    seen = [*first.model.seen, *second.model.seen]
    assert [batch["row_ids"].tolist() for batch in seen] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert [int(batch["source"].sum()) for batch in seen[4:]] == [1, 2]  # 3:1, and 1:1 from row 12 on
    rows = EdenDataModule(**config["data"]).dataset("train")
    assert all(torch.equal(batch["tokens"], rows.batch(batch["row_ids"])["tokens"]) for batch in seen)
    assert Path("ledger/eden-run.jsonl").exists()
    assert sum(len(path.read_text().splitlines()) - 1 for path in Path("logs").glob("window_access_train_*.csv")) == 16
    assert "data/ambiguous" in Path("run/lightning_logs/version_0/metrics.csv").read_text().splitlines()[0]


def test_the_config_that_a_run_leaves_repeats_it(config):
    first = run(config)
    left = yaml.safe_load(Path("run/lightning_logs/version_0/config.yaml").read_text())
    second = run(left)
    for one, other in zip(first.model.seen, second.model.seen, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
