import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import errors
from eden_core.sampler import RankSampler


def rows_of(sampler: RankSampler, epoch: int = 0, first: int = 0, block: int = 8) -> np.ndarray:
    return np.concatenate([b.rows for b in sampler.blocks(epoch, first, block)])


@given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(1, 40))
def test_ranks_together_read_every_row_once_in_global_batches(epoch_rows, micro, size, accumulate, block):
    samplers = [RankSampler(epoch_rows, micro, rank, size, micro * size * accumulate, drop_last=False) for rank in range(size)]
    parts = [rows_of(s, block=block).reshape(len(s), micro) for s in samplers]
    in_order = np.stack(parts, axis=1).ravel()
    assert in_order[:epoch_rows].tolist() == list(range(epoch_rows))
    repeats = [b.repeated for s in samplers for b in s.blocks(0, 0, block)]
    assert sum(int(r.sum()) for r in repeats) == in_order.size - epoch_rows < micro * size * accumulate


def test_dropping_leaves_the_incomplete_global_batch_out():
    sampler = RankSampler(21, 2, 0, 2, 8)
    assert (len(sampler), sampler.dropped) == (4, 5)
    assert rows_of(sampler).tolist() == [0, 1, 4, 5, 8, 9, 12, 13]


def test_a_later_epoch_has_later_rows():
    assert rows_of(RankSampler(10, 5), epoch=3).tolist() == list(range(30, 40))


def test_going_on_in_the_middle():
    sampler = RankSampler(20, 2)
    assert rows_of(sampler, first=3).tolist() == rows_of(sampler).tolist()[6:]


def test_blocks_hold_whole_micro_batches():
    sizes = [b.rows.size for b in RankSampler(100, 6, drop_last=False).blocks(0, 0, 64)]
    assert sizes == [66, 36]


def test_too_few_rows_for_one_global_batch():
    with pytest.raises(errors.ConfigurationError, match="has 3 rows, fewer than one global batch of 4"):
        RankSampler(3, 4)


def test_a_global_batch_that_does_not_divide():
    with pytest.raises(errors.ConfigurationError, match="6 is no multiple of micro_batch_size 2 x 2"):
        RankSampler(100, 2, 0, 2, 6)


def test_a_micro_batch_of_nothing():
    with pytest.raises(errors.ConfigurationError, match="at least 1, not 0"):
        RankSampler(3, 0)
