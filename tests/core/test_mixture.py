import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eden_core.errors import ConfigurationError, WindowOutOfRangeError
from eden_core.mixture import LONGEST_PERIOD, Anchor, MixedOrder, WholeMixture, interleaved, shares
from eden_core.order import OVERRUN, EpochOrder
from eden_core.packing import PackedOrder, plan_rows
from eden_core.stitching import StitchedOrder

SIZES = {"a": 5, "b": 17, "c": 1}
WEIGHTS = st.fixed_dictionaries({name: st.integers(0, 9) for name in SIZES}).filter(lambda weights: any(weights.values()))
ROWS = 200


def orders(sizes=SIZES, shuffle=True) -> dict[str, EpochOrder]:
    return {name: EpochOrder(size, seed=ord(name), shuffle=shuffle) for name, size in sizes.items()}


def mixture(weights, sizes=SIZES, **options) -> MixedOrder:
    return MixedOrder(orders(sizes), weights, **options)


def rows_until_used_up(mixed: MixedOrder, rows: int = ROWS) -> int:
    """How many rows there are, `rows` at most."""
    try:
        mixed.pick(np.arange(mixed.anchor.row, rows))
    except WindowOutOfRangeError as error:
        return int(str(error).split(" lies behind row ")[1].split(",")[0])
    return rows


def sources_of(mixed: MixedOrder, rows: int = ROWS) -> list[str]:
    return [mixed.names[source] for source in mixed.pick(np.arange(rows)).sources.tolist()]


def windows_by_source(mixed: MixedOrder, rows) -> dict[str, list[tuple[int, int]]]:
    """(epoch, window) of each source's rows, in the order in which they come."""
    picks = mixed.pick(np.asarray(rows))
    found = {name: [] for name in mixed.names}
    for source, epoch, window in zip(picks.sources.tolist(), picks.epochs.tolist(), picks.window_ids.tolist(), strict=True):
        found[mixed.names[source]].append((epoch, window))
    return found


def own_rows(order: EpochOrder, first: int, stop: int) -> list[tuple[int, int]]:
    picks = order.pick(np.arange(first, stop))
    return list(zip(picks.epochs.tolist(), picks.window_ids.tolist(), strict=True))


@given(st.lists(st.decimals(0, 10, places=1).map(float), min_size=1, max_size=4).filter(any))
def test_shares_are_exactly_by_weight(weights):
    found = shares(weights)
    total = sum(Fraction(str(weight)) for weight in weights)
    assert [Fraction(share, sum(found)) for share in found] == [Fraction(str(weight)) / total for weight in weights]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8).filter(any))
def test_shares_of_long_periods_are_rounded_to_a_row_of_65536(weights):
    found = shares(weights)
    total = sum(Fraction(str(weight)) for weight in weights)
    assert sum(found) <= LONGEST_PERIOD
    for share, weight in zip(found, weights, strict=True):
        assert (share > 0) == (weight > 0)
        # a source that was raised to one row takes it from another
        assert abs(share - Fraction(str(weight)) / total * sum(found)) < len(weights)


def test_tiny_weights_get_one_row_and_no_weight_gets_none():
    assert shares([1, 1e-9, 1e-9, 0]) == (LONGEST_PERIOD - 2, 1, 1, 0)


@pytest.mark.parametrize("weights", [[-1, 2], [float("nan")], [float("inf"), 1], [0, 0], []])
def test_weights_without_meaning(weights):
    with pytest.raises(ConfigurationError, match="expected numbers of 0 or more, one of them above 0"):
        shares(weights)


def is_even(pattern: np.ndarray, counts: tuple[int, ...]) -> bool:
    """Whether of each prefix every source has its share to within one row: |count x period - prefix x share| < period."""
    period, prefixes = sum(counts), np.arange(pattern.size + 1)
    taken = [np.concatenate([[0], np.cumsum(pattern == source)]) for source in range(len(counts))]
    return all((np.abs(t * period - prefixes * count) < period).all() for t, count in zip(taken, counts, strict=True))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=7).filter(any).map(tuple))
def test_each_prefix_of_the_pattern_has_its_shares(counts):
    pattern = interleaved(counts)
    assert np.bincount(pattern, minlength=len(counts)).tolist() == list(counts)
    assert is_even(np.tile(pattern, 3), counts)


@settings(max_examples=10)
@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=6))
def test_each_prefix_of_the_longest_pattern_has_its_shares(weights):
    counts = shares(weights)
    assert is_even(interleaved(counts), counts)


PLANS = st.tuples(
    WEIGHTS,
    st.fixed_dictionaries({name: st.none() | st.integers(0, 60).map(lambda rows: rows / 10) for name in SIZES}),
    st.lists(st.tuples(st.integers(1, 120), WEIGHTS), max_size=3, unique_by=lambda phase: phase[0]).map(
        lambda phases: sorted(phases, key=lambda phase: phase[0])
    ),
)
"""weights, max_epochs, schedule"""


@settings(max_examples=40)
@given(PLANS)
def test_each_prefix_of_each_phase_has_its_shares(plan):
    weights, max_epochs, schedule = plan
    mixed = mixture(weights, max_epochs=max_epochs, schedule=schedule)
    limits = {n: None if m is None else int(Fraction(str(m)) * SIZES[n]) for n, m in max_epochs.items()}
    taken, phase, begin, before = dict.fromkeys(SIZES, 0), None, 0, {}
    for row, source in enumerate(sources_of(mixed, rows_until_used_up(mixed))):
        planned = [weights, *(w for first, w in schedule if first <= row)]
        left = {n: 0 if limits[n] is not None and taken[n] >= limits[n] else planned[-1][n] for n in SIZES}
        if phase != (len(planned), left):
            phase, begin, before = (len(planned), left), row, dict(taken)
        taken[source] += 1
        for name, weight in left.items():
            assert abs(taken[name] - before[name] - Fraction(weight, sum(left.values())) * (row + 1 - begin)) < 1


@settings(max_examples=40)
@given(PLANS)
def test_each_source_goes_through_its_own_epochs(plan):
    weights, max_epochs, schedule = plan
    mixed = mixture(weights, max_epochs=max_epochs, schedule=schedule)
    for name, found in windows_by_source(mixed, np.arange(rows_until_used_up(mixed))).items():
        assert found == own_rows(mixed.order_of[name], 0, len(found))


@settings(max_examples=40)
@given(PLANS, st.integers(0, ROWS))
def test_taken_is_what_counting_gives(plan, row):
    weights, max_epochs, schedule = plan
    mixed = mixture(weights, max_epochs=max_epochs, schedule=schedule)
    row = min(row, rows_until_used_up(mixed))
    before = sources_of(mixed, row)
    assert mixed.taken(row) == {name: before.count(name) for name in SIZES}


@settings(max_examples=40)
@given(PLANS, st.lists(st.integers(0, 30), max_size=10))
def test_a_row_depends_on_nothing_but_its_number(plan, rows):
    weights, max_epochs, schedule = plan
    mixed = mixture(weights, max_epochs=max_epochs, schedule=schedule)
    rows = [row for row in rows if row < rows_until_used_up(mixed)]
    together = mixed.pick(np.array(rows, np.int64))
    assert together.rows.tolist() == list(range(len(rows)))
    for i, row in enumerate(rows):
        alone = mixed.pick(np.array([row]))
        for column in ("window_ids", "epochs", "sources"):
            assert getattr(alone, column)[0] == getattr(together, column)[i]


@settings(max_examples=40)
@given(PLANS, st.integers(0, 100))
def test_a_mixture_begun_where_it_began_gives_the_same_rows(plan, row):
    weights, max_epochs, schedule = plan
    mixed = mixture(weights, max_epochs=max_epochs, schedule=schedule)
    row = min(row, rows_until_used_up(mixed))
    anchored = mixed.continued(Anchor(row, mixed.taken(row)))
    again = mixed.continued(anchored.anchor).continued(anchored.anchor)
    stop = rows_until_used_up(mixed)
    rows = np.arange(row, min(stop, rows_until_used_up(again)))
    assert windows_by_source(again, rows) == windows_by_source(anchored, rows)
    assert again.pick(rows).sources.tolist() == anchored.pick(rows).sources.tolist()


@given(WEIGHTS, st.integers(0, 6))
def test_a_mixture_continued_behind_a_whole_period_goes_on_as_if_nothing_had_been(weights, periods):
    mixed = mixture(weights)
    row = periods * sum(shares([*weights.values()]))
    rows = np.arange(row, row + 40)
    continued = mixed.continued(Anchor(row, mixed.taken(row)))
    assert continued.pick(rows).window_ids.tolist() == mixed.pick(rows).window_ids.tolist()


@settings(max_examples=40)
@given(PLANS, WEIGHTS, st.integers(0, 150))
def test_other_weights_repeat_nothing_and_leave_nothing_out(plan, others, row):
    weights, max_epochs, schedule = plan
    before = mixture(weights, max_epochs=max_epochs, schedule=schedule)
    row = min(row, rows_until_used_up(before))
    after = mixture(others, anchor=Anchor(row, before.taken(row)))
    read, rest = windows_by_source(before, np.arange(row)), windows_by_source(after, np.arange(row, row + 60))
    for name in SIZES:
        together = read[name] + rest[name]
        assert together == own_rows(before.order_of[name], 0, len(together))


@given(WEIGHTS, st.integers(0, 60), st.integers(0, 60))
def test_a_source_may_go_and_another_come(weights, row, later):
    first = mixture({**weights, "b": 1})
    second = mixture({"b": 2, "d": 3}, {"b": 17, "d": 4}, anchor=Anchor(row, first.taken(row)))
    taken = {**first.taken(row), **second.taken(row + later)}
    third = mixture({"a": 1, "b": 1, "d": 1}, {**SIZES, "d": 4}, anchor=Anchor(row + later, taken))
    spans = [(first, range(row)), (second, range(row, row + later)), (third, range(row + later, row + later + 50))]
    reads = [windows_by_source(mixed, list(rows)) for mixed, rows in spans]
    for name in ("a", "b", "c", "d"):
        together = [window for read in reads for window in read.get(name, [])]
        assert together == own_rows(third.order_of[name], 0, len(together))


def test_rows_before_the_anchor_are_refused():
    with pytest.raises(WindowOutOfRangeError, match="row 6 lies before row 7, from which on the sources are mixed"):
        mixture({"a": 1}, anchor=Anchor(7, {"a": 3})).pick(np.array([7, 6]))


@given(WEIGHTS, st.sampled_from([*SIZES]), st.integers(0, 6))
def test_a_source_ends_with_its_last_epoch(weights, name, epochs):
    others = {**weights, name: 3, "b" if name != "b" else "a": 1}
    sources = sources_of(mixture(others, max_epochs={name: epochs}), 1000)
    assert sources.count(name) == epochs * SIZES[name]


@pytest.mark.parametrize(("epochs", "size", "rows"), [(0.29, 100, 29), (2.3, 100, 230), (1.5, 3, 4)])
def test_epochs_may_be_decimal_fractions(epochs, size, rows):
    mixed = mixture({"a": 1, "b": 1}, {"a": size, "b": 9}, max_epochs={"a": epochs})
    assert sources_of(mixed, 1000).count("a") == rows


def test_behind_all_epochs_there_are_no_rows():
    mixed = mixture({"a": 2, "b": 1}, max_epochs={"a": 1, "b": 1})
    assert sorted(sources_of(mixed, 22)) == ["a"] * 5 + ["b"] * 17
    with pytest.raises(
        WindowOutOfRangeError, match="row 23 lies behind row 22, with which all sources that have a weight have reached"
    ):
        mixed.pick(np.array([21, 23]))


def test_where_all_is_used_up_it_is_known_what_was_taken():
    mixed = mixture({"a": 2, "b": 1}, max_epochs={"a": 1, "b": 1})
    assert mixed.taken(22) == mixed.taken(99) == {"a": 5, "b": 17, "c": 0}


def test_a_later_phase_does_not_begin_before_its_row():
    mixed = mixture({"a": 1}, max_epochs={"a": 2}, schedule=[(15, {"b": 1})])
    assert sources_of(mixed, 10) == ["a"] * 10
    with pytest.raises(WindowOutOfRangeError, match="row 12 lies behind row 10"):
        mixed.pick(np.array([12]))
    assert mixed.pick(np.arange(15, 20)).sources.tolist() == [1] * 5


def test_sources_without_a_weight_are_left_aside():
    assert set(sources_of(mixture({"a": 1, "b": 0}))) == {"a"}


def test_a_schedule_changes_weights_at_its_rows():
    mixed = mixture({"a": 1}, schedule=[(3, {"b": 1}), (5, {"a": 1, "c": 1})])
    assert sources_of(mixed, 9) == ["a", "a", "a", "b", "b", "a", "c", "a", "c"]


@pytest.mark.parametrize("rows", [[0], [-5], [7, 7], [9, 4]])
def test_a_schedule_that_does_not_ascend(rows):
    with pytest.raises(ConfigurationError, match="expected ascending rows of the run, from 1 on"):
        mixture({"a": 1}, schedule=[(row, {"a": 1}) for row in rows])


@pytest.mark.parametrize(("weights", "schedule"), [({"a": 1, "x": 1}, []), ({"a": 1}, [(5, {"x": 1})])])
def test_weights_of_unknown_sources(weights, schedule):
    with pytest.raises(ConfigurationError, match="there are weights for x; sources are a, b, c"):
        mixture(weights, schedule=schedule)


@pytest.mark.parametrize(("weights", "schedule"), [({"a": -1}, []), ({"a": 0}, []), ({"a": 1}, [(5, {"b": 0})])])
def test_weights_of_a_mixture_without_meaning(weights, schedule):
    with pytest.raises(ConfigurationError, match="expected numbers of 0 or more"):
        mixture(weights, schedule=schedule)


def test_no_rows():
    assert len(mixture({"a": 1}).pick(np.empty(0, np.int64))) == 0


def test_a_negative_row_is_refused():
    with pytest.raises(WindowOutOfRangeError, match="row -1 is negative"):
        mixture({"a": 1}).pick(np.array([-1]))


def test_far_rows_are_as_close():
    mixed = mixture({"a": 2, "b": 3, "c": 1})
    picks = mixed.pick(np.arange(6) + 6 * 10**12)
    assert sorted(picks.sources.tolist()) == [0, 0, 1, 1, 1, 2]
    assert picks.epochs[picks.sources == 2].tolist() == [10**12]


def test_an_epoch_is_all_rows_of_all_sources():
    assert len(mixture({"a": 1})) == sum(SIZES.values())


def test_pickles():
    mixed = mixture({"a": 2, "b": 1}, schedule=[(9, {"c": 1})], max_epochs={"c": 3}, anchor=Anchor(4, {"a": 2}))
    copy = pickle.loads(pickle.dumps(mixed))
    rows = np.arange(4, 12)
    assert windows_by_source(copy, rows) == windows_by_source(mixed, rows)


def test_the_fingerprint_tells_what_changes_rows():
    made = [mixture({"a": 1}), mixture({"a": 1, "b": 1}), mixture({"a": 1}, max_epochs={"a": 3})]
    made += [mixture({"a": 1}, schedule=[(4, {"b": 1})]), mixture({"a": 1}, anchor=Anchor(3, {"a": 3}))]
    assert len({mixed.fingerprint() for mixed in made}) == 5


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 3))
def test_a_whole_mixture_has_each_row_of_each_source_once_an_epoch(sizes, epoch):
    mixed = WholeMixture(orders({chr(ord("a") + i): size for i, size in enumerate(sizes)}))
    rows = np.arange(len(mixed)) + epoch * len(mixed)
    for name, found in windows_by_source(mixed, rows).items():
        size = len(mixed.order_of[name])
        assert found == own_rows(mixed.order_of[name], epoch * size, (epoch + 1) * size)


@pytest.mark.parametrize("sizes", [(70_001, 50_003), (199_999, 7)])
def test_a_whole_mixture_of_many_rows_is_as_exact(sizes):
    mixed = WholeMixture(orders({"a": sizes[0], "b": sizes[1]}))
    sources = mixed.pick(np.arange(len(mixed))).sources
    assert np.bincount(sources).tolist() == list(sizes)
    assert 0.4 < (sources[: sources.size // 2] == 1).sum() / sizes[1] < 0.6


@given(st.integers(0, 100))
def test_what_a_whole_mixture_has_taken_is_what_counting_gives(row):
    mixed = WholeMixture(orders())
    before = sources_of(mixed, row)
    assert mixed.taken(row) == {name: before.count(name) for name in SIZES}


def packed() -> PackedOrder:
    plan = plan_rows(np.array([10]), np.array([4]), 20)
    classes = {"windows": np.arange(4), "first_windows": np.array([0, 4]), "lengths": np.array([7])}
    return PackedOrder(plan, classes, seed=1, shuffle=False)


def stitched() -> StitchedOrder:
    columns = {"windows": [7, 8, 8], "skips": [0, 0, 5], "bases": [9, 5, 3], "first_pieces": [0, 2, 3]}
    return StitchedOrder({n: np.array(c) for n, c in columns.items()}, seed=1, shuffle=False, split=True)


def test_rows_of_many_windows_stay_together():
    picks = MixedOrder({"p": packed(), "s": stitched()}, {"p": 1, "s": 1}).pick(np.array([3, 0, 1]))
    assert picks.rows.tolist() == [0, 1, 1, 2, 2]
    assert picks.window_ids.tolist() == [8, 0, 1, 7, 8]
    assert picks.sources.tolist() == [1, 0, 0, 1, 1]


def test_cuts_of_one_source_leave_the_windows_of_another_whole():
    picks = MixedOrder({"e": EpochOrder(4, seed=1, shuffle=False), "s": stitched()}, {"e": 1, "s": 1}).pick(np.arange(4))
    whole = np.iinfo(np.int64).max
    assert picks.skips.tolist() == [0, 0, 0, 0, 5]
    assert picks.limits.tolist() == [whole, 9 + OVERRUN, 5, whole, 3 + OVERRUN]


def test_the_fullest_row_of_all_sources():
    assert MixedOrder({"a": orders()["a"], "p": packed()}, {"a": 1, "p": 1}).most_windows == 2
