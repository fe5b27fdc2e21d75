from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.splitting.places import EXCLUDED, FREE, DividedUnitError, Stretches, blocks_of, guarded, places_of_units
from eden_core.splitting.rules import SplitRules

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
TRAIN, VALIDATION, TEST = range(3)


def places(units, lengths=None, fixed=None, shares=SHARES, seed=1):
    units = np.array(units, np.uint64)
    lengths = np.ones(units.size, np.int64) if lengths is None else np.array(lengths, np.int64)
    fixed = np.full(units.size, FREE, np.int8) if fixed is None else np.array(fixed, np.int8)
    return places_of_units(units, lengths, fixed, shares, seed)


def blocks(lengths, rules, fixed=None):
    fixed = np.full(len(lengths), FREE, np.int8) if fixed is None else np.array(fixed, np.int8)
    return blocks_of(np.arange(len(lengths), dtype=np.uint64), np.array(lengths, np.int64), fixed, rules)


def stretches(*rows):
    contigs, starts, lengths, splits = zip(*rows, strict=True)
    return Stretches(np.array(contigs), np.array(starts), np.array(lengths), np.array(splits, np.int8))


def rows_of(one):
    return list(zip(one.contigs.tolist(), one.starts.tolist(), one.lengths.tolist(), one.places.tolist(), strict=True))


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2**40), st.sampled_from([FREE, EXCLUDED])), max_size=40),
    st.sets(st.sampled_from(["train", "validation", "test"]), min_size=1),
)
def test_a_unit_is_in_one_split_that_is_wanted(rows, names):
    units, lengths, fixed = zip(*rows, strict=True) if rows else ((), (), ())
    found, count = places(units, lengths, fixed, {name: 1 / len(names) for name in sorted(names)})
    wanted = {("train", "validation", "test").index(name) for name in names}
    split_of = {}
    for unit, fix, place in zip(units, fixed, found.tolist(), strict=True):
        if fix == EXCLUDED:
            assert place == EXCLUDED
        else:
            assert place in wanted
            assert split_of.setdefault(unit, place) == place
    assert count == len(split_of)


def test_shares_are_by_bases():
    lengths = np.random.default_rng(1).integers(1, 1000, 10_000)
    found, _ = places(range(10_000), lengths)
    assert np.bincount(found, lengths) / lengths.sum() == pytest.approx([0.8, 0.1, 0.1], abs=0.001)


def test_a_unit_follows_its_fixed_contig_and_takes_no_share():
    found, _ = places([1, 1, 2, 3, 4], [10, 10, 1, 1, 1], [FREE, TEST, FREE, FREE, FREE], {"train": 2 / 3, "validation": 1 / 3})
    assert found[:2].tolist() == [TEST, TEST]
    assert sorted(found[2:].tolist()) == [TRAIN, TRAIN, VALIDATION]


def test_a_unit_cannot_be_fixed_twice():
    with pytest.raises(DividedUnitError, match="7"):
        places([7, 7, 8], fixed=[TEST, VALIDATION, TRAIN])


@given(st.lists(st.integers(0, 500), max_size=20), st.integers(1, 100), st.integers(0, 3))
def test_blocks_are_whole_contigs_in_pieces(lengths, block, seed):
    found = blocks(lengths, SplitRules(by="region", block=block, guard=0, seed=seed))
    for contig, length in enumerate(lengths):
        mine = [(start, size) for one, start, size, _ in rows_of(found) if one == contig]
        assert len(mine) == max(length // block, 1)
        assert all(start == i * block for i, (start, _) in enumerate(mine))
        assert all(size == block for _, size in mine[:-1])
        assert sum(size for _, size in mine) == length


@given(st.integers(0, 30))
def test_one_long_genome_has_few_borders_and_its_shares(seed):
    rules = SplitRules(by="region", seed=seed)
    found = blocks([4_900_000], rules)
    kept, left_out = guarded(found, rules.guard_bases)
    assert len(kept.contigs) <= 7
    assert left_out.bases <= 49_000
    shares = np.bincount(found.places, found.lengths, 3) / 4_900_000
    assert shares == pytest.approx([0.9, 0.05, 0.05], abs=0.045)
    assert shares.min() > 0


def test_held_out_blocks_of_a_large_genome_are_spread():
    rules = SplitRules(by="region")
    kept, _ = guarded(blocks([3_000_000_000], rules), rules.guard_bases)
    tested = kept.starts[kept.places == TEST]
    assert 9 <= tested.size <= 11
    assert np.diff(tested).max() < 400_000_000


def test_fixed_contigs_stay_whole():
    found = blocks([500, 500, 500], SplitRules(by="region", block=100, guard=0), [TEST, EXCLUDED, FREE])
    assert rows_of(found)[0] == (0, 0, 500, TEST)
    assert set(found.contigs.tolist()) == {0, 2}
    assert (found.contigs == 2).sum() == 5


def test_guards_are_of_the_training_side_or_of_the_earlier_one():
    found, left_out = guarded(
        stretches(
            (0, 0, 100, TRAIN), (0, 100, 100, TRAIN), (0, 200, 100, VALIDATION), (0, 300, 100, TEST), (0, 400, 99, TRAIN)
        ),
        10,
    )
    assert rows_of(found) == [(0, 0, 190, TRAIN), (0, 200, 90, VALIDATION), (0, 300, 100, TEST), (0, 410, 89, TRAIN)]
    assert (left_out.bases, left_out.stretches_too_short) == (30, 0)


def test_contigs_do_not_guard_each_other():
    rows = (0, 0, 50, TRAIN), (1, 0, 50, TEST), (2, 0, 0, TRAIN)
    found, left_out = guarded(stretches(*rows), 10)
    assert rows_of(found) == [*rows[:2]]
    assert left_out.bases == left_out.stretches_too_short == 0


def test_a_stretch_of_which_nothing_is_left():
    found, left_out = guarded(stretches((0, 0, 90, TEST), (0, 90, 20, TRAIN), (0, 110, 90, TEST)), 10)
    assert rows_of(found) == [(0, 0, 90, TEST), (0, 110, 90, TEST)]
    assert (left_out.bases, left_out.stretches_too_short) == (20, 1)


@given(st.lists(st.integers(0, 900), min_size=1, max_size=8), st.integers(0, 50), st.integers(0, 9))
def test_different_splits_are_a_guard_apart(lengths, guard, seed):
    rules = SplitRules(0.5, 0.25, 0.25, by="region", block=50, guard=guard, seed=seed)
    found, left_out = guarded(blocks(lengths, rules), guard)
    rows = rows_of(found)
    for (contig, start, length, place), (next_contig, next_start, _, next_place) in pairwise(rows):
        if contig == next_contig and place != next_place:
            assert next_start - (start + length) >= guard
    assert int(found.lengths.sum()) + left_out.bases == sum(lengths)
