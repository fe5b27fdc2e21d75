import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eden_core.composition import counts, has_foreign, has_lower, histogram
from eden_core.contigs import COUNTED


def plain_counts(bases: str) -> list[int]:
    upper = [base.upper() for base in bases]
    named = [upper.count(letter) for letter in "ACGTN"]
    return [*named, len(bases) - sum(named), sum(base.islower() for base in bases)]


@given(st.text("ACGTNacgtnRYu-*", max_size=300))
def test_letters_are_counted(bases):
    found = histogram(bases.encode())
    assert counts(found[None])[0].tolist() == plain_counts(bases)
    assert has_lower(found) == any(base.islower() for base in bases)
    assert has_foreign(found) == any(base in "-*" for base in bases)


def test_long_sequences():
    bases = "ACGTTnR" * 50_000
    assert counts(np.array([histogram(bases.encode())])).shape == (1, len(COUNTED))
    assert counts(histogram(bases.encode())[None])[0].tolist() == plain_counts(bases)
