"""Eden: `EdenLoader` without workers. Options: the name of the store, or "seed-format"; the name of the index."""

from collections.abc import Iterator
from typing import Any

from eden_core import EdenDataset, EdenLoader
from peers import forms, protocol


class Eden(protocol.Loader):
    """Batches as a training loop gets them."""

    packages = ("eden-core", "torch", "numpy", "apsw", "pyarrow")

    def prepare(self) -> None:
        """Write the store with the plugin, and the index."""
        store, index = self.options
        forms.write_store(self.workload, self.prepared, store)
        forms.write_index(self.workload, self.prepared, index)

    def open(self) -> int:
        """Open store and index."""
        store, index = self.options
        forms.write_index(self.workload, self.prepared, index)
        self.dataset = EdenDataset(**forms.arguments(self.workload, self.prepared, store, index))
        return len(self.dataset)

    def batches(self, size: int) -> Iterator[dict[str, Any]]:
        """Epoch after epoch, shuffled."""
        loader = EdenLoader(self.dataset, num_workers=0, micro_batch_size=size)
        while True:
            yield from loader


if __name__ == "__main__":
    protocol.serve(Eden)
