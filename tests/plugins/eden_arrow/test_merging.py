import shutil

import pytest

from eden_arrow import merging
from eden_arrow.store import ArrowShards
from eden_core import errors
from eden_core.atomic import _machine
from eden_core.testing.suite import windows_of

SEQUENCES = {f"B__X-S{n}__{i}": f"{n}ACGT{i}".encode() * (200 + 13 * n + i) for n in range(10, 22) for i in range(3)}


def contents(store) -> dict[str, bytes]:
    ids = [i for batch in store.contigs() for i in batch.column("contig_id").to_pylist()]
    return dict(zip(ids, (row.tobytes() for row in store.read(windows_of([(i, 0, 10**9) for i in ids]))), strict=True))


def files(shards) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in shards.iterdir()}


def of_sample(sample) -> list[tuple[str, bytes]]:
    return [(i, bases) for i, bases in SEQUENCES.items() if f"-{sample}__" in i]


@pytest.mark.parametrize("packed", [False, True])
def test_shards_are_bounded(written, shards, packed):
    store = written(SEQUENCES, shard_bytes=20_000, packed=packed)
    sizes = [path.stat().st_size for path in shards.glob("*.arrow")]
    assert len(sizes) > 1
    assert max(sizes) < 24_000
    assert len(sizes) < 2 + 2 * sum(sizes) / 20_000
    assert contents(store) == SEQUENCES


def test_a_large_part_is_not_copied(written, shards):
    store = written(SEQUENCES, finish=False, shard_bytes=10)
    parts = {path.stat().st_ino for path in (shards / "parts").glob("*.arrow")}
    store.finish()
    assert {path.stat().st_ino for path in shards.glob("*.arrow")} == parts
    assert contents(store) == SEQUENCES


def test_a_large_part_is_copied_where_there_are_no_links(written, monkeypatch):
    monkeypatch.setattr(merging.os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links")))
    assert contents(written(SEQUENCES, shard_bytes=10)) == SEQUENCES


def test_files_do_not_depend_on_the_order_of_writing(written, shards, tmp_path):
    written(SEQUENCES, shard_bytes=20_000)
    other = ArrowShards(str(tmp_path / "other"), shard_bytes=20_000)
    for n in (*range(15, 22), *range(10, 15)):
        other.write_shard(f"S{n}", of_sample(f"S{n}"))
    other.finish()
    assert files(shards) == files(tmp_path / "other" / "shards")


def test_finishing_again_changes_nothing(written, shards):
    store = written(SEQUENCES, shard_bytes=20_000)
    before = files(shards)
    store.finish()
    store.write_shard("S12", of_sample("S12"))
    store.finish()
    assert files(shards) == before


def test_only_shards_that_held_a_sample_are_written_anew(written, shards):
    store = written(SEQUENCES, shard_bytes=20_000)
    before = files(shards)
    store.write_shard("S12", [("B__X-S12__new", b"A" * 9000)])
    store.finish()
    after = files(shards)
    stay = [name for name in before if name in after and name != "ids.table"]
    assert all(before[name] == after[name] for name in stay)
    assert len(stay) >= len(before) - 3
    wanted = {i: bases for i, bases in SEQUENCES.items() if "-S12__" not in i} | {"B__X-S12__new": b"A" * 9000}
    assert contents(store) == wanted


def test_small_shards_come_together(tmp_path):
    store = ArrowShards(str(tmp_path))
    for n in range(10, 22):
        store.write_shard(f"S{n}", of_sample(f"S{n}"))
        store.finish()
    assert len(list((tmp_path / "shards").glob("*.arrow"))) <= 4
    assert contents(store) == SEQUENCES


def test_a_removed_sample_gives_its_bytes_back(written, shards):
    store = written(SEQUENCES)
    before = (shards / "00000.arrow").stat().st_size
    store.remove_shard("S12")
    assert len(contents(store)) == len(SEQUENCES) - 3
    store.finish()
    assert len(contents(store)) == len(SEQUENCES) - 3
    assert (shards / "00001.arrow").stat().st_size < before
    assert {path.name for path in shards.iterdir()} == {"00001.arrow", "ids.table"}


def test_all_samples_may_go(written, shards):
    store = written(dict(of_sample("S12")))
    store.remove_shard("S12")
    store.finish()
    assert list(store.samples()) == []
    assert [path.name for path in shards.iterdir()] == ["ids.table"]


def test_a_part_that_is_removed_leaves_nothing(written, shards):
    store = written(SEQUENCES)
    before = files(shards)
    store.write_shard("S30", [("B__X-S30__1", b"A")])
    store.remove_shard("S30")
    assert files(shards) == before


def test_a_store_that_is_open_survives_a_merge(written, tmp_path):
    store = written(SEQUENCES, max_open_files=1, shard_bytes=20_000)
    assert contents(store) == SEQUENCES
    other = ArrowShards(store.location)
    for n in range(10, 22):
        other.write_shard(f"S{n}", [(f"{i}x", bases) for i, bases in of_sample(f"S{n}")])
        other.write_shard(f"S{n}", of_sample(f"S{n}")[::-1])
    other.finish()
    assert store.read(windows_of([(i, 0, 10**9) for i in SEQUENCES])).values.tobytes() == b"".join(SEQUENCES.values())


def test_leftovers_of_killed_writers_go(written, shards):
    store = written(SEQUENCES)
    before = files(shards)
    (shards / "parts").mkdir()
    machine = _machine()
    lock = f".S1.ids.{machine}.0"
    parts = (f"S1.{'0' * 32}.arrow", f"{lock}.lock", f"{lock}.tmp", f"{lock}.tmp.bases", f"{lock}.tmp.bases.rows")
    for name in (
        "00007.arrow",
        f".00007.arrow.{machine}.0.lock",
        ".ids.table.tmp.bases.rows",
        *(f"parts/{name}" for name in parts),
    ):
        (shards / name).write_bytes(b"half")
    store.finish()
    assert files(shards) == before


@pytest.mark.parametrize("step", ["_write_group", "_write_table", "_adopt"])
def test_a_merge_that_fails_changes_nothing(written, shards, monkeypatch, step):
    store = written(SEQUENCES, shard_bytes=20_000)
    store.write_shard("S12", [("B__X-S12__new", b"A" * 15_000)])
    store.write_shard("S13", [("B__X-S13__new", b"A" * 15)])
    expected = contents(store)
    with monkeypatch.context() as patch:
        patch.setattr(merging._Merge, step, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            store.finish()
    assert contents(store) == expected
    store.finish()
    assert contents(store) == expected
    assert not (shards / "parts").exists()


def test_a_read_only_store_is_read(written, shards):
    store = written(SEQUENCES)
    for path in (*shards.iterdir(), shards):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert contents(store) == SEQUENCES
    finally:
        shards.chmod(0o755)


def test_a_copied_store_is_read(written, tmp_path):
    store = written(SEQUENCES)
    shutil.copytree(store.location, tmp_path / "copy")
    assert contents(ArrowShards(str(tmp_path / "copy"))) == SEQUENCES


def test_no_shard_is_named_by_no_sample(written):
    store = written(SEQUENCES)
    with pytest.raises(errors.ShardNotFoundError, match="no shard of sample 'S99'"):
        store.shard_state("S99")
    assert store.shard_state("S12").location == f"{store.location}/shards/00000.arrow"


@pytest.mark.parametrize("damage", ["bases", "metadata", "end", "all"])
def test_what_is_written_again_mends_damage(written, shards, damage):
    store = written(SEQUENCES)
    path = shards / "00000.arrow"
    data = bytearray(path.read_bytes())
    if damage == "bases":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    elif damage == "metadata":
        path.write_bytes(data.replace(b"\xff\xff\xff\xff", b"\0\0\0\0"))
    elif damage == "end":
        path.write_bytes(data[:5000])
    else:
        path.unlink()
    for n in range(10, 22):
        store.write_shard(f"S{n}", of_sample(f"S{n}"))
        store.finish()
    for sample in store.samples():
        store.check_shard(sample)
    assert contents(store) == SEQUENCES
    assert path.name not in files(shards) or damage == "bases"
