"""Rows for models, loops and data sets of Hugging Face's libraries."""

from typing import TYPE_CHECKING, Any

import torch

from eden_core.dataset import EdenDataset
from eden_core.errors import ConfigurationError
from eden_core.passes import Passes
from eden_core.tensors import TOKEN_COUNTS, Batch, expanded

if TYPE_CHECKING:
    from datasets import IterableDataset

__all__ = ["iterable_dataset", "model_inputs"]

_IGNORED = -100
"""the label that the models of transformers leave out of the loss"""


def model_inputs(batch: Batch, dataset: EdenDataset) -> Batch:
    """Return a batch as the models of transformers take it: `model(**model_inputs(batch, dataset))`.

    A causal model shifts labels itself: it compares the label of a place with `logits[place - 1]`. Eden's labels are shifted
    already, so here they move one place to the right. With an objective such as "mlm", which predicts tokens in their own
    places, they stay. Either way the model's loss is the mean over the labels whose `loss_mask` is 1.

    Args:
        batch: of `EdenLoader`, `EdenBatchSampler` or `EdenDataset.batch`, or a row of one.
        dataset: what the batch was read from.

    Returns:
        `input_ids` and `labels`, int64 [B, S], the latter -100 where nothing counts. With `packing="thd"` `position_ids`, int64
        [B, S], which begin anew in each window, so that models keep windows apart; else, with `extra_keys=("token_counts",)`,
        `attention_mask`, int64 [B, S], 0 on padding.

    Raises:
        ConfigurationError: a loss weight is neither 0 nor 1, which labels cannot say, or a model that looks to both sides
            would see padding.
    """
    batch = expanded(batch)
    mask = batch["loss_mask"]
    if not ((mask == 0) | (mask == 1)).all():
        weight = float(mask[(mask != 0) & (mask != 1)][0])
        raise ConfigurationError(
            f"a label has the loss weight {weight:g}, and in models of transformers a label counts or not: use loss_weights of "
            "0 and 1, or compute the loss from the model's logits and the batch's labels and loss_mask"
        )
    shifted = dataset.reader.objective.shifted
    if not shifted and not {"token_counts", "cu_seqlens"} & batch.keys():
        raise ConfigurationError(
            "a model that looks to both sides must not see padding: give the dataset extra_keys=('token_counts',)"
        )
    labels = torch.where(mask == 1, batch["labels"], _IGNORED)
    if shifted:
        labels = torch.cat([torch.full_like(labels[..., :1], _IGNORED), labels[..., :-1]], -1)
    inputs = {"input_ids": batch["tokens"], "labels": labels}
    if "cu_seqlens" in batch:
        return inputs | {"position_ids": batch["position_ids"]}
    if "token_counts" in batch:
        padded = batch["token_counts"][..., TOKEN_COUNTS.index("padded")]
        used = labels.shape[-1] - padded[..., None]
        inputs["attention_mask"] = (torch.arange(labels.shape[-1], device=labels.device) < used).to(torch.int64)
    return inputs


def iterable_dataset(
    dataset: EdenDataset, *, epochs: int = 1, data_parallel: Any = (0, 1), on_mismatch: str = "error"
) -> "IterableDataset":
    """Return a data set of Hugging Face's `datasets` that streams rows in Eden's order.

    An example is what `model_inputs` makes of a row, as numpy arrays, with the `extra_keys` of the dataset other than
    "token_counts". `state_dict` and `load_state_dict` go on with the very next row. It is one shard: of a DataLoader's workers
    one reads, and order and state do not depend on their number.

    Rows are shuffled anew each epoch by Eden: `shuffle` and `set_epoch` are refused.

    Args:
        dataset: what is read; without `num_samples`.
        epochs: how many epochs follow each other before the stream ends.
        data_parallel: which rows this process streams. (0, 1) means all, for `split_dataset_by_node`, accelerate and the
            Trainer split streams themselves; where nothing else does, "auto", (rank, size) or a DeviceMesh, see
            `eden_core.parallel.data_parallel_rank`.
        on_mismatch: "error" or "warn" when a loaded state belongs to other data.

    Raises:
        ConfigurationError: an argument is not as it should be.
        ModuleNotFoundError: `datasets` is not installed.
    """
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"iterable_dataset needs {error.name}: pip install datasets", name=error.name) from error
    from eden_core.hugging_face_rows import StreamedDataset, StreamedRows

    if not isinstance(epochs, int) or epochs < 1:
        raise ConfigurationError(f"epochs is {epochs!r}; expected a whole number from 1 on")
    rows = StreamedRows(Passes(dataset, data_parallel=data_parallel, on_mismatch=on_mismatch), epochs)
    return StreamedDataset(rows, datasets.DatasetInfo(features=rows.features))
