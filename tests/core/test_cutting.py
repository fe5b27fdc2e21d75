import numpy as np
import pyarrow as pa
import pytest

from eden_core import Tiling
from eden_core.cutting import Cut, why_no_window

TILING = Tiling(10, 8)


def test_whole_contigs_begin_at_their_first_window():
    cut = Cut.of(pa.record_batch({"contig_id": ["a", "b"], "length": [3, 26]}), TILING)
    assert (cut.firsts.tolist(), cut.counts.tolist(), cut.rests.tolist()) == ([0, 0], [1, 3], [3, 26])


def test_intervals_begin_at_a_multiple_of_the_stride():
    batch = pa.record_batch({"contig_id": ["a", "a"], "start": [3, 40], "length": [15, 5]})
    cut = Cut.of(batch, TILING)
    assert (cut.firsts.tolist(), cut.counts.tolist(), cut.rests.tolist()) == ([1, 5], [1, 0], [10, 5])


def test_an_interval_at_the_end_of_its_contig_may_have_a_short_window():
    batch = pa.record_batch({"contig_id": ["a", "a"], "start": [3, 40], "length": [15, 5], "contig_length": [45, 45]})
    assert Cut.of(batch, TILING).counts.tolist() == [1, 1]


def test_bases_are_those_that_rows_have_room_for():
    cut = Cut.of(pa.record_batch({"contig_id": ["a"], "length": [26]}), Tiling(10, 4))
    assert cut.bases_read == np.array([24])
    assert cut.bases_read_again == np.array([4 * 4])
    assert cut.bases_in_rows == np.array([5 * 8])


@pytest.mark.parametrize(
    ("tiling", "rows", "intervals", "why"),
    [
        (TILING, 2, False, "none of its 2 contigs has 1 base or more"),
        (Tiling(10, 8, 3), 1000, False, "none of its 1,000 contigs has 3 bases or more"),
        (Tiling(10, 8, 11), 1, False, "the window size 10 is below the minimum length 11"),
        (TILING, 1, True, "its one region, of 15 bases, has no whole window of 10 (they begin at multiples of 8 in a contig)"),
        (TILING, 3, True, "none of its 3 regions, the longest of 15 bases, has a whole window of 10 (they begin at multiples"),
    ],
)
def test_why_there_is_no_window(tiling, rows, intervals, why):
    assert why_no_window(tiling, rows, 15, intervals=intervals).startswith(why)
