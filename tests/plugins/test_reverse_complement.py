import numpy as np
import pytest
from plain import plain_reverse_complement

from eden_core import Draws, Picks, Ragged, SequenceBatch, Windows, errors
from eden_reverse_complement import ReverseComplement, reverse_complement

IUPAC = "ACGTRYSWKMBDHVN"


def batch_of(rows: list[str], weights: list[list[float]] | None = None, first: int = 0) -> SequenceBatch:
    numbers = np.arange(len(rows)) + first
    picks = Picks(numbers, numbers * 0, np.arange(len(rows)), np.zeros(len(rows), np.int16))
    windows = Windows(numbers, ("x",) * len(rows), numbers * 0, np.array([len(row) for row in rows]))
    bases = Ragged.from_rows([np.frombuffer(row.encode(), np.uint8) for row in rows], np.uint8)
    given = None if weights is None else Ragged.from_rows(weights, np.float32)
    return SequenceBatch(picks, windows, bases, Ragged.empty(len(rows), np.int64), given)


def turned(batch: SequenceBatch, probability: float = 1.0, seed: int = 1) -> SequenceBatch:
    return ReverseComplement(probability).apply(batch, Draws(seed, batch.picks))


def test_all_letters_in_both_cases():
    letters = IUPAC + IUPAC.lower()
    assert reverse_complement(letters.encode()).decode() == plain_reverse_complement(letters)


def test_twice_is_once_too_often():
    assert reverse_complement(reverse_complement(IUPAC.encode())) == IUPAC.encode()


def test_uracil_pairs_with_adenine():
    assert reverse_complement(b"Uu") == b"aA"


def test_exactly_the_bases_that_were_read_are_turned():
    rows = ["ACGTN", "a", "GGGC"]
    assert [row.tobytes().decode() for row in turned(batch_of(rows)).bases] == [plain_reverse_complement(row) for row in rows]


def test_weights_turn_with_their_bases():
    made = turned(batch_of(["ACG", "TT"], [[1, 2, 3], [4, 5]]))
    assert made.weights.values.tolist() == [3, 2, 1, 5, 4]


def test_probability_zero_turns_nothing():
    batch = batch_of(["ACG"])
    assert turned(batch, 0.0).bases.values.tobytes() == b"ACG"


def test_half_of_the_windows_are_turned():
    made = turned(batch_of(["AAA"] * 4000), 0.5)
    share = (made.bases.values == ord("T")).mean()
    assert 0.45 < share < 0.55


def test_the_decision_belongs_to_the_window_not_to_its_place():
    whole = turned(batch_of(["AAA"] * 100), 0.5)
    part = turned(batch_of(["AAA"] * 50, first=50), 0.5)
    assert part.bases.values.tobytes() == whole.bases.values[150:].tobytes()


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_a_probability_out_of_range(probability):
    with pytest.raises(errors.ConfigurationError, match="between 0 and 1"):
        ReverseComplement(probability)


def test_the_fingerprint_names_the_option():
    assert ReverseComplement(0.25).fingerprint() == "reverse-complement(probability=0.25)"
