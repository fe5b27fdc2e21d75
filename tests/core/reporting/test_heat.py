import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eden_core.reporting.axis import Axis
from eden_core.reporting.heat import Heat

POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2000)), min_size=1, max_size=300)


@given(POINTS, st.booleans())
def test_cells_are_a_histogram(points, known):
    heat = Heat(Axis("step", 0, 4, 5), 2001 if known else None)
    for part in np.array_split(np.array(points), 4):
        heat.add(part[:, 0], part[:, 1])
    size = 1 + max(window for _, window in points)
    found = heat.described(size)
    edges = np.arange(found["rows"] + 1) * found["width"]
    expected, _, _ = np.histogram2d(*np.array(points).T, bins=[np.arange(6), edges])
    assert np.array_equal(np.reshape(found["cells"], (5, -1)), expected)


def test_windows_without_a_step_are_passed_over():
    heat = Heat(Axis("step", 0, 4, 5), 10)
    heat.add(np.array([-1, 2]), np.array([3, 4]))
    assert sum(heat.described(10)["cells"]) == 1
