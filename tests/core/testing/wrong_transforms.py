"""Transforms with one fault each."""

import random
from dataclasses import replace

import numpy as np
from in_memory import Trim

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
        return with_tokens(super().apply(batch, draws), [int(batch.bases.lengths[0])] * len(batch.windows))


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


class HidesAnOption(Trim):
    def __init__(self, most=9, least=1):
        super().__init__(most)


class CatchAll(Trim):
    def __init__(self, **options):
        super().__init__(**options)


class FingerprintOfThisObject(Trim):
    def fingerprint(self):
        return f"trim {id(self)}"
