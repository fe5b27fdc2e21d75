"""Objectives with one fault each, and which check must find it."""

import random
import time

import numpy as np
from in_memory import Hide, HideTests
from running import Fault


class BindsNothing(Hide):
    def bind(self, vocabulary):
        pass


class ForgetsOptions(Hide):
    def bind(self, vocabulary):
        bound = type(self)()
        bound.mask = vocabulary.mask
        return bound


class BindsItself(Hide):
    def bind(self, vocabulary):
        self.mask = vocabulary.mask
        return self


class BindsItsClass(Hide):
    """Shows the mask of whatever vocabulary was bound last."""

    def bind(self, vocabulary):
        type(self).mask = vocabulary.mask
        return self


class OptionOfAnyKind(Hide):
    def __init__(self, share=0.3, letters=frozenset("ACGT")):
        super().__init__(share)
        self.letters = letters


class FingerprintOfTheName(Hide):
    def fingerprint(self):
        return self.name


class FingerprintOfAHash(Hide):
    def fingerprint(self):
        return f"hide({hash(str(self.share))})"


class Hashes(Hide):
    def choose(self, tokens, draws):
        shown, chosen = super().choose(tokens, draws)
        return np.where(chosen, hash("mask"), shown), chosen


class LooksAtTheClock(Hide):
    def choose(self, tokens, draws):
        shown, chosen = super().choose(tokens, draws)
        return np.where(chosen, int(time.time() // 86_400), shown), chosen


class CountsInSecret(Hide):
    """Changes after 100 batches."""

    calls = 0

    def choose(self, tokens, draws):
        self.calls += 1
        return super().choose(tokens, draws)


class OneBufferForEachSize(Hide):
    buffers = {}  # noqa: RUF012 - the fault

    def choose(self, tokens, draws):
        shown, chosen = super().choose(tokens, draws)
        buffer = self.buffers.setdefault(shown.size, np.empty_like(shown))
        buffer[:] = shown
        return buffer, chosen


class HidesAnOption(Hide):
    def __init__(self, share=0.3, least=1):
        super().__init__(share)


class ChoosesByNumbers(Hide):
    def choose(self, tokens, draws):
        shown, chosen = super().choose(tokens, draws)
        return shown, chosen.astype(np.int8)


class LosesAToken(Hide):
    def choose(self, tokens, draws):
        shown, chosen = super().choose(tokens, draws)
        return shown[1:], chosen


class WritesInPlace(Hide):
    def choose(self, tokens, draws):
        shown, chosen = super().choose(tokens, draws)
        tokens.values[chosen] = self.mask
        return shown, chosen


class NeedsToWrite(Hide):
    def choose(self, tokens, draws):
        tokens.values[:] += 0
        return super().choose(tokens, draws)


class LeansOnTheFirst(Hide):
    """Shows every window the first one's first token, where it hides something."""

    def choose(self, tokens, draws):
        shown, chosen = super().choose(tokens, draws)
        return np.where(chosen, tokens.values[:1].sum() + len(tokens), shown), chosen


class Counts(Hide):
    def choose(self, tokens, draws):
        self.share += 0.1
        return super().choose(tokens, draws)


class RollsItsOwnDice(Hide):
    def choose(self, tokens, draws):
        shown, chosen = super().choose(tokens, draws)
        return np.where(chosen, random.randrange(1000), shown), chosen


class HoldsALambda(Hide):
    def __init__(self, share=0.3):
        super().__init__(share)
        self.less = lambda drawn: drawn < share


class FingerprintOfThisObject(Hide):
    def fingerprint(self):
        return f"hide {id(self)}"


class PredictsAll(Hide):
    predicts_all = True


class SaysTooLittle(Hide): ...


def _fault(wrong, check, complaint, **attributes):
    return Fault(HideTests, wrong, check, complaint, attributes=attributes)


FAULTS = [
    _fault(ForgetsOptions, "test_bind_keeps_the_options", "must keep the option 'share': 0.15 became 0.3"),
    _fault(BindsItself, "test_bind_keeps_the_options", "leave its own as it is"),
    _fault(BindsItsClass, "test_bind_leaves_others_as_they_are", "must not change what it bound before"),
    _fault(OptionOfAnyKind, "test_options_are_explicit", "option 'letters' must be JSON-like"),
    _fault(FingerprintOfTheName, "test_fingerprint", "must change with the option 'share'"),
    _fault(FingerprintOfAHash, "test_works_in_a_spawned_process", "must be the same in every process"),
    _fault(Hashes, "test_works_in_a_spawned_process", "must do the same in every process"),
    _fault(LooksAtTheClock, "test_draws_are_the_only_chance", "the clock or the process"),
    _fault(CountsInSecret, "test_is_deterministic", "must not change the objective"),
    _fault(OneBufferForEachSize, "test_answers_stay_as_they_are", "use no buffer twice"),
    _fault(BindsNothing, "test_bind_gives_an_objective", "must return an objective, not None"),
    _fault(HidesAnOption, "test_options_are_explicit", "'least' must be kept"),
    _fault(ChoosesByNumbers, "test_shapes", "as booleans, not int8"),
    _fault(LosesAToken, "test_shapes", "for each token"),
    _fault(WritesInPlace, "test_tokens_are_left_as_they_were", "must not write to the tokens"),
    _fault(NeedsToWrite, "test_tokens_are_left_as_they_were", "must accept read-only tokens; it raised ValueError"),
    _fault(LeansOnTheFirst, "test_a_window_does_not_depend_on_those_around_it", "the same alone and in company"),
    _fault(LeansOnTheFirst, "test_any_windows_are_chosen_one_by_one", "must be answered as each alone"),
    _fault(Counts, "test_is_deterministic", "what was asked before"),
    _fault(RollsItsOwnDice, "test_draws_are_the_only_chance", "must come from `draws`"),
    _fault(HoldsALambda, "test_it_pickles", "a bound objective must pickle"),
    _fault(FingerprintOfThisObject, "test_fingerprint", "must have equal fingerprints"),
    _fault(SaysTooLittle, "test_capabilities_are_as_declared", "'chooses' is not, and there it is", capabilities=()),
    _fault(PredictsAll, "test_capabilities_are_as_declared", "is declared, .* not there", capabilities=("chooses",)),
]
