"""A folder of the Arrow plugins is used without naming them again."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import eden_core
from eden_core import EdenDataModule

GENOME = Path(eden_core.__file__).with_name("data") / "lambda_phage_NC_001416.fa.gz"
COMMAND = "from eden_core.cli import main; main()"


def eden(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", COMMAND, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    shares = ["--train", "0.6", "--validation", "0.2", "--test", "0.2", "--window-size", "512"]
    for name, plugins in (("sqlite", []), ("arrow", ["--store", "arrow-shards", "--index", "arrow"])):
        done = eden("prepare", GENOME, "--out", root / name, "--sample", "lambda", "--tag", "PHAG", *shares, *plugins)
        assert done.returncode == 0, done.stderr
    return root


def batches(folder):
    module = EdenDataModule(data_dir=str(folder), seq_length=512, micro_batch_size=4, num_workers=0, rc_aug=True)
    return list(module.train_dataloader())


def test_batches_are_those_of_the_other_plugins(folders):
    for wanted, made in zip(batches(folders / "sqlite"), batches(folders / "arrow"), strict=True):
        assert all(torch.equal(made[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("command", ["verify", "doctor", "inspect"])
def test_commands_find_the_plugins(folders, command):
    done = eden(command, folders / "arrow")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sqlite" not in done.stdout
