"""Eden: the data loader for genomic language models.

The names below are the public ones. Importing this package imports neither torch nor lightning nor polars: the torch-side
names are loaded when they are first asked for.
"""

from typing import TYPE_CHECKING, Any

from eden_core import errors
from eden_core.batch import Picks, Ragged, SequenceBatch, Windows
from eden_core.draws import Draws
from eden_core.hookspecs import hookimpl
from eden_core.interfaces import ExecutorFactory, Objective, SequenceStore, Transform, WindowIndex
from eden_core.order import Order
from eden_core.plugins import PluginRegistry, installed_plugins
from eden_core.sequence_ids import extract_sample_id
from eden_core.tiling import Tiling
from eden_core.torch_side import loaded
from eden_core.vocabulary import Vocabulary

if TYPE_CHECKING:
    from eden_core.batch_sampler import EdenBatchSampler
    from eden_core.datamodule import EdenDataModule
    from eden_core.dataset import EdenDataset
    from eden_core.loader import EdenLoader
    from eden_core.tensors import expanded
    from eden_core.token_counts import TokenCounts

__version__ = "0.1.0"

__all__ = [
    "Draws",
    "EdenBatchSampler",
    "EdenDataModule",
    "EdenDataset",
    "EdenLoader",
    "ExecutorFactory",
    "Objective",
    "Order",
    "Picks",
    "PluginRegistry",
    "Ragged",
    "SequenceBatch",
    "SequenceStore",
    "Tiling",
    "TokenCounts",
    "Transform",
    "Vocabulary",
    "WindowIndex",
    "Windows",
    "errors",
    "expanded",
    "extract_sample_id",
    "hookimpl",
    "installed_plugins",
]

_TORCH_SIDE = {
    "EdenBatchSampler": "eden_core.batch_sampler",
    "EdenDataModule": "eden_core.datamodule",
    "EdenDataset": "eden_core.dataset",
    "EdenLoader": "eden_core.loader",
    "TokenCounts": "eden_core.token_counts",
    "expanded": "eden_core.tensors",
}


def __getattr__(name: str) -> Any:
    if name not in _TORCH_SIDE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = loaded(name, _TORCH_SIDE[name])
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
