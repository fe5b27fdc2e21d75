import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import Draws, Picks

MANY = 20_000


def picks(windows, epochs=0, sources=0):
    ids = np.asarray(windows, np.int64)
    epochs = np.broadcast_to(np.int64(epochs), ids.shape)
    return Picks(ids, epochs, np.arange(ids.size), np.broadcast_to(np.int16(sources), ids.shape))


def assert_uniform(numbers):
    """A chi-square test on 100 bins, five standard deviations wide; the numbers are the same in every run."""
    counts = np.histogram(numbers, 100, (0, 1))[0]
    chi_square = ((counts - numbers.size / 100) ** 2 / (numbers.size / 100)).sum()
    assert abs(chi_square - 99) < 5 * np.sqrt(2 * 99)


def assert_independent(left, right):
    assert abs(np.corrcoef(left, right)[0, 1]) < 5 / np.sqrt(left.size)
    assert_uniform((left + right) % 1)


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 2**40), min_size=1, max_size=20), st.randoms())
def test_a_window_draws_the_same_in_any_batch(seed, windows, random):
    together = dict(zip(windows, Draws(seed, picks(windows)).uniform("flip"), strict=True))
    random.shuffle(windows)
    assert Draws(seed, picks(windows)).uniform("flip").tolist() == [together[w] for w in windows]
    assert Draws(seed, picks(windows[:1])).uniform("flip")[0] == together[windows[0]]


def test_numbers_never_change_between_versions():
    drawn = Draws(42, picks([0, 1, 10**9], epochs=3)).uniform("reverse-complement")
    assert np.round(drawn, 12).tolist() == [0.024272885396, 0.374237308563, 0.549477457253]


@pytest.mark.parametrize("stream", ["reverse-complement", "a", ""])
def test_uniform(stream):
    drawn = Draws(42, picks(range(MANY))).uniform(stream)
    assert drawn.dtype == np.float64
    assert 0 <= drawn.min() < drawn.max() < 1
    assert_uniform(drawn)


def test_uniform_along_each_coordinate():
    ids = np.zeros(MANY, np.int64)
    assert_uniform(Draws(42, Picks(ids, np.arange(MANY), ids, ids.astype(np.int16))).uniform("a"))
    assert_uniform(Draws(42, Picks(ids, ids, ids, np.arange(MANY, dtype=np.int16))).uniform("a"))
    assert_uniform(np.array([Draws(seed, picks([7])).uniform("a")[0] for seed in range(2000)]))


@pytest.mark.parametrize(
    "other",
    [
        Draws(43, picks(range(MANY))),
        Draws(42, picks(range(MANY), epochs=1)),
        Draws(42, picks(range(MANY), sources=1)),
        Draws(42, picks(range(1, MANY + 1))),
    ],
    ids=["seed", "epoch", "source", "window"],
)
def test_each_coordinate_gives_independent_numbers(other):
    assert_independent(Draws(42, picks(range(MANY))).uniform("a"), other.uniform("a"))


def test_epoch_and_window_do_not_trade_places():
    assert Draws(42, picks([3], epochs=5)).uniform("a") != Draws(42, picks([5], epochs=3)).uniform("a")


@pytest.mark.parametrize("stream", ["b", "a ", "aa"])
def test_streams_are_independent(stream):
    draws = Draws(42, picks(range(MANY)))
    assert_independent(draws.uniform("a"), draws.uniform(stream))


def test_asking_again_gives_the_same():
    draws = Draws(42, picks(range(10)))
    first = draws.uniform("a")
    draws.uniform("b")
    assert draws.uniform("a").tolist() == first.tolist()


@pytest.mark.parametrize("seed", [0, -1, 2**64 - 1, 2**70])
def test_any_int_is_a_seed(seed):
    assert Draws(seed, picks([1, 2])).uniform("a").shape == (2,)


def test_no_windows():
    draws = Draws(42, picks([]))
    assert draws.uniform("a").shape == (0,)
    assert len(draws.uniform_per_base("a", np.empty(0, np.int64))) == 0


def test_per_base_rows_have_their_lengths():
    drawn = Draws(42, picks([5, 6, 7])).uniform_per_base("mask", np.array([3, 0, 2]))
    assert drawn.lengths.tolist() == [3, 0, 2]
    assert drawn.values.dtype == np.float64


def test_per_base_numbers_do_not_depend_on_company():
    together = Draws(42, picks([5, 6, 7])).uniform_per_base("mask", np.array([3, 9, 2]))
    alone = Draws(42, picks([6])).uniform_per_base("mask", np.array([9]))
    assert together[1].tolist() == alone[0].tolist()


def test_per_base_numbers_do_not_depend_on_the_length():
    short, long = (Draws(42, picks([5])).uniform_per_base("mask", np.array([n]))[0] for n in (4, 9))
    assert short.tolist() == long[:4].tolist()


def test_per_base_numbers_are_uniform_and_independent():
    drawn = Draws(42, picks(range(2))).uniform_per_base("mask", np.array([MANY, MANY]))
    assert_uniform(drawn.values)
    assert_independent(drawn[0], drawn[1])
    assert_independent(drawn[0][:-1], drawn[0][1:])


def test_per_window_and_per_base_streams_differ():
    draws = Draws(42, picks(range(MANY)))
    assert_independent(draws.uniform("a"), draws.uniform_per_base("a", np.ones(MANY, np.int64)).values)
