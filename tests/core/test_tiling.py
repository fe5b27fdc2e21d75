import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import Tiling
from eden_core.errors import ConfigurationError


def starts_by_the_book(n: int, tiling: Tiling) -> list[int]:
    """Section 1 of the design, word for word, in plain Python."""
    if tiling.keep_tail:
        starts = [0]
        while starts[-1] + tiling.row_bases < n:
            starts.append(starts[-1] + tiling.stride)
    elif n < tiling.window_size:
        starts = [0]
    else:
        starts = [i * tiling.stride for i in range(1 + (n - tiling.window_size) // tiling.stride)]
    return [start for start in starts if min(tiling.window_size, n - start) >= max(1, tiling.min_length)]


@st.composite
def tilings(draw, keep_tail=None):
    window_size = draw(st.integers(1, 60))
    tail = draw(st.booleans()) if keep_tail is None else keep_tail
    return Tiling(
        window_size,
        draw(st.integers(1, 80)),
        draw(st.integers(0, 70)),
        keep_tail=tail,
        reserve=draw(st.integers(0, window_size - 1)),
    )


LENGTHS = st.lists(st.integers(0, 400), min_size=1, max_size=10)


@given(tilings(), LENGTHS)
def test_counts_are_those_of_the_book(tiling, lengths):
    assert tiling.counts(np.array(lengths)).tolist() == [len(starts_by_the_book(n, tiling)) for n in lengths]


@given(tilings(), LENGTHS)
def test_windows_left_out_are_the_last_ones(tiling, lengths):
    for n in lengths:
        starts = starts_by_the_book(n, tiling)
        assert starts == [i * tiling.stride for i in range(len(starts))]


@given(tilings(), LENGTHS)
def test_all_counts_leave_no_window_out(tiling, lengths):
    all_windows = Tiling(tiling.window_size, tiling.stride, 0, tiling.keep_tail, tiling.reserve)
    assert tiling.all_counts(np.array(lengths)).tolist() == [len(starts_by_the_book(n, all_windows)) for n in lengths]


@given(tilings(), LENGTHS)
def test_bases_read_are_those_of_a_set(tiling, lengths):
    def bases(n):
        rows = (range(start, min(start + tiling.row_bases, n)) for start in starts_by_the_book(n, tiling))
        return len({base for row in rows for base in row})

    assert tiling.bases_read(np.array(lengths)).tolist() == [bases(n) for n in lengths]


@given(tilings(keep_tail=True), st.integers(1, 400))
def test_with_the_tail_kept_every_base_is_read(tiling, n):
    tiling = Tiling(tiling.window_size, min(tiling.stride, tiling.row_bases), 0, True, tiling.reserve)
    assert tiling.bases_read(np.array([n])).tolist() == [n]


@given(tilings(keep_tail=True), st.integers(1, 400))
def test_with_the_tail_kept_no_window_is_needless(tiling, n):
    starts = starts_by_the_book(n, tiling)
    assert all(start + tiling.row_bases < n for start in starts[:-1])


def test_defaults():
    assert Tiling() == Tiling(8192, 7992, 0, False, 16)


def test_the_seeds_own_example():
    assert Tiling().counts(np.array([0, 1, 8191, 8192, 16_183, 16_184, 4_938_920])).tolist() == [0, 1, 1, 1, 1, 2, 617]


def test_five_megabases_lose_a_stride_at_most():
    lost = 4_938_920 - Tiling().bases_read(np.array([4_938_920]))[0]
    assert 0 < lost < 7992


@pytest.mark.parametrize(
    ("keep_tail", "window_size", "expected"), [(False, 8192, 8190), (True, 8192, 8176), (False, 1, 1), (False, 2, 1)]
)
def test_row_bases(keep_tail, window_size, expected):
    assert Tiling(window_size, keep_tail=keep_tail).row_bases == expected


@pytest.mark.parametrize(
    ("wrong", "number"),
    [
        ({"window_size": 0}, "not 0 and 7992"),
        ({"stride": 0}, "not 8192 and 0"),
        ({"stride": -5}, "not 8192 and -5"),
        ({"min_length": -1}, "not -1"),
        ({"keep_tail": True, "reserve": 8192}, "reserve is 8192"),
        ({"keep_tail": True, "reserve": -1}, "reserve is -1"),
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(wrong, number):
    with pytest.raises(ConfigurationError, match=number):
        Tiling(**wrong)


def test_the_reserve_counts_only_with_the_tail():
    assert Tiling(8, reserve=99).row_bases == 6
