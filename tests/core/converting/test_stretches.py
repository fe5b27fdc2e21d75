from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from eden_core.converting.stretches import STRETCH, first_difference, joined, stretches_of_rows
from eden_core.tiling import Tiling

STRIDE = 3
WINDOWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4)), unique=True).map(sorted)


def batch(rows) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(STRETCH.names, row, strict=True)) for row in rows], STRETCH)


@given(WINDOWS, st.integers(1, 3))
def test_however_windows_are_listed_their_stretches_are_the_same(windows, size):
    single = [(name, STRIDE * number, 1) for name, number in windows]
    batches = (batch(single[i : i + size]) for i in range(0, len(single), size))
    found = [row for part in joined(batches, STRIDE) for row in rows(part)]
    assert [(name, start + i * STRIDE) for name, start, count in found for i in range(count)] == [one[:2] for one in single]
    assert all((name, start + count * STRIDE) != after[:2] for (name, start, count), after in pairwise(found))


def rows(part: pa.RecordBatch) -> list[tuple]:
    return [tuple(row.values()) for row in part.to_pylist()]


def test_contigs_without_windows_are_passed_over():
    contigs = pa.RecordBatch.from_pydict({"contig_id": ["a", "b", "c"], "length": np.array([9, 1, 30])})
    found = pa.Table.from_batches(stretches_of_rows([contigs], Tiling(10, 8, min_length=5)))
    assert found.to_pylist() == [{"contig_id": "a", "start": 0, "windows": 1}, {"contig_id": "c", "start": 0, "windows": 3}]


def test_the_first_difference_is_told():
    one, other = batch([("a", 0, 1), ("b", 0, 2)]), batch([("a", 0, 1), ("b", 0, 3)])
    assert first_difference([one], [one.slice(0, 1), one.slice(1)]) is None
    assert first_difference([one], [other]) == (
        "3 windows of contig 'b' from base 0 on where there should be 2 windows of contig 'b' from base 0 on"
    )
    assert "no further windows where" in first_difference([one], [one.slice(0, 1)])
