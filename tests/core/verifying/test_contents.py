import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import write_seed_shard

from eden_core.contigs import digest_of_bases
from eden_core.runs import N_RUNS, SOFT_MASKED, n_runs, soft_masked
from eden_core.verifying import contents
from eden_core.verifying.contents import Contents, contents_of
from eden_sqlite.store import SqliteShards


@given(st.lists(st.text("ACGTNacgtnRx").map(str.encode)))
def test_pieces_come_to_what_the_whole_is(pieces):
    whole, found = b"".join(pieces), Contents(counted=True)
    for piece in pieces:
        found.add(piece)
    assert (found.length, found.digest, found.nul) == (len(whole), digest_of_bases(whole), None)
    for table, finder in ((N_RUNS, n_runs), (SOFT_MASKED, soft_masked)):
        wanted = finder(whole) or (np.empty(0), np.empty(0))
        assert [side.tolist() for side in found.runs(table)] == [side.tolist() for side in wanted]
    text = whole.decode()
    counts = [text.upper().count(letter) for letter in "ACGTN"]
    assert found.counts == [*counts, len(text) - sum(counts), sum(map(str.islower, text))]


@given(st.lists(st.sampled_from([b"AC", b"A\0", b""])))
def test_the_first_nul(pieces):
    found = Contents()
    for piece in pieces:
        found.add(piece)
    place = b"".join(pieces).find(b"\0")
    assert found.nul == (None if place < 0 else place)


@pytest.mark.parametrize("at_once", [3, 10, 1000])
def test_contigs_of_all_lengths(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(contents, "_BASES_AT_ONCE", at_once)
    sequences = {f"c{i}": "ACGTnNNa"[: i % 9] * (1 + i % 3) for i in range(30)}
    write_seed_shard(tmp_path, "S", sequences)
    lengths = np.array([len(bases) for bases in sequences.values()])
    with SqliteShards(str(tmp_path)) as store:
        found = list(contents_of(store, list(sequences), lengths))
    assert [one.digest for one in found] == [digest_of_bases(bases.encode()) for bases in sequences.values()]
