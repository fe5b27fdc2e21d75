"""The contract of objectives, as tests to inherit."""

import inspect
import pickle

import numpy as np
import pytest

from eden_core.batch import Picks, Ragged
from eden_core.draws import Draws
from eden_core.interfaces import Objective
from eden_core.testing.suite import ContractSuite
from eden_core.vocabulary import Vocabulary

SEED = 11
LENGTHS = (40, 1, 300, 7, 64)


class ObjectiveTests(ContractSuite):
    """What every objective must do. Inherit, name the class `Test…`, write `make_objective`.

    Override fixtures, never checks.

    Fixture to override where the data do not suit the objective: `vocabulary`.
    """

    def make_objective(self) -> Objective:
        """Return the objective, not yet bound to a vocabulary."""
        raise NotImplementedError(f"{type(self).__name__} must define make_objective(self)")

    @pytest.fixture
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that the objective is bound to. May be overridden."""
        return Vocabulary.of("nucleotide")

    @pytest.fixture
    def objective(self, vocabulary: Vocabulary) -> Objective:
        """The objective under test, bound. Not to be overridden: write `make_objective`."""
        return self.make_objective().bind(vocabulary)

    def test_bind_gives_an_objective(self, vocabulary: Vocabulary) -> None:
        """`bind` returns an objective of the same name."""
        objective = self.make_objective()
        assert isinstance(objective.name, str), "the class attribute `name` must be the string that users write"
        bound = objective.bind(vocabulary)
        assert isinstance(bound, Objective), f"bind() must return an objective, not {bound!r:.100}"
        assert bound.name == objective.name, "bind() must return an objective of the same name"
        assert bound.fingerprint() == objective.fingerprint(), "bind() must keep the options"

    def test_options_are_explicit(self) -> None:
        """Options are listed one by one and kept as attributes."""
        objective = self.make_objective()
        for option in inspect.signature(type(objective)).parameters.values():
            catch_all = option.kind in {option.VAR_KEYWORD, option.VAR_POSITIONAL}
            assert not catch_all, f"options must be listed by name, without *{option.name}"
            assert hasattr(objective, option.name), f"option {option.name!r} must be kept as an attribute of its name"

    def test_shapes(self, objective: Objective, vocabulary: Vocabulary) -> None:
        """What is shown and what is predicted have a place for each token; the tokens given stay as they are."""
        tokens, draws = _example(vocabulary)
        if objective.predicts_all:
            pytest.skip("it predicts all, so it is not asked")
        before = tokens.values.copy()
        shown, chosen = objective.choose(tokens, draws)
        assert shown.shape == chosen.shape == tokens.values.shape, "choose() must answer for each token"
        assert shown.dtype.kind in "iu", "what is shown must be token ids, which are integers"
        assert chosen.dtype == bool, "what is predicted must be given as booleans"
        assert (tokens.values == before).all(), "choose() must not write to the tokens that it is given"

    def test_a_window_does_not_depend_on_those_around_it(self, objective: Objective, vocabulary: Vocabulary) -> None:
        """A window alone gets what it gets among others."""
        if objective.predicts_all:
            pytest.skip("it predicts all, so it is not asked")
        tokens, draws = _example(vocabulary)
        shown, chosen = objective.choose(tokens, draws)
        for i, (first, stop) in enumerate(zip(tokens.offsets.tolist(), tokens.offsets[1:].tolist(), strict=False)):
            alone, only = objective.choose(*_example(vocabulary, [i]))
            assert (alone == shown[first:stop]).all(), "what is shown must depend on the window alone"
            assert (only == chosen[first:stop]).all(), "what is predicted must depend on the window alone"

    def test_it_pickles(self, objective: Objective, vocabulary: Vocabulary) -> None:
        """Sent to another process it does the same."""
        sent = pickle.loads(pickle.dumps(objective))  # noqa: S301 - our own bytes
        assert sent.fingerprint() == objective.fingerprint(), "a pickled objective must be the same one"
        if not objective.predicts_all:
            here, there = (one.choose(*_example(vocabulary))[0] for one in (objective, sent))
            assert (here == there).all(), "a pickled objective must choose the same"


def _example(vocabulary: Vocabulary, windows: list[int] | None = None) -> tuple[Ragged[np.int64], Draws]:
    chosen = list(range(len(LENGTHS))) if windows is None else windows
    ids = np.array(vocabulary.encode("ACGT"), np.int64)
    rows = [ids[np.random.default_rng(i).integers(0, ids.size, LENGTHS[i])] for i in chosen]
    numbers = np.array(chosen, np.int64)
    picks = Picks(numbers, np.zeros_like(numbers), np.arange(numbers.size), np.zeros(numbers.size, np.int16))
    return Ragged.from_rows(rows, np.int64), Draws(SEED, picks)
