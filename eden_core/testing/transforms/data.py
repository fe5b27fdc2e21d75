"""What the checks of transforms share: the transform, its data, its capabilities, and how results are compared."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from eden_core.batch import Picks, Ragged, SequenceBatch, Windows
from eden_core.draws import Draws
from eden_core.interfaces import Transform
from eden_core.testing.capabilities import Capability, capability_of_method
from eden_core.testing.suite import ContractSuite, example_sequences, windows_of
from eden_core.vocabulary import Vocabulary

SEED = 11


def _sets_weights(_suite: object, given: Mapping[str, Any]) -> bool:
    return apply(given["transform"], replace(given["batch"], weights=None)).weights is not None


class TransformData(ContractSuite):
    """The transform under test, and what it is given."""

    kind: ClassVar[str] = "transform"
    data: ClassVar[tuple[str, ...]] = ("batch", "vocabulary")
    optional: ClassVar[tuple[Capability, ...]] = (
        Capability(
            "augments",
            "It runs on the training split only.",
            "its class says `augments`",
            lambda _suite, given: given["transform"].augments,
        ),
        capability_of_method("prefixes", Transform, "prefix_lengths", "It puts tokens in front of the bases."),
        Capability("weights", "It sets loss weights where there are none.", "a batch without weights gets some", _sets_weights),
    )

    def make_transform(self) -> Transform:
        """Return the transform, not yet bound to a vocabulary."""
        raise NotImplementedError(f"{type(self).__name__} must define make_transform(self)")

    @pytest.fixture
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that the transform is bound to."""
        return Vocabulary.of("nucleotide")

    @pytest.fixture
    def batch(self) -> SequenceBatch:
        """Windows of unequal length, some with a prefix, all with weights."""
        return example_batch()

    @pytest.fixture
    def transform(self, vocabulary: Vocabulary) -> Transform:
        """The transform under test, bound. Not to be overridden: write `make_transform`."""
        return self.make_transform().bind(vocabulary)


def example_batch() -> SequenceBatch:
    """Return 24 windows of 1 to 200 bases; every other one has a prefix, weights differ from base to base."""
    requests = [(i, start, min(200, len(b) - start)) for i, b in example_sequences().items() for start in (0, len(b) // 2)]
    requests += [(i, start + 3, length - 3) for i, start, length in requests if length > 50][:8]
    rows = [np.frombuffer(example_sequences()[i][start : start + n], np.uint8) for i, start, n in requests]
    bases: Ragged[np.uint8] = Ragged.from_rows(rows, np.uint8)
    prefix: Ragged[np.int64] = Ragged.from_rows([[60] * (n % 3) for n in range(len(rows))], np.int64)
    weights = np.random.default_rng(4).random(bases.values.size, np.float32)
    return SequenceBatch(_picks(len(rows)), windows_of(requests), bases, prefix, Ragged(weights, bases.offsets))


def _picks(count: int) -> Picks:
    ids = np.arange(count)
    return Picks(ids, ids % 2, ids // 2, np.zeros(count, np.int16))


def apply(transform: Transform, batch: SequenceBatch, seed: int = SEED) -> SequenceBatch:
    """Return what a transform makes of a batch."""
    return transform.apply(batch, Draws(seed, batch.picks))


def chosen_windows(batch: SequenceBatch, chosen: list[int]) -> SequenceBatch:
    """Return these windows of a batch, in this order, each in a row of its own."""
    at = np.array(chosen, np.int64)
    picks, windows = batch.picks, batch.windows
    ids = tuple(windows.sequence_ids[i] for i in chosen)
    return SequenceBatch(
        Picks(picks.window_ids[at], picks.epochs[at], np.arange(at.size), picks.sources[at]),
        Windows(windows.window_ids[at], ids, windows.starts[at], windows.lengths[at]),
        _rows(batch.bases, at),
        _rows(batch.prefix, at),
        None if batch.weights is None else _rows(batch.weights, at),
    )


def _rows(ragged: Ragged[Any], at: NDArray[np.int64]) -> Ragged[Any]:
    return Ragged.from_rows([ragged[i] for i in at.tolist()], ragged.values.dtype)


def row_facts(batch: SequenceBatch) -> tuple[list[Any], list[Any]]:
    """Return (bases and prefix, weights) of each window."""
    contents = [(bases.tobytes(), prefix.tolist()) for bases, prefix in zip(batch.bases, batch.prefix, strict=True)]
    weights = [None] * len(contents) if batch.weights is None else [row.tobytes() for row in batch.weights]
    return contents, weights


def check_batch(batch: SequenceBatch, count: int) -> None:
    """Compare the types and sizes of a batch with those that one of so many windows has."""
    parts: list[tuple[str, Ragged[Any], type]] = [("bases", batch.bases, np.uint8), ("prefix", batch.prefix, np.int64)]
    if batch.weights is not None:
        parts.append(("weights", batch.weights, np.float32))
    for name, part, dtype in parts:
        assert len(part) == count, f"`{name}` must have a row for each of {count} windows; it has {len(part)}"
        assert part.values.dtype == dtype, f"`{name}` must be {dtype.__name__}, not {part.values.dtype}"
        assert part.offsets.dtype == np.int64, f"offsets of `{name}` must be int64, not {part.offsets.dtype}"
        bounds = (int(part.offsets[0]), int(part.offsets[-1]))
        assert bounds == (0, part.values.size), f"offsets of `{name}` must run from 0 to {part.values.size}, not {bounds}"
        assert (part.lengths >= 0).all(), f"offsets of `{name}` must not fall"
