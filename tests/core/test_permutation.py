import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eden_core.permutation import permute, unpermute

KEYS = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("key", [0, 1, 2**64 - 1])
def test_small_domains_are_permuted(key):
    for n in range(1, 301):
        assert np.array_equal(np.sort(permute(np.arange(n), n, key)), np.arange(n)), n


@settings(max_examples=20, deadline=None)
@given(st.integers(301, 100_000), KEYS)
def test_larger_domains_are_permuted(n, key):
    assert np.array_equal(np.sort(permute(np.arange(n), n, key)), np.arange(n))


@pytest.mark.parametrize("n", [2**40, 2**40 - 87, 2**60])
@pytest.mark.parametrize("first", [0, 1_000_000, -1000])
def test_huge_domains_keep_their_range_and_repeat_nothing(n, first):
    positions = np.arange(1000) + (first if first >= 0 else n + first)
    permuted = permute(positions, n, 42)
    assert permuted.dtype == np.int64
    assert permuted.min() >= 0
    assert permuted.max() < n
    assert np.unique(permuted).size == 1000


def test_huge_domains_are_spread_evenly():
    n = 2**40
    counts = np.histogram(permute(np.arange(100_000), n, 42), 100, (0, n))[0]
    assert abs(((counts - 1000) ** 2 / 1000).sum() - 99) < 5 * np.sqrt(2 * 99)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_small_domains_take_every_order_about_as_often(n):
    keys = np.arange(3000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    orders = np.stack([permute(np.full(3000, position), n, keys) for position in range(n)], 1)
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    expected = 3000 / [0, 0, 2, 6, 24, 120][n]
    assert counts.size == 3000 / expected
    assert abs(((counts - expected) ** 2 / expected).sum() - counts.size + 1) < 5 * np.sqrt(2 * counts.size)


@given(st.integers(30, 10**9), KEYS, KEYS)
def test_other_keys_are_other_permutations(n, key, other):
    positions = np.arange(30)
    same = np.array_equal(permute(positions, n, key), permute(positions, n, other))
    assert same == (key == other)


def test_neighbours_are_not_kept_together():
    permuted = permute(np.arange(10_000), 10_000, 42)
    assert abs(np.corrcoef(permuted[:-1], permuted[1:])[0, 1]) < 0.05
    assert abs(np.corrcoef(permuted, np.arange(10_000))[0, 1]) < 0.05
    assert (np.abs(np.diff(permuted)) == 1).sum() < 20


@given(st.integers(1, 10**12), st.lists(KEYS, min_size=1, max_size=8), st.data())
def test_each_position_may_have_its_own_key(n, keys, data):
    positions = np.array([data.draw(st.integers(0, n - 1)) for _ in keys])
    mixed = permute(positions, n, np.array(keys, np.uint64))
    assert mixed.tolist() == [permute(positions[i : i + 1], n, key)[0] for i, key in enumerate(keys)]


def test_one_position_alone_and_in_company():
    everything = permute(np.arange(1000), 1000, 7)
    assert permute(np.array([999, 3, 3]), 1000, 7).tolist() == everything[[999, 3, 3]].tolist()


def test_no_positions():
    assert permute(np.empty(0, np.int64), 5, 1).shape == (0,)


def test_the_positions_given_are_not_changed():
    positions = np.arange(100)
    positions.setflags(write=False)
    permute(positions, 100, 3)
    assert positions.tolist() == list(range(100))


@given(st.integers(1, 2**40), KEYS, st.data())
def test_the_inverse_leads_back(n, key, data):
    positions = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=20)), np.int64)
    assert unpermute(permute(positions, n, key), n, key).tolist() == positions.tolist()


SIZES = st.lists(st.integers(1, 2**40) | st.integers(1, 100), min_size=1, max_size=8)


@given(SIZES, KEYS, st.data())
def test_each_position_may_have_its_own_domain(sizes, key, data):
    positions = np.array([data.draw(st.integers(0, n - 1)) for n in sizes])
    mixed = permute(positions, np.array(sizes), key)
    assert mixed.tolist() == [permute(positions[i : i + 1], n, key)[0] for i, n in enumerate(sizes)]


@given(SIZES, KEYS, st.data())
def test_the_inverse_leads_back_in_each_domain(sizes, key, data):
    positions = np.array([data.draw(st.integers(0, n - 1)) for n in sizes])
    there = permute(positions, np.array(sizes), key)
    assert (there < np.array(sizes)).all()
    assert unpermute(there, np.array(sizes), key).tolist() == positions.tolist()


def test_domains_side_by_side_are_each_permuted():
    sizes = np.repeat(np.arange(1, 200), np.arange(1, 200))
    positions = np.concatenate([np.arange(n) for n in range(1, 200)])
    permuted = permute(positions, sizes, 42)
    assert sorted(zip(sizes.tolist(), permuted.tolist(), strict=True)) == list(
        zip(sizes.tolist(), positions.tolist(), strict=True)
    )


@pytest.mark.parametrize("root", [2**20, 2**29, 2**30])
def test_huge_squares_are_domains_like_others(root):
    sizes = np.array([root**2 - 1, root**2, root**2 - root])
    positions = sizes - 1
    assert permute(positions, sizes, 7).tolist() == [permute(positions[i : i + 1], int(n), 7)[0] for i, n in enumerate(sizes)]
