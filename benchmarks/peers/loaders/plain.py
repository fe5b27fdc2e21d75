"""A plain loader written as the seed's format describes it."""

import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, default_collate

from peers import forms, protocol

S = 8192
BOS, EOS, SEP, PAD = 2, 0, 3, 1


class PlainDataset(Dataset[dict[str, torch.Tensor]]):
    """Rows of a folder of shards: all opened at the start; a query and a SUBSTR a row, one character at a time, tensors per item."""

    def __init__(self, directory: Path, windows: Path) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        shards = sorted(directory.glob("*/glm_dataset_*.sqlite"))
        self.shards = {path.parent.name: sqlite3.connect(path) for path in shards}
        self.windows = sqlite3.connect(windows)
        metadata = dict(self.windows.execute("SELECT key, value FROM metadata"))
        self.rows, self.stride = metadata["total_windows"], metadata["stride"]
        self.position_ids = torch.arange(S)

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        name, number = self.windows.execute(
            "SELECT sequence_id, window_in_seq_idx FROM window_mappings WHERE window_idx = ?", (row,)
        ).fetchone()
        shard = self.shards[".".join(name.split("__")[1].split("-")[1:])]
        (bases,) = shard.execute(
            "SELECT SUBSTR(nt_sequence, ?, ?) FROM sequences WHERE contig_id = ?", (number * self.stride + 1, S - 2, name)
        ).fetchone()
        ids = [BOS, *(ord(base) for base in bases.upper()), EOS]
        tokens = torch.tensor(ids + [PAD] * (S - len(ids)))
        labels = torch.cat([tokens[1:], torch.tensor([PAD])])
        mask = (~torch.isin(labels, torch.tensor([BOS, EOS, SEP, PAD]))).float()
        return {"tokens": tokens, "labels": labels, "loss_mask": mask, "position_ids": self.position_ids}


class Plain(protocol.Loader):
    """Random rows, default collate."""

    def prepare(self) -> None:
        """Write shards with Python's sqlite3, and the window database."""
        forms.write_store(self.workload, self.prepared, forms.SEED_FORMAT)
        forms.write_index(self.workload, self.prepared, "sqlite")

    def open(self) -> int:
        """Open every shard."""
        forms.write_index(self.workload, self.prepared, "sqlite")
        self.dataset = PlainDataset(self.prepared / forms.STORE, forms.index_path(self.workload, self.prepared, "sqlite"))
        return len(self.dataset)

    def batches(self, size: int) -> Iterator[dict[str, Any]]:
        """Batches of items."""
        for rows in protocol.forever(len(self.dataset), size):
            yield default_collate([self.dataset[row] for row in rows.tolist()])


if __name__ == "__main__":
    protocol.serve(Plain)
