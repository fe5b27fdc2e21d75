"""The contract of transforms, as tests to inherit."""

import inspect
import pickle
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from eden_core.batch import Picks, Ragged, SequenceBatch, Windows
from eden_core.draws import Draws
from eden_core.interfaces import Transform
from eden_core.testing.capabilities import Capability, assumes, capability_of_method, compare_capabilities
from eden_core.testing.clauses import CAPABILITIES, Clause
from eden_core.testing.suite import ContractSuite, answer_of, example_sequences, facts, quick, read_only, seeded, windows_of
from eden_core.vocabulary import Vocabulary

SEED = 11

_TYPES = Clause("types", "As many windows come back as were given, none included, in the same types and with valid offsets.")
_COMPANY = Clause("company", "A window is changed the same alone, among others, and in another order.")


def _sets_weights(_suite: object, given: Mapping[str, Any]) -> bool:
    return _apply(given["transform"], replace(given["batch"], weights=None)).weights is not None


class TransformTests(ContractSuite):
    """What every transform must do. Inherit, name it `Test…`, write `make_transform`; override fixtures, never checks."""

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

    @CAPABILITIES
    def test_capabilities_are_as_declared(self, transform: Transform, batch: SequenceBatch) -> None:
        """Looks for the sign of each capability, and compares with the suite."""
        given = {"transform": transform, "batch": batch}
        compare_capabilities(self, {c.name: assumes(self, c.name, **given) for c in self.optional}, **given)

    @Clause("binds", "`bind` returns a transform of the same name.")
    def test_bind_gives_a_transform(self, vocabulary: Vocabulary) -> None:
        """Binds the vocabulary, and looks at what comes back."""
        transform = self.make_transform()
        assert isinstance(transform.name, str), "the class attribute `name` must be the string that users write"
        bound = transform.bind(vocabulary)
        assert isinstance(bound, Transform), f"bind() must return a transform, not {bound!r:.100}"
        assert bound.name == transform.name, "bind() must return a transform of the same name"
        assert isinstance(bound.augments, bool), "`augments` must be True or False"

    @Clause("options-are-explicit", "Options are listed one by one and kept as attributes of their names.")
    def test_options_are_explicit(self) -> None:
        """Looks at the constructor's signature, and for an attribute of each option's name."""
        transform = self.make_transform()
        for option in inspect.signature(type(transform)).parameters.values():
            catch_all = option.kind in {option.VAR_KEYWORD, option.VAR_POSITIONAL}
            assert not catch_all, f"options must be listed by name, without *{option.name}"
            assert hasattr(transform, option.name), f"option {option.name!r} must be kept as an attribute of its name"

    @_TYPES
    def test_types_and_shapes(self, transform: Transform, batch: SequenceBatch) -> None:
        """Looks at the changed batch."""
        _check_batch(_apply(transform, batch), len(batch.windows))

    @_TYPES
    def test_no_windows(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes a batch without windows."""
        empty = partial(_apply, transform, chosen_windows(batch, []))
        _check_batch(answer_of(empty, "a batch without windows must be answered with one"), 0)

    @Clause("weights-are-optional", "A batch without loss weights is accepted, and its bases change as they do with weights.")
    def test_works_without_weights(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes the batch with and without its weights."""
        unweighted = partial(_apply, transform, replace(batch, weights=None))
        plain = answer_of(unweighted, "a batch without loss weights must be accepted")
        _check_batch(plain, len(batch.windows))
        claim = "bases and prefixes must not depend on whether there are weights"
        assert _row_facts(plain)[0] == _row_facts(_apply(transform, batch))[0], claim

    @Clause("weights-go-with-the-bases", "Weights that are given are kept, changed or replaced, one for each base.")
    def test_weights_go_with_the_bases(self, transform: Transform, batch: SequenceBatch) -> None:
        """Compares the offsets of the weights with those of the bases."""
        changed = _apply(transform, batch)
        assert changed.weights is not None, "loss weights of the batch must not be dropped"
        claim = "weights must have the offsets of the bases, also where bases were cut"
        assert facts(changed.weights.offsets) == facts(changed.bases.offsets), claim

    @Clause("never-lengthens", "A window may lose bases, and never gains any.")
    def test_never_lengthens(self, transform: Transform, batch: SequenceBatch) -> None:
        """Compares the lengths before and after."""
        before, after = batch.bases.lengths, _apply(transform, batch).bases.lengths
        longer = np.flatnonzero(after > before).tolist()
        assert not longer, f"a window may lose bases but gain none: only so many fit its row; windows {longer} grew"

    @Clause("prefixes-grow-as-announced", "Prefixes grow behind what is there, by exactly `prefix_lengths`.")
    def test_prefixes_grow_as_announced(self, transform: Transform, batch: SequenceBatch) -> None:
        """Compares prefixes before and after with what was announced."""
        announced = transform.prefix_lengths(batch.windows)
        assert announced.dtype == np.int64, f"prefix_lengths() must be int64, not {announced.dtype}"
        assert announced.shape == (len(batch.windows),), f"prefix_lengths() must give one length a window: {announced.shape}"
        assert (announced >= 0).all(), f"prefix_lengths() must not be negative: {announced}"
        after = _apply(transform, batch).prefix
        grown = (after.lengths - batch.prefix.lengths).tolist()
        claim = "prefixes must grow by exactly prefix_lengths(): as many bases fewer were read"
        assert grown == announced.tolist(), f"{claim}; they grew by {grown}, announced were {announced.tolist()}"
        for old, new in zip(batch.prefix, after, strict=True):
            assert new[: old.size].tolist() == old.tolist(), "tokens must be added behind the prefix that is there"

    @Clause("prefix-lengths-by-window", "How many tokens a window gets depends on that window alone.", needs=("prefixes",))
    def test_prefix_lengths_do_not_depend_on_company(self, transform: Transform, batch: SequenceBatch) -> None:
        """Asks for the lengths of all windows, and of each alone."""
        together = transform.prefix_lengths(batch.windows).tolist()
        alone = [int(transform.prefix_lengths(chosen_windows(batch, [i]).windows)[0]) for i in range(len(batch.windows))]
        assert alone == together, f"prefix_lengths() must be the same alone and in company; alone {alone}, together {together}"

    @Clause("weights-are-valid", "Weights that are set are one for each base, finite and not negative.", needs=("weights",))
    def test_weights_are_valid(self, transform: Transform, batch: SequenceBatch) -> None:
        """Looks at the weights of a batch that had none."""
        changed = _apply(transform, replace(batch, weights=None))
        assert changed.weights is not None, "the transform must set weights where there are none"
        claim = "weights must have the offsets of the bases"
        assert facts(changed.weights.offsets) == facts(changed.bases.offsets), claim
        wrong = changed.weights.values[~(np.isfinite(changed.weights.values) & (changed.weights.values >= 0))]
        assert not wrong.size, f"weights must be finite and 0 or more, unlike {wrong[:5].tolist()}"

    @Clause("windows-are-kept", "Which windows they are, and which rows they go to, stays as it was.")
    def test_picks_and_windows_are_kept(self, transform: Transform, batch: SequenceBatch) -> None:
        """Compares `picks` and `windows` before and after."""
        changed = _apply(transform, batch)
        assert facts(changed.picks) == facts(batch.picks), "`picks` must be handed on as it is"
        assert facts(changed.windows) == facts(batch.windows), "`windows` must be handed on as it is"

    @Clause("batches-are-left-alone", "Read-only arrays are accepted, and the batch that is given is not changed.")
    def test_the_batch_is_left_as_it_was(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes a batch that can be written to and one that cannot, and compares."""
        writable, frozen, before = _copied(batch), read_only(batch), facts(batch)
        expected = facts(_apply(transform, writable))
        assert facts(writable) == before, "apply() must change a copy, not the batch that it is given"
        assert facts(_apply(transform, frozen)) == expected, "read-only arrays must be answered like others"

    @_COMPANY
    def test_windows_do_not_depend_on_company(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes each window alone, and all in the other order."""
        together = _row_facts(_apply(transform, batch))
        count = len(batch.windows)
        for chosen in [*([i] for i in range(count)), list(range(count))[::-1]]:
            changed = _row_facts(_apply(transform, chosen_windows(batch, chosen)))
            claim = "a window must be changed the same alone, in company and in another order"
            assert all(c == [rows[i] for i in chosen] for c, rows in zip(changed, together, strict=True)), claim

    @_COMPANY
    def test_any_batch_is_changed_window_by_window(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes whatever batch of these windows hypothesis thinks of, and compares with each changed alone."""
        numbers = range(len(batch.windows))
        oracle = [[part[0] for part in _row_facts(_apply(transform, chosen_windows(batch, [i])))] for i in numbers]

        @quick(30)
        @given(st.lists(st.sampled_from(numbers), max_size=8))
        def is_a_list_of_windows(chosen: list[int]) -> None:
            changed = zip(*_row_facts(_apply(transform, chosen_windows(batch, chosen))), strict=True)
            claim = f"windows {chosen} together must be changed as each alone"
            assert [list(window) for window in changed] == [oracle[i] for i in chosen], claim

        is_a_list_of_windows()

    @Clause("no-hidden-state", "The same batch and draws give the same result, whatever was done before.")
    def test_is_deterministic(self, transform: Transform, vocabulary: Vocabulary, batch: SequenceBatch) -> None:
        """Changes a batch, another one, and the first again; then the first with a new transform."""
        expected = facts(_apply(transform, batch))
        _apply(transform, chosen_windows(batch, [0] * len(batch.windows)))
        assert facts(_apply(transform, batch)) == expected, "apply() must not depend on what was done before: keep no state"
        fresh = self.make_transform().bind(vocabulary)
        assert facts(_apply(fresh, batch)) == expected, "two equal transforms must give equal results"

    @Clause("chance-comes-from-draws", "Random numbers come from `draws`, from no generator of numpy or Python.")
    def test_draws_are_the_only_chance(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes a batch under two seeds of these generators."""
        results = []
        for seed in (1, 2):
            with seeded(seed):
                results.append(facts(_apply(transform, batch)))
        assert results[0] == results[1], "random numbers must come from `draws`, not from numpy's or Python's generators"

    @Clause("pickles", "A bound transform can be sent to a worker, used or not, and does the same there.")
    def test_pickles(self, transform: Transform, batch: SequenceBatch) -> None:
        """Pickles the transform before and after use."""
        for _ in range(2):
            text = answer_of(partial(pickle.dumps, transform), "a bound transform must pickle")
            copy = answer_of(partial(pickle.loads, text), "a bound transform must unpickle")
            assert facts(_apply(copy, batch)) == facts(_apply(transform, batch)), "a pickled copy must give equal results"

    @Clause("fingerprint", "The fingerprint is a text with the name, equal for equal transforms.")
    def test_fingerprint(self, transform: Transform, vocabulary: Vocabulary) -> None:
        """Compares the fingerprints of two transforms."""
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
