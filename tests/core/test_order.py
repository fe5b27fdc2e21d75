import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.errors import WindowOutOfRangeError
from eden_core.order import EpochOrder


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
