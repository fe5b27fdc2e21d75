import fcntl
import os
import random
import resource
import sqlite3
import stat
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from data_folders import bases_of, execute, random_bases, shard
from plain import write_seed_shard

from eden_core.errors import FormatError, OutputExistsError, ShardNotFoundError
from eden_sqlite import optimizing
from eden_sqlite.optimizing import is_fast
from eden_sqlite.store import SqliteShards

SCHEMA = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"


@pytest.fixture
def folder(tmp_path) -> Path:
    draw = random.Random(3)
    write_seed_shard(tmp_path / "d", "S1", {f"B__X-S1__c{i}": random_bases(draw, n) for i, n in enumerate((5, 900, 90_000))})
    return tmp_path / "d"


def rewritten(folder, **options):
    with SqliteShards(str(folder)) as store:
        return store.optimize_shard("S1", **options)


def answer(path, query):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_shard_becomes_fast_and_keeps_its_bases(folder):
    before, path = bases_of(folder), shard(folder, "S1")
    assert not is_fast(path)
    found = rewritten(folder)
    assert (found.rewritten, found.location, found.bytes_after) == (True, str(path), path.stat().st_size)
    assert is_fast(path)
    assert bases_of(folder) == before
    assert [answer(path, f"PRAGMA {name}")[0][0] for name in ("auto_vacuum", "page_size", "journal_mode")] == [
        1,
        8192,
        "delete",
    ]
    assert sorted(os.listdir(path.parent)) == [path.name]


def test_a_fast_shard_is_left_as_it_is(folder):
    rewritten(folder)
    before = shard(folder, "S1").stat().st_ino
    found = rewritten(folder)
    assert (found.rewritten, shard(folder, "S1").stat().st_ino) == (False, before)
    assert rewritten(folder, force=True).rewritten


def test_further_tables_and_columns_stay(folder):
    path = shard(folder, "S1")
    more = [
        "CREATE TABLE more (a, b)",
        "INSERT INTO more VALUES (1, 'x')",
        "CREATE INDEX by_a ON more (a)",
        "PRAGMA user_version=7",
    ]
    execute(path, "ALTER TABLE sequences ADD COLUMN depth REAL DEFAULT 2.5", *more)
    schema, rows = answer(path, SCHEMA), answer(path, "SELECT * FROM sequences")
    rewritten(folder)
    assert answer(path, SCHEMA) == schema
    assert answer(path, "SELECT * FROM sequences") == rows
    assert answer(path, "SELECT * FROM more") == [(1, "x")]
    assert answer(path, "PRAGMA user_version") == [(7,)]


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("settings", ["auto_vacuum=0", "auto_vacuum=2", "page_size=65536"])
def test_shards_of_other_settings(folder, mode, settings):
    path, before = shard(folder, "S1"), bases_of(folder)
    execute(path, f"PRAGMA {settings}", "VACUUM", f"PRAGMA journal_mode={mode}")
    rewritten(folder)
    assert is_fast(path)
    assert bases_of(folder) == before


def test_a_shard_that_is_being_written_is_refused(folder):
    path = shard(folder, "S1")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("DELETE FROM sequences")
        writer.commit()
        with pytest.raises(FormatError, match="PRAGMA journal_mode=DELETE"):
            rewritten(folder)


def test_to_another_directory(folder, tmp_path):
    before = shard(folder, "S1").read_bytes()
    found = rewritten(folder, target=str(tmp_path / "out"))
    assert found.rewritten
    assert bases_of(tmp_path / "out") == bases_of(folder)
    assert shard(folder, "S1").read_bytes() == before
    assert not rewritten(folder, target=str(tmp_path / "out")).rewritten


def test_a_fast_shard_is_copied_to_another_directory(folder, tmp_path):
    rewritten(folder)
    assert not rewritten(folder, target=str(tmp_path / "out")).rewritten
    assert shard(tmp_path / "out", "S1").read_bytes() == shard(folder, "S1").read_bytes()


def test_another_shard_in_the_other_directory_stays(folder, tmp_path):
    out = tmp_path / "out"
    write_seed_shard(out, "S1", {"B__X-S1__c0": "ACGT"})
    with pytest.raises(OutputExistsError, match="--force"):
        rewritten(folder, target=str(out))
    assert bases_of(out) == {"B__X-S1__c0": "ACGT"}
    rewritten(folder, target=str(out), force=True)
    assert bases_of(out) == bases_of(folder)


def test_a_link_stays_and_what_it_leads_to_is_replaced(folder, tmp_path):
    real = shard(folder, "S1").rename(tmp_path / "real.sqlite")
    shard(folder, "S1").symlink_to(real)
    rewritten(folder)
    assert shard(folder, "S1").is_symlink()
    assert is_fast(real)


def test_the_mode_stays(folder):
    shard(folder, "S1").chmod(0o640)
    rewritten(folder)
    assert stat.S_IMODE(shard(folder, "S1").stat().st_mode) == 0o640


def test_a_table_without_rowid(folder):
    path = shard(folder, "S1")
    execute(path, "DROP TABLE sequences", "CREATE TABLE sequences (contig_id TEXT PRIMARY KEY, nt_sequence TEXT) WITHOUT ROWID")
    execute(path, "INSERT INTO sequences VALUES ('a', 'ACGT')")
    with pytest.raises(FormatError, match="WITHOUT ROWID") as error:
        rewritten(folder)
    command = str(error.value).partition("sqlite3 ")[2]
    for statement in command.partition('"')[2].rstrip('"').split("; "):
        execute(path, statement)
    assert rewritten(folder).rewritten
    assert bases_of(folder) == {"a": "ACGT"}


def test_utf_16(folder):
    path = shard(folder, "S1")
    path.unlink()
    execute(path, "PRAGMA encoding='UTF-16'", "CREATE TABLE sequences (contig_id TEXT PRIMARY KEY, nt_sequence TEXT)")
    with pytest.raises(FormatError, match=r"\.dump"):
        rewritten(folder)


def test_a_damaged_shard_stays(folder):
    path = shard(folder, "S1")
    with path.open("r+b") as file:
        file.seek(40_000)
        file.write(b"\0" * 20_000)
    before = path.read_bytes()
    with pytest.raises(FormatError, match="damaged"):
        rewritten(folder)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_shard(folder):
    shard(folder, "S1").unlink()
    with pytest.raises(ShardNotFoundError, match="S1"):
        rewritten(folder)


@contextmanager
def largest_file(size: int):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room_loses_nothing(folder):
    path = shard(folder, "S1")
    before = path.read_bytes()
    with largest_file(50_000), pytest.raises(OSError, match="as it was"):
        rewritten(folder)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_what_a_killed_run_left_is_removed(folder):
    path = shard(folder, "S1")
    for suffix in ("", "-journal", ".wal"):
        path.with_name(f".{path.name}.0123abcd.tmp{suffix}").write_text("half")
    rewritten(folder)
    assert os.listdir(path.parent) == [path.name]


def test_a_difference_leaves_the_old_shard(folder, monkeypatch):
    path = shard(folder, "S1")
    before = path.read_bytes()
    rewrite = optimizing._rewrite

    def lossy(source, old, draft):
        rewrite(source, old, draft)
        execute(draft, "UPDATE sequences SET nt_sequence = 'T' || substr(nt_sequence, 2) WHERE contig_id = 'B__X-S1__c1'")

    monkeypatch.setattr(optimizing, "_rewrite", lossy)
    with pytest.raises(FormatError, match="B__X-S1__c1"):
        rewritten(folder)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_shard_that_changes_meanwhile_is_not_replaced(folder, monkeypatch):
    rewrite = optimizing._rewrite

    def slow(source, old, draft):
        rewrite(source, old, draft)
        os.utime(source)

    monkeypatch.setattr(optimizing, "_rewrite", slow)
    with pytest.raises(FormatError, match="was written while"):
        rewritten(folder)
    assert not is_fast(shard(folder, "S1"))


def test_runs_that_meet_follow_each_other(folder):
    descriptor = os.open(shard(folder, "S1").parent, os.O_RDONLY)
    with optimizing._alone(shard(folder, "S1")), pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
