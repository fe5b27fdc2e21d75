"""The whole way, as a user would write it: FASTA, store, splits, indexes, batches, a trained model."""

import math
import time
import warnings
from collections.abc import Callable, Iterable
from importlib.resources import as_file, files
from pathlib import Path

import lightning
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn

from eden_core import EdenDataModule, Tiling
from eden_core.errors import InputError, OutputExistsError
from eden_core.importing import import_files
from eden_core.importing.source_files import SourceFile
from eden_core.importing.task import ImportOptions
from eden_core.precompute import precompute
from eden_core.records import read_records

SAMPLE, TAG = "demo", "PHAGE"
PIECE = 2000
HELD_OUT = 0.1
SEQ_LENGTH, STRIDE = 512, 496
BATCH_SIZE = 8
LEARNT = 1.38
"""nats a base; guessing each of four bases alike gives ln 4 = 1.386, and DNA hardly compresses"""

Say = Callable[[str], object]


class CausalConvLM(nn.Module):
    """A causal convolutional language model: a token is predicted from the `kernel_size` tokens before it."""

    def __init__(self, vocabulary_size: int = 256, embedding: int = 8, hidden: int = 256, kernel_size: int = 16) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.embed = nn.Embedding(vocabulary_size, embedding)
        self.convolve = nn.Conv1d(embedding, hidden, kernel_size)
        self.mix = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, vocabulary_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits [B, S, vocabulary_size] of the tokens that follow tokens [B, S]."""
        embedded = nn.functional.pad(self.embed(tokens).transpose(1, 2), (self.kernel_size - 1, 0))
        hidden = nn.functional.gelu(self.convolve(embedded)).transpose(1, 2)
        logits: torch.Tensor = self.head(self.norm(nn.functional.gelu(self.mix(hidden))))
        return logits


class DemoModel(lightning.LightningModule):
    """Trains the model on the mean loss a base, which the batch's loss_mask picks out."""

    def __init__(self, steps: int, say: Say) -> None:
        super().__init__()
        self.model = CausalConvLM()
        self.steps, self.say = steps, say
        self.losses: list[float] = []
        self.held_out: list[float] = []

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch."""
        loss = self._loss(batch)
        self.losses.append(loss.item())
        if len(self.losses) % 100 == 0:
            self.say(f"                   step {len(self.losses)}: {np.mean(self.losses[-20:]):.3f} nats a base")
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Keep the loss of a batch that is not trained on."""
        self.held_out.append(self._loss(batch).item())

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return AdamW with a warm-up of 20 steps and a cosine."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=5e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1, (step + 1) / 20) * (1 + math.cos(math.pi * step / self.steps)) / 2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        losses = nn.functional.cross_entropy(self.model(batch["tokens"]).transpose(1, 2), batch["labels"], reduction="none")
        return (losses * batch["loss_mask"]).sum() / batch["loss_mask"].sum().clamp(min=1)


def run_demo(fasta: Path | None, out: Path, steps: int, say: Say) -> bool:
    """Run every stage, telling `say` about each.

    Args:
        fasta: a genome; None: phage lambda's, which the package carries.
        out: folder for shards, splits and indexes.
        steps: training steps.
        say: takes one line of text.

    Returns:
        Whether the mean of the last 20 losses is below `LEARNT`.
    """
    with as_file(files("eden_core") / "data" / "lambda_phage_NC_001416.fa.gz") as carried:
        genome = carried if fasta is None else fasta
        prepare(genome, out, say)
        entropies = markov_entropies(record.bases for record in read_records(genome))
    data = EdenDataModule(
        data_dir=str(out),
        seq_length=SEQ_LENGTH,
        micro_batch_size=BATCH_SIZE,
        num_workers=2,
        rc_aug=True,
        use_control_tags=True,
        loss_weights={"ambiguous": 0},
    )
    say(f"4. loader alone    {measure_loader(data):,.0f} rows/s of {SEQ_LENGTH} tokens, 2 workers")
    started = time.perf_counter()
    model = train(data, out, steps, say)
    seconds = time.perf_counter() - started
    last = float(np.mean(model.losses[-20:]))
    say(f"5. training        {len(model.losses)} steps of {BATCH_SIZE} rows in {seconds:.0f} s")
    say("")
    say("nats a base")
    say(f"  first loss              {model.losses[0]:.3f}")
    say(f"  mean of the last 20     {last:.3f}")
    say(f"  held out                {np.mean(model.held_out):.3f}")
    say(f"  guessing (ln 4)         {math.log(4):.3f}")
    for order, entropy in enumerate(entropies):
        say(f"  order-{order} Markov          {entropy:.3f}")
    learnt = last < LEARNT
    say("")
    say(f"the model learnt: {last:.3f} < {LEARNT}" if learnt else f"the model learnt too little: {last:.3f} >= {LEARNT}")
    return learnt


def prepare(fasta: Path, out: Path, say: Say) -> None:
    """Make a store, two splits and two indexes.

    Raises:
        OutputExistsError: `out` holds something that the demo did not make.
    """
    marker = out / ".eden-demo"
    if out.exists() and any(out.iterdir()) and not marker.exists():
        raise OutputExistsError(f"{out} holds files that the demo did not make; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    marker.touch()
    source = SourceFile(str(fasta), SAMPLE, TAG)
    imported = import_files([source], out, options=ImportOptions(cut_every=PIECE), force=True)
    counts, shard = imported.counts, imported.out / imported.receipts[0].location
    say(f"1. import          {fasta.name}: {counts.bases:,} bases in {counts.contigs:,} pieces -> {shard}")
    contigs = pq.read_table(imported.contigs)
    for split, rows in zip(("train", "validation"), hold_out_last(contigs), strict=True):
        pq.write_table(rows, out / f"{split}.parquet")
        say(f"2. split           {split}: {rows.num_rows} pieces -> {out / f'{split}.parquet'}")
        tiling = Tiling(SEQ_LENGTH, STRIDE, keep_tail=True)
        index = out / f"{split}_windows.db"
        summary = precompute(out / f"{split}.parquet", index, tiling, force=True)
        say(f"3. precompute      {split}: {summary.windows:,} windows, {summary.bases_never_seen} bases unseen -> {index}")


def hold_out_last(contigs: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the first pieces for training and the last tenth, by place in the genome, for validation."""
    places = []
    for row, contig_id in enumerate(contigs["contig_id"].to_pylist()):
        name, _, span = contig_id.rpartition(":")
        start = int(span.partition("-")[0]) if name else 0
        places.append((name or contig_id, start, row))
    order = [row for *_, row in sorted(places)]
    held_out = math.ceil(len(order) * HELD_OUT)
    if len(order) < 2:
        raise InputError(f"the genome gives {len(order)} piece of at most {PIECE} bases; the demo needs at least two")
    return contigs.take(order[:-held_out]), contigs.take(order[-held_out:])


def measure_loader(data: EdenDataModule, seconds: float = 3.0) -> float:
    """Return the training rows a second that the loader alone gives, workers started before."""
    loader = data.train_dataloader()
    rows, started = 0, 0.0
    while True:
        for batch in loader:
            started = started or time.perf_counter()
            rows += len(batch["tokens"])
            if time.perf_counter() - started > seconds:
                loader.close()
                return rows / (time.perf_counter() - started)


def train(data: EdenDataModule, out: Path, steps: int, say: Say) -> DemoModel:
    """Train the model with Lightning on the CPU, and return it."""
    lightning.seed_everything(1, verbose=False)
    model = DemoModel(steps, say)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, about loggers and devices
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_steps=steps,
            val_check_interval=None,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            gradient_clip_val=1.0,
            enable_progress_bar=False,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            default_root_dir=str(out),
        )
        trainer.fit(model, data)
        trainer.validate(model, data, verbose=False)
    return model


def markov_entropies(sequences: Iterable[bytes], orders: int = 4) -> list[float]:
    """Return the entropy of a base given the 0, 1, … `orders` - 1 bases before it, nats a base, fitted to the sequences."""
    codes = np.full(256, 4)
    codes[list(b"ACGTacgt")] = [0, 1, 2, 3] * 2
    counts = [np.zeros(5 ** (order + 1)) for order in range(orders)]
    for sequence in sequences:
        bases = codes[np.frombuffer(sequence, np.uint8)]
        for order, count in enumerate(counts):
            words = sum(bases[place : bases.size - order + place] * 5 ** (order - place) for place in range(order + 1))
            np.add(count, np.bincount(words, minlength=count.size), out=count)
    return [_conditional_entropy(count.reshape(*[5] * (order + 1))) for order, count in enumerate(counts)]


def _conditional_entropy(words: np.ndarray) -> float:
    """Entropy of the last letter given those before, over words of A, C, G and T alone."""
    known = words[tuple(slice(0, 4) for _ in range(words.ndim))].reshape(-1, 4)
    shares = known / np.maximum(known.sum(1, keepdims=True), 1)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return float(-(known * logs).sum() / known.sum())
