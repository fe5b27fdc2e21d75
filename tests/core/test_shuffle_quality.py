import numpy as np
import pytest

from eden_core.errors import ConfigurationError
from eden_core.mixture import MixedOrder
from eden_core.order import EpochOrder, PrunedOrder
from eden_core.shuffle_quality import shuffle_quality
from eden_core.shuffling import BlockShuffle
from eden_core.stitching import StitchedOrder

WINDOWS = 1_000_000


def quality(shuffle, size=64, windows=WINDOWS, **options):
    return shuffle_quality(EpochOrder(windows, seed=3, shuffle=shuffle), size, **options)


def test_a_true_shuffle_scores_one():
    assert quality(True).score == pytest.approx(1, abs=0.01)
    assert quality(True).order.neighbours < 0.001


def test_no_shuffle_scores_nothing():
    found = quality(False, stretch=6400)
    assert found.order.effective_rows == pytest.approx(1, abs=0.01)
    assert found.score < 0.03
    assert found.order.neighbours == 1


@pytest.mark.parametrize("buffer_blocks", [4, 64, 1000])
def test_blocks_score_as_sampling_from_them_does(buffer_blocks):
    """Two rows are of one block with probability 1 / blocks of the buffer."""
    found = quality(BlockShuffle(512, buffer_blocks), 64)
    assert found.order.effective_rows == pytest.approx(64 / (1 + 63 / buffer_blocks), rel=0.1)


def test_neighbours_are_as_many_as_a_buffer_makes():
    """Each of 63 other rows is one of a row's two neighbours with probability 2 / rows of the buffer."""
    assert quality(BlockShuffle(512, 4)).order.neighbours == pytest.approx(63 * 2 / 2048, rel=0.2)


def test_an_index_smaller_than_a_buffer_is_shuffled_truly():
    found = quality(BlockShuffle(64, 2048), windows=50_000)
    assert found.score == pytest.approx(1, abs=0.05)


def test_an_index_of_one_stretch_is_judged_beside_its_own_true_shuffle():
    found = quality(True, windows=500)
    assert found.true_shuffle.effective_rows == 1
    assert found.score == 1


def test_any_epoch_may_be_looked_at():
    assert quality(BlockShuffle(64, 64), epoch=1) != quality(BlockShuffle(64, 64), epoch=2)


def test_a_window_is_no_neighbour_of_those_in_its_own_row():
    pieces = {"first_pieces": np.arange(0, 2002, 2), "windows": np.arange(2000), "bases": np.full(2000, 9)}
    rows = [StitchedOrder(pieces, seed=3, shuffle=shuffle, split=False) for shuffle in (True, False)]
    shuffled, plain = (shuffle_quality(order, 10).order.neighbours for order in rows)
    assert shuffled < 0.06
    assert plain == 1


def test_windows_of_two_sources_are_no_neighbours():
    alike = {name: EpochOrder(1000, seed=1, shuffle=True) for name in "ab"}  # row i of both is the same window
    found = shuffle_quality(MixedOrder(alike, {"a": 1, "b": 1}), 20, stretch=1)
    assert found.order.effective_rows == 20
    assert found.order.neighbours < 0.1


def test_rows_without_windows_do_not_count():
    order = PrunedOrder(EpochOrder(100, seed=1, shuffle=False), [np.arange(0, 100, 2)])
    assert shuffle_quality(order, 10).order.neighbours == 0
    assert shuffle_quality(PrunedOrder(order, [np.arange(100)]), 10).order.neighbours == 0


@pytest.mark.parametrize("size", [0, 1, 51])
def test_batches_that_say_nothing_of_shuffling(size):
    with pytest.raises(ConfigurationError, match=f"an epoch of 50 rows has none of {size}"):
        quality(True, size, windows=50)
