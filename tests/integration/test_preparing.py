"""From raw sequences to a model that trains, through the documented commands alone, on both executors, with the same bytes."""

import random
import subprocess
import sys
import warnings
from pathlib import Path

import lightning
import pytest
import torch
from plain import SHARED

from eden_core import EdenDataModule

EDEN = Path(sys.executable).with_name("eden")
SEQ_LENGTH = 1024
ECOLI = SHARED / "ecoli_536_NC_008253.fna.gz"


class Tiny(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(256, 256)

    def training_step(self, batch):
        losses = torch.nn.functional.cross_entropy(
            self.table(batch["tokens"]).flatten(0, 1), batch["labels"].flatten(), reduction="none"
        )
        return (losses * batch["loss_mask"].flatten()).sum() / batch["loss_mask"].sum()

    def validation_step(self, batch):
        self.log("val_loss", self.training_step(batch))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def prepare_verify_and_train(source: Path, place: Path) -> None:
    made = []
    for executor in ("local", "dask"):
        out = place / executor
        where = ["--out", out, "--executor", executor, "--workers", "2", "--window-size", str(SEQ_LENGTH)]
        subprocess.run([EDEN, "prepare", source, *where], check=True, capture_output=True)
        made.append(contents(out))
    assert made[0] == made[1]
    subprocess.run([EDEN, "verify", place / "dask"], check=True, capture_output=True)
    subprocess.run([EDEN, "doctor", place / "dask"], check=True, capture_output=True)
    data = EdenDataModule(
        data_dir=str(place / "dask"),
        seq_length=SEQ_LENGTH,
        micro_batch_size=8,
        num_workers=1,
        rc_aug=True,
        use_control_tags=True,
    )
    options = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, about devices and loggers
        trainer = lightning.Trainer(
            max_steps=30,
            limit_val_batches=4,
            enable_model_summary=False,
            default_root_dir=place,
            num_sanity_val_steps=0,
            **options,
        )
        trainer.fit(Tiny(), data)
        assert trainer.validate(Tiny(), data, verbose=False)[0]["val_loss"] > 0
    assert trainer.global_step == 30


def metagenomes(folder: Path, samples: int, contigs: int) -> Path:
    """Samples of contigs with the lengths of metagenomes: log-normal, median 2.2 kb."""
    folder.mkdir()
    draw = random.Random(1)
    pool = "".join(draw.choices("ACGT", k=200_000))
    for sample in range(samples):
        with (folder / f"MG__S{sample:04}.fa").open("w") as fasta:
            for contig in range(contigs):
                length = min(150_000, int(draw.lognormvariate(7.7, 1.1)) + 200)
                start = draw.randrange(len(pool) - length)
                fasta.write(f">k141_{contig}\n{pool[start : start + length]}\n")
    return folder


@pytest.mark.skipif(not ECOLI.exists(), reason="../shared is absent")
def test_a_genome(tmp_path):
    prepare_verify_and_train(ECOLI, tmp_path)


def test_a_few_samples(tmp_path):
    prepare_verify_and_train(metagenomes(tmp_path / "in", 12, 20), tmp_path)


@pytest.mark.slow
def test_a_thousand_samples_of_500_contigs(tmp_path):
    prepare_verify_and_train(metagenomes(tmp_path / "in", 1_000, 500), tmp_path)
