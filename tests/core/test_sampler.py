import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import errors
from eden_core.omissions import Omissions
from eden_core.order import EpochOrder
from eden_core.sampler import RankSampler, sizes_that_fit

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
"""micro-batch, ranks, accumulation"""


def rows_of(sampler: RankSampler, epoch: int = 0, start: int = 0, block: int = 8) -> np.ndarray:
    blocks = [b.rows for b in sampler.blocks(epoch, start, block)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.int64)


def samplers(epoch_rows, sizes, **options) -> list[RankSampler]:
    micro, ranks, accumulation = sizes
    return [RankSampler(epoch_rows, micro, rank, ranks, micro * ranks * accumulation, **options) for rank in range(ranks)]


def together(group: list[RankSampler], epoch: int = 0, start: int = 0, block: int = 8) -> list[int]:
    """The rows of all ranks in global order."""
    parts = [rows_of(s, epoch, start, block).reshape(-1, s.micro_batch_size) for s in group]
    return np.stack(parts, axis=1).ravel().tolist()


@given(st.integers(1, 200), SIZES, st.integers(1, 40))
def test_ranks_together_read_every_row_once_in_global_batches(epoch_rows, sizes, block):
    group = samplers(epoch_rows, sizes, drop_last=False)
    in_order = together(group, block=block)
    assert in_order[:epoch_rows] == list(range(epoch_rows))
    repeats = [b.repeated for s in group for b in s.blocks(0, 0, block)]
    assert sum(int(r.sum()) for r in repeats) == len(in_order) - epoch_rows < group[0].step_rows


@given(st.integers(50, 200), SIZES, SIZES, st.integers(0, 20), st.booleans())
def test_other_ranks_and_sizes_go_on_without_a_gap(epoch_rows, before, after, batches, drop_last):
    first, second = (samplers(epoch_rows, sizes, drop_last=drop_last) for sizes in (before, after))
    batches = min(batches, first[0].batches(2, 0))
    consumed = first[0].position(2, 0, batches)
    everything = list(range(2 * epoch_rows, 3 * epoch_rows))
    read = together(first, 2)[:consumed]
    rest = together(second, 2, consumed)
    unread = epoch_rows - consumed - len(rest)
    assert (read + rest)[:epoch_rows] == everything[: consumed + len(rest)]
    assert unread < second[0].step_rows if drop_last else unread <= 0


@given(st.integers(30, 90), SIZES, st.lists(st.integers(0, 29), max_size=8, unique=True), st.integers(0, 20))
def test_rows_left_out_are_passed_over_and_keep_the_numbers_of_the_others(size, sizes, windows, start):
    left_out = Omissions(EpochOrder(size, seed=1, shuffle=False), [(5, 9)], [np.array(windows, np.int64)])
    group = samplers(size, sizes, drop_last=False, omissions=left_out)
    kept = [row for row in range(start, size) if row not in windows and not 5 <= row < 9]
    in_order = together(group, 0, start)
    assert in_order[: len(kept)] == kept
    for batches in range(group[0].batches(0, start)):
        consumed = group[0].position(0, start, batches)
        assert [row for row in kept if row < consumed] == in_order[: min(batches * group[0].stride, len(kept))]


def test_dropping_leaves_the_incomplete_global_batch_out():
    sampler = RankSampler(21, 2, 0, 2, 8)
    assert (len(sampler), sampler.dropped) == (4, 5)
    assert rows_of(sampler).tolist() == [0, 1, 4, 5, 8, 9, 12, 13]


def test_a_later_epoch_has_later_rows():
    assert rows_of(RankSampler(10, 5), epoch=3).tolist() == list(range(30, 40))


def test_going_on_in_the_middle():
    sampler = RankSampler(20, 2)
    assert rows_of(sampler, start=6).tolist() == rows_of(sampler).tolist()[6:]


def test_blocks_hold_whole_micro_batches_and_grow():
    sizes = [block.rows.size for block in RankSampler(2000, 6, drop_last=False).blocks(0, 0, 64)]
    assert sizes[:3] == [6, 6, 6]
    assert sizes[-2] == max(sizes) == 66
    assert sizes[:-1] == sorted(sizes[:-1])
    assert sum(sizes) == 2004


@given(st.integers(1, 70), st.integers(1, 9))
def test_blocks_are_read_before_those_in_front_are_used_up(micro_batch_size, readers):
    """Reading takes 8/9 of the time there is for it; readers take turns and may run far ahead."""
    blocks = RankSampler(50_000, micro_batch_size).blocks(0, 0, 64, readers)
    free, used = [0.0] * readers, None
    for i, block in enumerate(blocks):
        read = free[i % readers] = free[i % readers] + block.rows.size * readers * 8 / 9
        used = read if used is None else used
        assert read <= used + 1e-6
        used += block.rows.size


@pytest.mark.parametrize(
    ("limit", "batches", "after_ten_rows"), [(None, 10, 5), (4, 4, 0), (0.7, 7, 2), (99, 10, 5), (1.0, 10, 5)]
)
def test_a_limit_ends_a_pass_and_leaves_the_length_alone(limit, batches, after_ten_rows):
    sampler = RankSampler(20, 2, limit=limit)
    assert len(sampler) == 10
    assert sampler.pass_batches == sampler.batches(0, 0) == batches
    assert sampler.batches(0, 10) == after_ten_rows


def test_too_few_rows_for_one_global_batch():
    with pytest.raises(errors.ConfigurationError, match="has 3 rows, fewer than one global batch of 4"):
        RankSampler(3, 4)


def test_a_global_batch_that_does_not_divide():
    with pytest.raises(errors.ConfigurationError, match=r"6 is no multiple of micro_batch_size 2 x 2.*: 2 x 1 x 3, 2 x 3 x 1"):
        RankSampler(100, 2, 0, 2, 6)


def test_nothing_at_all():
    with pytest.raises(errors.ConfigurationError, match="micro_batch_size must be at least 1, not 0"):
        RankSampler(3, 0)
    with pytest.raises(errors.ConfigurationError, match="global_batch_size must be at least 1, not 0"):
        RankSampler(3, 1, global_batch_size=0)


def test_sizes_that_fit_these_ranks_or_else_others():
    assert sizes_that_fit(12, 2).endswith("make 12: 2 x 1 x 6, 2 x 2 x 3, 2 x 3 x 2, 2 x 6 x 1")
    assert sizes_that_fit(6, 4).endswith("make 6: 1 x 1 x 6, 1 x 6 x 1, 2 x 1 x 3, 2 x 3 x 1, 3 x 1 x 2, 3 x 2 x 1, 6 x 1 x 1")
