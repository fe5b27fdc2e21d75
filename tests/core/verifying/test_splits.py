from itertools import combinations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.verifying.problems import Problems
from eden_core.verifying.splits import check_splits

IDS = ["a", "b", "c", "d"]
LENGTHS = [100, 200, 300, 400]


@pytest.fixture
def check(tmp_path):
    pq.write_table(pa.table({"contig_id": IDS, "length": LENGTHS}), tmp_path / "contigs.parquet")

    def run(**splits):
        paths = {}
        for name, rows in splits.items():
            paths[name] = tmp_path / f"{name}.parquet"
            names = ("contig_id", "length", "start")[: len(rows[0])]
            pq.write_table(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), paths[name])
        problems = Problems()
        unused = check_splits(tmp_path / "contigs.parquet", paths, problems)
        return unused, [(one.kind, one.where.replace(f"{tmp_path}/", ""), one.count) for one in problems.listed()]

    return run


def test_contigs_in_no_split_are_counted(check):
    assert check(train=[("a", 100)], test=[("d", 400)]) == (2, [])


def test_a_contig_in_two_splits(check):
    found = check(train=[("a", 100), ("b", 200)], test=[("b", 200)], validation=[("c", 300)])
    assert found == (1, [("split-overlap", "train.parquet and test.parquet", 1)])


def test_a_contig_in_three_splits(check):
    _, problems = check(train=[("a", 100)], test=[("a", 100)], validation=[("a", 100)])
    assert sum(count for *_, count in problems) == 2


def test_a_contig_twice_in_one_split(check):
    assert check(train=[("a", 100), ("a", 100)])[1] == [("split-repeats", "train.parquet", 1)]


@pytest.mark.parametrize("unknown", ["0", "bb", "z"])
def test_a_contig_that_is_not_there(check, unknown):
    assert check(train=[("b", 200), (unknown, 5)])[1] == [("unknown-contig", "train.parquet", 1)]


def test_another_length(check):
    assert check(train=[("b", 201)])[1] == [("split-length", "train.parquet", 1)]


def test_intervals_that_lie_apart(check):
    assert check(train=[("b", 50, 0), ("b", 50, 100)], test=[("b", 50, 50), ("b", 50, 150)])[1] == []


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([("b", 51, 0), ("b", 50, 100)], ("split-overlap", "train.parquet and test.parquet", 1)),
        ([("b", 200, 0)], ("split-overlap", "train.parquet and test.parquet", 2)),
        ([("b", 30, 0), ("b", 30, 20)], ("split-repeats", "train.parquet", 1)),
        ([("b", 50, 175)], ("split-length", "train.parquet", 1)),
        ([("b", 50, -1)], ("split-length", "train.parquet", 1)),
    ],
)
def test_intervals_that_overlap_or_lie_outside(check, rows, problem):
    assert problem in check(train=rows, test=[("b", 50, 50), ("b", 10, 160)])[1]


def test_intervals_beside_a_whole_contig(check):
    assert check(train=[("b", 50, 50)], test=[("b", 200)])[1] == [("split-overlap", "train.parquet and test.parquet", 1)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["train", "test"]), st.sampled_from(IDS), st.integers(0, 90), st.integers(1, 10)), min_size=1
    )
)
def test_overlaps_are_those_of_all_pairs(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("splits")
    pq.write_table(pa.table({"contig_id": IDS, "length": LENGTHS}), folder / "contigs.parquet")
    paths = {}
    for name in {row[0] for row in rows}:
        paths[name] = folder / f"{name}.parquet"
        some = sorted((contig_id, start, length) for split, contig_id, start, length in rows if split == name)
        ids, starts, lengths = map(list, zip(*some, strict=True))
        pq.write_table(pa.table({"contig_id": ids, "start": starts, "length": lengths}), paths[name])
    problems = Problems()
    unused = check_splits(folder / "contigs.parquet", paths, problems)
    overlapping = [
        one
        for one, other in combinations(rows, 2)
        if one[1] == other[1] and one[2] < other[2] + other[3] and other[2] < one[2] + one[3]
    ]
    assert bool(problems.listed()) == bool(overlapping)
    assert unused == len(set(IDS) - {row[1] for row in rows})
