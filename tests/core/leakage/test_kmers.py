import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.leakage.kmers import SAMPLED, K, sampled_kmers

COMPLEMENT = str.maketrans("ACGTacgt", "TGCAtgca")


def random_bases(count, seed=1):
    return "".join(random.Random(seed).choices("ACGT", k=count))


def sketch(bases: str):
    hashes, positions = sampled_kmers(np.frombuffer(bases.encode(), np.uint8))
    return dict(zip(positions.tolist(), hashes.tolist(), strict=True))


def test_a_quarter_is_sampled():
    assert len(sketch(random_bases(300_000))) / 300_000 == pytest.approx(SAMPLED, rel=0.02)


def test_positions_go_on_across_pieces():
    bases = random_bases(140_000)
    whole = sketch(bases)
    for start in (1, 65_000, 131_000):
        part = sketch(bases[start:])
        assert {position + start: value for position, value in part.items()} == {p: v for p, v in whole.items() if p >= start}


@given(st.text("ACGT", max_size=120), st.integers(0, 99))
def test_both_strands_have_the_same_kmers(bases, seed):
    bases += random_bases(60, seed)
    other = sketch(bases.translate(COMPLEMENT)[::-1])
    assert sketch(bases) == {len(bases) - K - position: value for position, value in other.items()}


def test_case_and_u_do_not_matter():
    bases = random_bases(500)
    assert sketch(bases) == sketch(bases.lower()) == sketch(bases.replace("T", "U"))


@pytest.mark.parametrize("letter", ["N", "R", "-"])
def test_ambiguous_letters_break_kmers(letter):
    bases = random_bases(2000)
    broken = bases[:1000] + letter + bases[1001:]
    assert sketch(broken) == {p: v for p, v in sketch(bases).items() if not p <= 1000 < p + K}


def test_different_kmers_have_different_hashes():
    hashes = sketch(random_bases(200_000)).values()
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("unit", ["A", "CA", "GAT", "TTAGGG"])
def test_microsatellites_are_left_out(unit):
    assert not sketch((unit * 2000)[:2000])
    noisy = list((unit * 20_000)[:20_000])
    for place in range(0, len(noisy), 30):
        noisy[place] = "G"
    assert len(sketch("".join(noisy))) < 20


@pytest.mark.parametrize("length", [0, 1, K - 1])
def test_short_sequences_have_none(length):
    assert not sketch(random_bases(length))
