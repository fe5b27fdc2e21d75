import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from plain import plain_reverse_complement

from eden_core.importing import duplicates
from eden_core.importing.duplicates import strandless_digest, write_duplicates


@given(st.text("ACGTNRYacgt", min_size=1, max_size=40))
def test_both_strands_have_one_digest(bases):
    other = plain_reverse_complement(bases).lower()
    assert strandless_digest(bases.encode()) == strandless_digest(other.encode())


def test_other_sequences_have_another():
    assert strandless_digest(b"ACGG") != strandless_digest(b"ACGA")


def test_the_first_of_equal_ones_stays(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    files = [rng.integers(0, 40, (rng.integers(0, 60), 1), np.uint64).repeat(2, 1) for _ in range(7)]
    for number, words in enumerate(files):
        np.save(tmp_path / f"{number}.digests.npy", words)
    monkeypatch.setattr(duplicates, "_PARTITION_BYTES", 256)
    digests, repeats = ([tmp_path / f"{number}.{what}.npy" for number in range(7)] for what in ("digests", "repeats"))
    write_duplicates(digests, repeats)
    seen = set()
    for words, path in zip(files, repeats, strict=True):
        assert np.load(path).tolist() == [i for i, word in enumerate(words[:, 0].tolist()) if word in seen or seen.add(word)]
