import re
import resource
import time
import warnings
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context

import numpy as np
import pytest
from access_logs import logs_in
from plain import write_seed_index, write_seed_shard
from torch.utils.data import DataLoader

from eden_access_log.log import AccessLog
from eden_core import EdenDataset, EdenLoader, errors
from eden_core.observing import BatchObserver, Reading

FORK = get_context("fork")


def logged(small, folder, form=True, **options) -> EdenDataset:
    return EdenDataset(**small.options, log_windows=form, log_dir=str(folder), **options)


def read_all(dataset, **options) -> EdenLoader:
    loader = EdenLoader(dataset, **{"num_workers": 0, "micro_batch_size": 4, "global_batch_size": 8} | options)
    list(loader)
    loader.close()
    return loader


@pytest.mark.parametrize("form", [True, "csv", "parquet"])
def test_a_line_says_where_a_window_lies_and_when_it_was_read(small, tmp_path, form):
    before = time.time_ns()
    dataset = logged(small, tmp_path / "new" / "folder", form)
    read_all(dataset)
    (log,) = logs_in(tmp_path / "new" / "folder")
    assert re.fullmatch(r"window_access_train_rank0_[0-9a-f]{8}", log.name)
    assert sorted(window["row"] for window in log.windows) == list(range(len(dataset) // 8 * 8))
    expected = small.expected_windows()
    for window in log.windows:
        sequence_id, start = expected[window["window_idx"]]
        assert window["window_idx"] == dataset.picks([window["row"]]).window_ids[0]
        assert (window["sequence_id"], window["window_in_seq_idx"]) == (sequence_id, start // 48)
        assert window["sample_id"] == re.search(r"-(S\d)__", sequence_id)[1]
        assert (window["rank"], window["step"]) == (0, window["row"] // 8)
        assert before < window["access_ts"] < time.time_ns()


def test_beside_it_stands_what_is_read_and_in_which_batches(small, tmp_path):
    dataset = logged(small, tmp_path)
    loader = read_all(dataset)
    (log,) = logs_in(tmp_path)
    source = {
        "name": "", "store": "sqlite-shards", "store_location": str(small.directory), "index": "sqlite",
        "index_location": str(small.windows), "windows": len(dataset), "window_size": 64, "stride": 48,
    }  # fmt: skip
    assert log.reading == {
        "eden_access_log": 1, "split": "train", "rank": 0, "data_parallel_rank": 0, "seq_length": 64, "seed": 42,
        "rows": len(dataset), "packing": "none", "split_windows": False, "sources": [source],
    }  # fmt: skip
    assert len(log.batches) == len(loader)
    lines = [(window["step"], window["access_ts"], window["row"]) for window in log.windows]
    assert lines == [(batch["step"], batch["time_ns"], row) for batch in log.batches for row in batch["rows"]]
    used = (dataset.batch(log.rows, observed=False)["tokens"] != 1).sum(1).tolist()
    assert [count for batch in log.batches for count in batch["used"]] == used
    assert all(batch["waited_ns"] > 0 for batch in log.batches)


def test_windows_that_share_a_row_have_a_line_each(small, tmp_path):
    dataset = logged(small, tmp_path, packing="concat", pack_by="sample", split_windows=True)
    read_all(dataset, drop_last=False)
    (log,) = logs_in(tmp_path)
    picks = dataset.picks(log.rows)
    assert [window["window_idx"] for window in log.windows] == picks.window_ids.tolist()
    assert picks.skips.any()
    skips = [dataset.picks(one["rows"]).skips for one in log.batches]
    assert [one["continued"] for one in log.batches] == [np.flatnonzero(found).tolist() for found in skips]
    assert log.reading["split_windows"]
    expected = small.expected_windows()
    places = [(window["sequence_id"], window["window_in_seq_idx"] * 48) for window in log.windows]
    assert places == [expected[window["window_idx"]] for window in log.windows]


def test_with_several_sources_batches_say_which(small, tmp_path):
    dataset = logged(small, tmp_path, sources=[{"name": "one", "weight": 2}, {"name": "two", "weight": 1}])
    read_all(dataset)
    (log,) = logs_in(tmp_path)
    assert [source["name"] for source in log.reading["sources"]] == ["one", "two"]
    sources = [number for batch in log.batches for number in batch["sources"]]
    assert sources == dataset.picks(log.rows).sources.tolist()
    assert set(sources) == {0, 1}


def test_any_id_can_be_read_back(tmp_path):
    ids = ['a,"b"', "c;d e", "é"]
    write_seed_shard(tmp_path, "any", dict.fromkeys(ids, "ACGT" * 20))
    index = write_seed_index(tmp_path / "windows.db", dict.fromkeys(ids, 80), 64, 48)
    dataset = EdenDataset(
        sequence_db_dir=str(tmp_path), window_db_path=str(index), seq_length=64, log_windows=True, log_dir=str(tmp_path)
    )
    dataset.batch([0, 1, 2])
    dataset.close()
    (log,) = logs_in(tmp_path)
    assert {window["sequence_id"] for window in log.windows} == set(ids)
    assert {(window["sample_id"], window["step"]) for window in log.windows} == {("", None)}


def test_reading_after_a_close_goes_on_in_the_same_log(small, tmp_path):
    for form in ("csv", "parquet"):
        dataset = logged(small, tmp_path / form, form)
        for row in (3, 5):
            dataset.batch([row])
            dataset.close()
        (log,) = logs_in(tmp_path / form)
        assert [window["row"] for window in log.windows] == log.rows
        assert len(log.rows) == 2


@pytest.fixture
def batch(small):
    """One that a dataset told its observers of, and the reading."""
    told = []

    class Told(BatchObserver):
        batch_read = close = told.append

    dataset = EdenDataset(**small.options)
    dataset.observers()
    dataset._observers._asked = [("told", Told())]
    dataset.batch([1, 2])
    return told[0], Reading(dataset, "train", 0, 0, "csv", None)


def test_a_full_buffer_is_written_and_one_that_has_waited_long(batch, tmp_path):
    batch, reading = batch
    log = AccessLog(replace(reading, log_dir=str(tmp_path)))

    def written(count, seconds):
        for _ in range(count):
            log.batch_read(replace(batch, time_ns=batch.time_ns + int(seconds * 1e9)))
        return len(logs_in(tmp_path)[0].windows)

    assert [written(1, 0), written(510, 0.9), written(1, 0.9)] == [0, 0, 1024]
    assert [written(1, 1.8), written(1, 2), written(1, 2)] == [1024, 1028, 1028]


def test_what_an_interrupt_left_is_written_next_time_once(batch, tmp_path, monkeypatch):
    batch, reading = batch
    log = AccessLog(replace(reading, log_dir=str(tmp_path)))
    log.batch_read(batch)
    monkeypatch.setattr(log._file, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        log.close()
    monkeypatch.undo()
    log.batch_read(batch)
    log.close()
    (read,) = logs_in(tmp_path)
    assert [window["row"] for window in read.windows] == read.rows == [1, 2, 1, 2]


def interrupt(_) -> None:
    raise KeyboardInterrupt


def test_a_place_that_cannot_be_written_is_an_error_at_once(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.ConfigurationError, match="access log cannot be written to .*file .*give another log_dir"):
        read_all(logged(small, tmp_path / "file"))


def batches_without_end(dataset):
    loader = EdenLoader(dataset, num_workers=0, micro_batch_size=40)
    while True:
        yield from loader


def fill_the_disk(dataset, said) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, resource.RLIM_INFINITY))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = sum(1 for _ in islice(batches_without_end(dataset), 300))
    said.send((count, [str(warning.message) for warning in caught]))


def test_a_full_disk_ends_the_log_and_not_the_run(small, tmp_path):
    receiver, sender = FORK.Pipe(duplex=False)
    FORK.Process(target=fill_the_disk, args=(logged(small, tmp_path), sender)).start()
    count, (text,) = receiver.recv()
    assert count == 300
    assert re.match(f"the window access log {tmp_path}/.* ends here, and the run goes on without it", text)
    (log,) = logs_in(tmp_path)
    assert 0 < len(log.windows) < 12_000


def count_batches(dataset, said) -> None:
    for number, _ in enumerate(batches_without_end(dataset)):
        said.send(number)


def leave_whole_lines(folder) -> None:
    """Cut what a killed process began to write."""
    for path in [*folder.glob("*.csv"), *folder.glob("*.jsonl")]:
        path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_a_killed_process_wrote_can_be_read(small, tmp_path, form):
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=count_batches, args=(logged(small, tmp_path, form), sender))
    process.start()
    while (number := receiver.recv()) < 500:
        pass
    process.kill()
    process.join()
    leave_whole_lines(tmp_path)
    (log,) = logs_in(tmp_path)
    kept_back = {"csv": 1024, "parquet": 16_384}[form]
    assert len(log.windows) >= 40 * number - kept_back
    assert log.rows[: len(log.windows)] == [window["row"] for window in log.windows] == list(range(len(log.windows)))


@pytest.mark.parametrize(("method", "workers"), [("fork", 2), ("forkserver", 1), ("spawn", 1)])
def test_workers_of_torch_keep_a_log_each(small, tmp_path, method, workers):
    dataset = logged(small, tmp_path)
    dataset.batch([0, 1])
    options = {"num_workers": workers, "multiprocessing_context": method, "collate_fn": dataset.collate_fn}
    count = sum(len(batch["tokens"]) for batch in DataLoader(dataset, batch_size=4, **options))
    dataset.close()
    logs = logs_in(tmp_path)
    assert len(logs) == 1 + workers
    assert sorted(sum((log.rows for log in logs), [])) == sorted([0, 1, *range(count)])
    assert [window["row"] for log in logs for window in log.windows] == sum((log.rows for log in logs), [])


def test_a_log_is_complete_at_the_end_of_a_process_that_closes_nothing(small, tmp_path):
    rows = logged(small, tmp_path)
    process = FORK.Process(target=rows.batch, args=([4, 2],))
    process.start()
    process.join()
    assert logs_in(tmp_path)[0].rows == [4, 2]


def test_a_log_is_complete_once_its_dataset_is_gone(small, tmp_path):
    rows = logged(small, tmp_path)
    rows.batch([4, 2])
    del rows
    assert logs_in(tmp_path)[0].rows == [4, 2]
