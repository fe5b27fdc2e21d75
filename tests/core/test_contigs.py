import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eden_core import errors
from eden_core.contigs import contig_columns, count_contigs, read_contigs, sorted_contigs


def table(path, ids, lengths):
    columns = {"contig_id": pa.array(ids, pa.string()), "length": pa.array(lengths, pa.int64())}
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path


def rows(batches):
    return [(row["contig_id"], row["length"]) for batch in batches for row in batch.to_pylist()]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.text("ABab_é日", min_size=1, max_size=4), st.integers(0, 9), max_size=12))
def test_rows_come_in_byte_order(tmp_path, contigs):
    path = table(tmp_path / "c.parquet", list(contigs), list(contigs.values()))
    assert rows(sorted_contigs(path)) == sorted(contigs.items(), key=lambda item: item[0].encode())


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_any_kind_of_string_will_do(tmp_path, kind):
    path = tmp_path / "c.parquet"
    ids = pa.array(["b", "a"]).cast(kind)
    pq.write_table(pa.table({"contig_id": ids, "length": pa.array([1, 2], pa.uint16())}), path)
    assert rows(read_contigs(path)) == [("b", 1), ("a", 2)]


def test_polars_writes_tables_that_are_read(tmp_path):
    polars = pytest.importorskip("polars")
    polars.DataFrame({"contig_id": ["b", "a"], "length": [1, 2], "more": [0, 0]}).write_parquet(tmp_path / "c.parquet")
    assert rows(sorted_contigs(tmp_path / "c.parquet")) == [("a", 2), ("b", 1)]
    assert count_contigs(tmp_path / "c.parquet") == 2


@pytest.mark.parametrize("ids", [["a", "b", "b"], ["b", "a", "b"], ["a", "b", "c", "c"]])
def test_a_repeated_id_is_named(tmp_path, ids):
    path = table(tmp_path / "c.parquet", ids, range(len(ids)))
    repeated = "c" if "c" in ids else "b"
    with pytest.raises(errors.InputError, match=f"'{repeated}' occurs more than once"):
        rows(sorted_contigs(path))


@pytest.mark.parametrize(
    ("ids", "lengths", "message"),
    [
        (["a", None], [1, 2], "contig_id is null in row 2"),
        (["a", "b"], [None, 2], "length is null in row 1"),
        (["a", "b", "c", "d"], [1, 2, 3, -4], r"length is negative in row 4 \('d', -4\)"),
        (["a", ""], [1, 2], "contig_id is empty in row 2"),
    ],
)
def test_bad_rows_are_named(tmp_path, ids, lengths, message):
    path = table(tmp_path / "c.parquet", ids, lengths)
    with pytest.raises(errors.InputError, match=message):
        rows(sorted_contigs(path))


def test_a_missing_file(tmp_path):
    with pytest.raises(errors.InputError, match="there is no such file"):
        count_contigs(tmp_path / "c.parquet")


def test_no_parquet_file(tmp_path):
    (tmp_path / "c.parquet").write_text("contig_id,length\n")
    with pytest.raises(errors.InputError, match="is not a Parquet file"):
        count_contigs(tmp_path / "c.parquet")


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    pq.write_table(pa.table({"contig_id": ["a"], "size": [1]}), tmp_path / "c.parquet")
    with pytest.raises(errors.InputError, match="lacks the column length; it has contig_id, size"):
        count_contigs(tmp_path / "c.parquet")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"contig_id": [1], "length": [1]}, "column contig_id holds int64, expected strings"),
        ({"contig_id": ["a"], "length": [1.5]}, "column length holds double, expected integers"),
    ],
)
def test_wrong_types(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    with pytest.raises(errors.InputError, match=message):
        count_contigs(tmp_path / "c.parquet")


def test_a_length_beyond_63_bits(tmp_path):
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"contig_id": ["a"], "length": pa.array([2**63], pa.uint64())}), path)
    with pytest.raises(errors.InputError, match="rows 1 to 1"):
        rows(read_contigs(path))


def test_a_damaged_file(tmp_path):
    path = table(tmp_path / "c.parquet", [f"contig{i:06d}" for i in range(5000)], range(5000))
    content = bytearray(path.read_bytes())
    content[200:4000] = bytes(3800)
    path.write_bytes(content)
    with pytest.raises(errors.InputError):
        rows(read_contigs(path))


def test_a_column_twice(tmp_path):
    ids, lengths = pa.array(["a"]), pa.array([1])
    twice = pa.Table.from_arrays([ids, ids, lengths], names=["contig_id", "contig_id", "length"])
    pq.write_table(twice, tmp_path / "c.parquet")
    with pytest.raises(errors.InputError, match="more than one column contig_id"):
        count_contigs(tmp_path / "c.parquet")


def test_further_columns_on_request(tmp_path):
    table = pa.table({"digest": ["x", "y"], "contig_id": ["b", "a"], "length": [1, 2], "more": [3, 4]})
    pq.write_table(table, tmp_path / "c.parquet")
    (batch,) = read_contigs(tmp_path / "c.parquet", ["digest"])
    assert batch.schema.names == ["contig_id", "length", "digest"]
    assert batch.column("digest").to_pylist() == ["x", "y"]
    assert contig_columns(tmp_path / "c.parquet") == table.schema.names
