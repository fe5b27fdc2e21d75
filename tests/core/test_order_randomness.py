"""The epoch order against a uniformly random one: statistics over 20 seeds and sizes from 10 to 10^6, Bonferroni-corrected."""

import numpy as np
import pytest
import torch

from eden_core.order import EpochOrder

SIZES = (10, 11, 97, 1000, 10_007, 100_000, 1_000_000)
SEEDS = range(20)
LOWEST = 0.001 / (len(SIZES) * len(SEEDS))
ROWS = 50_000
"""small epochs are taken together until they have this many rows"""
BINS = 10


def chi_square_tail(statistic: float, freedom: int) -> float:
    return float(torch.special.gammaincc(torch.tensor(freedom / 2.0), torch.tensor(statistic / 2.0)))


def normal_tails(z: float) -> float:
    return float(torch.special.erfc(torch.tensor(abs(z) / 2**0.5)))


def poisson_tails(count: int, mean: float) -> float:
    at_most = float(torch.special.gammaincc(torch.tensor(count + 1.0), torch.tensor(mean)))
    at_least = 1.0 if count == 0 else float(torch.special.gammainc(torch.tensor(float(count)), torch.tensor(mean)))
    return min(1.0, 2 * min(at_most, at_least))


@pytest.fixture(scope="module")
def statistics() -> dict[str, list[tuple[int, int, float]]]:
    """Statistic -> (size, seed, probability of one as extreme under a random order)."""
    found = {"positions": [], "lag 1": [], "fixed points": []}
    for size in SIZES:
        epochs = max(1, ROWS // size)
        for seed in SEEDS:
            order = EpochOrder(size, seed=seed, shuffle=True)
            windows = order.pick(np.arange(epochs * size)).window_ids.reshape(epochs, size)
            found["positions"].append((size, seed, positions(windows)))
            found["lag 1"].append((size, seed, lag_1(windows)))
            found["fixed points"].append((size, seed, fixed_points(windows)))
    return found


def positions(windows: np.ndarray) -> float:
    """Chi-square of (tenth of the epoch, tenth of the index) over all epochs; both margins of the table are fixed."""
    epochs, size = windows.shape
    tenth = np.arange(size) * BINS // size
    pairs = tenth[None] * BINS + tenth[windows]
    observed = np.bincount(pairs.ravel(), minlength=BINS**2).reshape(BINS, BINS)
    sizes = np.bincount(tenth)
    expected = epochs * np.outer(sizes, sizes) / size
    statistic = ((observed - expected) ** 2 / expected).sum() * (size - 1) / size
    return chi_square_tail(statistic, (BINS - 1) ** 2)


def lag_1(windows: np.ndarray) -> float:
    """Circular serial correlation, with its exact mean and variance (Wald and Wolfowitz, Ann. Math. Stat. 14, 1943)."""
    epochs, size = windows.shape
    centred = windows - (size - 1) / 2
    products = (centred * np.roll(centred, -1, axis=1)).sum()
    second, fourth = (centred[0] ** 2).sum(), (centred[0] ** 4).sum()
    mean = -second / (size - 1)
    variance = (second**2 - fourth) / (size - 1) + (second**2 - 2 * fourth) / ((size - 1) * (size - 2)) - mean**2
    return normal_tails((products - epochs * mean) / (epochs * variance) ** 0.5)


def fixed_points(windows: np.ndarray) -> float:
    """Windows that stand at their own place: one an epoch on average."""
    return poisson_tails(int((windows == np.arange(windows.shape[1])).sum()), float(len(windows)))


@pytest.mark.parametrize("name", ["positions", "lag 1", "fixed points"])
def test_no_seed_or_size_is_further_from_chance_than_chance_allows(statistics, name):
    assert [case for case in statistics[name] if case[2] <= LOWEST] == []


@pytest.mark.parametrize("name", ["positions", "lag 1", "fixed points"])
def test_probabilities_are_spread_as_chance_spreads_them(statistics, name):
    """A statistic that is always near its mean would not be random either."""
    probabilities = [case[2] for case in statistics[name]]
    assert 0.3 < np.mean(probabilities) < 0.75
    assert min(probabilities) < 0.1


def test_an_order_that_is_not_random_fails():
    """The statistics can tell: the index order itself, and one that only rotates."""
    plain = np.arange(1000)[None]
    assert max(positions(plain), lag_1(plain), fixed_points(plain)) < LOWEST
    assert positions(np.roll(plain, 300, axis=1)) < LOWEST
