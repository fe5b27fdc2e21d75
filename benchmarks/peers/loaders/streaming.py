"""MosaicML Streaming: a local MDS dataset, a record a window."""

import sys
import types
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from typing import Any

import numpy as np
import torch

from peers import protocol


def stub_torchvision() -> None:
    """`import streaming` wants torchvision, of which there is no build for this torch on a CPU; nothing of it is used."""
    for name, members in {
        "torchvision": [],
        "torchvision.datasets": ["VisionDataset", "CIFAR10"],
        "torchvision.transforms": [],
        "torchvision.transforms.functional": ["to_tensor"],
    }.items():
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        for member in members:
            setattr(module, member, type(member, (), {}))
        sys.modules[name] = module


class Streaming(protocol.Loader):
    """Random records, padded with zeros, then `next_token_batch`."""

    packages = ("mosaicml-streaming", "torch", "numpy")

    def prepare(self) -> None:
        """Write a record a window."""
        stub_torchvision()
        from streaming import MDSWriter

        with MDSWriter(out=str(self.prepared / "mds"), columns={"tokens": "ndarray:uint8"}) as writer:
            for bases, count in zip(self.workload.contigs(), self.workload.counts().tolist(), strict=True):
                for i in range(count):
                    start = i * self.workload.stride
                    writer.write({"tokens": np.array(bases[start : start + protocol.WINDOW])})

    def open(self) -> int:
        """Open it where it is."""
        stub_torchvision()
        from streaming import StreamingDataset

        self.dataset = StreamingDataset(local=str(self.prepared / "mds"), shuffle=False, batch_size=16)
        return len(self.dataset)

    def batches(self, size: int) -> Iterator[dict[str, Any]]:
        """Records side by side."""
        for windows in protocol.forever(len(self.dataset), size):
            rows = np.zeros((size, protocol.WINDOW), np.uint8)
            for row, window in zip(rows, windows.tolist(), strict=True):
                tokens = self.dataset[window]["tokens"]
                row[: len(tokens)] = tokens
            yield protocol.next_token_batch(torch.from_numpy(rows))


if __name__ == "__main__":
    protocol.serve(Streaming)
