"""Transform "reverse-complement": reads a window from the other strand with a given probability."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from eden_core import Draws, Ragged, SequenceBatch, Transform, hookimpl
from eden_core.errors import ConfigurationError
from eden_core.kernels import flipped

EDEN_INTERFACE = 1

_LETTERS = b"ACGTURYSWKMBDHVNacgturyswkmbdhvn"
_COMPLEMENTS = b"TGCAAYRSWMKVHDBNtgcaayrswmkvhdbn"
_TABLE = bytes.maketrans(_LETTERS, _COMPLEMENTS)
_ENTRIES = np.frombuffer(_TABLE, np.uint8)


class ReverseComplement(Transform):
    """Replaces the bases of a window by their reverse complement; loss weights turn with their bases.

    All IUPAC letters keep their case: R <-> Y, K <-> M, B <-> V, D <-> H; S, W and N stay (Cornish-Bowden, "Nomenclature for
    incompletely specified bases in nucleic acid sequences", Nucleic Acids Research 13, 1985). U becomes A.

    Args:
        probability: chance that a window is turned, 0 … 1.

    Raises:
        ConfigurationError: the probability is out of range.
    """

    name: ClassVar[str] = "reverse-complement"
    augments: ClassVar[bool] = True

    def __init__(self, probability: float = 0.5) -> None:
        if not isinstance(probability, int | float) or not 0 <= probability <= 1:
            raise ConfigurationError(f"the probability of a reverse complement must be between 0 and 1, not {probability!r}")
        self.probability = probability

    def apply(self, batch: SequenceBatch, draws: Draws) -> SequenceBatch:
        """Turn the windows that drew a number below the probability."""
        turned = draws.uniform(self.name) < self.probability
        if not turned.any():
            return batch
        offsets = batch.bases.offsets
        bases = Ragged(flipped(batch.bases.values, offsets, turned, _ENTRIES), offsets)
        if batch.weights is None:
            return replace(batch, bases=bases)
        weights = batch.weights.values.copy()
        for i in np.flatnonzero(turned).tolist():
            row = slice(int(offsets[i]), int(offsets[i + 1]))
            weights[row] = weights[row][::-1].copy()
        return replace(batch, bases=bases, weights=Ragged(weights, offsets))


def reverse_complement(sequence: bytes | bytearray) -> bytes | bytearray:
    """Return the other strand of a sequence; bytes that are no IUPAC letters stay as they are.

    >>> reverse_complement(b"ACCGTnR")
    b'YnACGGT'
    """
    return sequence.translate(_TABLE)[::-1]


@hookimpl
def eden_transforms() -> list[type[Transform]]:
    """Offer the transform."""
    return [ReverseComplement]
