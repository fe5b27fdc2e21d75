from pathlib import Path

import pytest
from data_folders import bases_of, shard
from in_threads import InThread
from plain import write_seed_shard

from eden_core.errors import ConfigurationError, ShardNotFoundError
from eden_core.optimizing import optimize_store

SAMPLES = [f"S{i}" for i in range(6)]


@pytest.fixture
def folder(tmp_path) -> Path:
    for sample in SAMPLES:
        write_seed_shard(tmp_path / "d", sample, {f"B__X-{sample}__c{i}": "ACGTN" * 700 for i in range(3)})
    return tmp_path / "d"


def test_all_shards_are_rewritten_once(folder):
    before, size = bases_of(folder), sum(shard(folder, s).stat().st_size for s in SAMPLES)
    report = optimize_store(folder, InThread())
    assert (report.rewritten, report.skipped, report.failures, report.bytes_before) == (6, 0, {}, size)
    assert report.bytes_after == sum(shard(folder, s).stat().st_size for s in SAMPLES)
    assert bases_of(folder) == before
    again = optimize_store(folder, InThread())
    assert (again.rewritten, again.skipped) == (0, 6)


def test_a_failure_does_not_stop_the_others(folder):
    shard(folder, "S2").write_bytes(b"")
    report = optimize_store(folder, InThread())
    assert (report.rewritten, list(report.failures)) == (5, ["S2"])
    assert "is empty" in report.failures["S2"]


def test_to_another_directory(folder, tmp_path):
    optimize_store(folder, InThread(), out=tmp_path / "out")
    assert bases_of(tmp_path / "out") == bases_of(folder)


def test_progress_counts_shards(folder):
    seen = []
    optimize_store(folder, InThread(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)


def test_wrong_directories(folder, tmp_path):
    with pytest.raises(ConfigurationError, match="the store itself"):
        optimize_store(folder, InThread(), out=f"{folder}/.")
    with pytest.raises(ShardNotFoundError, match="not a directory"):
        optimize_store(tmp_path / "nowhere", InThread())


def test_a_directory_without_shards(tmp_path):
    with pytest.raises(ShardNotFoundError, match="nothing to optimize"):
        optimize_store(tmp_path, InThread())
