import hashlib
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


@st.composite
def intervals(draw):
    """Rows (contig_id, start, length, contig_length) of one to three contigs."""
    rows = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        whole = draw(st.integers(1, 200))
        edges = sorted(draw(st.sets(st.integers(0, whole), min_size=2, max_size=8)))
        rows += [(name, start, stop - start, whole) for start, stop in zip(edges[::2], edges[1::2], strict=False)]
    return rows


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(intervals(), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_a_plain_reader_of_the_format_finds_whole_windows_within_their_intervals(tmp_path, rows, window_size, stride, known):
    path = tmp_path / "w.db"
    names = ("contig_id", "start", "length", "contig_length")[: 4 if known else 3]
    batch = pa.RecordBatch.from_pylist([dict(zip(names, row, strict=False)) for row in rows])
    try:
        SqliteIndex.build(str(path), [batch.slice(0, 2), batch.slice(2)], Tiling(window_size, stride))
    except errors.InputError:
        path.unlink(missing_ok=True)
        return  # not one window
    for _, name, number in rows_of(path):
        start = number * stride
        ends = [(begin + n, whole) for i, begin, n, whole in rows if i == name and begin <= start < begin + n]
        assert len(ends) == 1
        assert start + window_size <= ends[0][0] or (known and ends[0][0] == ends[0][1])
    metadata = dict(sqlite3.connect(path).execute("SELECT * FROM metadata"))
    assert metadata["intervals"] == 1
    assert metadata["distinct_sequences"] == len({name for _, name, _ in rows_of(path)})


def test_contigs_of_intervals_begin_where_windows_do(tmp_path, monkeypatch):
    rows = [("a", 5, 20), ("a", 25, 9), ("a", 60, 8), ("b", 0, 3), ("b", 3, 40)]
    batch = pa.RecordBatch.from_pylist([dict(zip(("contig_id", "start", "length"), row, strict=True)) for row in rows])
    SqliteIndex.build(str(tmp_path / "w.db"), [batch], Tiling(4, 4))
    for batch_rows in (1, 3, 1000):
        monkeypatch.setattr("eden_sqlite.index.BATCH_ROWS", batch_rows)
        found = [tuple(row.values()) for batch in SqliteIndex(str(tmp_path / "w.db")).contigs() for row in batch.to_pylist()]
        assert found == [("a", 0, 4, None, 8), ("a", 4, 1, None, 28), ("a", 5, 2, None, 60), ("b", 7, 9, None, 4)]


def metadata_of(path, **columns):
    SqliteIndex.build(str(path), [pa.RecordBatch.from_pydict({"contig_id": ["a"], "length": [9], **columns})], Tiling(4, 3))
    return dict(sqlite3.connect(path).execute("SELECT * FROM metadata"))


def test_digests_tell_other_bases_and_other_intervals(tmp_path):
    plain, here = metadata_of(tmp_path / "w.db"), metadata_of(tmp_path / "w.db", start=[3])
    assert "bases_digest" not in plain
    assert here["contigs_digest"] != metadata_of(tmp_path / "w.db", start=[6])["contigs_digest"] != plain["contigs_digest"]
    one, other = (metadata_of(tmp_path / "w.db", digest=[text * 32]) for text in "ab")
    assert one["bases_digest"] != other["bases_digest"]
    expected = hashlib.blake2b(b"a\t9\n", digest_size=7).digest()
    assert one["contigs_digest"] == plain["contigs_digest"] == int.from_bytes(expected, "big")


def test_no_window_at_all(tmp_path):
    with pytest.raises(errors.InputError, match="not one window"):
        SqliteIndex.build(str(tmp_path / "w.db"), batches({"a": 3}), Tiling(8, 8, 5))
    assert list(tmp_path.iterdir()) == []
