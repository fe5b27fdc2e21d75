"""Windows read by several threads at once: the same rows, and errors where they belong."""

import errno
import multiprocessing
import os
import pickle
import threading
import time

import numpy as np
import pytest

from eden_core import EdenDataset, Ragged, SequenceStore, Windows, errors
from eden_core.patience import PLACEHOLDER, Patience
from eden_core.read_threads import Reading, ReadThreads
from latency import Latent, OneContig


class Counting(SequenceStore):
    """Row i is its window's number; windows in `failures` fail as often as there are errors for them."""

    name = "counting"
    max_read_threads = 64

    def __init__(self, failures=None):
        super().__init__("nowhere")
        self.failures = failures or {}
        self.asked, self.threads, self.closed = [], set(), 0
        self.lock, self.running, self.closed_while_running = threading.Lock(), 0, False

    def read(self, windows):
        with self.lock:
            self.running += 1
            self.asked.append(windows.window_ids.tolist())
            self.threads.add(threading.get_ident())
        time.sleep(0.01)
        try:
            for window in windows.window_ids.tolist():
                if self.failures.get(window):
                    raise self.failures[window].pop(0)
        finally:
            with self.lock:
                self.running -= 1
        return Ragged.from_rows([np.full(3, 65 + n, np.uint8) for n in windows.window_ids.tolist()], np.uint8)

    def close(self):
        self.closed += 1
        self.closed_while_running |= self.running > 0


@pytest.fixture
def threads():
    made = ReadThreads(4)
    yield made
    made.close()


def windows(count=16) -> Windows:
    return Windows(np.arange(count), ("c",) * count, np.zeros(count, np.int64), np.full(count, 3))


def rows(bases) -> list[list[int]]:
    return [row.tolist() for row in bases]


def io_error(text="shard", number=errno.EIO) -> OSError:
    return OSError(number, os.strerror(number), text)


EXPECTED = [[65 + n] * 3 for n in range(16)]


@pytest.mark.parametrize("count", [1, 3, 8, 99])
def test_rows_come_in_the_order_of_the_windows(count):
    store, threads = Counting(), ReadThreads(count)
    bases, unread = Patience().read(store, windows(), threads)
    assert (rows(bases), unread) == (EXPECTED, None)
    assert len(store.asked) == min(count, 16)
    assert (len(store.threads) > 1) == (count > 1)
    threads.close()


def test_no_windows_give_no_rows(threads):
    bases, _ = Patience().read(Counting(), windows(0), threads)
    assert rows(bases) == []


def test_only_the_part_that_failed_is_read_again_when_no_other_is(threads):
    store = Counting({5: [io_error(), io_error()]})
    bases, _ = Patience(back_off=(0, 0, 0)).read(store, windows(), threads)
    assert rows(bases) == EXPECTED
    assert sorted(store.asked) == [[0, 1, 2, 3], [4, 5, 6, 7], [4, 5, 6, 7], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert (store.closed, store.closed_while_running) == (2, False)


def test_the_error_of_the_first_window_that_fails_is_raised(threads):
    for _ in range(5):
        store = Counting({9: [errors.StaleIndexError("nine")], 3: [errors.SequenceNotFoundError("three")]})
        with pytest.raises(errors.SequenceNotFoundError, match="three"):
            Patience().read(store, windows(), threads)


def test_windows_of_the_other_parts_are_not_masked(caplog, threads):
    damage = [errors.FormatError("damaged")] * 3
    store = Counting({6: damage, 15: [io_error(number=errno.EACCES)] * 3})
    bases, unread = Patience("mask").read(store, windows(), threads)
    assert np.flatnonzero(unread).tolist() == [6, 15]
    assert rows(bases) == [[PLACEHOLDER] if n in {6, 15} else row for n, row in enumerate(EXPECTED)]
    assert caplog.text.count("could not be read and gets no loss weight") == 2
    assert [1] not in store.asked


def test_what_must_not_be_masked_is_raised_beside_what_is(caplog, threads):
    store = Counting({2: [errors.FormatError("damaged")] * 3, 12: [errors.StaleIndexError("other data")] * 3})
    with pytest.raises(errors.StaleIndexError, match="other data"):
        Patience("mask").read(store, windows(), threads)


def test_a_part_that_hangs_is_named(caplog, threads):
    class Slow(Counting):
        def read(self, windows):
            time.sleep(0.6 * (windows.window_ids[0] == 8))
            return super().read(windows)

    Patience(warning_seconds=0.1, rank=3).read(Slow(), windows(), threads)
    (record,) = caplog.records
    assert "rank 3, no worker: reading windows of counting at nowhere" in record.getMessage()
    assert "(1 of 4 parts of a block, which begin with c from base 0 on) takes more than 0.1 s" in record.getMessage()


def test_a_file_that_was_given_up_is_known_by_the_error(threads):
    shard = f"shard-{time.monotonic()}"
    store = Counting({2: [io_error(shard) for _ in range(99)]})
    asked = []
    for _ in range(2):
        store.asked.clear()
        Patience("mask", back_off=(0, 0)).read(store, windows(), threads)
        asked.append(store.asked.count([0, 1, 2, 3]))
    assert asked == [3, 1]


def test_threads_end_with_close_and_come_back(threads):
    before = _reading_threads()
    for _ in range(2):
        Patience().read(Counting(), windows(), threads)
        assert 0 < len(_reading_threads() - before) <= 4
        threads.close()
        assert _reading_threads() == before


def _reading_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("eden-read")}


def test_threads_are_not_pickled(threads):
    Patience().read(Counting(), windows(), threads)
    copy = pickle.loads(pickle.dumps(threads))
    assert rows(Patience().read(Counting(), windows(), copy)[0]) == EXPECTED
    copy.close()


def test_a_forked_process_makes_its_own(threads):
    Patience().read(Counting(), windows(), threads)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_read_and_close, (threads,)).get(30) == EXPECTED
    assert rows(Patience().read(Counting(), windows(), threads)[0]) == EXPECTED


def _read_and_close(threads) -> list[list[int]]:
    threads.close()
    return rows(Patience().read(Counting(), windows(), threads)[0])


def test_an_interrupt_leaves_nothing_waiting(monkeypatch):
    store, threads = Counting(), ReadThreads(2)

    def interrupted(futures):
        raise KeyboardInterrupt

    monkeypatch.setattr("eden_core.read_threads.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        threads.run(Reading(store, windows(), ReadThreads(16))._calls())
    threads.close()
    assert len(store.asked) <= 2


def test_a_dataset_reads_the_same_with_threads():
    store, index = Latent(seconds=0.001), OneContig(windows=100, window_size=64)
    plain, threaded = (EdenDataset(store, index, seq_length=64, read_threads=count) for count in (1, 8))
    batches = [data.batch(range(50)) for data in (plain, threaded)]
    assert all(np.array_equal(batches[0][key], batches[1][key]) for key in batches[0])
    assert threaded.sources[0].threads.count == 8
    assert threaded.fingerprint == plain.fingerprint
    threaded.close()


def test_a_store_that_allows_fewer_threads_is_told_of(small, caplog):
    data = EdenDataset(**small.options, read_threads=7)
    assert data.sources[0].threads.count == 1
    assert "read_threads is 7, and store 'sqlite-shards' allows 1" in caplog.text


@pytest.mark.parametrize("count", [0, 2.5, "many"])
def test_a_number_of_threads_that_is_none(small, count):
    with pytest.raises(errors.ConfigurationError, match="read_threads is .*expected an integer of 1 or more"):
        EdenDataset(**small.options, read_threads=count)
