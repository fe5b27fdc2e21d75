"""The contract of objectives, as tests to inherit."""

import pickle
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from eden_core.batch import Picks, Ragged
from eden_core.draws import Draws
from eden_core.interfaces import Objective
from eden_core.testing.capabilities import Capability, assumes, compare_capabilities, has
from eden_core.testing.clauses import CAPABILITIES, Clause
from eden_core.testing.options import check_bind, check_fingerprint, check_options, made_again, other_vocabulary, state_of
from eden_core.testing.processes import Questions, ask_child
from eden_core.testing.suite import ContractSuite, answer_of, circumstances, facts, quick, read_only
from eden_core.vocabulary import Vocabulary

SEED = 11

_CHOOSES = ("chooses",)
_BINDS = Clause(
    "binds", "`bind` returns an objective of the same name and options, and changes nothing of what it is asked of."
)
_COMPANY = Clause("company", "What is shown and predicted of a window depends on that window alone.", needs=_CHOOSES)

Choice = tuple[NDArray[Any], NDArray[np.bool_]]


class ObjectiveTests(ContractSuite):
    """What every objective must do with rows of token ids. Inherit, write `make_objective`; override fixtures, never checks."""

    kind: ClassVar[str] = "objective"
    data: ClassVar[tuple[str, ...]] = ("tokens", "vocabulary")
    optional: ClassVar[tuple[Capability, ...]] = (
        Capability(
            "chooses",
            "`choose` says what is shown and what is predicted.",
            "its class says `predicts_all = False`",
            lambda _suite, given: not given["objective"].predicts_all,
        ),
    )

    def make_objective(self) -> Objective:
        """Return the objective, not yet bound to a vocabulary."""
        raise NotImplementedError(f"{type(self).__name__} must define make_objective(self)")

    @pytest.fixture
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that the objective is bound to."""
        return Vocabulary.of("nucleotide")

    @pytest.fixture
    def tokens(self, vocabulary: Vocabulary) -> Ragged[np.int64]:
        """The token ids of a few windows' bases, int64, a row a window, of unequal length."""
        ids = np.array(vocabulary.encode("ACGT"), np.int64)
        lengths = (40, 1, 300, 7, 64)
        rows = [ids[np.random.default_rng(i).integers(0, ids.size, length)] for i, length in enumerate(lengths)]
        return Ragged.from_rows(rows, np.int64)

    @pytest.fixture
    def objective(self, vocabulary: Vocabulary) -> Objective:
        """The objective under test, bound. Not to be overridden: write `make_objective`."""
        return self.make_objective().bind(vocabulary)

    @CAPABILITIES
    def test_capabilities_are_as_declared(self, objective: Objective) -> None:
        """Looks for the sign of each capability, and compares with the suite."""
        compare_capabilities(self, {"chooses": assumes(self, "chooses", objective=objective)}, objective=objective)

    @_BINDS
    def test_bind_gives_an_objective(self, vocabulary: Vocabulary) -> None:
        """Binds the vocabulary, and looks at what comes back."""
        objective = self.make_objective()
        assert isinstance(objective.name, str), "the class attribute `name` must be the string that users write"
        bound = objective.bind(vocabulary)
        assert isinstance(bound, Objective), f"bind() must return an objective, not {bound!r:.100}"
        assert bound.name == objective.name, "bind() must return an objective of the same name"

    @_BINDS
    def test_bind_keeps_the_options(self, vocabulary: Vocabulary) -> None:
        """Compares the options before and after, with their values and with another value of each."""
        check_bind(self.make_objective(), vocabulary)

    @_BINDS
    def test_bind_leaves_others_as_they_are(self, vocabulary: Vocabulary, tokens: Ragged[np.int64]) -> None:
        """Binds one objective to two vocabularies, and compares what the first one is and chooses before and after."""
        objective = self.make_objective()
        first = objective.bind(vocabulary)
        chooses = has(self, "chooses", objective=first)
        before = _facts_of(_choose(first, tokens)) if chooses else state_of(first)
        objective.bind(other_vocabulary(vocabulary))
        after = _facts_of(_choose(first, tokens)) if chooses else state_of(first)
        assert after == before, "bind() must not change what it bound before: return a new objective"

    @Clause("options-are-explicit", "Options are listed one by one, JSON-like, and kept as attributes of their names.")
    def test_options_are_explicit(self) -> None:
        """Looks at the constructor's signature, and for a JSON-like attribute of each option's name."""
        check_options(self.make_objective(), keyword_only=False)

    @Clause("types", "`choose` answers with a token id and a boolean for each token.", needs=_CHOOSES)
    def test_shapes(self, objective: Objective, tokens: Ragged[np.int64]) -> None:
        """Looks at the shapes and types of what is shown and of what is predicted."""
        shown, chosen = _choose(objective, tokens)
        assert shown.shape == chosen.shape == tokens.values.shape, "choose() must answer for each token"
        assert shown.dtype.kind in "iu", f"what is shown must be token ids, which are integers, not {shown.dtype}"
        assert chosen.dtype == bool, f"what is predicted must be given as booleans, not {chosen.dtype}"

    @Clause("tokens-are-left-alone", "Read-only tokens are accepted, and what is given is not changed.", needs=_CHOOSES)
    def test_tokens_are_left_as_they_were(self, objective: Objective, tokens: Ragged[np.int64]) -> None:
        """Gives rows that can be written to and rows that cannot, and compares."""
        before = facts(tokens)
        expected = _facts_of(_choose(objective, tokens))
        assert facts(tokens) == before, "choose() must not write to the tokens that it is given"
        frozen = answer_of(lambda: _choose(objective, read_only(tokens)), "choose() must accept read-only tokens")
        assert _facts_of(frozen) == expected, "read-only tokens must be answered like others"

    @_COMPANY
    def test_a_window_does_not_depend_on_those_around_it(self, objective: Objective, tokens: Ragged[np.int64]) -> None:
        """Asks for all windows together, and for each alone."""
        numbers = list(range(len(tokens)))
        alone = [_rows_of(objective, tokens, [i])[0] for i in numbers]
        assert _rows_of(objective, tokens, numbers) == alone, "a window must be answered the same alone and in company"

    @_COMPANY
    def test_any_windows_are_chosen_one_by_one(self, objective: Objective, tokens: Ragged[np.int64]) -> None:
        """Asks for whatever windows hypothesis thinks of, and compares with a list of windows asked for alone."""
        numbers = range(len(tokens))
        oracle = [_rows_of(objective, tokens, [i])[0] for i in numbers]

        @quick(30)
        @given(st.lists(st.sampled_from(numbers), max_size=8))
        def are_those_of_a_list(chosen: list[int]) -> None:
            claim = f"windows {chosen} together must be answered as each alone"
            assert _rows_of(objective, tokens, chosen) == [oracle[i] for i in chosen], claim

        are_those_of_a_list()

    @Clause("no-hidden-state", "The same tokens and draws give the same answer, whatever was asked before.", needs=_CHOOSES)
    def test_is_deterministic(self, objective: Objective, vocabulary: Vocabulary, tokens: Ragged[np.int64]) -> None:
        """Asks twice, and a new objective once."""
        before, expected = state_of(objective), _facts_of(_choose(objective, tokens))
        assert _facts_of(_choose(objective, tokens)) == expected, "choose() must not depend on what was asked before"
        claim = "choose() must not change the objective: leave caches out of __getstate__, or fill them when it is made"
        assert state_of(objective) == before, claim
        fresh = self.make_objective().bind(vocabulary)
        assert _facts_of(_choose(fresh, tokens)) == expected, "two equal objectives must choose the same"

    @Clause(
        "chance-comes-from-draws",
        "Random numbers come from `draws`: from no generator, clock, process or `hash()`.",
        needs=_CHOOSES,
    )
    def test_draws_are_the_only_chance(self, objective: Objective, tokens: Ragged[np.int64]) -> None:
        """Asks under two seeds of numpy's and Python's generators, at two times and with two process ids."""
        results = []
        for number in (1, 2):
            with circumstances(number):
                results.append(_facts_of(_choose(objective, tokens)))
        claim = "random numbers must come from `draws`, not from numpy's or Python's generators, the clock or the process"
        assert results[0] == results[1], claim

    @Clause("answers-are-not-shared", "An answer stays as it is when more is asked.", needs=_CHOOSES)
    def test_answers_stay_as_they_are(self, objective: Objective, tokens: Ragged[np.int64]) -> None:
        """Keeps an answer, asks for the same windows in the other order, and looks at the answer again."""
        answer = _choose(objective, tokens)
        before = _facts_of(answer)
        _choose(objective, tokens, list(range(len(tokens)))[::-1])
        assert _facts_of(answer) == before, "an answer must stay as it is when more is asked: use no buffer twice"

    @Clause("pickles", "The copy of a pickled objective is the same and chooses the same.")
    def test_it_pickles(self, objective: Objective, tokens: Ragged[np.int64]) -> None:
        """Pickles the bound objective, and asks the copy."""
        sent = answer_of(lambda: pickle.loads(pickle.dumps(objective)), "a bound objective must pickle")  # noqa: S301 - our own bytes
        assert sent.fingerprint() == objective.fingerprint(), "a pickled objective must be the same one"
        if has(self, "chooses", objective=objective):
            here, there = (_facts_of(_choose(one, tokens)) for one in (objective, sent))
            assert here == there, "a pickled objective must choose the same"

    @Clause("spawns", "In a fresh process an objective chooses the same, and has the same fingerprint.")
    def test_works_in_a_spawned_process(self, objective: Objective, tokens: Ragged[np.int64]) -> None:
        """Sends the objective to a spawned process, asks it there, and takes the fingerprint of one that is made there."""
        chooses = has(self, "chooses", objective=objective)
        questions: Questions = {"fingerprint()": partial(_fingerprint, objective)}
        if chooses:
            questions = {**questions, "choose()": partial(_choose, objective, tokens)}
        fingerprint, *chosen = ask_child("spawn", questions).values()
        claim = "fingerprint() must be the same in every process (hash() is not)"
        assert fingerprint == made_again(objective).fingerprint(), claim
        here = [_facts_of(_choose(objective, tokens))] if chooses else []
        assert [_facts_of(choice) for choice in chosen] == here, "choose() must do the same in every process (hash() does not)"

    @Clause("fingerprint", "The fingerprint is a text with the name, equal for equal objectives, other for other options.")
    def test_fingerprint(self, objective: Objective, vocabulary: Vocabulary) -> None:
        """Compares the fingerprints of two objectives, and those with other options."""
        check_fingerprint(objective, self.make_objective().bind(vocabulary))


def _fingerprint(objective: Objective) -> str:
    return made_again(objective).fingerprint()


def _choose(objective: Objective, tokens: Ragged[np.int64], windows: list[int] | None = None) -> Choice:
    numbers = np.array(range(len(tokens)) if windows is None else windows, np.int64)
    picks = Picks(numbers, np.zeros_like(numbers), np.arange(numbers.size), np.zeros(numbers.size, np.int16))
    chosen = tokens if windows is None else Ragged.from_rows([tokens[i] for i in windows], np.int64)
    return objective.choose(chosen, Draws(SEED, picks))


def _rows_of(objective: Objective, tokens: Ragged[np.int64], windows: list[int]) -> list[tuple[list[int], list[bool]]]:
    """Return (shown, predicted) of each of these windows."""
    ends = np.cumsum([tokens[i].size for i in windows])
    shown, predicted = (np.split(part, ends)[:-1] for part in _choose(objective, tokens, windows))
    return [(row.tolist(), flags.tolist()) for row, flags in zip(shown, predicted, strict=True)]


def _facts_of(choice: Choice) -> list[Any]:
    return [facts(part) for part in choice]
