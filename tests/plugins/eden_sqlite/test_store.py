import os
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from plain import write_seed_shard

from eden_core import Windows, errors
from eden_sqlite.connections import process_pool
from eden_sqlite.store import SqliteShards

NAME = "BCR__ECT-S1__CT1-1"


def read(store, *places):
    ids, starts, lengths = zip(*places, strict=True)
    windows = Windows(np.arange(len(ids)), ids, np.array(starts, np.int64), np.array(lengths, np.int64))
    return [row.tobytes().decode() for row in store.read(windows)]


@pytest.fixture
def shard(tmp_path):
    return write_seed_shard(tmp_path, "S1", {NAME: "ACGTacgtNN", "BCR__ECT-S1__CT1-2": "TTTT"})


@pytest.fixture
def two_samples(tmp_path, shard):
    write_seed_shard(tmp_path, "S2", {"BCR__ECT-S2__CT1-1": "GGGG"})
    return SqliteShards(str(tmp_path))


def test_a_shard_made_with_sqlite3_is_read(tmp_path, shard):
    assert read(SqliteShards(str(tmp_path)), (NAME, 2, 5), (NAME, 8, 50)) == ["GTacg", "NN"]


def test_our_shards_have_the_seeds_schema(tmp_path):
    SqliteShards(str(tmp_path)).write_shard("S1", [(NAME, b"ACGT")])
    connection = sqlite3.connect(tmp_path / "S1" / "glm_dataset_S1.sqlite")
    columns = [
        (name, kind, notnull, pk) for _, name, kind, notnull, _, pk in connection.execute("PRAGMA table_info(sequences)")
    ]
    assert columns == [("contig_id", "TEXT", 0, 1), ("nt_sequence", "TEXT", 1, 0)]
    assert connection.execute("SELECT * FROM sequences").fetchall() == [(NAME, "ACGT")]
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (1,)


def test_the_directory_is_not_listed_when_the_path_is_computed(two_samples, monkeypatch):
    monkeypatch.setattr(os, "scandir", lambda *_: pytest.fail("the directory was listed"))
    assert read(two_samples, ("BCR__ECT-S2__CT1-1", 0, 2)) == ["GG"]


def test_a_folder_that_holds_a_shard_itself(tmp_path):
    write_seed_shard(tmp_path, "S1", {"BCR__ECT-S1__CT1": "ACGT"})
    with pytest.raises(errors.ShardNotFoundError, match="holds glm_dataset_S1.sqlite itself.*a folder S1"):
        read(SqliteShards(str(tmp_path / "S1")), ("BCR__ECT-S1__CT1", 0, 4))


def test_a_shard_that_is_missing_beside_the_only_one_is_named(tmp_path):
    write_seed_shard(tmp_path, "S1", {"BCR__ECT-S1__CT1": "ACGT"})
    with pytest.raises(errors.SequenceNotFoundError, match="the only shard there; that of 'S2' is missing"):
        read(SqliteShards(str(tmp_path)), ("BCR__ECT-S2__CT1", 0, 4))


def test_a_single_shard_serves_every_id(tmp_path):
    write_seed_shard(tmp_path, "ALL", {"chr1": "ACGT", "BCR__ECT-S9__CT1": "TTT"})
    assert read(SqliteShards(str(tmp_path)), ("chr1", 1, 2), ("BCR__ECT-S9__CT1", 0, 9)) == ["CG", "TTT"]


def test_memory_maps_serve_only_files_without_a_pointer_map(tmp_path, shard):
    other = tmp_path / "ours"
    SqliteShards(str(other)).write_shard("S1", [(NAME, b"ACGT")])
    sizes = []
    for directory in (tmp_path, other):
        read(SqliteShards(str(directory)), (NAME, 0, 1))
        path = f"{directory}/S1/glm_dataset_S1.sqlite"
        sizes.append(process_pool().database(path, 128).connection.pragma("mmap_size"))
    assert sizes[0] > 0
    assert sizes[1] == 0


def test_open_files_are_bounded(tmp_path):
    names = [f"BCR__ECT-S{i}__CT1" for i in range(40)]
    for i, name in enumerate(names):
        write_seed_shard(tmp_path, f"S{i}", {name: "ACGT"})
    store = SqliteShards(str(tmp_path), max_open_files=8, max_open_contigs=4)
    before = len(os.listdir("/proc/self/fd"))
    assert read(store, *((name, 0, 4) for name in names)) == ["ACGT"] * 40
    assert len(os.listdir("/proc/self/fd")) - before <= 8


def test_handles_of_contigs_are_bounded(tmp_path):
    names = [f"BCR__ECT-S1__CT{i}" for i in range(40)]
    write_seed_shard(tmp_path, "S1", {name: f"ACGT{'T' * i}" for i, name in enumerate(names)})
    store = SqliteShards(str(tmp_path), max_open_contigs=4)
    assert read(store, *((name, 3, 100) for name in names)) == [f"T{'T' * i}" for i in range(40)]
    assert len(process_pool().database(f"{tmp_path}/S1/glm_dataset_S1.sqlite", 128).blobs) == 4


def test_a_folder_name_with_odd_letters(tmp_path):
    directory = tmp_path / "a b?c#d%20e"
    write_seed_shard(directory, "S1", {NAME: "ACGT"})
    assert read(SqliteShards(str(directory)), (NAME, 0, 4)) == ["ACGT"]


def test_an_inherited_handle_is_neither_used_nor_closed(tmp_path, shard):
    store = SqliteShards(str(tmp_path))
    read(store, (NAME, 0, 4))
    parent = process_pool()
    child = os.fork()
    if child == 0:
        good = read(store, (NAME, 0, 4)) == ["ACGT"] and process_pool() is not parent and len(parent._databases) > 0
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read(store, (NAME, 4, 4)) == ["acgt"]


def test_contigs_lists_lengths_in_bytes(two_samples):
    rows = [row for batch in two_samples.contigs() for row in batch.to_pylist()]
    assert rows == [
        {"contig_id": NAME, "length": 10},
        {"contig_id": "BCR__ECT-S1__CT1-2", "length": 4},
        {"contig_id": "BCR__ECT-S2__CT1-1", "length": 4},
    ]


def test_no_shards_at_all(tmp_path):
    with pytest.raises(errors.ShardNotFoundError, match="holds no shards at all"):
        read(SqliteShards(str(tmp_path)), (NAME, 0, 1))


def test_no_directory(tmp_path):
    with pytest.raises(errors.ShardNotFoundError, match="is not a directory"):
        read(SqliteShards(str(tmp_path / "nowhere")), (NAME, 0, 1))


def test_a_missing_sample_is_named_with_those_there_are(two_samples):
    with pytest.raises(errors.ShardNotFoundError, match=r"S3.*is missing; among the samples there are S\d, S\d"):
        read(two_samples, ("BCR__ECT-S3__CT1", 0, 1))


def test_a_missing_sequence_is_named(two_samples):
    with pytest.raises(errors.SequenceNotFoundError, match="no sequence 'BCR__ECT-S1__CT9'"):
        read(two_samples, ("BCR__ECT-S1__CT9", 0, 1))


def test_a_start_behind_the_end(two_samples):
    with pytest.raises(errors.StaleIndexError, match="base 10 of sequence .* which has 10"):
        read(two_samples, (NAME, 10, 1))


@pytest.mark.parametrize("sample", ["..", ".", "a/b", ""])
def test_a_sample_that_would_leave_the_directory_is_not_written(tmp_path, sample):
    with pytest.raises(errors.InvalidSequenceIdError, match="would leave"):
        SqliteShards(str(tmp_path)).write_shard(sample, [])


@pytest.mark.parametrize("name", ["A__X---__c", "A__X-../../S1__c", "A__X-S1/../S2__c"])
def test_a_sequence_id_that_would_leave_the_directory_is_not_read(two_samples, name):
    with pytest.raises(errors.InvalidSequenceIdError, match="would leave"):
        read(two_samples, (name, 0, 1))


def make(path, *statements):
    path.unlink()
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["PRAGMA encoding='UTF-16'", "CREATE TABLE sequences(contig_id TEXT PRIMARY KEY, nt_sequence TEXT)"], "UTF-16"),
        (["CREATE TABLE sequences(contig_id TEXT PRIMARY KEY, nt_sequence TEXT) WITHOUT ROWID"], "WITHOUT ROWID"),
        (["CREATE TABLE other(x)"], "no table 'sequences'"),
        (["CREATE TABLE s(contig_id, nt_sequence)", "CREATE VIEW sequences AS SELECT * FROM s"], "is a view"),
        (["CREATE TABLE sequences(id TEXT, bases TEXT)"], "no such column"),
        (["CREATE TABLE sequences(contig_id, nt_sequence)", f"INSERT INTO sequences VALUES('{NAME}', NULL)"], "null"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, shard, statements, message):
    make(shard, *statements)
    with pytest.raises(errors.FormatError, match=message):
        read(SqliteShards(str(tmp_path)), (NAME, 0, 1))


def test_an_empty_file(tmp_path, shard):
    shard.write_bytes(b"")
    with pytest.raises(errors.FormatError, match="is empty"):
        read(SqliteShards(str(tmp_path)), (NAME, 0, 1))


def test_a_file_that_is_no_database(tmp_path, shard):
    shard.write_text(">chr1\n" + "ACGT" * 100)
    with pytest.raises(errors.FormatError, match="is not an SQLite database"):
        read(SqliteShards(str(tmp_path)), (NAME, 0, 1))


@pytest.mark.parametrize("cut", [1, 4096, 100_000])
def test_a_truncated_file(tmp_path, cut):
    path = write_seed_shard(tmp_path, "S1", {NAME: "ACGT" * 100_000})
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(errors.FormatError, match="truncated"):
        read(SqliteShards(str(tmp_path)), (NAME, 0, 1))


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_file_that_is_being_written(tmp_path, shard, suffix):
    shard.with_name(shard.name + suffix).write_bytes(b"x")
    with pytest.raises(errors.FormatError, match=f"{suffix} holds 1 bytes"):
        read(SqliteShards(str(tmp_path)), (NAME, 0, 1))


def test_an_empty_wal_is_fine(tmp_path, shard):
    shard.with_name(shard.name + "-wal").touch()
    assert read(SqliteShards(str(tmp_path)), (NAME, 0, 1)) == ["A"]


def test_a_failed_write_leaves_nothing(tmp_path):
    def sequences():
        yield NAME, b"ACGT"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        SqliteShards(str(tmp_path)).write_shard("S1", sequences())
    assert not (tmp_path / "S1").exists()


def test_a_killed_write_leaves_nothing_that_opens(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from eden_sqlite.store import SqliteShards\n"
        "def sequences():\n"
        f"    yield {NAME!r}, b'ACGT' * 1_000_000\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "SqliteShards(sys.argv[1]).write_shard('S1', sequences())\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == -9
    with pytest.raises(errors.ShardNotFoundError):
        read(SqliteShards(str(tmp_path)), (NAME, 0, 1))


def test_duplicate_ids_are_refused(tmp_path):
    with pytest.raises(errors.InputError, match="more than once"):
        SqliteShards(str(tmp_path)).write_shard("S1", [(NAME, b"A"), (NAME, b"C")])


def test_a_rewritten_shard_is_read_anew(tmp_path):
    store = SqliteShards(str(tmp_path))
    store.write_shard("S1", [(NAME, b"AAAA")])
    assert read(store, (NAME, 0, 4)) == ["AAAA"]
    store.write_shard("S1", [(NAME, b"CCCCC")])
    assert read(store, (NAME, 0, 9)) == ["CCCCC"]


def test_equal_shards_are_equal_byte_for_byte(tmp_path):
    for name in ("a", "b"):
        SqliteShards(str(tmp_path / name)).write_shard("S1", [(NAME, b"ACGT" * 5000)])
    one, two = (tmp_path / name / "S1" / "glm_dataset_S1.sqlite" for name in ("a", "b"))
    assert one.read_bytes() == two.read_bytes()


def test_a_read_reaches_any_offset_in_a_few_pages(tmp_path):
    """Bytes read from file for one window far into a contig of 5 Mb: a few pages, not half the contig."""
    name, size = NAME, 5_000_000
    SqliteShards(str(tmp_path)).write_shard("S1", [(name, b"ACGT" * (size // 4))])
    code = (
        "import sys\nimport numpy as np\nfrom eden_core import Windows\nfrom eden_sqlite.store import SqliteShards\n"
        "store = SqliteShards(sys.argv[1])\n"
        "def read(start):\n"
        f"    store.read(Windows(np.zeros(1, np.int64), ({name!r},), np.array([start]), np.array([8192])))\n"
        "def count():\n"
        "    return int(open('/proc/self/io').read().split('rchar: ')[1].split()[0])\n"
        "read(0)\nbefore = count()\nread(4_000_000)\nprint(count() - before)\n"
    )
    out = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert int(out) < 8 * 8192


def test_a_link_to_a_file_that_is_being_written(tmp_path, shard):
    (tmp_path / "linked" / "S1").mkdir(parents=True)
    (tmp_path / "linked" / "S1" / shard.name).symlink_to(shard)
    shard.with_name(shard.name + "-wal").write_bytes(b"x")
    with pytest.raises(errors.FormatError, match="-wal holds"):
        read(SqliteShards(str(tmp_path / "linked")), (NAME, 0, 1))


def test_a_file_in_place_of_the_directory(tmp_path, shard):
    with pytest.raises(errors.ShardNotFoundError, match="is not a directory"):
        read(SqliteShards(str(shard)), (NAME, 0, 1))


def test_a_sample_too_long_for_a_folder_is_served_by_a_single_shard(tmp_path):
    name = f"BCR__ECT-{'S' * 300}__CT1"
    write_seed_shard(tmp_path, "ALL", {name: "ACGT"})
    assert read(SqliteShards(str(tmp_path)), (name, 0, 4)) == ["ACGT"]
