from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eden_core.leakage.equal_runs import run_starts


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans())))
def test_runs_begin_where_a_value_changes(rows):
    keys = np.array([key for key, _ in rows], np.int64), np.array([key for _, key in rows], bool)
    lengths = [len(list(group)) for _, group in groupby(rows)]
    assert run_starts(*keys).tolist() == [sum(lengths[:i]) for i in range(len(lengths))]
