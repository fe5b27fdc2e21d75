import sqlite3

import pytest
from plain import write_seed_shard

from eden_core.errors import InputError
from eden_core.records.shards import shard_records


@pytest.fixture
def shard(tmp_path):
    def shard(*statements: str):
        connection = sqlite3.connect(tmp_path / "shard")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return tmp_path / "shard"

    return shard


def read(path, **options) -> list[tuple]:
    return [tuple(record) for record in shard_records(path, **options)]


TABLE = "CREATE TABLE sequences (contig_id TEXT PRIMARY KEY, nt_sequence TEXT NOT NULL)"
INSERT = "INSERT INTO sequences VALUES "


def test_rows_come_as_they_were_written(tmp_path):
    path = write_seed_shard(tmp_path, "s?#%", {"b": "ACGT", "é": "acgtN" * 9000, "a": "T"})
    assert read(path) == [("b", b"ACGT", 1), ("é", b"acgtN" * 9000, 2), ("a", b"T", 3)]


def test_a_missing_id_and_bases_in_a_blob(shard):
    assert read(shard(TABLE, INSERT + "(NULL, 'A'), ('b', x'4143')")) == [(None, b"A", 1), ("b", b"AC", 2)]


def test_other_columns_are_ignored(shard):
    columns = "CREATE TABLE sequences (x INTEGER, contig_id TEXT PRIMARY KEY, nt_sequence TEXT)"
    assert read(shard(columns, INSERT + "(1, 'a', 'AC')")) == [("a", b"AC", 1)]


def test_progress_adds_up_to_the_size(tmp_path):
    path = write_seed_shard(tmp_path, "s", {str(i): "ACGT" * 500 for i in range(9)})
    seen = []
    read(path, progress=seen.append)
    assert sum(seen) == path.stat().st_size
    assert len(seen) == 10


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        pytest.param(["CREATE TABLE other (x)"], "no table 'sequences', but other; expected a shard with", id="missing"),
        pytest.param([TABLE.replace("contig_id", "id")], "has id, nt_sequence; expected", id="columns"),
        pytest.param([TABLE + " WITHOUT ROWID"], "no table with rowids", id="without-rowid"),
        pytest.param(["CREATE VIEW sequences AS SELECT 'a' contig_id, 'A' nt_sequence"], "no table with rowids", id="view"),
        pytest.param(["PRAGMA encoding='UTF-16'", TABLE], "UTF-16le text, two bytes a base", id="utf-16"),
        pytest.param([TABLE], "is a shard without sequences", id="no-rows"),
        pytest.param([TABLE, INSERT + "('a', 'A'), ('b', '')"], "row 2: sequence 'b' is empty", id="empty"),
        pytest.param([TABLE, INSERT + "('a', 'AXA')"], "row 1, position 2: 'X' in sequence 'a' is no", id="letter"),
        pytest.param([TABLE, INSERT + "(x'41', 'A')"], "row 1: contig_id is blob and nt_sequence is text", id="id-blob"),
        pytest.param(
            [TABLE.replace("nt_sequence TEXT NOT NULL", "nt_sequence"), INSERT + "('a', NULL)"],
            "row 1: .* nt_sequence is null; expected text",
            id="null",
        ),
    ],
)
def test_bad_shards(shard, statements, message):
    path = shard(*statements)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("bases", ["x'4100'", "x'410A'", "x'41C3'"])
def test_nul_line_ends_and_what_is_no_ascii_never_pass(shard, bases):
    with pytest.raises(InputError, match="row 1, position 2"):
        read(shard(TABLE, INSERT + f"('a', {bases})"), check_letters=False)


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_database_that_is_being_written(tmp_path, shard, suffix, linked):
    path = shard(TABLE, INSERT + "('a', 'A')")
    path.with_name("shard" + suffix).write_bytes(b"x")
    if linked:
        (tmp_path / "link").symlink_to(path)
        path = tmp_path / "link"
    with pytest.raises(InputError, match=f"shard{suffix} holds 1 bytes that belong to {path}"):
        read(path)


def test_a_truncated_shard(tmp_path):
    path = write_seed_shard(tmp_path, "s", {str(i): "ACGT" * 5000 for i in range(9)})
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match="damaged behind row 0: .*copy or write it again"):
        read(path)


def test_a_damaged_page(tmp_path):
    path = write_seed_shard(tmp_path, "s", {str(i): "ACGT" * 200 for i in range(90)})
    content = bytearray(path.read_bytes())
    content[40_960:45_056] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged behind row \d+"):
        read(path)


def test_a_zeroed_hole(tmp_path):
    path = write_seed_shard(tmp_path, "s", {"a": "ACGT" * 5000})
    content = bytearray(path.read_bytes())
    hole = content.index(b"ACGT" * 500) + 500
    content[hole : hole + 100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"row 1, position \d+: '\\x00'"):
        read(path, check_letters=False)
