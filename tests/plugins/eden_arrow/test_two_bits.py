import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_arrow import two_bits
from eden_arrow.two_bits import BLOCK, RUN, apply_runs, directory_bytes, packed, packed_bytes, unpacked

STRETCHES = st.tuples(
    st.sampled_from(["ACGT", "acgt", "N", "n", "RYK", "ACGTacgtNnRYkm*-"]), st.integers(1, 300), st.integers(0)
)
ANY = st.lists(STRETCHES, max_size=6).map(lambda some: b"".join(letters(*one) for one in some))


def letters(alphabet: str, count: int, seed: int) -> bytes:
    return np.random.default_rng(seed).choice(np.frombuffer(alphabet.encode(), np.uint8), count).tobytes()


def window(value: bytes, length: int, runs: int, start: int, stop: int) -> bytes:
    """The bases of a window, read as the format's description says."""
    raw = np.frombuffer(value, np.uint8)[start // 4 : (stop + 3) // 4]
    bases = unpacked(np.append(raw, np.zeros(raw.size % 2, np.uint8)))[start % 4 :][: stop - start].copy()
    if runs and stop > start:
        directory = (length + 3) // 4
        before = np.frombuffer(value, "<u4", directory_bytes(length) // 4, directory)
        blocks = np.arange(start // BLOCK, (stop - 1) // BLOCK + 1)
        found = np.frombuffer(value, RUN, runs, directory + directory_bytes(length))[before[blocks[0]] : before[blocks[-1] + 1]]
        apply_runs(bases, found, np.repeat(blocks * BLOCK - start, np.diff(before)[blocks]))
    return bases.tobytes()


@given(st.lists(ANY, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_any_window_of_any_letters(sequences, random):
    values, runs = packed(sequences)
    for bases, value, count in zip(sequences, values, runs.tolist(), strict=True):
        assert len(value) == packed_bytes(len(bases), count)
        start = random.randint(0, len(bases))
        stop = random.randint(start, len(bases))
        assert window(bytes(value), len(bases), count, start, stop) == bases[start:stop]


@pytest.mark.parametrize("piece", [two_bits._PIECE, BLOCK, 2 * BLOCK])
def test_runs_across_blocks_and_pieces(monkeypatch, piece):
    monkeypatch.setattr(two_bits, "_PIECE", piece)
    bases = b"N" * (BLOCK - 1) + b"acgtN" + b"A" * BLOCK + b"n" * (2 * BLOCK) + b"ACG"
    (value,), runs = packed([bases])
    for start, stop in [
        (0, len(bases)),
        (BLOCK - 3, BLOCK + 9),
        (BLOCK, BLOCK),
        (2 * BLOCK, 4 * BLOCK),
        (len(bases) - 5, len(bases)),
    ]:
        assert window(bytes(value), len(bases), int(runs[0]), start, stop) == bases[start:stop]


def test_four_bases_take_a_byte():
    (value,), runs = packed([b"ACGT" * 1000])
    assert (len(value), runs.tolist()) == (1000, [0])


def test_no_sequence_has_no_bytes():
    (value,), runs = packed([b""])
    assert (len(value), runs.tolist()) == (0, [0])
