"""Ranks laid out by megatron-core's parallel_state, which read through Megatron's order of samples."""

import hashlib
import os
import time
import warnings
from types import SimpleNamespace
from typing import Any

import torch.distributed

from eden_core.errors import EdenError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Transformer Engine and Apex are not installed
    from megatron.core import num_microbatches_calculator, parallel_state
    from megatron.core.utils import get_batch_on_this_cp_rank

from eden_core.megatron import EdenDatasetProvider

MICRO, ACCUMULATED, STEPS = 2, 2, 3


def megatron_samples(total: int, consumed: int, micro: int, rank: int, ranks: int) -> list[list[int]]:
    """The micro-batches of Megatron's sampler "single": slices of micro x ranks samples in order, behind the consumed ones."""
    whole = range(consumed, total - (total - consumed) % (micro * ranks), micro * ranks)
    return [list(range(first + rank * micro, first + (rank + 1) * micro)) for first in whole]


def digest(batch: dict[str, torch.Tensor]) -> str:
    return hashlib.blake2b(b"".join(batch[key].numpy().tobytes() for key in sorted(batch)), digest_size=8).hexdigest()


def reads_data(state: Any) -> bool:
    return state.is_pipeline_first_stage() or state.is_pipeline_last_stage()


def layout(
    provider: dict, samples: int, tp: int = 1, cp: int = 1, pp: int = 1, masks: bool = False, packing: str = "none"
) -> dict[str, Any]:
    """Read `STEPS` global batches with torch's DataLoader over what the provider builds."""
    parallel_state.initialize_model_parallel(
        tensor_model_parallel_size=tp, context_parallel_size=cp, pipeline_model_parallel_size=pp
    )
    rank, ranks = parallel_state.get_data_parallel_rank(), parallel_state.get_data_parallel_world_size()
    total = MICRO * ranks * ACCUMULATED
    num_microbatches_calculator.init_num_microbatches_calculator(torch.distributed.get_rank(), None, total, MICRO, ranks)
    options = provider["dataset_options"] | {"create_attention_mask": masks, "packing": packing}
    made = EdenDatasetProvider(**provider | {"dataset_options": options})
    train, validation, test = made.build_datasets(SimpleNamespace(train_samples=samples, valid_samples=10, test_samples=0))
    found = {"data": [rank, ranks], "built": [train is not None, validation is not None, test is not None], "batches": []}
    if reads_data(parallel_state):
        order = megatron_samples(len(train), 0, MICRO, rank, ranks)[: STEPS * ACCUMULATED]
        loader = torch.utils.data.DataLoader(train, batch_sampler=order, collate_fn=train.collate_fn)
        for numbers, batch in zip(order, loader, strict=True):
            shared = get_batch_on_this_cp_rank(dict(batch))
            found["batches"].append({"samples": numbers, "all": digest(batch), "part": digest(shared)})
            found["shapes"] = {key: list(value.shape) for key, value in shared.items()}
            found["positions"] = shared["position_ids"][0].tolist()
    num_microbatches_calculator.destroy_num_microbatches_calculator()
    parallel_state.destroy_model_parallel()
    return found


def layouts(cases: dict[str, dict], provider: dict, samples: int) -> dict[str, Any]:
    torch.distributed.init_process_group("gloo")
    return {name: layout(provider, samples, **case) for name, case in cases.items()}


def differing(provider: dict) -> str:
    """Two tensor-parallel peers are given different seeds."""
    torch.distributed.init_process_group("gloo")
    parallel_state.initialize_model_parallel(tensor_model_parallel_size=2)
    options = provider["dataset_options"] | {"seed": int(os.environ["RANK"])}
    try:
        EdenDatasetProvider(**provider | {"dataset_options": options}).build_datasets(
            SimpleNamespace(train_samples=8, valid_samples=0, test_samples=0)
        )
    except EdenError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def virtual_chunks(provider: dict, chunks: int) -> list[float]:
    """Seconds that building the datasets takes for each chunk of a virtual pipeline."""
    made, seconds = EdenDatasetProvider(**provider), []
    for _ in range(chunks):
        started = time.perf_counter()
        made.build_datasets(SimpleNamespace(train_samples=10**9, valid_samples=100, test_samples=100))
        seconds.append(time.perf_counter() - started)
    return seconds
