import pytest
from plain import write_seed_shard

from eden_core import errors, hookimpl, installed_plugins
from eden_core.doctor.findings import Level
from eden_core.doctor.shards import shard_findings, tally_shards
from eden_core.interfaces import SequenceStore

LONG = {"BCR__ECT-S__CT1-1": "ACGT" * 20_000}


@pytest.fixture
def folder(tmp_path):
    for sample in ("S1", "S2", "S3"):
        write_seed_shard(tmp_path, sample, {"BCR__ECT-S__CT1-1": "ACGT"})
    return tmp_path


def tally_of(folder, workers=None):
    store = installed_plugins().store("sqlite-shards", str(folder))
    executor = installed_plugins().executor("local", {"workers": workers})
    return tally_shards(store, list(store.samples()), executor)


def findings_of(folder, longest=None):
    return list(shard_findings(tally_of(folder), str(folder), longest))


def test_sound_shards_are_one_finding(folder):
    (found,) = findings_of(folder)
    assert (found.level, found.found) == (Level.OK, "3, 36.9 kB: all headers are sound")


def test_slow_shards_are_counted_and_named(folder):
    write_seed_shard(folder, "S4", LONG)
    slow, noted = findings_of(folder)
    assert slow.level is Level.WARNING
    assert slow.found.startswith("1 of 4 (S4): written without auto_vacuum")
    assert slow.remedy == f"eden optimize {folder}"
    assert noted.level is Level.NOTE


def test_slow_shards_matter_little_where_contigs_are_short(folder):
    write_seed_shard(folder, "S4", LONG)
    assert findings_of(folder, longest=49_999)[0].level is Level.NOTE
    assert findings_of(folder, longest=50_000)[0].level is Level.WARNING


def test_unsafe_shards_are_an_error_with_each_message(folder):
    (folder / "S1" / "glm_dataset_S1.sqlite").write_bytes(b"")
    (folder / "S2" / "glm_dataset_S2.sqlite-wal").write_bytes(b"x")
    (found,) = findings_of(folder)
    assert found.level is Level.ERROR
    assert found.found.startswith("2 of 3 cannot be read as they are:\n")
    assert "S1.sqlite is empty" in found.found
    assert "S2.sqlite-wal holds 1 bytes" in found.found
    assert found.remedy.endswith(f"eden verify {folder}")


def test_many_shards_are_looked_at_by_tasks(folder, monkeypatch):
    write_seed_shard(folder, "S4", LONG)
    (folder / "S1" / "glm_dataset_S1.sqlite").write_bytes(b"")
    here = tally_of(folder)
    monkeypatch.setattr("eden_core.doctor.shards.SHARDS_A_TASK", 1)
    there = tally_of(folder, workers=2)
    assert (there.shards, there.bytes, there.unsafe, there.slow) == (here.shards, here.bytes, here.unsafe, here.slow)
    assert here.slow_samples == {"S4"}


def test_a_shard_that_vanishes_is_unsafe(folder):
    store = installed_plugins().store("sqlite-shards", str(folder))
    tally = tally_shards(store, ["S1", "S9"], installed_plugins().executor("local"))
    assert (tally.shards, len(tally.unsafe)) == (2, 1)
    assert "no shard of sample 'S9'" in tally.unsafe[0]


class Stateless(SequenceStore):
    name = "stateless"

    def read(self, windows):
        raise NotImplementedError


def test_a_store_without_states(folder):
    class Plugin:
        @hookimpl
        def eden_sequence_stores(self):
            return [Stateless]

    installed_plugins().register(Plugin())
    try:
        store = installed_plugins().store("stateless", str(folder))
        with pytest.raises(errors.NotSupportedError, match="has no state of shards"):
            tally_shards(store, ["S1"], installed_plugins().executor("local"))
    finally:
        installed_plugins.cache_clear()
