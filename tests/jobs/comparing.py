"""Ranks that compare what they read."""

import os

import torch.distributed
from torch.distributed.device_mesh import init_device_mesh

from eden_core import EdenDataset, EdenLoader
from eden_core.errors import EdenError
from eden_core.parallel import FirstBatch, compare_ranks, data_parallel_rank


def told(action) -> str:
    """The message of the error that an action ends in, or nothing."""
    try:
        action()
    except EdenError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def first_batches(cases: dict[str, list[list]]) -> dict[str, str]:
    """Case -> what this rank is told, where the ranks say (data rank, data ranks, batch, data, plan)."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    return {name: told(lambda said=said: compare_ranks(FirstBatch(*said[rank]))) for name, said in cases.items()}


def settings() -> dict[str, list]:
    """What each way to say the data-parallel rank comes to on 2 x 2 processes."""
    torch.distributed.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    unnamed = init_device_mesh("cpu", (2, 2))
    return {
        "auto": data_parallel_rank(),
        "mesh": data_parallel_rank(mesh),
        "dimension": data_parallel_rank(mesh["tp"]),
        "one dimension": data_parallel_rank(init_device_mesh("cpu", (4,))),
        "unnamed": told(lambda: data_parallel_rank(unnamed)),
    }


def loaders(options: dict) -> dict[str, str]:
    """What the first batch of a loader ends in on two ranks."""
    torch.distributed.init_process_group("gloo")
    rank = int(os.environ["RANK"])

    def first(data_parallel="auto", epoch=0, **further):
        loader = EdenLoader(EdenDataset(**options | further), num_workers=0, micro_batch_size=2, data_parallel=data_parallel)
        loader.set_epoch(epoch)
        return lambda: next(iter(loader))

    return {
        "right": told(first()),
        "both are rank 0": told(first((0, 2))),
        "each is alone": told(first((0, 1))),
        "other seeds": told(first(seed=rank)),
        "other rows skipped": told(first(skip_rows=[(8, 9 + rank)])),
        "other epochs": told(first(epoch=rank)),
        "validation": told(first((0, 2), split="validation")),
    }
