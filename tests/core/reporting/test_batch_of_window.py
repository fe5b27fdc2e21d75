import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eden_core.batch import Ragged
from eden_core.reporting.accesses import Batches
from eden_core.reporting.batch_of_window import BatchOfWindow


@st.composite
def logs(draw):
    """Batches at times that may go back: (time, sources of the windows, continued ones, whether the windows are in the log)."""
    times = draw(st.lists(st.integers(0, 50), min_size=1, max_size=12, unique=True))
    found = []
    for time in times:
        sources = draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
        continued = draw(st.lists(st.booleans(), min_size=len(sources), max_size=len(sources)))
        found.append((time, sources, continued, draw(st.booleans())))
    return found


def blocks(log, size):
    for first in range(0, len(log), size):
        some = log[first : first + size]
        none = np.zeros(len(some), np.int64)
        sources = Ragged.from_rows([one[1] for one in some], np.int16)
        continued = Ragged.from_rows([np.flatnonzero(one[2]) for one in some], np.int64)
        rows = Ragged.empty(len(some), np.int64)
        yield Batches(none, np.array([one[0] for one in some]), none, rows, none, sources, continued)


@given(logs(), st.integers(1, 12), st.integers(1, 20))
def test_windows_get_what_the_line_of_their_batch_says_also_where_others_are_lost(log, block, piece):
    lines = [(t, s, c) for t, sources, continued, kept in log if kept for s, c in zip(sources, continued, strict=True)]
    said = BatchOfWindow(blocks(log, block))
    for first in range(0, len(lines), piece):
        times, sources, continued = zip(*lines[first : first + piece], strict=True)
        found = said.take(np.array(times))
        assert found.found.all()
        assert (tuple(found.sources), tuple(found.continued)) == (sources, continued)


@given(logs())
def test_windows_whose_batch_has_no_line_are_named(log):
    lost = [time for time, _, _, kept in log if not kept]
    times = [time for time, *_ in log]
    said = BatchOfWindow(blocks([one for one in log if one[3]], 3))
    assert said.take(np.array(times)).found.tolist() == [time not in lost for time in times]
