import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.batch import offsets_of
from eden_core.errors import WindowOutOfRangeError
from eden_core.order import OVERRUN
from eden_core.stitching import StitchedOrder, WindowBlock, stitched_rows

CAPACITY = 24
WINDOWS = st.lists(st.tuples(st.sampled_from("aab"), st.integers(1, 3), st.integers(1, 30)), max_size=30)
"""(sample, overhead, bases) of each window; cut to what fits into a row"""


def fitting(windows, multiple: int = 1):
    return [(sample, overhead, min(bases, CAPACITY // multiple * multiple - overhead)) for sample, overhead, bases in windows]


def blocks_of(windows, size: int = 7):
    """Blocks of `size` windows, numbered from 100."""
    begins = [i > 0 and windows[i][0] != windows[i - 1][0] for i in range(len(windows))]
    for first in range(0, len(windows), size):
        some = slice(first, first + size)
        columns = (np.array([w[k] for w in windows[some]], np.int64) for k in (1, 2))
        yield WindowBlock(np.arange(first, first + len(windows[some])) + 100, np.array(begins[some], bool), *columns)


def rounded(tokens: int, multiple: int) -> int:
    return (tokens + multiple - 1) // multiple * multiple


def plainly_stitched(windows, multiple: int) -> list[list[int]]:
    """The windows of each row, where none is cut."""
    rows: list[list[int]] = []
    room, last = 0, None
    for i, (sample, overhead, bases) in enumerate(windows):
        needed = rounded(overhead + bases, multiple)
        if sample != last or needed > room:
            rows.append([])
            room = CAPACITY
        rows[-1].append(100 + i)
        room, last = room - needed, sample
    return rows


@given(WINDOWS, st.sampled_from([1, 2, 8]))
def test_rows_are_what_plain_code_makes(windows, multiple):
    windows = fitting(windows, multiple)
    rows = list(stitched_rows(blocks_of(windows), CAPACITY, multiple=multiple))
    assert [[window for window, _, _ in row] for row in rows] == plainly_stitched(windows, multiple)
    assert [piece for row in rows for piece in row] == [(100 + i, 0, bases) for i, (_, _, bases) in enumerate(windows)]


@given(WINDOWS, st.sampled_from([1, 2, 8]), st.booleans())
def test_no_row_is_longer_than_a_row_or_of_two_samples(windows, multiple, split):
    windows = fitting(windows, multiple)
    for row in stitched_rows(blocks_of(windows), CAPACITY, multiple=multiple, split=split):
        assert sum(rounded(windows[w - 100][1] + bases, multiple) for w, _, bases in row) <= CAPACITY
        assert len({windows[w - 100][0] for w, _, _ in row}) == 1


@given(WINDOWS, st.sampled_from([1, 2, 8]))
def test_cut_windows_give_every_base_once_and_in_order(windows, multiple):
    windows = fitting(windows, multiple)
    rows = stitched_rows(blocks_of(windows), CAPACITY, multiple=multiple, split=True)
    read = [(w, base) for row in rows for w, skip, bases in row for base in range(skip, skip + bases)]
    assert read == [(100 + i, base) for i, (_, _, bases) in enumerate(windows) for base in range(bases)]


@given(WINDOWS)
def test_cut_windows_leave_no_room_for_a_base_where_the_sample_goes_on(windows):
    windows = fitting(windows)
    rows = list(stitched_rows(blocks_of(windows), CAPACITY, split=True))
    for row, following in pairwise(rows):
        sample, overhead, _ = windows[following[0][0] - 100]
        if sample == windows[row[0][0] - 100][0]:
            assert CAPACITY - sum(windows[w - 100][1] + bases for w, _, bases in row) <= overhead


@given(WINDOWS, st.integers(1, 9), st.booleans())
def test_blocks_leave_no_trace(windows, size, split):
    windows = fitting(windows)
    whole = list(stitched_rows(blocks_of(windows, 1000), CAPACITY, split=split))
    assert list(stitched_rows(blocks_of(windows, size), CAPACITY, split=split)) == whole


def test_full_windows_have_rows_of_their_own():
    rows = list(stitched_rows(blocks_of([("a", 2, 22)] * 3 + [("a", 2, 1)]), CAPACITY))
    assert rows == [[(100, 0, 22)], [(101, 0, 22)], [(102, 0, 22)], [(103, 0, 1)]]


def test_nothing_to_stitch():
    assert list(stitched_rows([], CAPACITY)) == []


ROWS = [[(3, 0, 9)], [(4, 0, 5), (5, 0, 7), (6, 0, 2)], [(6, 2, 9), (8, 0, 1)], [(9, 0, 4)]]


def order_of(rows=ROWS, *, seed=42, shuffle=True, split=False) -> StitchedOrder:
    windows, skips, bases = (np.array([piece[k] for row in rows for piece in row], np.int32) for k in range(3))
    pieces = {"first_pieces": offsets_of(np.array([len(row) for row in rows])), "windows": windows}
    return StitchedOrder(
        pieces | {"bases": bases} | ({"skips": skips} if split else {}), seed=seed, shuffle=shuffle, split=split
    )


def rows_of(order, rows) -> list[list[tuple[int, int, int]]]:
    picks = order.pick(np.array(rows, np.int64))
    limits = np.where(
        picks.limits > OVERRUN, picks.limits - OVERRUN, picks.limits
    )  # where the window ends, a few more are asked for
    columns = [np.zeros(len(picks), int) if c is None else c for c in (picks.window_ids, picks.skips, limits)]
    pieces = list(zip(*(c.tolist() for c in columns), strict=True))
    return [[piece for piece, there in zip(pieces, (picks.rows == i).tolist(), strict=True) if there] for i in range(len(rows))]


@given(st.integers(), st.integers(0, 5))
def test_each_row_comes_once_an_epoch(seed, epoch):
    order = order_of(seed=seed, split=True)
    assert sorted(rows_of(order, range(4 * epoch, 4 * epoch + 4))) == sorted(ROWS)
    assert set(order.pick(np.arange(4) + 4 * epoch).epochs.tolist()) == {epoch}


@given(st.lists(st.integers(0, 10**9), max_size=12))
def test_a_row_depends_on_nothing_but_its_number(rows):
    order = order_of(split=True)
    assert rows_of(order, rows) == [rows_of(order, [row])[0] for row in rows]


def test_epochs_and_seeds_differ():
    many = [[(i, 0, 1)] for i in range(50)]
    orders = [order_of(many, seed=seed).pick(np.arange(500)).window_ids.reshape(10, 50) for seed in range(5)]
    assert np.unique(np.concatenate(orders), axis=0).shape == (50, 50)


def test_unshuffled_rows_come_as_they_were_stitched():
    assert rows_of(order_of(shuffle=False, split=True), range(8)) == ROWS * 2


def test_uncut_windows_have_no_skips():
    assert order_of().pick(np.arange(4)).skips is None


def test_more_bases_than_planned_are_asked_for_at_a_windows_end_only():
    picks = order_of(shuffle=False, split=True).pick(np.arange(4))
    planned = [bases for row in ROWS for _, _, bases in row]
    ends = [OVERRUN * (i + 1 == len(planned) or picks.window_ids[i + 1] != picks.window_ids[i]) for i in range(len(planned))]
    assert picks.limits.tolist() == [bases + more for bases, more in zip(planned, ends, strict=True)]


def test_the_fullest_row():
    assert order_of().most_windows == 3


def test_types():
    picks = order_of(split=True).pick(np.arange(4))
    columns = (picks.window_ids, picks.epochs, picks.rows, picks.skips, picks.limits, picks.sources)
    assert [column.dtype for column in columns] == ["i8"] * 5 + ["i2"]


def test_no_rows():
    assert len(order_of(split=True).pick(np.empty(0, np.int64))) == 0


def test_a_negative_row_is_refused():
    with pytest.raises(WindowOutOfRangeError, match="row -2 is negative"):
        order_of().pick(np.array([-2]))


def test_pickles():
    copy = pickle.loads(pickle.dumps(order_of(split=True)))
    assert rows_of(copy, range(20)) == rows_of(order_of(split=True), range(20))


def test_the_fingerprint_tells_other_rows_and_cuts_and_not_other_seeds():
    found = {order_of(seed=seed, split=True).fingerprint() for seed in range(3)}
    assert len(found) == 1
    other = [[(3, 0, 9)], [(4, 0, 5), (5, 0, 7), (6, 0, 3)], [(6, 3, 8), (8, 0, 1)], [(9, 0, 4)]]
    found |= {order_of(other, split=True).fingerprint(), order_of(ROWS[::-1], split=True).fingerprint()}
    assert len(found) == 3
