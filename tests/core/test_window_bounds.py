import numpy as np
import pytest

from eden_core.errors import StaleIndexError
from eden_core.testing.suite import windows_of
from eden_core.window_bounds import bases_within


def test_windows_end_with_their_sequences():
    assert bases_within(windows_of([("a", 0, 5), ("a", 7, 5), ("b", 0, 1)]), np.array([10, 10, 3])).tolist() == [5, 3, 1]


@pytest.mark.parametrize("start", [-1, 10, 11])
def test_a_window_that_begins_outside_is_stale(start):
    with pytest.raises(StaleIndexError, match=f"base {start} of sequence 'b', which has 10"):
        bases_within(windows_of([("a", 0, 5), ("b", start, 5)]), np.array([9, 10]))
