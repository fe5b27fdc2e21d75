from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eden_core.reporting.windows import WindowCounts

PIECES = st.lists(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=60), max_size=6)


@given(PIECES, st.sampled_from([None, 41]))
def test_each_window_is_counted_in_its_epoch(pieces, size):
    counts, fresh = WindowCounts(size), []
    for piece in pieces:
        windows, epochs = (np.array([one[k] for one in piece], np.int64) for k in (0, 1))
        fresh += windows[counts.add(windows, epochs, windows // 4 * 4)].tolist()
    reads = [one for piece in pieces for one in piece]
    seen = {window for window, _ in reads}
    assert sorted(fresh) == sorted(seen)
    assert np.flatnonzero(counts.read).tolist() == sorted(seen)
    assert counts.contig_firsts().tolist() == sorted({window // 4 * 4 for window in seen})
    assert {w: n for w, n in enumerate(counts.total().tolist()) if n} == Counter(window for window, _ in reads)
    found = {(w, e): int(n) for e, epoch in counts.epochs.items() for w, n in enumerate(epoch) if n}
    assert found == Counter(reads)


def test_what_is_usual():
    counts = WindowCounts(10)
    counts.add(np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6]), np.zeros(12, np.int64), None)
    assert counts.usual(0, of_one_epoch=True, by_median=False) == 1
    assert counts.usual(0, of_one_epoch=False, by_median=False) == 2  # 12 reads of 10 windows
    assert counts.usual(0, of_one_epoch=False, by_median=True) == 2
