"""The examples of a stream, in the form that `datasets` iterates over: only to be imported where that is installed."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from datasets import Features, IterableDataset, List, Value
from datasets.iterable_dataset import _BaseExamplesIterable
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError
from eden_core.hugging_face import model_inputs
from eden_core.passes import Pass, Passes
from eden_core.sampler import RowBlock
from eden_core.state import State, state_of

_BLOCK_ROWS = 64
_COUNTS = "token_counts"

Example = dict[str, NDArray[np.int64]]


class StreamedDataset(IterableDataset):  # type: ignore[misc] # datasets says nothing about types
    """A stream that says so where a state is none of its own."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a state was taken, from the next iteration on.

        Raises:
            ConfigurationError: it is no state of such a stream.
        """
        _check_state(state_dict, {"epoch", "examples_iterable"})
        super().load_state_dict(state_dict)


class StreamedRows(_BaseExamplesIterable):  # type: ignore[misc] # datasets says nothing about types
    """Rows in Eden's order, from any of them on.

    `datasets` reads the state from `_state_dict`, which it expects to be changed in place as examples are given.

    Args:
        passes: the passes of a rank, in micro-batches of one row.
        epochs: how many passes there are.
    """

    def __init__(self, passes: Passes, epochs: int) -> None:
        super().__init__()
        self._passes, self._epochs = passes, epochs
        dataset = passes.dataset
        self._extra = tuple(key for key in dataset.batches.extra_keys if key != _COUNTS)
        first = self._examples(passes.sampler.block(0, 0, range(1)), observed=False)[0]
        self._features = Features({k: List(Value("int64")) if v.ndim else Value(str(v.dtype)) for k, v in first.items()})

    @property
    def features(self) -> Features:
        """The columns of an example."""
        return self._features

    @property
    def is_typed(self) -> bool:
        """Whether examples have the types of `features` already."""
        return True

    @property
    def num_shards(self) -> int:
        """Into how many parts `datasets` may split the stream."""
        return 1

    def shuffle_data_sources(self, generator: np.random.Generator) -> "StreamedRows":
        """Refuse: `datasets` asks for it at `shuffle` and, from epoch 1 on, at `set_epoch`."""
        raise ConfigurationError(
            "Eden shuffles the rows of this stream itself, anew each epoch: leave shuffle and set_epoch out, and give "
            "iterable_dataset as many epochs as it shall run through"
        )

    def shard_data_sources(self, num_shards: int, index: int, contiguous: bool = True) -> "StreamedRows":
        """Return the stream for the first of the workers, which alone reads."""
        if index:
            raise ConfigurationError(
                "this stream cannot be sharded, its rows have one order: use split_dataset_by_node, or give iterable_dataset "
                "data_parallel=(rank, size)"
            )
        return self

    def reshard_data_sources(self) -> "StreamedRows":
        """Return the stream, which is one shard."""
        return self

    def __iter__(self) -> Iterator[tuple[str, Example]]:
        """Yield (key, example), from where the loaded state says."""
        state = self._state_dict
        at_once = (
            _BLOCK_ROWS if self._passes.dataset.observers() is None else 1
        )  # who observes is told of rows as they are given
        this = Pass() if state is None or state["eden"] is None else self._restored(state["eden"])
        while this.epoch < self._epochs:
            done = 0
            for block in self._passes.sampler.blocks(this.epoch, this.start, at_once):
                for row, example in zip(block.rows.tolist(), self._examples(block), strict=True):
                    done += 1
                    if state is not None:
                        state["eden"] = self._state(this, done)
                    yield str(row), example
            this = Pass(this.epoch + 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        """Take what `_state_dict` was when a state was taken."""
        _check_state(state_dict, {"eden", "type"})
        return dict(super().load_state_dict(state_dict))

    def _init_state_dict(self) -> dict[str, Any]:
        self._state_dict: dict[str, Any] = {"eden": None, "type": type(self).__name__}
        return self._state_dict

    def _restored(self, state: State) -> Pass:
        restored = self._passes.restore(state)
        return Pass(restored.epoch, restored.position)

    def _state(self, this: Pass, done: int) -> State:
        sampler = self._passes.sampler
        return state_of(self._passes.dataset, this.epoch, sampler.position(this.epoch, this.start, done), sampler.pitch)

    def _examples(self, block: RowBlock, *, observed: bool = True) -> list[Example]:
        dataset = self._passes.dataset
        batch = dataset.batch_of_run(block, observed=observed)
        columns = model_inputs(batch, dataset) | {key: batch[key] for key in self._extra}
        arrays = {key: value.numpy() for key, value in columns.items()}
        return [{key: value[i] for key, value in arrays.items()} for i in range(block.rows.size)]


def _check_state(state: Any, wanted: set[str]) -> None:
    if not isinstance(state, Mapping) or not wanted <= set(state):
        raise ConfigurationError(
            f"{state!r:.200} is no state of a stream of iterable_dataset; expected what its state_dict() gave"
        )
