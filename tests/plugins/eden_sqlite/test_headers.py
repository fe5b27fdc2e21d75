import sqlite3

import pytest
from plain import write_seed_shard

from eden_core import errors
from eden_sqlite.store import SqliteShards

LONG = "ACGT" * 20_000


def state_of(folder, sample="S1"):
    return SqliteShards(str(folder)).shard_state(sample)


@pytest.fixture
def path(tmp_path):
    return write_seed_shard(tmp_path, "S1", {"BCR__ECT-S1__CT1-1": LONG})


def changed(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_our_shards_are_sound_and_fast(tmp_path):
    summary = SqliteShards(str(tmp_path)).write_shard("S1", [("BCR__ECT-S1__CT1-1", LONG.encode())])
    state = state_of(tmp_path)
    assert (state.sample, state.location) == ("S1", summary.location)
    assert state.bytes == (tmp_path / "S1" / "glm_dataset_S1.sqlite").stat().st_size
    assert (state.slow, state.unsafe, state.note) == (None, None, None)


def test_a_large_shard_without_auto_vacuum_is_slow(tmp_path, path):
    state = state_of(tmp_path)
    assert f"eden optimize {tmp_path}" in state.slow
    assert state.unsafe is None


def test_a_small_one_is_not(tmp_path):
    write_seed_shard(tmp_path, "S1", {"BCR__ECT-S1__CT1-1": "ACGT"})
    assert state_of(tmp_path).slow is None


def test_small_pages_are_noted(tmp_path, path):
    assert "pages of 4,096 bytes" in state_of(tmp_path).note
    changed(path, "PRAGMA page_size=16384", "VACUUM")
    assert state_of(tmp_path).note is None


def test_wal_mode_is_noted(tmp_path, path):
    changed(path, "PRAGMA journal_mode=WAL")
    assert "WAL mode" in state_of(tmp_path).note
    assert state_of(tmp_path).unsafe is None


@pytest.mark.parametrize(("suffix", "remedy"), [("-wal", "journal_mode=DELETE"), ("-journal", "user_version")])
def test_what_a_writer_left_behind_is_unsafe(tmp_path, path, suffix, remedy):
    path.with_name(path.name + suffix).write_bytes(b"x")
    assert remedy in state_of(tmp_path).unsafe
    path.with_name(path.name + suffix).write_bytes(b"")
    assert state_of(tmp_path).unsafe is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda whole: whole[:-4096], "is truncated: 86016 bytes of 90112"),
        (lambda whole: b"", "is empty"),
        (lambda whole: b">c1\nACGT\n" * 20, "is not an SQLite database"),
        (lambda whole: whole[:99], "is not an SQLite database"),
        (lambda whole: b"PAR1" + whole, "a Parquet table"),
        (lambda whole: whole[:56] + b"\0\0\0\2" + whole[60:], "UTF-16"),
    ],
    ids=["truncated", "empty", "FASTA", "shorter than a header", "Parquet", "UTF-16"],
)
def test_damage_that_a_header_shows(tmp_path, path, damage, said):
    path.write_bytes(damage(path.read_bytes()))
    state = state_of(tmp_path)
    assert said in state.unsafe
    assert state.bytes == path.stat().st_size
    with pytest.raises(errors.FormatError, match=said):
        list(SqliteShards(str(tmp_path)).contigs("S1"))


def test_an_old_writer_leaves_the_page_count_behind(tmp_path, path):
    whole = path.read_bytes()
    path.write_bytes(whole[:28] + b"\xff" * 4 + whole[32:92] + b"\0\0\0\0" + whole[96:])
    assert state_of(tmp_path).unsafe is None


def test_a_missing_shard(tmp_path, path):
    with pytest.raises(errors.ShardNotFoundError, match="no shard of sample 'S2'"):
        state_of(tmp_path, "S2")


def test_a_sample_that_would_leave_the_folder(tmp_path):
    with pytest.raises(errors.InvalidSequenceIdError):
        state_of(tmp_path, "../S1")
