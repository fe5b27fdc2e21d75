from collections import Counter
from itertools import groupby

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
        fresh += windows[counts.add(windows, epochs)].tolist()
    reads = [one for piece in pieces for one in piece]
    seen = {window for window, _ in reads}
    assert sorted(fresh) == sorted(seen)
    assert np.flatnonzero(counts.read).tolist() == sorted(seen)
    assert {w: n for w, n in enumerate(counts.total().tolist()) if n} == Counter(window for window, _ in reads)
    found = {(w, e): int(n) for e, epoch in counts.epochs.items() for w, n in enumerate(epoch) if n}
    assert found == Counter(reads)


CONTIGS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 9)), min_size=1, max_size=8)


@given(CONTIGS, st.data())
def test_stretches_are_of_one_sequence_each(contigs, data):
    """Contigs of some windows, whose first one in the index is not the first one of the sequence."""
    numbers = [(contig, skipped + i) for contig, (windows, skipped) in enumerate(contigs) for i in range(windows)]
    read = np.array(sorted(data.draw(st.sets(st.integers(0, len(numbers) - 1), min_size=1))), np.int64)
    origin = {int(window): int(window) - numbers[window][1] for window in read}
    counts = WindowCounts(None)
    counts.add(read, np.zeros(read.size, np.int64), np.array([numbers[window][1] for window in read]))
    firsts, stops, origins = counts.stretches()
    runs = [(begun, list(windows)) for begun, windows in groupby(read.tolist(), origin.get)]
    assert origins.tolist() == [begun for begun, _ in runs]
    found = [[window for window in read.tolist() if first <= window < stop] for first, stop in zip(firsts, stops, strict=True)]
    assert found == [windows for _, windows in runs]
    assert (firsts[1:] >= stops[:-1]).all()


def test_what_is_usual():
    counts = WindowCounts(10)
    counts.add(np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6]), np.zeros(12, np.int64))
    assert counts.usual(0, of_one_epoch=True, by_median=False) == 1
    assert counts.usual(0, of_one_epoch=False, by_median=False) == 2  # 12 reads of 10 windows
    assert counts.usual(0, of_one_epoch=False, by_median=True) == 2
