from collections import Counter

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


def interval_starts(start: int, length: int, whole: int | None, tiling: Tiling) -> list[int]:
    """The windows of an interval, base by base."""
    stop = start + length
    first = next(base for base in range(start, start + tiling.stride + 1) if base % tiling.stride == 0)
    if stop == whole:
        return [first + shift for shift in starts_by_the_book(stop - first, tiling)] if stop > first else []
    if tiling.min_length > tiling.window_size:
        return []
    return [base for base in range(first, stop) if base % tiling.stride == 0 and base + tiling.window_size <= stop]


INTERVALS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(0, 9)), min_size=1, max_size=9)


@given(tilings(), INTERVALS, st.booleans())
def test_windows_of_intervals_and_the_bases_that_they_read(tiling, intervals, known):
    starts, lengths, behind = (np.array(column) for column in zip(*intervals, strict=True))
    wholes = (starts + lengths + behind).tolist() if known else [None] * len(intervals)
    expected = [interval_starts(*row, tiling) for row in zip(starts.tolist(), lengths.tolist(), wholes, strict=True)]
    firsts, counts = tiling.interval_windows(starts, lengths, np.array(wholes) if known else None)
    found = [[(first + i) * tiling.stride for i in range(count)] for first, count in zip(firsts, counts, strict=True)]
    assert found == expected
    stops = (starts + lengths).tolist()
    rows = [[range(s, min(s + tiling.row_bases, stop)) for s in some] for some, stop in zip(expected, stops, strict=True)]
    rests = tiling.interval_rests(starts, lengths)
    assert tiling.bases_in_rows(rests, counts).tolist() == [sum(map(len, some)) for some in rows]
    assert tiling.bases_read(rests, counts).tolist() == [len(set().union(*some)) for some in rows]


@given(tilings(), INTERVALS)
def test_bases_read_again_are_those_in_two_rows_or_more(tiling, intervals):
    starts, lengths, behind = (np.array(column) for column in zip(*intervals, strict=True))
    _, counts = tiling.interval_windows(starts, lengths, starts + lengths + behind % 2)
    expected = []
    for start, length, count in zip(starts.tolist(), lengths.tolist(), counts.tolist(), strict=True):
        first = -(-start // tiling.stride) * tiling.stride
        begins = [first + i * tiling.stride for i in range(count)]
        rows = (range(begin, min(begin + tiling.row_bases, start + length)) for begin in begins)
        seen = Counter(base for row in rows for base in row)
        expected.append(sum(times > 1 for times in seen.values()))
    assert tiling.bases_read_again(tiling.interval_rests(starts, lengths), counts).tolist() == expected


@given(tilings(), LENGTHS)
def test_a_whole_contig_is_an_interval_like_any_other(tiling, lengths):
    lengths = np.array(lengths)
    firsts, counts = tiling.interval_windows(np.zeros_like(lengths), lengths, lengths)
    assert not firsts.any()
    assert counts.tolist() == tiling.counts(lengths).tolist()
