"""Megatron-core's `GPTDataset` over the same files: full rows of 8192 tokens, cut across contigs."""

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset
from megatron.core.datasets.utils import Split
from torch.utils.data import default_collate

from peers import protocol
from peers.loaders.indexed_dataset import write


class ByteTokenizer:
    """What `GPTDataset` asks of a tokenizer."""

    vocab_size, eod, pad = 256, 0, 1
    unique_identifiers: ClassVar[dict[str, str]] = {"class": "bytes"}


class Gpt(protocol.Loader):
    """Its own samples, in its own shuffled order, default collate."""

    packages = ("megatron-core", "torch", "numpy")

    def prepare(self) -> None:
        """Write the contigs."""
        write(self)

    def open(self) -> int:
        """Map them, and have the samples planned: one epoch."""
        config = GPTDatasetConfig(
            random_seed=1, sequence_length=protocol.WINDOW, split="100,0,0", tokenizer=ByteTokenizer(),
            reset_position_ids=False, reset_attention_mask=False, eod_mask_loss=False, create_attention_mask=False,
            path_to_cache=str(self.prepared / "cache"),
        )  # fmt: skip
        prefix = str(self.prepared / "contigs")
        contigs = IndexedDataset(prefix)
        documents = np.arange(len(contigs), dtype=np.int32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.dataset = GPTDataset(contigs, prefix, documents, None, Split.train, config)
        return len(self.dataset)

    def batches(self, size: int) -> Iterator[dict[str, Any]]:
        """Random samples."""
        for rows in protocol.forever(len(self.dataset), size):
            yield default_collate([self.dataset[row] for row in rows.tolist()])


if __name__ == "__main__":
    protocol.serve(Gpt)
