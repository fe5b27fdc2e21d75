import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eden_core.batch import offsets_of
from eden_core.errors import WindowOutOfRangeError
from eden_core.order import OVERRUN
from eden_core.packing import PackedOrder, PackingPlan, class_lengths, plan_rows

CAPACITY = 60
COUNTS = st.dictionaries(st.integers(1, CAPACITY), st.integers(1, 40), min_size=1, max_size=12)
"""windows by length"""


def planned(counts: dict[int, int], capacity: int = CAPACITY) -> PackingPlan:
    lengths = sorted(counts)
    return plan_rows(np.array(lengths), np.array([counts[length] for length in lengths]), capacity)


def order_of(counts: dict[int, int], shuffle: bool = True, seed: int = 42) -> PackedOrder:
    """Over windows whose ids are 1000, 1001, …, class by class."""
    sizes = np.array([counts[length] for length in sorted(counts)])
    classes = {
        "windows": np.arange(sizes.sum(), dtype=np.int32) + 1000,
        "first_windows": offsets_of(sizes),
        "lengths": np.array(sorted(counts)),
    }
    return PackedOrder(planned(counts), classes, seed=seed, shuffle=shuffle)


def length_of(counts: dict[int, int]) -> dict[int, int]:
    """The length of each window of `order_of`."""
    lengths = [length for length in sorted(counts) for _ in range(counts[length])]
    return {1000 + i: length for i, length in enumerate(lengths)}


def rows_of(order: PackedOrder, rows) -> list[list[int]]:
    """The windows of each row."""
    picks = order.pick(np.array(rows, np.int64))
    return [picks.window_ids[picks.rows == i].tolist() for i in range(len(rows))]


def plain_best_fit_decreasing(items: list[int], capacity: int) -> int:
    """Rows that windows take, one at a time."""
    rooms: list[int] = []
    for item in sorted(items, reverse=True):
        fitting = [i for i, room in enumerate(rooms) if room >= item]
        if fitting:
            best = min(fitting, key=lambda i: rooms[i])
            rooms[best] -= item
        else:
            rooms.append(capacity - item)
    return len(rooms)


@given(st.lists(st.integers(1, 100_000), min_size=1), st.integers(1, 64))
def test_classes_are_a_little_longer_than_their_windows(lengths, multiple):
    capacity = 100_000 // multiple * multiple + multiple
    reserved = class_lengths(np.array(lengths), capacity, multiple)
    assert reserved.dtype == np.int64
    for length, space in zip(lengths, reserved.tolist(), strict=True):
        rounded = -(-length // multiple) * multiple
        assert rounded <= space <= min(capacity, rounded * (1 + 1 / 512))
        assert space % multiple == 0


@given(st.lists(st.integers(1, 9000)), st.integers(1, 16))
def test_a_class_is_of_its_own_class(lengths, multiple):
    capacity = 9000 // multiple * multiple + multiple
    reserved = class_lengths(np.array(lengths, np.int64), capacity, multiple)
    assert class_lengths(reserved, capacity, multiple).tolist() == reserved.tolist()


def test_classes_are_few():
    assert np.unique(class_lengths(np.arange(1, 2**20), 2**20)).size < 1024 + 10 * 512 + 1


def test_short_windows_are_of_their_own_length():
    assert class_lengths(np.arange(1, 1025), 8192).tolist() == list(range(1, 1025))


def test_no_class_exceeds_the_row():
    assert class_lengths(np.array([8190, 8191, 8193]), 8193).tolist() == [8192, 8192, 8193]


@given(COUNTS)
def test_each_window_is_in_one_row_that_it_fits_into(counts):
    order, length = order_of(counts, shuffle=False), length_of(counts)
    rows = rows_of(order, range(len(order)))
    assert sorted(window for row in rows for window in row) == sorted(length)
    assert all(row and sum(length[window] for window in row) <= CAPACITY for row in rows)
    assert order.most_windows == max(map(len, rows))


@given(COUNTS)
def test_plans_have_as_many_rows_as_best_fit_decreasing_makes_one_window_at_a_time(counts):
    items = [length for length, count in counts.items() for _ in range(count)]
    assert planned(counts).rows == plain_best_fit_decreasing(items, CAPACITY) >= -(-sum(items) // CAPACITY)


def test_metagenome_like_lengths_fill_rows():
    lengths = np.random.default_rng(1).lognormal(6.5, 1, 20_000).astype(np.int64).clip(200, 8192)
    found, counts = np.unique(class_lengths(lengths, 8192), return_counts=True)
    assert lengths.sum() / (plan_rows(found, counts, 8192).rows * 8192) > 0.99


@pytest.mark.parametrize(("length", "count", "rows", "most"), [(7, 100, 13, 8), (60, 5, 5, 1), (31, 3, 3, 1), (1, 61, 2, 60)])
def test_windows_of_one_class(length, count, rows, most):
    plan = planned({length: count})
    assert (plan.rows, plan.most_windows) == (rows, most)


def test_full_windows_have_rows_of_their_own():
    order = order_of({CAPACITY: 4, 10: 6}, shuffle=False)
    assert rows_of(order, range(5)) == [[1006], [1007], [1008], [1009], [1000, 1001, 1002, 1003, 1004, 1005]]


def test_billions_of_windows_are_planned_by_class():
    assert planned({20: 3 * 10**9, 40: 10**9}).rows == 10**9 + 2 * 10**9 // 3 + 1


@settings(max_examples=30)
@given(COUNTS, st.integers(), st.integers(0, 3), st.booleans())
def test_each_window_comes_once_an_epoch(counts, seed, epoch, shuffle):
    order = order_of(counts, shuffle, seed)
    picks = order.pick(np.arange(len(order)) + epoch * len(order))
    assert sorted(picks.window_ids.tolist()) == sorted(length_of(counts))
    assert set(picks.epochs.tolist()) == {epoch}


@given(COUNTS, st.integers(0, 10**6))
def test_shuffled_rows_are_no_fuller_than_a_row(counts, epoch):
    order, length = order_of(counts), length_of(counts)
    rows = rows_of(order, (np.arange(len(order)) + epoch * len(order)).tolist())
    assert all(sum(length[window] for window in row) <= CAPACITY for row in rows)


@given(COUNTS, st.lists(st.integers(0, 10**9), max_size=12))
def test_a_row_depends_on_nothing_but_its_number(counts, rows):
    order = order_of(counts)
    assert rows_of(order, rows) == [rows_of(order, [row])[0] for row in rows]


MANY = {7: 50, 13: 40, 29: 30}


def test_epochs_deal_windows_to_other_rows():
    order = order_of(MANY)
    together = [frozenset(map(frozenset, rows_of(order, (np.arange(len(order)) + e * len(order)).tolist()))) for e in range(10)]
    assert len(set(together)) == 10


def test_seeds_differ():
    assert len({tuple(map(tuple, rows_of(order_of(MANY, seed=seed), range(10)))) for seed in range(10)}) == 10


def test_unshuffled_epochs_are_the_plan_as_it_is():
    order = order_of(MANY, shuffle=False)
    assert rows_of(order, range(len(order))) == rows_of(order, range(7 * len(order), 8 * len(order)))


def test_types_and_rows():
    picks = order_of({30: 2, 10: 1}).pick(np.array([7, 7, 0]))
    assert [a.dtype for a in (picks.window_ids, picks.epochs, picks.rows, picks.sources)] == ["i8", "i8", "i8", "i2"]
    assert (np.diff(picks.rows) >= 0).all()
    assert picks.skips is None
    assert picks.limits.tolist() == [length_of({30: 2, 10: 1})[window] + OVERRUN for window in picks.window_ids.tolist()]


def test_no_rows():
    assert len(order_of(MANY).pick(np.empty(0, np.int64))) == 0


def test_a_negative_row_is_refused():
    with pytest.raises(WindowOutOfRangeError, match="row -1 is negative"):
        order_of(MANY).pick(np.array([3, -1]))


def test_pickles():
    copy = pickle.loads(pickle.dumps(order_of(MANY)))
    assert rows_of(copy, range(99)) == rows_of(order_of(MANY), range(99))


def test_the_fingerprint_tells_other_plans_and_windows_and_not_other_seeds():
    order = order_of(MANY)
    assert order.fingerprint() == order_of(MANY, seed=1).fingerprint()
    others = [
        order_of({**MANY, 13: 41}),
        PackedOrder(order.plan, order._windows | {"windows": np.arange(120)}, seed=1, shuffle=True),
    ]
    assert len({order.fingerprint(), *(other.fingerprint() for other in others)}) == 3
