"""The contract of transforms, as tests to inherit."""

import inspect
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from eden_core.batch import Picks, Ragged, SequenceBatch, Windows
from eden_core.draws import Draws
from eden_core.interfaces import Transform
from eden_core.testing.suite import ContractSuite, answer_of, example_sequences, facts, read_only, windows_of
from eden_core.vocabulary import Vocabulary

SEED = 11


class TransformTests(ContractSuite):
    """What every transform must do. Inherit, name the class `Test…`, write `make_transform`.

    Override fixtures, never checks.

    Fixtures to override where the data do not suit the transform: `batch`, `vocabulary`.
    """

    def make_transform(self) -> Transform:
        """Return the transform, not yet bound to a vocabulary."""
        raise NotImplementedError(f"{type(self).__name__} must define make_transform(self)")

    @pytest.fixture
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that the transform is bound to. May be overridden."""
        return Vocabulary.of("nucleotide")

    @pytest.fixture
    def batch(self) -> SequenceBatch:
        """Windows of unequal length, some with a prefix, all with weights. May be overridden."""
        return example_batch()

    @pytest.fixture
    def transform(self, vocabulary: Vocabulary) -> Transform:
        """The transform under test, bound. Not to be overridden: write `make_transform`."""
        return self.make_transform().bind(vocabulary)

    def test_bind_gives_a_transform(self, vocabulary: Vocabulary) -> None:
        """`bind` returns a transform of the same name."""
        transform = self.make_transform()
        assert isinstance(transform.name, str), "the class attribute `name` must be the string that users write"
        bound = transform.bind(vocabulary)
        assert isinstance(bound, Transform), f"bind() must return a transform, not {bound!r:.100}"
        assert bound.name == transform.name, "bind() must return a transform of the same name"
        assert isinstance(bound.augments, bool), "`augments` must be True or False"

    def test_options_are_explicit(self) -> None:
        """Options are listed one by one and kept as attributes."""
        transform = self.make_transform()
        for option in inspect.signature(type(transform)).parameters.values():
            catch_all = option.kind in {option.VAR_KEYWORD, option.VAR_POSITIONAL}
            assert not catch_all, f"options must be listed by name, without *{option.name}"
            assert hasattr(transform, option.name), f"option {option.name!r} must be kept as an attribute of its name"

    def test_types_and_shapes(self, transform: Transform, batch: SequenceBatch) -> None:
        """As many windows come back as were given, in the same types, with valid offsets."""
        _check_batch(_apply(transform, batch), len(batch.windows))

    def test_no_windows(self, transform: Transform, batch: SequenceBatch) -> None:
        """A batch without windows is answered with one."""
        empty = partial(_apply, transform, _chosen(batch, []))
        _check_batch(answer_of(empty, "a batch without windows must be answered with one"), 0)

    def test_works_without_weights(self, transform: Transform, batch: SequenceBatch) -> None:
        """A batch without loss weights is accepted, and its bases change as they do with weights."""
        unweighted = partial(_apply, transform, replace(batch, weights=None))
        plain = answer_of(unweighted, "a batch without loss weights must be accepted")
        _check_batch(plain, len(batch.windows))
        clause = "bases and prefixes must not depend on whether there are weights"
        assert _row_facts(plain)[0] == _row_facts(_apply(transform, batch))[0], clause

    def test_weights_go_with_the_bases(self, transform: Transform, batch: SequenceBatch) -> None:
        """Weights that are given are kept, changed or replaced, one for each base."""
        changed = _apply(transform, batch)
        assert changed.weights is not None, "loss weights of the batch must not be dropped"
        clause = "weights must have the offsets of the bases, also where bases were cut"
        assert facts(changed.weights.offsets) == facts(changed.bases.offsets), clause

    def test_never_lengthens(self, transform: Transform, batch: SequenceBatch) -> None:
        """No window gets more bases than it had."""
        before, after = batch.bases.lengths, _apply(transform, batch).bases.lengths
        longer = np.flatnonzero(after > before).tolist()
        assert not longer, f"a window may lose bases but gain none: only so many fit its row; windows {longer} grew"

    def test_prefixes_grow_as_announced(self, transform: Transform, batch: SequenceBatch) -> None:
        """Prefixes grow behind what is there, by exactly `prefix_lengths`."""
        announced = transform.prefix_lengths(batch.windows)
        assert announced.dtype == np.int64, f"prefix_lengths() must be int64, not {announced.dtype}"
        assert announced.shape == (len(batch.windows),), f"prefix_lengths() must give one length a window: {announced.shape}"
        assert (announced >= 0).all(), f"prefix_lengths() must not be negative: {announced}"
        after = _apply(transform, batch).prefix
        grown = (after.lengths - batch.prefix.lengths).tolist()
        clause = "prefixes must grow by exactly prefix_lengths(): as many bases fewer were read"
        assert grown == announced.tolist(), f"{clause}; they grew by {grown}, announced were {announced.tolist()}"
        for old, new in zip(batch.prefix, after, strict=True):
            assert new[: old.size].tolist() == old.tolist(), "tokens must be added behind the prefix that is there"

    def test_picks_and_windows_are_kept(self, transform: Transform, batch: SequenceBatch) -> None:
        """Which windows they are, and which rows they go to, stays as it was."""
        changed = _apply(transform, batch)
        assert facts(changed.picks) == facts(batch.picks), "`picks` must be handed on as it is"
        assert facts(changed.windows) == facts(batch.windows), "`windows` must be handed on as it is"

    def test_the_batch_is_left_as_it_was(self, transform: Transform, batch: SequenceBatch) -> None:
        """Read-only arrays are accepted, and the batch that is given is not changed."""
        writable, frozen, before = _copied(batch), read_only(batch), facts(batch)
        expected = facts(_apply(transform, writable))
        assert facts(writable) == before, "apply() must change a copy, not the batch that it is given"
        assert facts(_apply(transform, frozen)) == expected, "read-only arrays must be answered like others"

    def test_windows_do_not_depend_on_company(self, transform: Transform, batch: SequenceBatch) -> None:
        """Each window is changed the same alone, among others, and in another order."""
        together = _row_facts(_apply(transform, batch))
        count = len(batch.windows)
        for chosen in [*([i] for i in range(count)), list(range(count))[::-1]]:
            changed = _row_facts(_apply(transform, _chosen(batch, chosen)))
            clause = "a window must be changed the same alone, in company and in another order"
            assert all(c == [rows[i] for i in chosen] for c, rows in zip(changed, together, strict=True)), clause

    def test_is_deterministic(self, transform: Transform, vocabulary: Vocabulary, batch: SequenceBatch) -> None:
        """The same batch and draws give the same result, whatever was done before, and in another instance."""
        expected = facts(_apply(transform, batch))
        _apply(transform, _chosen(batch, [1, 0]))
        assert facts(_apply(transform, batch)) == expected, "apply() must not depend on what was done before: keep no state"
        fresh = self.make_transform().bind(vocabulary)
        assert facts(_apply(fresh, batch)) == expected, "two equal transforms must give equal results"

    def test_draws_are_the_only_chance(self, transform: Transform, batch: SequenceBatch) -> None:
        """Chance comes from `draws`, not from the global generators of numpy and Python."""
        results = []
        for seed in (1, 2):
            with _global_seed(seed):
                results.append(facts(_apply(transform, batch)))
        assert results[0] == results[1], "random numbers must come from `draws`, not from numpy's or Python's generators"

    def test_pickles(self, transform: Transform, batch: SequenceBatch) -> None:
        """A bound transform can be sent to a worker, before and after use."""
        for _ in range(2):
            text = answer_of(partial(pickle.dumps, transform), "a bound transform must pickle")
            copy = answer_of(partial(pickle.loads, text), "a bound transform must unpickle")
            assert facts(_apply(copy, batch)) == facts(_apply(transform, batch)), "a pickled copy must give equal results"

    def test_fingerprint(self, transform: Transform, vocabulary: Vocabulary) -> None:
        """The fingerprint is a text with the name, equal for equal transforms."""
        fingerprint = transform.fingerprint()
        assert isinstance(fingerprint, str), "fingerprint() must return a string"
        assert transform.name in fingerprint, f"fingerprint() must hold the name {transform.name!r}; it is {fingerprint!r}"
        fresh = self.make_transform().bind(vocabulary)
        assert fresh.fingerprint() == fingerprint, "equal transforms must have equal fingerprints"


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


def _apply(transform: Transform, batch: SequenceBatch) -> SequenceBatch:
    return transform.apply(batch, Draws(SEED, batch.picks))


def _chosen(batch: SequenceBatch, chosen: list[int]) -> SequenceBatch:
    """Return these windows of a batch, each in a row of its own."""
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


def _copied(batch: SequenceBatch) -> SequenceBatch:
    copied: SequenceBatch = pickle.loads(pickle.dumps(batch))  # noqa: S301 - pickled on this very line
    return copied


def _row_facts(batch: SequenceBatch) -> tuple[list[Any], list[Any]]:
    """Return (bases and prefix, weights) of each window."""
    contents = [(bases.tobytes(), prefix.tolist()) for bases, prefix in zip(batch.bases, batch.prefix, strict=True)]
    weights = [None] * len(contents) if batch.weights is None else [row.tobytes() for row in batch.weights]
    return contents, weights


def _check_batch(batch: SequenceBatch, count: int) -> None:
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


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - the generator under suspicion
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
