"""What a transform leaves alone, and that nothing but batch, options and draws decides what it does."""

import pickle
from functools import partial

from eden_core.batch import SequenceBatch
from eden_core.interfaces import Transform
from eden_core.testing.clauses import Clause
from eden_core.testing.options import made_again, state_of
from eden_core.testing.processes import Questions, ask_child
from eden_core.testing.suite import answer_of, circumstances, facts, read_only
from eden_core.testing.transforms.data import TransformData, apply, chosen_windows
from eden_core.vocabulary import Vocabulary


class PurityTests(TransformData):
    """Checks of what decides, and of what must not."""

    @Clause("batches-are-left-alone", "Read-only arrays are accepted, and the batch that is given is not changed.")
    def test_the_batch_is_left_as_it_was(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes a batch that can be written to and one that cannot, and compares."""
        writable, frozen, before = _copied(batch), read_only(batch), facts(batch)
        expected = facts(apply(transform, writable))
        assert facts(writable) == before, "apply() must change a copy, not the batch that it is given"
        assert facts(apply(transform, frozen)) == expected, "read-only arrays must be answered like others"

    @Clause("results-are-not-shared", "A result stays as it is when the next batch is changed.")
    def test_results_stay_as_they_are(self, transform: Transform, batch: SequenceBatch) -> None:
        """Keeps a result, changes the same windows in the other order, and looks at the result again."""
        result = apply(transform, batch)
        before = facts(result)
        apply(transform, chosen_windows(batch, list(range(len(batch.windows)))[::-1]))
        assert facts(result) == before, "a result must stay as it is when more is asked: use no buffer twice"

    @Clause("no-hidden-state", "The same batch and draws give the same result, whatever was done before.")
    def test_is_deterministic(self, transform: Transform, vocabulary: Vocabulary, batch: SequenceBatch) -> None:
        """Changes a batch, another one, and the first again; then the first with a new transform."""
        before, expected = state_of(transform), facts(apply(transform, batch))
        apply(transform, chosen_windows(batch, [0] * len(batch.windows)))
        assert facts(apply(transform, batch)) == expected, "apply() must not depend on what was done before: keep no state"
        claim = "apply() must not change the transform: leave caches out of __getstate__, or fill them when it is made"
        assert state_of(transform) == before, claim
        fresh = self.make_transform().bind(vocabulary)
        assert facts(apply(fresh, batch)) == expected, "two equal transforms must give equal results"

    @Clause("chance-comes-from-draws", "Random numbers come from `draws`: from no generator, clock, process or `hash()`.")
    def test_draws_are_the_only_chance(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes a batch under two seeds of numpy's and Python's generators, at two times and with two process ids."""
        results = []
        for number in (1, 2):
            with circumstances(number):
                results.append(facts(apply(transform, batch)))
        claim = "random numbers must come from `draws`, not from numpy's or Python's generators, the clock or the process"
        assert results[0] == results[1], claim

    @Clause("pickles", "A bound transform can be sent to a worker, used or not, and does the same there.")
    def test_pickles(self, transform: Transform, batch: SequenceBatch) -> None:
        """Pickles the transform before and after use."""
        for _ in range(2):
            text = answer_of(partial(pickle.dumps, transform), "a bound transform must pickle")
            copy = answer_of(partial(pickle.loads, text), "a bound transform must unpickle")
            assert facts(apply(copy, batch)) == facts(apply(transform, batch)), "a pickled copy must give equal results"

    @Clause("spawns", "In a fresh process a transform does the same, and has the same fingerprint.")
    def test_works_in_a_spawned_process(self, transform: Transform, batch: SequenceBatch) -> None:
        """Sends the transform to a spawned process, uses it there, and takes the fingerprint of one that is made there."""
        questions: Questions = {"apply()": partial(apply, transform, batch), "fingerprint()": partial(_fingerprint, transform)}
        changed, fingerprint = ask_child("spawn", questions).values()
        assert facts(changed) == facts(apply(transform, batch)), "apply() must do the same in every process (hash() does not)"
        claim = "fingerprint() must be the same in every process (hash() is not)"
        assert fingerprint == made_again(transform).fingerprint(), claim


def _fingerprint(transform: Transform) -> str:
    return made_again(transform).fingerprint()


def _copied(batch: SequenceBatch) -> SequenceBatch:
    copied: SequenceBatch = pickle.loads(pickle.dumps(batch))  # noqa: S301 - pickled on this very line
    return copied
