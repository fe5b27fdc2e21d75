import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.batch import Ragged
from eden_core.reporting.accesses import UNKNOWN, Batches
from eden_core.reporting.axis import Axis
from eden_core.reporting.timing import QUANTILES, Fill, WaitedFor, Waits

AXIS = Axis("step", 0, 9, 10)


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=200))
def test_quantiles_are_those_of_the_nearest_rank_to_half_a_percent(waits):
    meter, values = Waits(AXIS), np.array(waits)
    for part in np.array_split(values, 3):
        meter.add(WaitedFor(part, *[np.zeros(part.size, np.int64)] * 3), 0)
    found = meter.described()
    exact = np.quantile(values, QUANTILES, method="inverted_cdf")
    assert found["quantiles"] == pytest.approx(exact.tolist(), rel=0.00501, abs=1.01)
    assert (found["count"], found["max"], found["mean"]) == (values.size, values.max(), pytest.approx(values.mean()))
    assert [one["wait"] for one in found["slowest"]] == sorted(waits, reverse=True)[:25]


def test_waits_lie_at_their_steps():
    meter = Waits(AXIS)
    meter.add(WaitedFor(np.array([5, UNKNOWN, 1000]), np.array([0, 3, 7]), np.array([0, 3, 7]), np.array([1, 2, 3])), 2)
    found = meter.described()
    assert [i for i, most in enumerate(found["most"]) if most] == [0, 7]
    assert found["slowest"][0] == {"step": 7, "rank": 2, "time": 3e-6, "wait": 1000}


def test_fill_is_counted_by_row():
    fill = Fill(AXIS, 100)
    rows = Ragged.from_rows([[0, 1], [2]], np.int64)
    unknown = np.array([UNKNOWN, UNKNOWN])
    none = Ragged.empty(2, np.int64)
    fill.add(Batches(unknown, unknown, unknown, rows, np.array([100, 50, 30]), none, none), np.array([0, 4]))
    found = fill.described()
    assert found["mean"] == pytest.approx(0.6)
    assert (found["over"][0], found["least"][0], found["over"][4], found["over"][1]) == (0.75, 0.5, 0.3, None)
    assert {i: n for i, n in enumerate(found["shares"]) if n} == {15: 1, 25: 1, 49: 1}
