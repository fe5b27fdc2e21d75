import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.mixing import mix
from eden_core.mixture import MixedOrder
from eden_core.omissions import Omissions
from eden_core.order import EpochOrder, SelectedOrder
from eden_core.shuffling import BlockShuffle, permuted, unpermuted
from eden_core.stitching import StitchedOrder

SHUFFLES = st.builds(BlockShuffle, st.integers(1, 40), st.integers(1, 12))
KEYS = st.integers(0, 2**64 - 1).map(lambda key: np.array([key], np.uint64))


def blocks(windows=1000, rows=16, buffer_blocks=8, seed=42) -> EpochOrder:
    return EpochOrder(windows, seed=seed, shuffle=BlockShuffle(rows, buffer_blocks))


def epoch_of(order, epoch=0) -> np.ndarray:
    return order.pick(np.arange(len(order)) + epoch * len(order)).window_ids


@given(st.integers(1, 400), SHUFFLES, KEYS)
def test_every_row_comes_once(n, shuffle, key):
    assert sorted(shuffle.permute(np.arange(n), n, key).tolist()) == list(range(n))


@given(st.integers(1, 400), SHUFFLES, KEYS)
def test_unpermute_is_the_inverse(n, shuffle, key):
    assert shuffle.unpermute(shuffle.permute(np.arange(n), n, key), n, key).tolist() == list(range(n))


@given(st.integers(1, 400), SHUFFLES, KEYS)
def test_a_buffer_holds_whole_blocks(n, shuffle, key):
    """Read from the front, the rows of an epoch fall into buffers, and no block is in two of them."""
    left = (shuffle.permute(np.arange(n), n, key) // shuffle.rows).tolist()
    sizes = np.bincount(left)
    while left:
        found = dict.fromkeys(left[: shuffle.buffer_blocks * shuffle.rows])  # blocks, by when their first row comes
        buffer = list(found)[: shuffle.buffer_blocks]
        rows = int(sizes[buffer].sum())
        assert sorted(left[:rows]) == sorted(np.repeat(buffer, sizes[buffer]).tolist())
        left = left[rows:]


@given(st.lists(st.integers(0, 10**12), max_size=20))
def test_a_row_depends_on_nothing_but_its_number(rows):
    together = blocks(997).pick(np.array(rows, np.int64))
    for i, row in enumerate(rows):
        alone = blocks(997).pick(np.array([row]))
        assert (alone.window_ids[0], alone.epochs[0]) == (together.window_ids[i], together.epochs[i])


@given(st.integers(1, 2**40), st.integers(1, 2**20), st.integers(1, 2**20), st.integers(0, 2**40 - 1), KEYS)
def test_large_indexes(n, rows, buffer_blocks, position, key):
    shuffle, positions = BlockShuffle(rows, buffer_blocks), np.array([0, position % n, n - 1])
    found = shuffle.permute(positions, n, key)
    assert found.min() >= 0
    assert found.max() < n
    assert shuffle.unpermute(found, n, key).tolist() == positions.tolist()


def test_the_short_block_lands_anywhere():
    order = blocks(seed=1)
    places = {int(order.positions(np.array([999]), epoch)[0]) // 128 for epoch in range(60)}
    assert places == set(range(8))


def test_epochs_and_seeds_differ():
    found = {tuple(epoch_of(blocks(seed=seed), epoch).tolist()) for seed in range(10) for epoch in range(10)}
    assert len(found) == 100


def test_rows_of_a_buffer_are_shuffled_anew_in_each():
    """Buffers of the same size do not repeat one another's permutation."""
    positions = BlockShuffle(64, 1).permute(np.arange(640), 640, np.array([5], np.uint64)) % 64
    assert len({tuple(within) for within in positions.reshape(10, 64).tolist()}) == 10


def test_a_buffer_that_holds_the_index_shuffles_all_of_it():
    """Neighbours are as far apart as chance would have them."""
    gaps = np.abs(np.diff(epoch_of(blocks(20_000, 16, 1250))))
    assert abs(gaps.mean() / (20_000 / 3) - 1) < 0.03


def test_no_rows():
    assert len(blocks().pick(np.empty(0, np.int64))) == 0


def test_order_never_changes_between_versions():
    rows = np.array([0, 1, 127, 128, 999, 1000, 10**9])
    assert blocks().pick(rows).window_ids.tolist() == GOLDEN
    assert blocks(96, 16, 2).pick(rows).window_ids.tolist() == GOLDEN_WHOLE


GOLDEN = [665, 687, 931, 325, 503, 544, 52]
GOLDEN_WHOLE = [48, 54, 3, 81, 64, 14, 77]


def test_an_order_pickles():
    copy = pickle.loads(pickle.dumps(blocks()))
    assert epoch_of(copy, 3).tolist() == epoch_of(blocks(), 3).tolist()


@given(st.integers(0, 5))
def test_positions_are_the_inverse_of_pick(epoch):
    assert blocks().positions(epoch_of(blocks(), epoch), epoch).tolist() == list(range(1000))


@given(st.sets(st.integers(0, 300), min_size=1), SHUFFLES, st.integers(0, 3))
def test_selected_windows_in_blocks(windows, shuffle, epoch):
    order = SelectedOrder({"windows": np.array(sorted(windows), np.int32)}, seed=3, shuffle=shuffle)
    found = epoch_of(order, epoch)
    assert sorted(found.tolist()) == sorted(windows)
    assert order.positions(found, epoch).tolist() == list(range(len(windows)))


@given(st.sets(st.integers(0, 999), max_size=50), st.integers(0, 2))
def test_rows_of_excluded_windows_are_left_out(windows, epoch):
    order = blocks()
    kept = Omissions(order, windows=[np.array(sorted(windows), np.int64)]).kept(epoch)
    read = order.pick(kept.positions(np.arange(len(kept))) + epoch * len(order)).window_ids
    assert sorted(read.tolist()) == sorted(set(range(1000)) - windows)


def test_rows_that_were_stitched_in_blocks():
    pieces = {"first_pieces": np.arange(0, 202, 2), "windows": np.arange(200), "bases": np.full(200, 9)}
    order = StitchedOrder(pieces, seed=3, shuffle=BlockShuffle(10, 2), split=False)
    rows = order.pick(np.arange(100)).window_ids[::2] // 2
    assert sorted(rows.tolist()) == list(range(100))
    assert len(np.unique(rows[:20] // 10)) == 2


def test_each_source_of_a_mixture_has_blocks_of_its_own():
    order = MixedOrder({"a": blocks(1000, seed=1), "b": blocks(1000, seed=2)}, {"a": 3, "b": 1})
    picks = order.pick(np.arange(100))
    for source, count in ((0, 75), (1, 25)):
        windows = picks.window_ids[picks.sources == source]
        assert windows.size == count
        assert len(np.unique(windows // 16)) <= 8


@pytest.mark.parametrize("shuffle", [True, False, BlockShuffle(5, 2)])
def test_every_kind_of_shuffle_has_its_inverse(shuffle):
    keys = mix(np.uint64(3), np.arange(50) % 4)  # several epochs at once
    rows = permuted(np.arange(50), 50, keys, shuffle)
    assert unpermuted(rows, 50, keys, shuffle).tolist() == list(range(50))
