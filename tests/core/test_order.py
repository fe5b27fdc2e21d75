import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.errors import WindowOutOfRangeError
from eden_core.order import EpochOrder, PrunedOrder, SelectedOrder
from eden_core.packing import PackedOrder, plan_rows


def shuffled(windows=50, seed=42):
    return EpochOrder(windows, seed=seed, shuffle=True)


@given(st.integers(1, 400), st.integers(), st.integers(0, 5))
def test_each_window_comes_once_an_epoch(windows, seed, epoch):
    picks = shuffled(windows, seed).pick(np.arange(windows) + epoch * windows)
    assert sorted(picks.window_ids.tolist()) == list(range(windows))
    assert set(picks.epochs.tolist()) == {epoch}


@given(st.lists(st.integers(0, 10**12), max_size=20))
def test_a_row_depends_on_nothing_but_its_number(rows):
    together = shuffled().pick(np.array(rows, np.int64))
    for i, row in enumerate(rows):
        alone = shuffled().pick(np.array([row]))
        assert (alone.window_ids[0], alone.epochs[0]) == (together.window_ids[i], together.epochs[i])


def test_one_pick_may_cross_epochs():
    picks = shuffled(3).pick(np.arange(9))
    assert picks.epochs.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_epochs_differ():
    order = shuffled()
    epochs = [tuple(order.pick(np.arange(50) + 50 * epoch).window_ids.tolist()) for epoch in range(20)]
    assert len(set(epochs)) == 20


def test_seeds_differ():
    assert len({tuple(shuffled(seed=seed).pick(np.arange(50)).window_ids.tolist()) for seed in range(20)}) == 20


@pytest.mark.parametrize("seed", [-1, 0, 2**70])
def test_any_int_is_a_seed(seed):
    assert len(shuffled(seed=seed).pick(np.arange(5))) == 5


def test_unshuffled_row_i_is_window_i():
    picks = EpochOrder(50, seed=42, shuffle=False).pick(np.arange(120))
    assert picks.window_ids.tolist() == [row % 50 for row in range(120)]
    assert picks.epochs.tolist() == [row // 50 for row in range(120)]


def test_types_and_rows():
    picks = shuffled().pick(np.array([7, 7, 3]))
    assert [a.dtype for a in (picks.window_ids, picks.epochs, picks.rows, picks.sources)] == ["i8", "i8", "i8", "i2"]
    assert picks.rows.tolist() == [0, 1, 2]
    assert picks.sources.tolist() == [0, 0, 0]


def test_no_rows():
    assert len(shuffled().pick(np.empty(0, np.int64))) == 0


def test_a_negative_row_is_refused():
    with pytest.raises(WindowOutOfRangeError, match="row -3 is negative"):
        shuffled().pick(np.array([4, -3]))


def test_length_is_the_rows_of_an_epoch():
    assert len(shuffled(50)) == 50


def test_pickles():
    copy = pickle.loads(pickle.dumps(shuffled()))
    assert copy.pick(np.arange(99)).window_ids.tolist() == shuffled().pick(np.arange(99)).window_ids.tolist()


def test_order_never_changes_between_versions():
    assert shuffled(1000).pick(np.array([0, 1, 999, 1000, 10**9])).window_ids.tolist() == [741, 390, 73, 277, 328]


@pytest.mark.parametrize("shuffle", [True, False])
def test_positions_are_the_inverse_of_pick(shuffle):
    order = EpochOrder(50, seed=3, shuffle=shuffle)
    windows = order.pick(np.arange(50) + 100).window_ids
    assert order.positions(windows, 2).tolist() == list(range(50))


SELECTED = st.lists(st.integers(0, 200), min_size=1, max_size=40, unique=True).map(sorted)


def selected(windows, *, seed=42, shuffle=True) -> SelectedOrder:
    return SelectedOrder({"windows": np.array(windows, np.int32)}, seed=seed, shuffle=shuffle)


@given(SELECTED, st.integers(), st.integers(0, 5), st.booleans())
def test_each_selected_window_comes_once_an_epoch(windows, seed, epoch, shuffle):
    order = selected(windows, seed=seed, shuffle=shuffle)
    picks = order.pick(np.arange(len(order)) + epoch * len(order))
    assert sorted(picks.window_ids.tolist()) == windows
    assert set(picks.epochs.tolist()) == {epoch}
    assert picks.window_ids.dtype == np.int64


def test_unshuffled_selected_windows_come_in_index_order():
    assert selected([3, 8, 9], shuffle=False).pick(np.arange(7)).window_ids.tolist() == [3, 8, 9, 3, 8, 9, 3]


@given(SELECTED, st.integers(0, 5), st.booleans())
def test_positions_of_selected_windows_are_the_inverse_of_pick(windows, epoch, shuffle):
    order = selected(windows, shuffle=shuffle)
    picked = order.pick(np.arange(len(order)) + epoch * len(order)).window_ids
    assert order.positions(picked, epoch).tolist() == list(range(len(order)))


def test_only_selected_windows_are_chosen():
    assert selected([3, 8, 9]).chosen(np.array([9, 2, 3, 10])).tolist() == [9, 3]


def test_the_fingerprint_tells_other_windows_and_not_other_seeds():
    assert selected([3, 8]).fingerprint() == selected([3, 8], seed=1).fingerprint() != selected([3, 9]).fingerprint()


def test_selected_windows_pickle():
    copy = pickle.loads(pickle.dumps(selected([3, 8, 9])))
    assert copy.pick(np.arange(9)).window_ids.tolist() == selected([3, 8, 9]).pick(np.arange(9)).window_ids.tolist()


def packed() -> PackedOrder:
    """Twenty windows, three a row but for the last."""
    plan = plan_rows(np.array([10]), np.array([20]), 30)
    classes = {"windows": np.arange(20), "first_windows": np.array([0, 20]), "lengths": np.array([5])}
    return PackedOrder(plan, classes, seed=3, shuffle=True)


@given(st.lists(st.integers(0, 19), unique=True), st.integers(0, 20))
def test_pruned_rows_lose_their_windows_from_a_row_on(left_out, begin):
    rows = np.arange(14)
    before = packed().pick(rows)
    pruned = PrunedOrder(packed(), [np.array(sorted(left_out), np.int64)], begin).pick(rows)
    kept = [
        (w, r) for w, r in zip(before.window_ids.tolist(), before.rows.tolist(), strict=True) if w not in left_out or r < begin
    ]
    assert list(zip(pruned.window_ids.tolist(), pruned.rows.tolist(), strict=True)) == kept


def test_a_row_that_loses_all_windows_stays():
    pruned = PrunedOrder(packed(), [np.arange(20)])
    assert len(pruned) == len(packed()) == 7
    assert len(pruned.pick(np.arange(7))) == 0


def test_windows_of_another_source_stay():
    pruned = PrunedOrder(packed(), [np.empty(0, np.int64), np.arange(20)])
    assert len(pruned.pick(np.arange(7))) == 20
