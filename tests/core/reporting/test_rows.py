import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eden_core.reporting.rows import RowReaders

READS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=60)


@given(READS)
def test_rows_are_read_once_again_or_by_two_ranks(reads):
    readers, first = RowReaders(), {}
    again = overlaps = 0
    for row, session, rank in reads:
        readers.add(np.array([row]), session, rank)
        if row in first and first[row][0] == session and first[row][1] != rank:
            overlaps += 1
        elif row in first:
            again += 1
        first.setdefault(row, (session, rank))
    assert (readers.read, readers.again, readers.overlaps) == (len(first), again, overlaps)
    described = readers.described(8)
    missing = set(range(min(first), max(first) + 1)) - set(first)
    listed = [row for start, stop, _ in described["ranges"] for row in range(start, stop)]
    assert sorted(listed) == sorted(missing)
    assert described["missing"] == len(missing)


def test_rows_at_the_end_of_an_epoch_are_told_apart():
    readers = RowReaders()
    readers.add(np.array([0, 1, 2, 5, 8, 9]), 0, 0)
    found = readers.described(8)
    assert found["ranges"] == [[3, 5, False], [6, 8, True]]
    assert (found["missing"], found["at_ends"]) == (4, 2)


def test_rows_without_a_window_do_not_count_as_missing():
    readers = RowReaders()
    readers.add(np.array([0, 2]), 0, 0)
    readers.fill(np.array([0, 1, 2]), 0, 0)
    assert readers.described(None)["missing"] == 0
    assert readers.again == 0
