"""Objectives with one fault each, and which check must find it."""

import random

import numpy as np
from in_memory import Hide, HideTests
from running import Fault


class BindsNothing(Hide):
    def bind(self, vocabulary):
        pass


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
