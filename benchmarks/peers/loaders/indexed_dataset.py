"""Megatron-core's `IndexedDataset`: raw records, tokens of one byte, a contig a document."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder

from peers import protocol


def write(loader: protocol.Loader) -> None:
    """Write contigs.bin and contigs.idx into the folder of the prepared files."""
    prefix = loader.prepared / "contigs"
    builder = IndexedDatasetBuilder(f"{prefix}.bin", dtype=np.uint8)
    for bases in loader.workload.contigs():
        builder.add_document(bases, [len(bases)])
    builder.finalize(f"{prefix}.idx")


class Indexed(protocol.Loader):
    """The bytes of a window, padded with zeros; no labels, no masks."""

    packages = ("megatron-core", "torch", "numpy")

    def prepare(self) -> None:
        """Write the contigs."""
        write(self)

    def open(self) -> int:
        """Map them."""
        self.dataset = IndexedDataset(str(self.prepared / "contigs"))
        self.table = protocol.WindowTable(self.workload)
        return len(self.table)

    def batches(self, size: int) -> Iterator[dict[str, Any]]:
        """Windows side by side."""
        for windows in protocol.forever(len(self.table), size):
            rows = np.zeros((size, protocol.WINDOW), np.uint8)
            for row, contig, start, length in zip(rows, *map(np.ndarray.tolist, self.table.lookup(windows)), strict=True):
                row[:length] = self.dataset.get(contig, start, length)
            yield {"tokens": torch.from_numpy(rows)}


if __name__ == "__main__":
    protocol.serve(Indexed)
