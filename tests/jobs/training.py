"""A tiny GPT-style model trained under Lightning DDP, which writes down what each step was made of."""

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

from eden_core import EdenDataModule

SEQ_LENGTH = 64


class TinyGPT(nn.Module):
    """Two layers of causal attention over single letters."""

    def __init__(self, width: int = 32, heads: int = 2) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(256, width), nn.Embedding(SEQ_LENGTH, width)
        layers = [nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True) for _ in range(2)]
        self.layers, self.head = nn.ModuleList(layers), nn.Linear(width, 256)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(SEQ_LENGTH), persistent=False)

    def forward(self, tokens: torch.Tensor, position_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.letters(tokens) + self.places(position_ids)
        for layer in self.layers:
            hidden = layer(hidden, src_mask=self.mask, is_causal=True)
        return self.head(hidden)


def digests_of(batch: dict[str, torch.Tensor]) -> list[str]:
    """A digest of each row's bytes."""
    columns = [batch[key].numpy() for key in ("tokens", "labels", "loss_mask", "position_ids")]
    rows = zip(*columns, strict=True)
    return [hashlib.blake2b(b"".join(value.tobytes() for value in row), digest_size=8).hexdigest() for row in rows]


class Training(lightning.LightningModule):
    """Writes one line a micro-batch: step, number of ranks, the rows and a digest of each row's bytes."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.model, self.log_file = TinyGPT(), log

    def training_step(self, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        line = {
            "step": self.global_step,
            "ranks": self.trainer.world_size,
            "rows": batch["row_ids"].tolist(),
            "digests": digests_of(batch),
        }
        with self.log_file.open("a") as file:
            file.write(json.dumps(line) + "\n")
        logits = self.model(batch["tokens"], batch["position_ids"])
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), reduction="none")
        return (losses * batch["loss_mask"].flatten()).sum() / batch["loss_mask"].sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def newest_checkpoint(folder: Path) -> str | None:
    """The one of the most steps; one that Lightning saves for SLURM counts as that."""
    steps = ((re.search(r"step=(\d+)", path.name), path) for path in folder.glob("*.ckpt"))
    found = {int(step[1]) if step else sys.maxsize: str(path) for step, path in steps}
    return found[max(found)] if found else None


def train(
    data_dir: str,
    run: str,
    steps: int,
    micro: int,
    total: int,
    save_every: int = 0,
    workers: int = 0,
    resume: bool = False,
    log: str = "log",
    **data_options: Any,
) -> str:
    """Train to `steps` in the environment of torchrun; return a digest of the weights."""
    torch.set_num_threads(1)  # as torchrun does: threads that wait for each other keep the processors from the other ranks
    folder = Path(run)
    (folder / log).mkdir(parents=True, exist_ok=True)
    callbacks = []
    if save_every:
        callbacks.append(ModelCheckpoint(folder, filename="{step}", every_n_train_steps=save_every, save_top_k=-1))
    trainer = lightning.Trainer(
        accelerator="cpu", strategy="ddp", devices=int(os.environ["WORLD_SIZE"]), max_steps=steps, max_epochs=-1,
        logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=bool(callbacks),
        callbacks=callbacks, default_root_dir=run,
    )  # fmt: skip
    data = EdenDataModule(
        data_dir=data_dir, seq_length=SEQ_LENGTH, micro_batch_size=micro, global_batch_size=total, num_workers=workers,
        rc_aug=True, extra_keys=("row_ids",), **data_options,
    )  # fmt: skip
    model = Training(folder / log / f"rank-{os.environ['RANK']}.jsonl")
    trainer.fit(model, data, ckpt_path=newest_checkpoint(folder) if resume else None)
    weights = b"".join(value.detach().numpy().tobytes() for value in model.state_dict().values())
    return hashlib.blake2b(weights, digest_size=8).hexdigest()


def global_batches(log: str | Path) -> dict[int, list[tuple[int, str]]]:
    """Step -> (row, digest) of its global batch in order; a step that some rank did not come to is left out."""
    by_rank: list[dict[int, list]] = []
    ranks = 0
    for path in sorted(Path(log).glob("rank-*.jsonl")):
        steps: dict[int, list] = {}
        for line in map(json.loads, (text for text in path.read_text().splitlines(keepends=True) if text.endswith("\n"))):
            steps.setdefault(line["step"], []).append(list(zip(line["rows"], line["digests"], strict=True)))
            ranks = line["ranks"]
        by_rank.append(steps)
    if len(by_rank) < ranks or not by_rank:
        return {}
    common = sorted(set.intersection(*map(set, by_rank)))
    return {
        step: [row for micro in zip(*(steps[step] for steps in by_rank), strict=False) for rows in micro for row in rows]
        for step in common
    }


class Split(Training):
    """The same model, its last layer split over the tensor-parallel ranks of a ModelParallelStrategy."""

    def configure_model(self) -> None:
        if isinstance(self.model.head.weight, DTensor):
            return
        parallelize_module(
            self.model, self.device_mesh["tensor_parallel"], {"head": ColwiseParallel(output_layouts=Replicate())}
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches  # asks for the loader before this strategy restores a checkpoint
        return super().configure_optimizers()


def model_parallel(data_dir: str, run: str) -> list[list[int]]:
    """Train three steps on 2 x 2 ranks, then two more from a checkpoint; return the rows that this one read."""
    log = Path(run) / f"rank-{os.environ['RANK']}.jsonl"
    for steps, checkpoint in ((3, None), (5, f"{run}/saved.ckpt")):
        trainer = lightning.Trainer(
            accelerator="cpu", strategy=ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=2), devices=4,
            max_steps=steps, logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
            default_root_dir=run,
        )  # fmt: skip
        data = EdenDataModule(
            data_dir=data_dir, seq_length=SEQ_LENGTH, micro_batch_size=2, num_workers=0, rc_aug=True, extra_keys=("row_ids",)
        )
        trainer.fit(Split(log), data, ckpt_path=checkpoint)
        trainer.save_checkpoint(f"{run}/saved.ckpt")
    return [json.loads(line)["rows"] for line in log.read_text().splitlines()]
