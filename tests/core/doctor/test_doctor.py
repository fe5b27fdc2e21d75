from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain import write_seed_index, write_seed_shard

from eden_core import errors, installed_plugins
from eden_core.doctor import examine
from eden_core.doctor.findings import Finding, Job, Level

LENGTHS = {f"BCR__ECT-S{i}__CT1-1": 400 + 100 * i for i in range(4)}


@pytest.fixture
def data(tmp_path) -> Path:
    """A data folder that is ready: fast shards, tables, and an index of windows of 256 bases."""
    store = installed_plugins().store("sqlite-shards", str(tmp_path))
    for name, length in LENGTHS.items():
        store.write_shard(name.split("__")[1].removeprefix("ECT-"), [(name, b"A" * length)])
    for table in ("contigs", "train"):
        pq.write_table(pa.table({"contig_id": list(LENGTHS), "length": list(LENGTHS.values())}), tmp_path / f"{table}.parquet")
    write_seed_index(tmp_path / "train_windows.db", LENGTHS, 256, 250)
    return tmp_path


def findings(folder, **job) -> list[Finding]:
    return list(examine(folder, Job(**{"num_workers": 0} | job), installed_plugins().executor("local")))


def worst(found: list[Finding]) -> list[Finding]:
    """All that is worse than a note."""
    return [one for one in found if one.level in {Level.WARNING, Level.ERROR}]


def test_a_folder_that_is_ready(data):
    found = findings(data)
    assert not worst(found)
    assert {one.about for one in found} >= {"open files", "file system", "shards", "train index", "train rows", "train reads"}


def test_shards_and_samples_are_compared(data):
    (data / "S1" / "glm_dataset_S1.sqlite").unlink()
    write_seed_shard(data, "S8", {"BCR__ECT-S8__CT1-1": "ACGT"})
    found = findings(data)
    (missing,) = worst(found)
    assert missing.found == "1 of 4 samples have no shard: S1 (1 windows)"
    assert [one.found for one in found if "in no index" in one.found] == ["1 of 4 are in no index: S8"]


def test_a_single_shard_serves_every_id(data):
    for sample in ("S1", "S2", "S3"):
        (data / sample / f"glm_dataset_{sample}.sqlite").unlink()
    assert not worst(findings(data))


def test_a_damaged_index_does_not_hide_the_rest(data):
    (data / "test_windows.db").write_bytes(b"x")
    found = findings(data)
    (one,) = worst(found)
    assert (one.level, one.about) == (Level.ERROR, "test index")
    assert any(one.about == "train reads" for one in found)


def test_long_contigs_in_slow_shards(data):
    (data / "S0" / "glm_dataset_S0.sqlite").unlink()
    write_seed_shard(data, "S0", {"BCR__ECT-S0__CT1-1": "ACGT" * 20_000})
    assert [one.level for one in findings(data) if "auto_vacuum" in one.found] == [Level.NOTE]  # by the table, all are short
    (data / "contigs.parquet").unlink()
    assert [one.level for one in findings(data) if "auto_vacuum" in one.found] == [Level.WARNING]


def test_the_job_is_compared_with_the_index(data):
    assert [one.about for one in worst(findings(data, seq_length=128))] == ["train rows"]


@pytest.mark.parametrize(("missing", "about"), [("*_windows.db", "indexes"), ("S*/*.sqlite", "shards")])
def test_what_is_not_there(data, missing, about):
    for path in data.glob(missing):
        path.unlink()
    assert (Level.ERROR, about) in [(one.level, one.about) for one in findings(data)]


def test_no_folder(tmp_path):
    with pytest.raises(errors.InputError, match="is no folder; expected the data folder"):
        findings(tmp_path / "nowhere")
