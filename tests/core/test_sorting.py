import errno
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import sorted_files, sorting
from eden_core.errors import InputError
from eden_core.sorting import merged, rebatched, sorted_batches

IDS = st.lists(st.text("ABab_é日\U0001f9ec", max_size=4), max_size=60)
CUTS = st.lists(st.integers(0, 12), min_size=1, max_size=30)
SCHEMA = pa.schema([("contig_id", pa.string()), ("place", pa.int64())])


def cut(ids: list[str], sizes: list[int]) -> list[pa.RecordBatch]:
    """Batches of these sizes, empty ones among them; the rest in one; each row with its place."""
    batches, first = [], 0
    for size in [*sizes, len(ids)]:
        places = range(first, min(first + size, len(ids)))
        batches.append(pa.record_batch([pa.array([ids[i] for i in places], pa.string()), list(places)], schema=SCHEMA))
        first = min(first + size, len(ids))
    return batches


def rows(batches) -> list[tuple]:
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def in_byte_order(ids: list[str]) -> list[tuple[str, int]]:
    return [(ids[i], i) for i in sorted(range(len(ids)), key=lambda i: ids[i].encode())]


@given(IDS, CUTS, st.integers(1, 20))
def test_rows_come_in_byte_order_and_equals_as_they_were(ids, sizes, rows_in_memory):
    assert rows(sorted_batches(cut(ids, sizes), rows_in_memory=rows_in_memory)) == in_byte_order(ids)


@given(IDS, st.integers(1, 5))
def test_many_runs_are_merged_by_groups(ids, rows_in_memory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "_OPEN_FILES", 2)
        patch.setattr(sorting, "STREAM_ROWS", 2)
        patch.setattr(sorted_files, "STREAM_ROWS", 2)
        assert rows(sorted_batches(cut(ids, [7]), rows_in_memory=rows_in_memory)) == in_byte_order(ids)


@given(st.lists(st.tuples(st.text("ab", max_size=2), st.integers(-9, 9)), max_size=40), st.integers(1, 9))
def test_a_further_key_decides_among_equal_ids(pairs, rows_in_memory):
    batch = pa.record_batch({"contig_id": pa.array([i for i, _ in pairs], pa.string()), "start": [s for _, s in pairs]})
    found = sorted_batches([batch.slice(3), batch.slice(0, 3)], ("contig_id", "start"), rows_in_memory=rows_in_memory)
    assert rows(found) == sorted(pairs)


@given(st.lists(st.lists(st.text("abcdefghé", min_size=1, max_size=2), max_size=9), max_size=9), st.booleans())
def test_files_are_merged_and_equals_come_in_order_of_the_files(tmp_path_factory, files, parquet):
    folder = tmp_path_factory.mktemp("files")
    paths, expected = [], []
    for number, ids in enumerate(sorted(ids, key=str.encode) for ids in files):
        expected += [(i, number) for i in ids]
        table = pa.table([pa.array(ids, pa.string()), pa.array([number] * len(ids), pa.int64())], schema=SCHEMA)
        paths.append(write(folder / f"{number}", table, parquet=parquet))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "_OPEN_FILES", 3)
        patch.setattr(sorting, "STREAM_ROWS", 2)
        patch.setattr(sorted_files, "STREAM_ROWS", 2)
        assert rows(merged(paths)) == sorted(expected, key=lambda row: (row[0].encode(), row[1]))


def write(path: Path, table: pa.Table, *, parquet: bool = True) -> Path:
    if parquet:
        pq.write_table(table, path, row_group_size=3)
        return path
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return path


def test_files_that_do_not_overlap_are_neither_sorted_nor_open_together(tmp_path, monkeypatch):
    paths = [write(tmp_path / f"{i}", pa.table({"contig_id": [f"{i}a", f"{i}b"]})) for i in range(5)]
    monkeypatch.setattr(sorting, "_OPEN_FILES", 1)
    monkeypatch.setattr(sorting, "_written", None)
    assert [i for (i,) in rows(merged(paths[::-1]))] == [f"{i}{letter}" for i in range(5) for letter in "ab"]


def test_batches_have_one_size_whatever_came_in():
    batches = cut([f"{i:03}" for i in range(100)], [0, 1, 50, 3])
    assert [batch.num_rows for batch in rebatched(batches, 30)] == [30, 30, 30, 10]
    assert rows(rebatched(batches, 30)) == rows(batches)


@pytest.mark.parametrize("how", ["read to the end", "closed early", "failed"])
def test_no_temporary_file_is_left(tmp_path, how):
    def batches():
        yield from cut([str(i % 7) for i in range(100)], [10] * 9)
        if how == "failed":
            raise ZeroDivisionError

    found = sorted_batches(batches(), rows_in_memory=10, folder=tmp_path)
    if how == "failed":
        with pytest.raises(ZeroDivisionError):
            next(found)
    else:
        next(found)
        assert list(tmp_path.iterdir())
        found.close() if how == "closed early" else list(found)
    assert list(tmp_path.iterdir()) == []


def test_few_rows_need_no_temporary_folder(tmp_path):
    assert rows(sorted_batches(cut(["b", "a"], [1]), folder=tmp_path / "absent")) == [("a", 1), ("b", 0)]


def test_a_full_disk_is_told_with_the_folder_and_the_way_out(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pa.ipc, "new_file", full)
    with pytest.raises(OSError, match=f"{tmp_path}/eden-sort-.*No space left on device.*TMPDIR"):
        list(sorted_batches(cut(["b", "a"], [1]), rows_in_memory=1, folder=tmp_path))


@pytest.mark.parametrize("ids", [["b", "a"], ["a", "c", "b", "c"]])
@pytest.mark.parametrize("parquet", [True, False])
def test_a_file_that_is_not_sorted_is_named(tmp_path, ids, parquet):
    write(tmp_path / "wrong", pa.table({"contig_id": ids}), parquet=parquet)
    with pytest.raises(InputError, match="wrong is not sorted by contig_id"):
        list(merged([tmp_path / "wrong"]))


def test_files_with_other_columns_are_refused(tmp_path):
    paths = [
        write(tmp_path / "one", pa.table({"contig_id": ["a"]})),
        write(tmp_path / "two", pa.table({"contig_id": ["a"], "x": [1]})),
    ]
    with pytest.raises(InputError, match="two has the columns"):
        list(merged(paths))


def test_nulls_have_no_place_in_an_order():
    with pytest.raises(InputError, match="column contig_id holds nulls"):
        list(sorted_batches([pa.record_batch({"contig_id": ["a", None]})]))
