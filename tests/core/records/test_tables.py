import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from eden_core.errors import InputError
from eden_core.records import tables as reading
from eden_core.records.record import RecordFields
from eden_core.records.tables import table_records

ROWS = {"record": ["a", None, "", "d"], "other": [1.5] * 4, "text": ["ACGT", "acgtn", "A" * 50, "TT"]}
RECORDS = [("a", b"ACGT", 1), (None, b"acgtn", 2), (None, b"A" * 50, 3), ("d", b"TT", 4)]


def write_stream(table: pa.Table, path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_file(table: pa.Table, path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


WRITERS = {
    "parquet": pq.write_table,
    "parquet-groups": lambda table, path: pq.write_table(
        table, path, row_group_size=2, use_dictionary=False, compression="zstd"
    ),
    "arrow-file": write_file,
    "arrow-stream": write_stream,
    "feather-lz4": lambda table, path: feather.write_feather(table, str(path), compression="lz4"),
}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    def write(table: pa.Table):
        WRITERS[request.param](table, tmp_path / "table")
        return tmp_path / "table"

    return write


@pytest.fixture
def parquet(tmp_path):
    def parquet(**columns):
        pq.write_table(pa.table(columns), tmp_path / "table")
        return tmp_path / "table"

    return parquet


def read(path, **options) -> list[tuple]:
    return [tuple(record) for record in table_records(path, **options)]


TEXT = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()]


@pytest.mark.parametrize("kind", TEXT, ids=str)
def test_text_and_binary_columns(tmp_path, kind):
    text = pa.array(ROWS["text"]).cast(pa.binary()).cast(kind) if "binary" in str(kind) else pa.array(ROWS["text"], kind)
    write_file(pa.table(ROWS | {"text": text}), tmp_path / "table")
    assert read(tmp_path / "table") == RECORDS


@pytest.mark.parametrize("rows", [1, 3, 4096])
def test_every_kind_of_table(write, monkeypatch, rows):
    monkeypatch.setattr(reading, "_BATCH_ROWS", rows)
    assert read(write(pa.table(ROWS))) == RECORDS


def test_dictionary_columns(write):
    table = pa.table({name: pa.array(ROWS[name]).dictionary_encode() for name in ("record", "text")})
    assert read(write(table)) == RECORDS


@pytest.mark.parametrize(
    "ids",
    [pa.array([7, None], pa.int32()), pa.array(["7", None], pa.string_view()), pa.array([7, None], pa.uint64())],
    ids=["int32", "string_view", "uint64"],
)
def test_ids_of_other_types(tmp_path, ids):
    write_file(pa.table({"record": ids, "text": ["A", "C"]}), tmp_path / "table")
    assert read(tmp_path / "table") == [("7", b"A", 1), (None, b"C", 2)]


@pytest.mark.parametrize("columns", [{}, {"record": pa.nulls(2)}], ids=["absent", "null"])
def test_no_ids(write, columns):
    assert read(write(pa.table({"text": ["A", "C"]} | columns))) == [(None, b"A", 1), (None, b"C", 2)]


def test_columns_have_other_names(write):
    table = pa.table({"text": [1], "seq": ["AC"], "name": ["a"]})
    assert read(write(table), fields=RecordFields("seq", "name")) == [("a", b"AC", 1)]


def test_a_table_without_rows(write):
    path = write(pa.table(ROWS).slice(0, 0))
    with pytest.raises(InputError, match=f"{path} is a table without rows"):
        read(path)


def test_other_letters_pass_where_letters_are_not_checked(parquet):
    assert read(parquet(text=["@A-"]), check_letters=False) == [(None, b"@A-", 1)]


def test_progress_adds_up_to_the_size(write, monkeypatch):
    monkeypatch.setattr(reading, "_BATCH_ROWS", 1)
    path = write(pa.table(ROWS))
    seen = []
    read(path, progress=seen.append)
    assert sum(seen) == path.stat().st_size
    assert min(seen) >= 0
    assert len(seen) >= 4


def test_batches_of_parquet_are_bounded_by_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_BATCH_BYTES", 3000)
    pq.write_table(
        pa.table({"text": [f"{'ACGT' * 249}{'ACGT'[i % 4]}" for i in range(20)]}), tmp_path / "t", use_dictionary=False
    )
    seen = []
    assert len(read(tmp_path / "t", progress=seen.append)) == 20
    assert len(seen) >= 6


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        pytest.param({"seq": ["A"], "id": ["a"]}, "no column 'text'; found 'seq', 'id'.*--sequence-field NAME", id="missing"),
        pytest.param({"text": [1]}, "the column 'text' is of type int64; expected text or binary", id="integers"),
        pytest.param({"text": [["A"]]}, "'text' is of type list<.*expected text or binary", id="lists"),
        pytest.param({"text": ["A"], "record": [1.5]}, "'record' is of type double; expected text or integers", id="id-double"),
        pytest.param({"text": ["A"], "record": [b"a"]}, "'record' is of type binary; expected text or", id="id-binary"),
        pytest.param({"text": ["A", None]}, "row 2: the sequence is null", id="null"),
        pytest.param({"text": ["A", ""]}, "row 2: the sequence is empty", id="empty"),
        pytest.param({"text": ["A", "AXA"], "record": ["a", "b"]}, "row 2, position 2: 'X' in sequence 'b' is no", id="letter"),
        pytest.param({"text": ["MKTAYIAKQRQISFVKSHFSRQLE"]}, "row 1, position 6: 'I' .*looks like protein", id="protein"),
        pytest.param({"text": ["A"], "record": ["a\n"]}, "row 1: the id .* printable", id="id-line-end"),
    ],
)
def test_bad_tables(parquet, columns, message):
    path = parquet(**columns)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


def test_a_column_that_occurs_twice(tmp_path):
    table = pa.Table.from_arrays([pa.array(["A"]), pa.array(["C"])], names=["text", "text"])
    write_file(table, tmp_path / "table")
    with pytest.raises(InputError, match="several columns are called 'text'"):
        read(tmp_path / "table")


@pytest.mark.parametrize("value", [b"A\0", b"A\n", b"A\r", b"A\xff"])
def test_nul_line_ends_and_what_is_no_ascii_never_pass(parquet, value):
    with pytest.raises(InputError, match="row 1, position 2"):
        read(parquet(text=pa.array([value])), check_letters=False)


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view()], ids=str)
def test_damaged_places_of_bases(tmp_path, kind):
    write_file(pa.table({"text": pa.array(["ACGTACGTACGTACGT"] * 3, kind)}), tmp_path / "table")
    content = (tmp_path / "table").read_bytes()
    place = {pa.string(): (16, 32), pa.string_view(): (16,)}[kind]
    damaged = content.replace(b"".join(number.to_bytes(4, "little") for number in place), b"\xff\xff\xff\x7f" * len(place))
    assert damaged != content
    (tmp_path / "table").write_bytes(damaged)
    with pytest.raises(InputError, match="the table cannot be read"):
        read(tmp_path / "table")


def test_polars_writes_tables_that_are_read(tmp_path):
    import polars as pl

    frame = pl.DataFrame(ROWS).with_columns(pl.col("text").cast(pl.Categorical))
    for columns in (frame, frame.with_columns(pl.col("text").cast(pl.String))):
        columns.write_ipc(tmp_path / "file")
        columns.write_ipc_stream(tmp_path / "stream")
        columns.write_parquet(tmp_path / "parquet")
        assert [read(tmp_path / name) for name in ("file", "stream", "parquet")] == [RECORDS] * 3


def test_batches_and_row_groups_without_rows(tmp_path):
    table = pa.table(ROWS)
    with (
        pq.ParquetWriter(tmp_path / "parquet", table.schema) as parquet,
        pa.ipc.new_file(str(tmp_path / "arrow"), table.schema) as arrow,
    ):
        for part in (table.slice(0, 0), table.slice(0, 2), table.slice(0, 0), table.slice(2), table.slice(0, 0)):
            parquet.write_table(part)
            arrow.write_batch(part.to_batches()[0] if part else pa.RecordBatch.from_pylist([], table.schema))
    assert read(tmp_path / "parquet") == read(tmp_path / "arrow") == RECORDS


def test_a_stream_that_was_cut_between_batches(tmp_path):
    write_stream(pa.table(ROWS), tmp_path / "table")
    content = (tmp_path / "table").read_bytes()
    (tmp_path / "table").write_bytes(content[:-8])
    with pytest.raises(InputError, match="cannot be read: the stream lacks its end"):
        read(tmp_path / "table")


@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_a_truncated_table(write, kept):
    path = write(pa.table({"text": ["ACGT" * 1000] * 50 + ["A" * 1000]}))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match="the table cannot be read: .*copy or write it again"):
        read(path)
