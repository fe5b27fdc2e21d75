import sqlite3

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain import write_seed_index

from eden_core import Tiling, errors
from eden_sqlite.index import SqliteIndex


def batches(lengths: dict[str, int]):
    ordered = sorted(lengths.items(), key=lambda item: item[0].encode())
    return [pa.RecordBatch.from_pydict({"contig_id": [name], "length": [length]}) for name, length in ordered]


def rows_of(path):
    connection = sqlite3.connect(path)
    return connection.execute("SELECT * FROM window_mappings ORDER BY window_idx").fetchall()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.text("ABCab_1é", min_size=1, max_size=4), st.integers(1, 200), min_size=1, max_size=8),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(0, 20),
)
def test_row_for_row_what_the_format_says(tmp_path, lengths, window_size, stride, threshold):
    ours, plain = tmp_path / "ours.db", tmp_path / "plain.db"
    plain.unlink(missing_ok=True)
    threshold = min(threshold, window_size)
    if not any(n >= threshold for n in lengths.values()):
        return
    SqliteIndex.build(str(ours), batches(lengths), Tiling(window_size, stride, threshold))
    write_seed_index(plain, lengths, window_size, stride, threshold)
    assert rows_of(ours) == rows_of(plain)


def test_schema_is_the_seeds(tmp_path):
    ours, plain = tmp_path / "ours.db", tmp_path / "plain.db"
    SqliteIndex.build(str(ours), batches({"a": 10}), Tiling(4, 3))
    write_seed_index(plain, {"a": 10}, 4, 3)

    def shape(path):
        connection = sqlite3.connect(path)
        tables = {t: connection.execute(f"PRAGMA table_info({t})").fetchall() for t in ("metadata", "window_mappings")}
        return tables, connection.execute("PRAGMA index_info(idx_sequence_id)").fetchall()

    assert shape(ours) == shape(plain)


def test_metadata(tmp_path):
    path = tmp_path / "w.db"
    SqliteIndex.build(str(path), batches({"a": 10, "b": 3, "c": 1}), Tiling(4, 3, 2, keep_tail=True, reserve=1))
    metadata = dict(sqlite3.connect(path).execute("SELECT * FROM metadata"))
    del metadata["contigs_digest"]
    assert metadata == {
        "window_size": 4,
        "stride": 3,
        "window_min_length_threshold": 2,
        "total_windows": 4,
        "distinct_sequences": 2,
        "keep_tail": 1,
        "reserve": 1,
    }


def test_the_tiling_is_read_back(tmp_path):
    tiling = Tiling(4, 3, 2, keep_tail=True, reserve=1)
    SqliteIndex.build(str(tmp_path / "w.db"), batches({"a": 10}), tiling)
    assert SqliteIndex(str(tmp_path / "w.db")).tiling == tiling


def test_lookup_of_a_database_made_by_others(tmp_path):
    path = write_seed_index(tmp_path / "w.db", {"b": 10, "a": 3}, 4, 3)
    windows = SqliteIndex(str(path)).lookup(np.array([3, 0, 3, 1]))
    assert windows.sequence_ids == ("b", "a", "b", "b")
    assert windows.starts.tolist() == [6, 0, 6, 0]
    assert windows.lengths.tolist() == [4, 4, 4, 4]


def test_one_query_a_batch(tmp_path):
    from eden_sqlite.connections import process_pool

    index = SqliteIndex(str(write_seed_index(tmp_path / "w.db", {"a": 1000}, 4, 3)))
    index.lookup(np.arange(2))
    statements = []
    connection = process_pool().database(index.location, 128).connection
    connection.trace_v2(1, statements.append)  # 1: a statement starts
    index.lookup(np.arange(300))
    connection.trace_v2(0)
    assert len(statements) == 1


def test_many_windows_of_few_contigs_and_few_of_many(tmp_path):
    lengths = {"long": 500_000} | {f"short{i:05d}": 3 for i in range(1000)}
    SqliteIndex.build(str(tmp_path / "w.db"), batches(lengths), Tiling(4, 1))
    index = SqliteIndex(str(tmp_path / "w.db"))
    assert len(index) == 499_997 + 1000
    assert index.lookup(np.array([499_996, 499_997])).sequence_ids == ("long", "short00000")


def test_contigs(tmp_path):
    index = SqliteIndex(str(write_seed_index(tmp_path / "w.db", {"b": 10, "a": 3, "c": 2}, 4, 3)))
    assert [row for batch in index.contigs() for row in batch.to_pylist()] == [
        {"contig_id": "a", "first_window": 0, "windows": 1, "length": None},
        {"contig_id": "b", "first_window": 1, "windows": 3, "length": None},
        {"contig_id": "c", "first_window": 4, "windows": 1, "length": None},
    ]


def damage(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM window_mappings WHERE window_idx = 2", "promise 3 windows, and its table holds windows 0 to 1"),
        ("DELETE FROM window_mappings WHERE window_idx = 0", "holds windows 1 to 2"),
        ("DELETE FROM window_mappings", "is incomplete"),
        ("DELETE FROM metadata WHERE key = 'stride'", "lack stride"),
        ("DROP TABLE metadata", "no such table: metadata"),
        ("UPDATE metadata SET value = 'abc' WHERE key = 'stride'", "'abc' as its stride, which is no integer"),
    ],
)
def test_an_incomplete_database_is_refused_with_the_command_that_mends_it(tmp_path, statement, message):
    path = write_seed_index(tmp_path / "w.db", {"a": 10}, 4, 3)
    damage(path, statement)
    with pytest.raises(errors.FormatError, match=message) as caught:
        SqliteIndex(str(path))
    assert "eden-precompute" in str(caught.value)


def test_a_hole_in_the_middle_is_found_when_it_is_read(tmp_path):
    path = write_seed_index(tmp_path / "w.db", {"a": 10}, 4, 3)
    damage(path, "DELETE FROM window_mappings WHERE window_idx = 1")
    with pytest.raises(errors.FormatError, match="lacks some of the windows"):
        SqliteIndex(str(path)).lookup(np.arange(3))


def test_metadata_that_the_seed_does_not_promise_may_be_missing(tmp_path):
    path = write_seed_index(tmp_path / "w.db", {"a": 10}, 4, 3)
    damage(path, "DELETE FROM metadata WHERE key NOT IN ('window_size', 'stride')")
    index = SqliteIndex(str(path))
    assert (len(index), index.tiling) == (3, Tiling(4, 3))


def test_a_missing_database(tmp_path):
    with pytest.raises(errors.FormatError, match="no such window database.*eden-precompute"):
        SqliteIndex(str(tmp_path / "w.db"))


@pytest.mark.parametrize("window", [-1, 3])
def test_a_window_out_of_range(tmp_path, window):
    index = SqliteIndex(str(write_seed_index(tmp_path / "w.db", {"a": 10}, 4, 3)))
    with pytest.raises(errors.WindowOutOfRangeError, match=f"window {window} of .* 3 windows"):
        index.lookup(np.array([0, window]))


def test_intervals_do_not_fit(tmp_path):
    batch = pa.RecordBatch.from_pydict({"contig_id": ["a"], "length": [9], "start": [3]})
    with pytest.raises(errors.NotSupportedError, match="intervals"):
        SqliteIndex.build(str(tmp_path / "w.db"), [batch], Tiling(4, 3))
    assert list(tmp_path.iterdir()) == []


def test_no_window_at_all(tmp_path):
    with pytest.raises(errors.InputError, match="not one window"):
        SqliteIndex.build(str(tmp_path / "w.db"), batches({"a": 3}), Tiling(8, 8, 5))
    assert list(tmp_path.iterdir()) == []
