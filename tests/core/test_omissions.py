import logging
import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import Tiling, errors
from eden_core.omissions import Omissions, windows_of_contigs
from eden_core.order import EpochOrder
from eden_sqlite.index import SqliteIndex

RANGES = st.lists(st.tuples(st.integers(0, 150), st.integers(1, 40)).map(lambda p: (p[0], p[0] + p[1])), max_size=4)
WINDOWS = st.lists(st.integers(0, 29), max_size=10, unique=True)


def omissions(skip_rows=(), windows=(), windows_from=0, size=30, shuffle=True) -> Omissions:
    left_out = [np.array(windows, np.int64)] if len(windows) else []
    return Omissions(EpochOrder(size, seed=5, shuffle=shuffle), skip_rows, left_out, windows_from)


def plainly_kept(left_out: Omissions, skip_rows, windows, windows_from, rows: int) -> list[int]:
    picked = left_out._order.pick(np.arange(rows)).window_ids.tolist()
    skipped = {row for first, stop in skip_rows for row in range(first, stop)}
    excluded = {row for row in range(windows_from, rows) if picked[row] in windows}
    return [row for row in range(rows) if row not in skipped | excluded]


@given(RANGES, WINDOWS, st.integers(0, 100))
def test_rows_that_are_read_are_those_that_nothing_leaves_out(skip_rows, windows, windows_from):
    left_out = omissions(skip_rows, windows, windows_from)
    kept = plainly_kept(left_out, skip_rows, windows, windows_from, 400)
    assert left_out.rows(np.arange(len(kept))).tolist() == kept


@given(RANGES, WINDOWS, st.integers(0, 100), st.integers(0, 5))
def test_each_epoch_tells_its_own_positions(skip_rows, windows, windows_from, epoch):
    left_out = omissions(skip_rows, windows, windows_from)
    first = epoch * 30
    here = [row - first for row in plainly_kept(left_out, skip_rows, windows, windows_from, first + 30) if row >= first]
    kept = left_out.kept(epoch)
    assert len(kept) == len(here)
    assert kept.positions(np.arange(len(here))).tolist() == here
    assert [kept.before(position) for position in range(31)] == [sum(h < position for h in here) for position in range(31)]


def test_nothing_left_out_is_false():
    assert not omissions()
    assert omissions([(0, 1)])
    assert omissions(windows=[3])


def test_rows_can_be_asked_in_any_order_and_far_away():
    left_out = omissions([(2, 5)], [7], shuffle=False)
    assert left_out.rows(np.array([26 + 29 * 10**9, 2, 0])).tolist() == [30 * (10**9 + 1), 5, 0]


def test_a_long_range_takes_no_memory():
    assert omissions([(10, 10**15)], size=10**13).kept(3).starts.tolist() == [0]


def test_a_range_without_a_likely_end():
    with pytest.raises(errors.ConfigurationError, match="give the row at which reading goes on"):
        omissions([(10, 10**15)])


def test_something_must_be_left():
    with pytest.raises(errors.ConfigurationError, match="every window is left out"):
        omissions(windows=range(30))


def test_digests_differ_with_what_is_left_out():
    variants = [omissions(), omissions([(0, 1)]), omissions(windows=[0]), omissions(windows=[0], windows_from=3)]
    assert len({variant.digest for variant in variants}) == 4


def test_the_usual_epoch_misses_the_windows_alone():
    assert omissions([(0, 10)], [1, 2]).usual_rows == 28


def test_pickles():
    left_out = omissions([(3, 9)], [1])
    numbers = np.arange(50)
    left_out.rows(numbers)
    assert pickle.loads(pickle.dumps(left_out)).rows(numbers).tolist() == left_out.rows(numbers).tolist()


@pytest.mark.parametrize("pair", [(5, 5), (-1, 3), (1,), "ab", (1, 2.5), 7])
def test_what_is_no_range_of_rows(pair):
    with pytest.raises(errors.ConfigurationError, match="expected pairs"):
        omissions([pair])


def test_windows_of_contigs_that_a_file_names(small, tmp_path):
    index = SqliteIndex(str(small.windows))
    names = [name for name, _ in small.expected_windows()]
    wanted = sorted({names[0], names[-1]})
    (tmp_path / "out.txt").write_text(f"# contaminated\n{wanted[0]}\n\n  {wanted[1]}  \n")
    (found,) = windows_of_contigs([index], str(tmp_path / "out.txt"))
    assert found.tolist() == [i for i, name in enumerate(names) if name in wanted]


def test_a_contig_of_several_intervals_counts_once(tmp_path, caplog):
    batch = pa.record_batch({"contig_id": ["a", "b", "b"], "start": [0, 0, 30], "length": [10, 10, 20]})
    SqliteIndex.build(str(tmp_path / "w.db"), [batch], Tiling(10, 10))
    (tmp_path / "out.txt").write_text("b\nc\n")
    with caplog.at_level(logging.WARNING):
        (found,) = windows_of_contigs([SqliteIndex(str(tmp_path / "w.db"))], str(tmp_path / "out.txt"))
    assert found.tolist() == [1, 2, 3]
    assert "1 of the 2 contigs" in caplog.text


def test_contigs_that_the_index_does_not_hold_are_counted(small, tmp_path, caplog):
    index = SqliteIndex(str(small.windows))
    (tmp_path / "out.txt").write_text(f"BCR__ECT-NO__1\n{small.expected_windows()[0][0]}\n")
    with caplog.at_level(logging.WARNING):
        assert windows_of_contigs([index], str(tmp_path / "out.txt"))[0].size
    assert "1 of the 2 contigs" in caplog.text


def test_a_file_of_other_contigs_altogether(small, tmp_path):
    (tmp_path / "out.txt").write_text("chr1\n")
    with pytest.raises(
        errors.InputError, match="none of the 1 contigs .* such as 'chr1', .*ids there look like 'BCR__ECT-S0__CT0-1'"
    ):
        windows_of_contigs([SqliteIndex(str(small.windows))], str(tmp_path / "out.txt"))


def test_a_list_is_no_file(small):
    with pytest.raises(errors.ConfigurationError, match="expected the path of a text file"):
        windows_of_contigs([SqliteIndex(str(small.windows))], ["a"])


@pytest.mark.parametrize(("text", "message"), [(None, "cannot be read"), ("# nothing\n", "names no contig")])
def test_a_file_without_contigs(small, tmp_path, text, message):
    path = tmp_path / "out.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(errors.InputError, match=message):
        windows_of_contigs([SqliteIndex(str(small.windows))], str(path))
