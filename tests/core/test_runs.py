import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import write_runs

from eden_core import runs
from eden_core.errors import InputError
from eden_core.runs import SCHEMA, RunLimit, n_runs, read_runs, soft_masked

CONTIGS = st.dictionaries(
    st.text("abc_", min_size=1, max_size=4), st.text("ACNn", min_size=1, max_size=30), min_size=1, max_size=8
)


def plain_runs(bases: str, letters: str) -> list[tuple[int, int]]:
    """The stretches of letters, found base by base."""
    found, begin = [], None
    for place, base in enumerate(bases + "-"):
        if base in letters and begin is None:
            begin = place
        if base not in letters and begin is not None:
            found.append((begin, place))
            begin = None
    return found


def pairs(found) -> list[tuple[int, int]]:
    return [] if found is None else list(zip(*(side.tolist() for side in found), strict=True))


@given(st.text("ACGTNacgtn", max_size=40))
def test_stretches_of_n_are_what_plain_code_finds(bases):
    assert pairs(n_runs(bases.encode())) == plain_runs(bases, "Nn")


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_stretches_across_the_steps_that_are_looked_at(monkeypatch, step):
    monkeypatch.setattr(runs, "_AT_ONCE", step)
    for bases in ("NNACNNNNNGNACNN", "ANNNNNA", "N", "NNNNNNNNNN"):
        assert pairs(n_runs(bases.encode())) == plain_runs(bases, "Nn")


@given(st.text("ACGTNacgtn", max_size=40))
def test_lower_case_stretches_are_what_plain_code_finds(bases):
    assert pairs(soft_masked(bases.encode())) == plain_runs(bases, "acgtn")


@pytest.mark.parametrize("bases", [b"", b"ACGT"])
def test_without_runs_there_is_nothing(bases):
    assert n_runs(bases) is soft_masked(bases) is None


def write_table(path, contigs: dict[str, str]) -> str:
    """The stretches of N of contigs, in byte order of their ids."""
    found = ((name, n_runs(contigs[name].encode())) for name in sorted(contigs, key=str.encode))
    write_runs(path, ((name, some) for name, some in found if some is not None))
    return str(path)


def test_a_table_of_many_contigs_is_read_as_it_was_written(tmp_path):
    contigs = {f"c{i:04}": "NA" * (i % 7) + "C" for i in range(500)}
    batches = list(read_runs(write_table(tmp_path / "n.parquet", contigs)))
    rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    assert rows == [(name, *run) for name, bases in contigs.items() for run in plain_runs(bases, "N")]
    assert {batch.schema for batch in batches} == {SCHEMA}


def test_a_table_without_runs_is_empty(tmp_path):
    assert [row for batch in read_runs(write_table(tmp_path / "n.parquet", {"a": "ACGT"})) for row in batch.to_pylist()] == []


def kept_windows(
    table: str, contigs: dict[str, str], most: float, size: int, stride: int, at_once: int
) -> list[tuple[str, int]]:
    """(contig, start) of the windows that are kept, contigs taken some at a time."""
    limit = RunLimit(table, most).filter()
    kept, names = [], sorted(contigs, key=str.encode)
    for first in range(0, len(names), at_once):
        some = names[first : first + at_once]
        places = [(i, start) for i, name in enumerate(some) for start in range(0, len(contigs[name]), stride)]
        contig, starts = (np.array(column, np.int64) for column in zip(*places, strict=True))
        lengths = np.array([len(contigs[name]) for name in some])
        keeps = limit.keeps(pa.array(some), lengths, contig, starts, np.minimum(size, lengths[contig] - starts))
        kept += [(some[i], start) for (i, start), keep in zip(places, keeps.tolist(), strict=True) if keep]
    return kept


def plainly_kept(contigs: dict[str, str], most: float, size: int, stride: int) -> list[tuple[str, int]]:
    windows = [(name, i) for name in sorted(contigs, key=str.encode) for i in range(0, len(contigs[name]), stride)]
    texts = [contigs[name][i : i + size] for name, i in windows]
    return [window for window, text in zip(windows, texts, strict=True) if text.upper().count("N") / len(text) <= most]


@given(CONTIGS, st.integers(0, 100).map(lambda n: n / 100), st.integers(1, 12), st.integers(1, 12), st.integers(1, 8))
def test_windows_are_kept_where_counting_letters_says_so(tmp_path_factory, contigs, most, size, stride, at_once):
    table = write_table(tmp_path_factory.getbasetemp() / "n.parquet", contigs)
    assert kept_windows(table, contigs, most, size, stride, at_once) == plainly_kept(contigs, most, size, stride)


@pytest.mark.parametrize("percent", range(101))
def test_a_window_at_the_limit_is_kept(tmp_path, percent):
    contigs = {"a": "N" * percent + "A" * (100 - percent)}
    assert kept_windows(write_table(tmp_path / "n.parquet", contigs), contigs, percent / 100, 100, 100, 1) == [("a", 0)]


def test_tables_are_read_on_while_contigs_come_by(tmp_path, monkeypatch):
    contigs = {f"c{i:03}": "AN" * 5 + "C" * (i % 11) for i in range(200)}
    table = write_table(tmp_path / "n.parquet", contigs)
    in_parts(monkeypatch, 17)
    assert kept_windows(table, contigs, 0.4, 6, 3, 13) == plainly_kept(contigs, 0.4, 6, 3)


def test_runs_of_contigs_that_the_index_lacks_are_passed_over(tmp_path):
    contigs = {name: "NNNA" if name in "bdf" else "ANAA" for name in "abcdefg"}
    table = write_table(tmp_path / "n.parquet", contigs)
    some = {name: contigs[name] for name in "cef"}
    assert kept_windows(table, some, 0.5, 4, 4, 1) == [("c", 0), ("e", 0)]


def in_parts(monkeypatch, rows: int) -> None:
    """Let tables be read a few rows at a time, as large ones are."""
    whole = runs.read_runs
    monkeypatch.setattr(runs, "read_runs", lambda path: (b.slice(i, rows) for b in whole(path) for i in range(0, len(b), rows)))


def unsorted_table(path, rows) -> str:
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), path)
    return str(path)


@pytest.mark.parametrize(
    "rows",
    [
        [("b", 0, 2), ("a", 0, 2), ("c", 0, 1)],
        [("a", 0, 2), ("c", 0, 2), ("b", 0, 1)],
        [("a", 3, 4), ("a", 0, 2), ("c", 0, 1)],
        [("a", 0, 3), ("a", 2, 4), ("c", 0, 1)],
    ],
)
@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_table_out_of_order_is_refused(tmp_path, monkeypatch, rows, at_once, part):
    in_parts(monkeypatch, part)
    table = unsorted_table(tmp_path / "n.parquet", rows)
    with pytest.raises(InputError, match="not in byte order of contig_id, then by start, or runs overlap"):
        kept_windows(table, dict.fromkeys("abc", "NNNN"), 0.5, 4, 4, at_once)


def test_runs_that_touch_are_in_order(tmp_path):
    table = unsorted_table(tmp_path / "n.parquet", [("a", 0, 2), ("a", 2, 3)])
    assert kept_windows(table, {"a": "NNNA"}, 0.7, 4, 4, 1) == []
    assert kept_windows(table, {"a": "NNNA"}, 0.75, 4, 4, 1) == [("a", 0)]


@pytest.mark.parametrize("content", [b"no Parquet", None])
def test_what_is_no_table_of_runs_is_refused(tmp_path, content):
    path = tmp_path / "n.parquet"
    if content is None:
        pq.write_table(pa.table({"contig_id": ["a"], "length": [3]}), path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="no table of runs that can be read"):
        list(read_runs(path))
