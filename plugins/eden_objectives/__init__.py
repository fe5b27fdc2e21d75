"""Objectives "causal" (next-token prediction) and "mlm" (masked-language modelling)."""

from copy import copy
from functools import lru_cache
from math import log
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from eden_core import Draws, Objective, Ragged, Vocabulary, hookimpl
from eden_core.errors import ConfigurationError

EDEN_INTERFACE = 1

_BASES = "ACGT"


class Causal(Objective):
    """Every token is shown, and predicted from those before it."""

    name: ClassVar[str] = "causal"


class MaskedLanguage(Objective):
    """Some bases are predicted in their places, most of them hidden behind the mask token.

    Of the chosen bases a share is replaced by the mask token, a share by a random base, and the rest is shown as it is (Devlin
    et al., "BERT", 2019: 15 %, 80 % and 10 %). With `mean_span` above 1 they are chosen in spans of geometrically distributed
    length (Joshi et al., "SpanBERT", 2020), whose starts are as frequent as it takes for the share to be the same; a span ends
    with its window, so in windows that are not much longer than spans fewer bases are chosen.

    Args:
        probability: share of the bases that are chosen.
        mask_share: share of these that become the mask token.
        random_share: share of these that become a random base of A, C, G and T.
        mean_span: mean length of a span, in bases.

    Raises:
        ConfigurationError: a number is out of its range, or the vocabulary has no mask token.
    """

    name: ClassVar[str] = "mlm"
    shifted: ClassVar[bool] = False
    predicts_all: ClassVar[bool] = False

    def __init__(
        self, probability: float = 0.15, mask_share: float = 0.8, random_share: float = 0.1, mean_span: float = 1.0
    ) -> None:
        given = (probability, mask_share, random_share, mean_span)
        if not all(isinstance(number, int | float) for number in given):
            raise ConfigurationError(f"mlm: probability, mask_share, random_share and mean_span must be numbers, not {given!r}")
        if not 0 < probability < 1:
            raise ConfigurationError(f"mlm: probability must lie between 0 and 1, not be {probability!r}")
        if not (mask_share >= 0 and random_share >= 0 and mask_share + random_share <= 1):
            raise ConfigurationError(
                f"mlm: mask_share {mask_share!r} and random_share {random_share!r} must be 0 or more, and together 1 at most"
            )
        if not 1 <= mean_span < np.inf:
            raise ConfigurationError(f"mlm: mean_span must be 1 base or more, not {mean_span!r}")
        self.probability = probability
        self.mask_share = mask_share
        self.random_share = random_share
        self.mean_span = mean_span
        self._mask = 0
        self._bases: NDArray[np.int64] = np.empty(0, np.int64)

    def bind(self, vocabulary: Vocabulary) -> Self:
        """Return an objective that knows the ids of the mask token and of the bases."""
        if vocabulary.mask is None:
            raise ConfigurationError(
                f"objective 'mlm' needs a mask token, which tokenizer {vocabulary.name} lacks; expected an attribute mask_id "
                "or mask_token_id, or use the tokenizer 'nucleotide'"
            )
        if vocabulary.table is None and self.random_share:
            raise ConfigurationError(
                f"objective 'mlm' cannot draw random bases for tokenizer {vocabulary.name}, which does not give one token a "
                "base: set random_share to 0"
            )
        bound = copy(self)
        bound._mask = vocabulary.mask  # noqa: SLF001 - of the same class
        if vocabulary.table is not None:
            bound._bases = vocabulary.table[list(_BASES.encode())]  # noqa: SLF001
        return bound

    def choose(self, tokens: Ragged[Any], draws: Draws) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Choose bases, and what is shown in their places."""
        drawn = draws.uniform_per_base(self.name, tokens.lengths).values
        if self.mean_span > 1:
            chosen = self._in_spans(tokens, drawn, draws)
            what = draws.uniform_per_base(f"{self.name} shown", tokens.lengths).values[chosen]
        else:
            chosen = drawn < self.probability
            what = drawn[chosen] / self.probability  # uniform again
        values = tokens.values if self._mask < 256 or tokens.values.dtype != np.uint8 else tokens.values.astype(np.int64)
        shown, hidden = values.copy(), values[chosen]
        hidden[what < self.mask_share] = self._mask
        random = (what >= self.mask_share) & (what < self.mask_share + self.random_share)
        if self.random_share:
            hidden[random] = self._bases[((what[random] - self.mask_share) / self.random_share * 4).astype(np.int64) & 3]
        shown[chosen] = hidden
        return shown, chosen

    def _in_spans(self, tokens: Ragged[Any], drawn: NDArray[np.float64], draws: Draws) -> NDArray[np.bool_]:
        starts = np.flatnonzero(drawn < _start_rate(self.probability, self.mean_span))
        lengths = draws.uniform_per_base(f"{self.name} spans", tokens.lengths).values[starts]
        spans = 1 + (np.log1p(-lengths) / log(1 - 1 / self.mean_span)).astype(np.int64)
        ends = tokens.offsets[np.searchsorted(tokens.offsets, starts, side="right")]
        reach = np.zeros(drawn.size, np.int64)
        reach[starts] = np.minimum(starts + spans, ends)
        return np.asarray(np.maximum.accumulate(reach) > np.arange(drawn.size), bool)


@lru_cache(maxsize=16)
def _start_rate(probability: float, mean_span: float) -> float:
    """Return how often spans must begin for this share of bases to lie in one or more.

    A base is in none if no span that begins k bases before it is longer than k: the product over k of 1 - rate * r^k, where
    r = 1 - 1 / mean_span. Its logarithm is minus the sum over j of rate^j / (j (1 - r^j)).
    """
    powers = np.arange(1, 4096)
    weights = 1 / (powers * -np.expm1(powers * np.log1p(-1 / mean_span)))
    low, high = 0.0, probability
    for _ in range(60):
        rate = (low + high) / 2
        low, high = (low, rate) if (rate**powers * weights).sum() > -log(1 - probability) else (rate, high)
    return high


@hookimpl
def eden_objectives() -> list[type[Objective]]:
    """Offer the objectives."""
    return [Causal, MaskedLanguage]
