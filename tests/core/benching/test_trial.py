import time

import pytest
from plain import write_seed_index, write_seed_shard

from eden_core import EdenDataset
from eden_core.benching.settings import BenchSettings
from eden_core.benching.trial import _read, measure, survey
from eden_sqlite.store import SqliteShards


def trial(options, *, workers=0, cold=False, **settings):
    return BenchSettings(options, (workers,), seconds=0.1, **settings).trial(workers, cold=cold)


def test_a_survey_describes_the_rows(small):
    found = survey(trial(small.options))
    fits = [min(len(small.sequences[name]) - start, 62) + 2 for name, start in small.expected_windows()]
    assert found["rows"] == len(fits) == found["sampled_rows"]
    assert found["fill"] == pytest.approx(sum(fits) / (64 * len(fits)))
    assert found["bases_per_row"] == pytest.approx(sum(fits) / len(fits) - 2)
    assert found["sources"][0]["store_location"] == str(small.directory)


def test_the_fill_of_packed_rows_is_told(tmp_path):
    sequences = {f"BCR__ECT-S__CT{i}-1": "ACGT" * 5 for i in range(6)}
    write_seed_shard(tmp_path, "S", sequences)
    index = write_seed_index(tmp_path / "train_windows.db", dict.fromkeys(sequences, 20), 64, 64)
    options = {"sequence_db_dir": str(tmp_path), "window_db_path": str(index), "seq_length": 64}
    assert survey(trial(options))["fill"] == 22 / 64
    packed = survey(trial(options | {"packing": "concat"}))
    assert (packed["rows"], packed["fill"]) == (3, 44 / 64)


def test_what_is_counted_is_what_came(small):
    dataset = EdenDataset(**small.options)
    given = [dataset.batch(range(rows)) for rows in (1, 2, 3, 4)]
    found = _read(iter(given), 60, 0, most=4)
    assert (found["steps"], found["rows"], found["tokens"]) == (4, 10, 640)


def test_waits_are_those_for_batches_and_not_the_steps(small):
    def batches():
        for pause in (0.01, 0.01, 0.05):
            time.sleep(pause)
            yield EdenDataset(**small.options).batch([0])

    found = _read(batches(), 60, 0.1, most=3)
    assert 10 <= found["wait_ms"]["p50"] < 50 <= found["wait_ms"]["max"]
    assert found["seconds"] > 0.37
    assert 0.07 / found["seconds"] <= found["waited"] < 0.9


@pytest.mark.parametrize("options", [{}, {"packing": "concat"}, {"split": "validation"}, {"rc_aug": True}], ids=str)
def test_a_round_counts_rows_tokens_and_bytes(small, options):
    found = measure(trial(small.options | options, micro_batch_size=2), time.monotonic())
    assert found["rows"] == 2 * found["steps"] > 0
    assert found["tokens"] == 64 * found["rows"]
    assert found["rows_in_all"] > found["rows"]
    assert 0.1 <= found["seconds"] < 5
    assert found["start_s"] > 0 < found["first_batch_s"]
    assert found["workers"] == []
    assert found["trainer"]["peak_rss"] > found["trainer"]["private"] > 0


def test_a_mixture_that_is_used_up_begins_anew(small):
    sources = [{"name": name, "weight": 1, "max_epochs": 1, **small.options} for name in ("a", "b")]
    for source in sources:
        del source["seq_length"]
    found = measure(trial({"sources": sources, "seq_length": 64}), time.monotonic())
    assert found["rows"] > 4 * len(small.expected_windows())


def test_a_cold_round_ends_with_the_pass(small):
    found = measure(trial(small.options, cold=True), time.monotonic())
    assert found["rows_in_all"] == len(small.expected_windows())


def test_bytes_read_for_a_row_are_at_least_its_bases(tmp_path):
    sequences = {f"BCR__ECT-S__CT{i}-1": b"ACGT" * 16384 for i in range(4)}
    SqliteShards(str(tmp_path)).write_shard("S", sequences.items())  # shards of other programs are mapped, not read
    index = write_seed_index(tmp_path / "train_windows.db", dict.fromkeys(sequences, 65536), 8192, 8192)
    options = {"sequence_db_dir": str(tmp_path), "window_db_path": str(index), "store_options": {"max_open_files": 8}}
    found = measure(trial(options, workers=1, cold=True), time.monotonic())
    bases = survey(trial(options))["bases_per_row"]
    assert found["workers"][0]["read"] / found["rows_in_all"] >= bases
    assert found["workers"][0]["open_files"] > 3
