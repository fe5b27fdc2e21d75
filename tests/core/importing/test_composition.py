from hypothesis import given
from hypothesis import strategies as st

from eden_core.importing.composition import count_letters, has_foreign


def plain_counts(bases: str) -> list[int]:
    upper = [base.upper() for base in bases]
    named = [upper.count(letter) for letter in "ACGTN"]
    return [*named, len(bases) - sum(named), sum(base.islower() for base in bases)]


@given(st.text("ACGTNacgtnRYu-*", max_size=300))
def test_letters_are_counted(bases):
    assert count_letters(bases.encode()) == plain_counts(bases)
    assert has_foreign(bases.encode()) == any(base in "-*" for base in bases)


def test_long_sequences():
    for bases in ("ACGTTnR" * 50_000, "A" * 70_000 + "acgtN-" * 1000):
        assert count_letters(bases.encode()) == plain_counts(bases)


def test_every_byte():
    every = bytes(range(256))
    assert count_letters(every) == [2, 2, 2, 2, 2, 246, 26]
