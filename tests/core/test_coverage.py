from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from eden_core import Tiling
from eden_core.coverage import CoverageCount, with_and_without_tail


def times_seen(length: int, tiling: Tiling) -> Counter[int]:
    """How many bases of a contig are seen how often, base by base."""
    count = int(tiling.counts(np.array([length]))[0])
    starts = [i * tiling.stride for i in range(count)]
    seen = [sum(start <= base < start + tiling.row_bases for start in starts) for base in range(length)]
    return Counter(min(times, 2) for times in seen)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=6), st.integers(1, 50), st.integers(1, 60), st.integers(0, 20))
def test_bases_by_how_often_they_are_seen(lengths, window_size, stride, min_length):
    for tiling in with_and_without_tail(Tiling(window_size, stride, min_length)).values():
        count = CoverageCount(tiling)
        batch = pa.record_batch({"contig_id": [str(i) for i in range(len(lengths))], "length": lengths})
        count.add(batch.slice(0, 2))
        count.add(batch.slice(2))
        expected = sum((times_seen(length, tiling) for length in lengths), Counter())
        found = count.coverage
        assert (found.never_seen, found.seen_once, found.seen_more) == (expected[0], expected[1], expected[2])
        assert found.windows == sum(found.windows_by_class) == tiling.counts(np.array(lengths)).sum()
        assert found.padding == found.windows * tiling.row_bases - tiling.bases_in_rows(np.array(lengths)).sum()


def test_windows_by_length_of_the_whole_contig():
    batch = pa.record_batch({"contig_id": ["a", "a"], "length": [64, 64], "start": [0, 640], "contig_length": [2000, 2000]})
    count = CoverageCount(Tiling(64, 64))
    count.add(batch)
    assert count.coverage.windows_by_class[:3] == (0, 0, 2)


def test_both_tilings_differ_in_the_tail_alone():
    tilings = with_and_without_tail(Tiling(8, 8, 3))
    assert tilings == {"without_tail": Tiling(8, 8, 3), "with_tail": Tiling(8, 8, 3, True, 7)} | {
        "without_tail": replace(Tiling(8, 8, 3), reserve=16)
    }
