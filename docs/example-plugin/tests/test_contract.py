from pathlib import Path

import numpy as np
import pytest
from eden_text_files import TextFiles

from eden_core import SequenceStore, Windows, extract_sample_id
from eden_core.errors import RepeatedIdError
from eden_core.testing import SequenceStoreTests


class TestTextFiles(SequenceStoreTests):
    capabilities = ("samples", "contigs", "writes", "removes")

    def make_store(self, location: Path, sequences: dict[str, bytes]) -> SequenceStore:
        store = TextFiles(str(location))
        for sample in {extract_sample_id(sequence_id) for sequence_id in sequences}:
            store.write_shard(sample, ((i, bases) for i, bases in sequences.items() if extract_sample_id(i) == sample))
        return store


@pytest.mark.parametrize("end", ["../../x", "a b", "100%2F", "+", "é", ""])
def test_any_id_is_a_safe_file_name(tmp_path: Path, end: str) -> None:
    sequence_id = f"BCR__ECT-S1__{end}"
    store = TextFiles(str(tmp_path / "store"), suffix=".seq")
    store.write_shard("S1", [(sequence_id, b"ACGTT")])
    window = Windows(np.array([0]), (sequence_id,), np.array([1]), np.array([3]))
    assert store.read(window).values.tobytes() == b"CGT"
    assert [batch.to_pylist() for batch in store.contigs()] == [[{"contig_id": sequence_id, "length": 5}]]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_an_id_that_repeats_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepeatedIdError, match="more than once"):
        TextFiles(str(tmp_path)).write_shard("S1", [("BCR__ECT-S1__1", b"A"), ("BCR__ECT-S1__1", b"C")])
    assert list(tmp_path.iterdir()) == []
