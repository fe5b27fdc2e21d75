"""A script of the older module, from preparing its files to training, with nothing changed but the module's name."""

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import lightning
import polars as pl
import pytest
import torch
from plain import SHARED

from eden_core.sharded_eden import extract_sample_id

OLDER, EDEN = "bionemo.evo2.run.sharded_eden_dataloader", "eden_core.sharded_eden"
DOCUMENT = SHARED.parent / "seed" / "sharded_eden_dataloader.md"
TRAIN, VALIDATION, TEST = "BCR__ECT-SAMPLE1__", "BCR__ECT-SAMPLE2__", "BCR__ECT-SAMPLE3__"
NAMED = {f"{TRAIN}CT1-1": 1500, f"{TRAIN}CT1-2": 2000, f"{VALIDATION}CT1-1": 1800, f"{TEST}CT1-1": 1600}
"""contigs that the documents name, with the bases that they give them"""
MORE = {TRAIN: {f"{TRAIN}CT2-1": 70_000, f"{TRAIN}CT3-1": 50_000}, VALIDATION: {f"{VALIDATION}CT2-1": 30_000}, TEST: {}}
"""what their dots stand for"""

WRITTEN_DOWN = f"""
```python
from {OLDER} import ShardedEdenDataModule

data_module = ShardedEdenDataModule(
    "path/to/sequence_db_dir", "path/to/train_windows.db", "path/to/val_windows.db", "path/to/test_windows.db",
    num_workers=1, rc_aug=True, use_control_tags=True, pin_memory=True, num_epochs=1, vocab_file=None, log_windows=False,
)
trainer = pl.Trainer(...)
trainer.fit(model, data_module)
```

```python
import sqlite3
from pathlib import Path

for seq_id, sequence in all_sequences:
    sample_id = extract_sample_id(seq_id)
    shard = Path("path/to/sequence_db_dir", sample_id, f"glm_dataset_{{sample_id}}.sqlite")
    shard.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(shard)
    connection.execute("CREATE TABLE IF NOT EXISTS sequences (contig_id TEXT PRIMARY KEY, nt_sequence TEXT NOT NULL)")
    connection.execute("INSERT INTO sequences VALUES (?, ?)", (seq_id, sequence))
    connection.commit()
    connection.close()
```

```python
import polars

splits = {{
    "train": {{"contig_id": ["{TRAIN}CT1-1", "{TRAIN}CT1-2", ...], "length": [1500, 2000, ...]}},
    "val": {{"contig_id": ["{VALIDATION}CT1-1", ...], "length": [1800, ...]}},
    "test": {{"contig_id": ["{TEST}CT1-1", ...], "length": [1600, ...]}},
}}
for name, columns in splits.items():
    polars.DataFrame(columns).write_parquet(f"{{name}}_split.parquet")
```

```bash
python -m {OLDER} precompute train_split.parquet train_windows.db --window-size 64 --stride 48 --window-min-length-threshold 9
for split in train val test; do
    python -m {OLDER} precompute $split"_split.parquet" $split"_windows.db"
done
```
"""


class Model(lightning.LightningModule):
    """Learns how often each base comes."""

    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(256))
        self.losses = []

    def training_step(self, batch):
        logits = self.bias.expand(*batch["tokens"].shape, 256).transpose(1, 2)
        losses = torch.nn.functional.cross_entropy(logits, batch["labels"], reduction="none")
        loss = (losses * batch["loss_mask"]).sum() / batch["loss_mask"].sum()
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch):
        assert batch["tokens"].shape == (1, 8192)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.5)


def blocks(document: str, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", document, re.DOTALL | re.MULTILINE)
    return [block.replace(OLDER, EDEN) for block in found]


def sequences() -> list[tuple[str, str]]:
    draw = random.Random(5)
    lengths = NAMED | MORE[TRAIN] | MORE[VALIDATION]
    return [(name, "".join(draw.choices("ACGT", k=length))) for name, length in lengths.items()]


def prepare(shards: str, splits: str, precompute: str) -> None:
    exec(shards, {"all_sequences": sequences(), "extract_sample_id": extract_sample_id})
    dots = iter([each for more in MORE.values() for each in (list(more), list(more.values()))])
    exec(splits.replace("...]", "*next(dots)]"), {"dots": dots})
    here = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", "-e", "-c", precompute], env=os.environ | here, check=True, timeout=100)
    for windows in Path.cwd().glob("*_windows.db"):
        shutil.move(windows, "path/to")


@pytest.fixture(params=["written down", "the seed's"])
def document(request, tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    if request.param == "written down":
        return WRITTEN_DOWN
    if not DOCUMENT.exists():
        pytest.skip("the document lies in ../shared/seed, which is absent")
    return DOCUMENT.read_text()


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_files_are_prepared_and_a_model_trains_on_them(document):
    usage, shards, splits, *_ = blocks(document, "python")
    prepare(shards, splits, *blocks(document, "bash"))
    assert dict(pl.read_parquet("train_split.parquet").iter_rows()) == {
        name: len(bases) for name, bases in sequences() if name.startswith(TRAIN)
    }

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(accelerator="cpu", max_steps=3, limit_val_batches=2, default_root_dir="run", **quiet)
    model = Model()
    exec(usage, {"pl": SimpleNamespace(Trainer=lambda _: trainer), "model": model})
    assert trainer.global_step == 3
    assert type(trainer.datamodule).__module__.startswith(EDEN)
    assert len(model.losses) == 3 * 4  # global_batch_size 4, a row each
    assert model.losses[-1] < model.losses[0] - 0.5
