"""LitData: a local dataset for `TokensLoader`, its way for language models: blocks of tokens, cut across contigs."""

from collections.abc import Iterator
from typing import Any

import torch
from litdata import StreamingDataset, TokensLoader, optimize

from peers import protocol

CHUNK = 64 * 2**20
"""tokens a file"""


class Pieces:
    """Gives the contigs, the long ones in pieces."""

    def __init__(self, workload: protocol.Workload) -> None:
        self.workload = workload

    def __call__(self, _: int) -> Iterator[torch.Tensor]:
        """All pieces, uint8."""
        for bases in self.workload.contigs():
            for start in range(0, len(bases), 1 << 20):
                yield torch.tensor(bases[start : start + (1 << 20)])


class Lit(protocol.Loader):
    """Its shuffled iteration, which goes from file to file, then `next_token_batch`."""

    packages = ("litdata", "torch", "numpy")

    def prepare(self) -> None:
        """Write the tokens, one byte each."""
        optimize(
            Pieces(self.workload), [0], str(self.prepared / "chunks"), chunk_size=CHUNK, num_workers=1,
            item_loader=TokensLoader(), start_method="fork", verbose=False,
        )  # fmt: skip

    def open(self) -> int:
        """Open it where it is."""
        self.dataset = StreamingDataset(
            str(self.prepared / "chunks"), item_loader=TokensLoader(block_size=protocol.WINDOW), shuffle=True
        )
        return len(self.dataset)

    def batches(self, size: int) -> Iterator[dict[str, Any]]:
        """Blocks side by side, epoch after epoch."""
        rows: list[torch.Tensor] = []
        while True:
            for tokens in self.dataset:
                rows.append(tokens)
                if len(rows) == size:
                    yield protocol.next_token_batch(torch.stack(rows))
                    rows = []


if __name__ == "__main__":
    protocol.serve(Lit)
