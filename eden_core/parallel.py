"""Which data-parallel rank this process is."""

import sys
from collections.abc import Sequence
from numbers import Integral

from eden_core.errors import ConfigurationError


def data_parallel_rank(setting: str | Sequence[int] = "auto") -> tuple[int, int]:
    """Return (rank, number of ranks) of this process.

    Args:
        setting: (rank, size), or "auto": Megatron's data-parallel group (without context parallel) where megatron-core is
            initialised, else torch.distributed's world where that is, else (0, 1).

    Raises:
        ConfigurationError: the setting is neither.
    """
    if isinstance(setting, str):
        if setting != "auto":
            raise ConfigurationError(f"data_parallel is {setting!r}; expected 'auto' or a pair (rank, size)")
        return _found()
    rank, size = _pair(setting)
    if not 0 <= rank < size:
        raise ConfigurationError(f"data_parallel is (rank {rank}, size {size}); the rank must be from 0 to size - 1")
    return rank, size


def _pair(setting: Sequence[int]) -> tuple[int, int]:
    values = tuple(setting)
    if len(values) != 2 or not all(isinstance(value, Integral) for value in values):
        raise ConfigurationError(f"data_parallel is {setting!r}; expected 'auto' or a pair (rank, size)")
    return int(values[0]), int(values[1])


def _found() -> tuple[int, int]:
    megatron = sys.modules.get("megatron.core.parallel_state")  # imported already wherever it is initialised
    if megatron is not None and megatron.model_parallel_is_initialized():
        return megatron.get_data_parallel_rank(), megatron.get_data_parallel_world_size()
    import torch.distributed

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
