"""Which data-parallel rank this process is, and whether all ranks read what they should."""

import hashlib
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError, RankMismatchError
from eden_core.fingerprint import Fingerprint

DATA_DIMENSIONS = ("data_parallel", "dp", "data")
"""names of the data-parallel dimension of a DeviceMesh of several dimensions"""


def data_parallel_rank(setting: Any = "auto", strategy: Any = None) -> tuple[int, int]:
    """Return (rank, number of ranks) of this process.

    Args:
        setting: (rank, size); a `torch.distributed.device_mesh.DeviceMesh` of one dimension, or one that has a dimension named
            "data_parallel", "dp" or "data"; or "auto": Megatron's data-parallel group (without context parallel) where
            megatron-core is initialised, else what the strategy says, else torch.distributed's world, else (0, 1).
        strategy: a Lightning strategy.

    Raises:
        ConfigurationError: the setting is none of these.
    """
    if isinstance(setting, str):
        if setting != "auto":
            raise _no_setting(setting)
        return _megatron() or _strategy(strategy) or _world() or (0, 1)
    if hasattr(setting, "mesh_dim_names"):
        mesh = _data_mesh(setting)
        return mesh.get_local_rank(), mesh.size()
    rank, size = _pair(setting)
    if not 0 <= rank < size:
        raise ConfigurationError(f"data_parallel is (rank {rank}, size {size}); the rank must be from 0 to size - 1")
    return rank, size


@dataclass(frozen=True)
class FirstBatch:
    """What one process tells the others about its first batch.

    Attributes:
        data_rank, data_ranks: which data-parallel rank of how many it is.
        batch: a digest of the batch and of the numbers of its rows; empty where it holds nothing but repeats.
        data: the dataset's fingerprint.
        plan: where it begins, its batch sizes and what it leaves out, as text.
    """

    data_rank: int
    data_ranks: int
    batch: str
    data: str
    plan: str


def is_distributed() -> bool:
    """Return whether there are other processes to compare with: torch.distributed is initialised, with more than one."""
    return process_rank() is not None and sys.modules["torch.distributed"].get_world_size() > 1


def process_rank() -> int | None:
    """Return the rank of this process among all of torch.distributed; None where that is not initialised."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return int(distributed.get_rank())


def digest_of_batch(rows: NDArray[np.int64], batch: Mapping[str, Any]) -> str:
    """Return a digest of the numbers of rows and of the tensors that they became; empty for no rows at all."""
    if not rows.size:
        return ""
    digest = hashlib.blake2b(rows.tobytes(), digest_size=16)
    for key in ("tokens", "labels", "loss_mask"):
        digest.update(batch[key].numpy().tobytes())
    return digest.hexdigest()


def compare_ranks(mine: FirstBatch) -> None:
    """Gather the first batches of all processes, and raise the same error in each when they do not fit together.

    Every process of the world must call it; with three or more pipeline stages, where the middle ones read no data, every
    process of a stage. A process alone has nothing to compare.

    Raises:
        RankMismatchError: processes of one data-parallel rank read different batches, two data-parallel ranks read the same,
            ranks are missing, or the data differ.
    """
    found = _gathered(mine)
    if len(found) < 2:
        return
    members: defaultdict[int, list[int]] = defaultdict(list)
    for process, first in enumerate(found):
        members[first.data_rank].append(process)
    faults = [*_faults(found, members)]
    if faults:
        table = "".join(
            f"\n  process {i}: data-parallel rank {f.data_rank} of {f.data_ranks}" for i, f in enumerate(found[:64])
        )
        raise RankMismatchError(
            f"the ranks of this run do not read what they should: {'; '.join(faults)}. Check data_parallel, and that every "
            f"process has the same arguments and files{table}"
        )


def _faults(found: Sequence[FirstBatch], members: dict[int, list[int]]) -> list[str]:
    faults = []
    if len({first.data_ranks for first in found}) > 1 or len({len(group) for group in members.values()}) > 1:
        faults.append("processes do not agree on the data-parallel ranks")
    elif set(members) != set(range(found[0].data_ranks)):
        faults.append(f"of {found[0].data_ranks} data-parallel ranks only {sorted(members)} are there")
    if len({first.plan for first in found}) > 1:
        plans = "; ".join(sorted({first.plan for first in found})[:2])
        faults.append(f"processes begin at different rows, or with other batch sizes, limits or rows left out ({plans})")
    different = [Fingerprint.parse(found[0].data).differences(Fingerprint.parse(first.data)) for first in found]
    if any(different):
        faults.append(f"processes have different data, seeds or transforms:{next(text for text in different if text)}\n")
    faults += [
        f"processes {group} of data-parallel rank {rank} read different batches"
        for rank, group in members.items()
        if len({found[process].batch for process in group}) > 1
    ]
    readers: defaultdict[str, set[int]] = defaultdict(set)
    for first in found:
        readers[first.batch].add(first.data_rank)
    faults += [
        f"data-parallel ranks {sorted(ranks)} read the same rows" for b, ranks in readers.items() if b and len(ranks) > 1
    ]
    return faults


def _gathered(mine: FirstBatch) -> list[FirstBatch]:
    if not is_distributed():
        return [mine]
    distributed: Any = sys.modules["torch.distributed"]
    megatron, group = _megatron_state(), None
    if megatron is not None and megatron.get_pipeline_model_parallel_world_size() > 2:
        group = megatron.get_tensor_and_data_parallel_group(with_context_parallel=True)
    found: list[Any] = [None] * distributed.get_world_size(group)
    distributed.all_gather_object(found, mine, group=group)
    return found


def _pair(setting: Any) -> tuple[int, int]:
    values = tuple(setting) if isinstance(setting, Sequence) else ()
    if len(values) != 2 or not all(isinstance(value, Integral) for value in values):
        raise _no_setting(setting)
    return int(values[0]), int(values[1])


def _no_setting(setting: Any) -> ConfigurationError:
    return ConfigurationError(f"data_parallel is {setting!r}; expected 'auto', a pair (rank, size), or a DeviceMesh")


def _data_mesh(mesh: Any) -> Any:
    if mesh.ndim == 1:
        return mesh
    names = mesh.mesh_dim_names or ()
    found = next((name for name in DATA_DIMENSIONS if name in names), None)
    if found is None:
        raise ConfigurationError(
            f"data_parallel is a DeviceMesh of {mesh.ndim} dimensions {tuple(names)}, none of which is named "
            f"{', '.join(DATA_DIMENSIONS)}; give the one over which rows are split, such as mesh['replicate']"
        )
    return mesh[found]


def _megatron_state() -> Any:
    megatron = sys.modules.get("megatron.core.parallel_state")  # imported already wherever it is initialised
    return megatron if megatron is not None and megatron.model_parallel_is_initialized() else None


def _megatron() -> tuple[int, int] | None:
    megatron = _megatron_state()
    return None if megatron is None else (megatron.get_data_parallel_rank(), megatron.get_data_parallel_world_size())


def _strategy(strategy: Any) -> tuple[int, int] | None:
    """What a strategy tells distributed samplers: ModelParallelStrategy knows its data-parallel mesh, which torch does not."""
    told = getattr(strategy, "distributed_sampler_kwargs", None)
    return None if told is None else (int(told["rank"]), int(told["num_replicas"]))


def _world() -> tuple[int, int] | None:
    import torch.distributed

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return None
