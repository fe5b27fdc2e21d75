"""Transforms with one fault each, and which check must find it."""

import os
import random
import time
from dataclasses import replace

import numpy as np
from in_memory import Trim, TrimTests
from running import Fault

from eden_core import Ragged


def with_tokens(batch, tokens):
    """Return the batch with other last tokens in its prefixes."""
    rows = ([*row[:-1], token] for row, token in zip(batch.prefix, tokens, strict=True))
    return replace(batch, prefix=Ragged.from_rows(rows, np.int64))


class Lengthens(Trim):
    def apply(self, batch, draws):
        rows = [np.append(row, [78]).astype(np.uint8) for row in batch.bases]
        return replace(super().apply(batch, draws), bases=Ragged.from_rows(rows, np.uint8), weights=None)


class WideBases(Trim):
    def apply(self, batch, draws):
        changed = super().apply(batch, draws)
        return replace(changed, bases=Ragged(changed.bases.values.astype(np.int64), changed.bases.offsets))


class LosesAWindow(Trim):
    def apply(self, batch, draws):
        changed = super().apply(batch, draws)
        return replace(changed, bases=Ragged.from_rows(list(changed.bases)[1:], np.uint8))


class FailsOnNothing(Trim):
    def apply(self, batch, draws):
        assert len(batch.windows) > 0
        return super().apply(batch, draws)


class NeedsWeights(Trim):
    def apply(self, batch, draws):
        return replace(super().apply(batch, draws), weights=Ragged(batch.weights.values * 1, batch.bases.offsets))


class OldWeights(Trim):
    def apply(self, batch, draws):
        return replace(super().apply(batch, draws), weights=batch.weights)


class DropsWeights(Trim):
    def apply(self, batch, draws):
        return replace(super().apply(batch, draws), weights=None)


class ChangesTheBatch(Trim):
    def apply(self, batch, draws):
        batch.bases.values[:] |= 0x20
        return super().apply(batch, draws)


class LeansOnTheFirst(Trim):
    """Gives every window the token that the first one's length gives."""

    def apply(self, batch, draws):
        return with_tokens(super().apply(batch, draws), [int(batch.bases.lengths[:1].sum())] * len(batch.windows))


class Counts(Trim):
    """Cuts more with every call."""

    def apply(self, batch, draws):
        self.most += 20
        return super().apply(batch, draws)


class RollsItsOwnDice(Trim):
    def apply(self, batch, draws):
        tokens = np.random.randint(100, size=len(batch.windows)).tolist()  # noqa: NPY002 - the fault
        return with_tokens(super().apply(batch, draws), tokens)


class RollsPythonsDice(Trim):
    def apply(self, batch, draws):
        return with_tokens(super().apply(batch, draws), [random.randrange(100) for _ in batch.prefix])


class AnnouncesTooMuch(Trim):
    def prefix_lengths(self, windows):
        return np.full(len(windows), 2)


class PrefixInFront(Trim):
    def apply(self, batch, draws):
        prefix = Ragged.from_rows([[7, *row] for row in batch.prefix], np.int64)
        return replace(super().apply(batch, draws), prefix=prefix)


class FloatLengths(Trim):
    def prefix_lengths(self, windows):
        return np.ones(len(windows))


class ReordersWindows(Trim):
    def apply(self, batch, draws):
        windows = replace(batch.windows, starts=batch.windows.starts + 1)
        return replace(super().apply(batch, draws), windows=windows)


class HoldsALambda(Trim):
    def __init__(self, most=9):
        super().__init__(most)
        self.cut = lambda row: row[:most]


class BindsNothing(Trim):
    def bind(self, vocabulary):
        self.vocabulary = vocabulary


class ForgetsOptions(Trim):
    def bind(self, vocabulary):
        bound = type(self)()
        bound.vocabulary = vocabulary
        return bound


class BindsItself(Trim):
    def bind(self, vocabulary):
        self.vocabulary = vocabulary
        return self


class BindsItsClass(Trim):
    """Writes in whatever vocabulary was bound last."""

    token = 0

    def bind(self, vocabulary):
        type(self).token = vocabulary.encode("+")[0]
        return self

    def apply(self, batch, draws):
        return with_tokens(super().apply(batch, draws), [self.token] * len(batch.windows))


class OptionOfAnyKind(Trim):
    def __init__(self, most=9, table=None):
        super().__init__(most)
        self.table = np.arange(5000) if table is None else table


class FingerprintOfTheName(Trim):
    def fingerprint(self):
        return self.name


class FingerprintOfAHash(Trim):
    def fingerprint(self):
        return f"trim({hash(str(self.most))})"


class HashesIds(Trim):
    def apply(self, batch, draws):
        return with_tokens(super().apply(batch, draws), [abs(hash(i)) for i in batch.windows.sequence_ids])


class LooksAtTheClock(Trim):
    def apply(self, batch, draws):
        return with_tokens(super().apply(batch, draws), [int(time.time() // 86_400)] * len(batch.windows))


class LooksAtTheProcess(Trim):
    def apply(self, batch, draws):
        return with_tokens(super().apply(batch, draws), [os.getpid() % 2] * len(batch.windows))


class SeedsByWindow(Trim):
    """Draws the same in each epoch and under each seed."""

    def apply(self, batch, draws):
        tokens = [int(np.random.default_rng(window_id).integers(100)) for window_id in batch.windows.window_ids.tolist()]
        return with_tokens(super().apply(batch, draws), tokens)


class CountsInSecret(Trim):
    """Changes after 100 batches."""

    calls = 0

    def apply(self, batch, draws):
        self.calls += 1
        return with_tokens(super().apply(batch, draws), [int(self.calls > 100)] * len(batch.windows))


class OneBufferForEachSize(Trim):
    buffers = {}  # noqa: RUF012 - the fault

    def apply(self, batch, draws):
        changed = super().apply(batch, draws)
        values = self.buffers.setdefault(changed.bases.values.size, np.empty_like(changed.bases.values))
        values[:] = changed.bases.values
        return replace(changed, bases=Ragged(values, changed.bases.offsets))


class NegativeTokens(Trim):
    def apply(self, batch, draws):
        return with_tokens(super().apply(batch, draws), [-7] * len(batch.windows))


class SpoilsWeights(Trim):
    """Sets none, and makes those that it is given NaN."""

    def apply(self, batch, draws):
        changed = super().apply(batch, draws)
        if changed.weights is None:
            return changed
        return replace(changed, weights=Ragged(changed.weights.values * np.float32(np.nan), changed.weights.offsets))


class HidesAnOption(Trim):
    def __init__(self, most=9, least=1):
        super().__init__(most)


class CatchAll(Trim):
    def __init__(self, **options):
        super().__init__(**options)


class FingerprintOfThisObject(Trim):
    def fingerprint(self):
        return f"trim {id(self)}"


class AsManyAsWindows(Trim):
    def prefix_lengths(self, windows):
        return np.full(len(windows), len(windows))


class NegativeWeights(Trim):
    def apply(self, batch, draws):
        changed = super().apply(batch, draws)
        return replace(changed, weights=Ragged(np.full(changed.bases.values.size, -1, np.float32), changed.bases.offsets))


class SaysTooLittle(Trim): ...


class SaysTooMuch(Trim): ...


ALL = tuple(capability.name for capability in TrimTests.optional)


def _fault(wrong, check, complaint, **attributes):
    return Fault(TrimTests, wrong, check, complaint, attributes=attributes)


FAULTS = [
    _fault(ForgetsOptions, "test_bind_keeps_the_options", "must keep the option 'most': 10 became 9"),
    _fault(BindsItself, "test_bind_keeps_the_options", "leave its own as it is"),
    _fault(BindsItsClass, "test_bind_leaves_others_as_they_are", "must not change what it bound before"),
    _fault(OptionOfAnyKind, "test_options_are_explicit", "option 'table' must be JSON-like"),
    _fault(FingerprintOfTheName, "test_fingerprint", "must change with the option 'most'; it is 'trim' for 9 and 10"),
    _fault(FingerprintOfAHash, "test_works_in_a_spawned_process", "must be the same in every process"),
    _fault(HashesIds, "test_works_in_a_spawned_process", "must do the same in every process"),
    _fault(LooksAtTheClock, "test_draws_are_the_only_chance", "the clock or the process"),
    _fault(LooksAtTheProcess, "test_draws_are_the_only_chance", "the clock or the process"),
    _fault(SeedsByWindow, "test_draws_are_the_only_chance", "must come from `draws`"),
    _fault(CountsInSecret, "test_is_deterministic", "must not change the transform"),
    _fault(OneBufferForEachSize, "test_results_stay_as_they_are", "use no buffer twice"),
    _fault(NegativeTokens, "test_prefixes_are_token_ids", r"0 or more, unlike \[-7"),
    _fault(SpoilsWeights, "test_weights_are_valid", "must be finite and 0 or more, unlike .nan"),
    _fault(Lengthens, "test_never_lengthens", "gain none"),
    _fault(WideBases, "test_types_and_shapes", "`bases` must be uint8, not int64"),
    _fault(LosesAWindow, "test_types_and_shapes", "`bases` must have a row for each"),
    _fault(FailsOnNothing, "test_no_windows", "batch without windows must be answered"),
    _fault(NeedsWeights, "test_works_without_weights", "without loss weights must be accepted"),
    _fault(OldWeights, "test_weights_go_with_the_bases", "must have the offsets of the bases"),
    _fault(DropsWeights, "test_weights_go_with_the_bases", "must not be dropped"),
    _fault(ChangesTheBatch, "test_the_batch_is_left_as_it_was", "must change a copy"),
    _fault(LeansOnTheFirst, "test_windows_do_not_depend_on_company", "alone, in company"),
    _fault(Counts, "test_is_deterministic", "keep no state"),
    _fault(RollsItsOwnDice, "test_draws_are_the_only_chance", "must come from `draws`"),
    _fault(RollsPythonsDice, "test_draws_are_the_only_chance", "must come from `draws`"),
    _fault(AnnouncesTooMuch, "test_prefixes_grow_as_announced", "exactly prefix_lengths"),
    _fault(PrefixInFront, "test_prefixes_grow_as_announced", "behind the prefix that is there"),
    _fault(FloatLengths, "test_prefixes_grow_as_announced", "must be int64"),
    _fault(ReordersWindows, "test_picks_and_windows_are_kept", "`windows` must be handed on"),
    _fault(HoldsALambda, "test_pickles", "must pickle"),
    _fault(BindsNothing, "test_bind_gives_a_transform", "must return a transform, not None"),
    _fault(HidesAnOption, "test_options_are_explicit", "'least' must be kept"),
    _fault(CatchAll, "test_options_are_explicit", "must be listed by name"),
    _fault(FingerprintOfThisObject, "test_fingerprint", "equal fingerprints"),
    _fault(LeansOnTheFirst, "test_any_batch_is_changed_window_by_window", "must be changed as each alone"),
    _fault(AsManyAsWindows, "test_prefix_lengths_do_not_depend_on_company", "the same alone and in company"),
    _fault(NegativeWeights, "test_weights_are_valid", "must be finite and 0 or more"),
    _fault(SaysTooLittle, "test_capabilities_are_as_declared", "'augments' is not, and there it is", capabilities=()),
    _fault(SaysTooMuch, "test_capabilities_are_as_declared", "'weights' is declared, .* not there", capabilities=ALL),
]
