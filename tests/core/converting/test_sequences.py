import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_memory import MemoryStore

from eden_core.converting import sequences
from eden_core.converting.sequences import bases_of, contigs_of
from eden_core.errors import FormatError


class Counting(MemoryStore):
    most = 0

    def read(self, windows):
        rows = super().read(windows)
        self.most = max(self.most, rows.values.size)
        return rows


@given(st.lists(st.integers(0, 70), max_size=30))
def test_whole_sequences_come_from_bounded_reads(lengths):
    draw = random.Random(1)
    held = {f"B__X-S__c{i:02}": "".join(draw.choices("ACGTn", k=n)).encode() for i, n in enumerate(lengths)}
    store = Counting("")
    store.sequences = held
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences, "BASES_AT_ONCE", 32)
        found = [bases for batch in contigs_of(store, "S") for bases in bases_of(store, batch)] if held else []
    assert found == list(held.values())
    assert store.most <= 32


def test_a_sequence_that_is_shorter_than_listed_is_refused():
    store = MemoryStore("where")
    store.sequences = {"B__X-S__c": b"ACGT"}
    listed = pa.RecordBatch.from_pydict({"contig_id": ["B__X-S__c"], "length": np.array([5])})
    with pytest.raises(FormatError, match=r"where: contig 'B__X-S__c' has no 5 bases.* gave 4"):
        list(bases_of(store, listed))
