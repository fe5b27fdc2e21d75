"""The names of the older module `sharded_eden_dataloader`, with Eden behind them: a script moves over by changing its import.

docs/migrating.md says what is the same and what is not. New code uses `EdenDataModule` and `EdenDataset`.
"""

from typing import TYPE_CHECKING, Any

from eden_core.sequence_ids import extract_sample_id
from eden_core.sharded_eden.windows import compute_num_windows, precompute_window_database
from eden_core.torch_side import loaded

if TYPE_CHECKING:
    from eden_core.sharded_eden.datamodule import ShardedEdenDataModule
    from eden_core.sharded_eden.dataset import ShardedEdenDataset

__all__ = [
    "ShardedEdenDataModule",
    "ShardedEdenDataset",
    "compute_num_windows",
    "extract_sample_id",
    "precompute_window_database",
]

_TORCH_SIDE = {
    "ShardedEdenDataModule": "eden_core.sharded_eden.datamodule",
    "ShardedEdenDataset": "eden_core.sharded_eden.dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _TORCH_SIDE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return loaded(name, _TORCH_SIDE[name])
