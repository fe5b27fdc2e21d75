import contextlib
import errno
import gc
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from in_workers import Broken, Failing, Slow, Triplets

from eden_core import EdenDataset, errors, workers
from eden_core.workers import WorkerPool

KINDS = {
    "plain": {"rc_aug": True},
    "tags and weights": {"use_control_tags": True, "loss_weights": {"lower": 0.5}},
    "weights of bases": {"count_once": True},
    "masked": {"objective": "mlm"},
    "ids": {"tokenizer": Triplets(), "window_size": 64, "seq_length": 24},
    "concat": {"packing": "concat", "seq_length": 256},
    "thd": {"packing": "thd", "seq_length": 256, "objective": "mlm"},
}
"""options of datasets whose blocks hold different arrays"""


@contextlib.contextmanager
def pool(small, num_workers=1, prefetch_factor=2, persistent=True, start_method="forkserver", **options):
    reader = EdenDataset(**small.options | options).reader
    made = WorkerPool(
        reader, num_workers, block_rows=4, prefetch_factor=prefetch_factor, persistent=persistent, start_method=start_method
    )
    try:
        yield made
    finally:
        made.close()


def blocks(count=12, rows=4):
    return [np.arange(first, first + rows) for first in range(0, count * rows, rows)]


def check(made, small, some, **options):
    """Compare each block with what this process reads, before the next is asked for."""
    reader = EdenDataset(**small.options | options).reader
    for rows, encoded in zip(some, made.fetch(iter(some)), strict=True):
        found, expected = reader.expand(encoded), reader.expand(reader.fetch(rows))
        assert found.keys() == expected.keys()
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_blocks_are_those_that_were_asked_for(small, options):
    with pool(small, **options) as made:
        check(made, small, blocks(), **options)
        assert made.by_value == 0


@pytest.mark.parametrize("start_method", ["forkserver", "spawn", "fork"])
@pytest.mark.parametrize("persistent", [True, False])
def test_passes_follow_each_other(small, start_method, persistent):
    with pool(small, 2, persistent=persistent, start_method=start_method) as made:
        for _ in range(2):
            check(made, small, blocks(5))


@pytest.mark.parametrize("options", [{}, KINDS["thd"]])
def test_blocks_that_do_not_fit_into_a_slot_are_sent_by_value(small, monkeypatch, caplog, options):
    monkeypatch.setattr(workers, "BYTES_A_TOKEN", 0)
    monkeypatch.setattr(workers, "_HEAD_BYTES", 1)
    bulky = [np.arange(0, 80), np.arange(8), np.arange(40, 80)]  # some 12 kB; a slot is a page
    with caplog.at_level(logging.INFO), pool(small, **options) as made:
        check(made, small, bulky if not options else [np.arange(0, 12), np.arange(1), np.arange(12)], **options)
        assert made.by_value == 2
    assert "does not fit into the 4096" in caplog.text


def test_a_system_that_refuses_shared_memory_costs_speed_only(small, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "no such call")

    monkeypatch.setattr(os, "memfd_create", refuse)
    with pool(small, 2) as made:
        check(made, small, blocks())
        check(made, small, blocks())
        assert made.by_value == 24
    assert "5 pieces of 266240 bytes of shared memory were refused" in caplog.text
    assert len(caplog.records) == 1


def test_tasks_that_a_pipe_cannot_hold_do_not_block_without_shared_memory(small, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    reader = EdenDataset(**small.options).reader
    rows = [np.arange(40_000) % 80 + i for i in range(6)]
    made = WorkerPool(reader, 1, block_rows=40_000, prefetch_factor=8, persistent=True, start_method="forkserver")
    assert [encoded.rows for encoded in made.fetch(iter(rows))] == [40_000] * 6
    made.close()


def test_passes_that_were_given_up_leave_nothing_behind(small):
    with pool(small, 2) as made:
        for taken in (1, 3, 0, 2, 7):
            some = iter(blocks())
            for _ in zip(range(taken), made.fetch(some), strict=False):
                pass
            check(made, small, blocks(6, 3))
        pids = {worker.process.pid for worker in made._workers}
        assert len(pids) == 2


def test_what_a_pass_that_was_given_up_has_asked_for_is_not_read(small):
    with pool(small, 1, prefetch_factor=10, transforms=[Slow(0.3)]) as made:
        next(made.fetch(iter(blocks())))
        started = time.monotonic()
        next(made.fetch(iter(blocks(1))))
        assert time.monotonic() - started < 1.5  # of 10 blocks that would take 3 s, one is under way


def test_a_pass_ends_when_another_begins(small):
    with pool(small) as made:
        first = made.fetch(iter(blocks()))
        next(first)
        next(made.fetch(iter(blocks())))
        with pytest.raises(errors.ExecutorError, match="another pass has begun"):
            next(first)


def test_one_worker_does_all_where_the_trainer_is_slow_and_all_work_where_they_are(small):
    with pool(small, 3) as made:
        for _ in made.fetch(iter(blocks(20))):
            time.sleep(0.02)
        assert sorted(worker._sent for worker in made._workers)[:2] == [2, 2]
    with pool(small, 3, transforms=[Slow(0.05)]) as made:
        list(made.fetch(iter(blocks(18))))
        assert min(worker._sent for worker in made._workers) >= 4


def test_a_worker_that_is_killed_is_told_and_replaced(small):
    with pool(small, 2, transforms=[Slow(0.05)]) as made:
        passing = made.fetch(iter(blocks()))
        next(passing)
        for worker in made._workers:
            os.kill(worker.process.pid, signal.SIGKILL)
        with pytest.raises(errors.ExecutorError, match=r"eden-worker-\d \(process \d+\) ended .* signal 9 .* memory ran out"):
            list(passing)
        check(made, small, blocks())


def test_a_worker_that_exits_is_told(small):
    with pool(small, transforms=[Failing("exit")]) as made, pytest.raises(errors.ExecutorError, match="exit code 3"):
        next(made.fetch(iter(blocks())))


def test_a_script_that_its_workers_cannot_import_is_told(small, tmp_path):
    (tmp_path / "script.py").write_text(
        textwrap.dedent(f"""
        from eden_core import EdenDataset, EdenLoader

        class Letters:
            pad_id = 0
            def tokenize(self, text):
                return [ord(letter) for letter in text]

        options = dict(sequence_db_dir="{small.directory}", window_db_path="{small.windows}", seq_length=64)
        rows = EdenDataset(**options, tokenizer=Letters())
        next(iter(EdenLoader(rows, num_workers=1, start_method="spawn")))
        """)
    )
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, timeout=60, check=False)
    last = done.stderr.splitlines()[-1]
    assert re.search("ExecutorError: worker eden-worker-0 .* as it imported your script.*__main__.*module.*fork", last)


def test_an_error_comes_in_its_turn_and_says_where_it_came_up(small):
    with pool(small) as made:
        passing = made.fetch(iter([np.arange(4), np.array([-1]), np.arange(4)]))
        next(passing)
        with pytest.raises(errors.EdenError) as raised:
            next(passing)
        assert "worker" not in str(raised.value)
        assert "in worker 0:\nTraceback" in raised.value.__notes__[0]
        check(made, small, blocks())


def test_an_error_that_does_not_pickle_is_told(small):
    told = pytest.raises(errors.ExecutorError, match="UnpicklableError: 1 and 2")
    with pool(small, transforms=[Failing("unpicklable")]) as made, told:
        next(made.fetch(iter(blocks())))


def test_an_error_of_a_connection_within_a_worker_does_not_end_it(small):
    told = pytest.raises(ConnectionResetError, match="the transform's own")
    with pool(small, transforms=[Failing("connection")]) as made, told:
        next(made.fetch(iter(blocks())))


def test_a_dataset_that_does_not_unpickle_is_told(small):
    with pool(small, transforms=[Broken()]) as made, pytest.raises(ValueError, match="cannot be unpickled"):
        next(made.fetch(iter(blocks())))


def test_a_pass_after_an_interrupt_begins_anew(small):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pool(small, transforms=[Slow(0.2)]) as made:
            next(made.fetch(iter(blocks())))
            passing = made.fetch(iter(blocks()))
            next(passing)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(KeyboardInterrupt):
                list(passing)
            check(made, small, blocks(2))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_close_gives_back_files_and_memory(small):
    with pool(small) as made:
        list(made.fetch(iter(blocks(1))))  # the fork server keeps files of its own
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    with pool(small, 2) as made:
        list(made.fetch(iter(blocks())))
        assert "eden-slots" in Path("/proc/self/maps").read_text()
    del made
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before  # fewer, where something older was collected meanwhile
    assert "eden-slots" not in Path("/proc/self/maps").read_text()


def test_a_pool_that_is_forgotten_ends_its_workers(small):
    reader = EdenDataset(**small.options).reader
    made = WorkerPool(reader, 2, block_rows=4, prefetch_factor=2, persistent=True, start_method="forkserver")
    next(made.fetch(iter(blocks())))
    processes = [worker.process for worker in made._workers]
    del made
    gc.collect()
    for process in processes:
        process.join(10)
    assert [process.exitcode for process in processes] == [0, 0]


def test_a_trainer_that_is_killed_leaves_no_process_and_no_memory(small, tmp_path):
    (tmp_path / "script.py").write_text(
        textwrap.dedent(f"""
        import os, signal
        from eden_core import EdenDataset, EdenLoader

        options = dict(sequence_db_dir="{small.directory}", window_db_path="{small.windows}", seq_length=64)
        loader = EdenLoader(EdenDataset(**options), num_workers=2)
        next(iter(loader))
        print(*(worker.process.pid for worker in loader._pool._workers), flush=True)
        print("/dev/shm" in open("/proc/self/maps").read(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """)
    )
    command = [sys.executable, tmp_path / "script.py"]
    out = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=False).stdout  # ends when all have closed it
    *pids, uses_files = out.split()
    deadline = time.monotonic() + 20
    while any(maps_slots(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 2
    assert not any(maps_slots(pid) for pid in pids)
    assert uses_files == b"False"


def maps_slots(pid: bytes) -> bool:
    try:
        return "eden-slots" in Path(f"/proc/{int(pid)}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_any_number_of_blocks_may_be_read_ahead(small):
    with pool(small, prefetch_factor=5000) as made:
        some = blocks(count=1200, rows=1)
        assert sum(encoded.rows for encoded in made.fetch(iter(some))) == len(some)


def test_a_pool_that_was_forked_before_another_ends_at_once(small):
    with pool(small, start_method="fork") as first, pool(small, start_method="fork") as second:
        for made in (first, second):
            next(made.fetch(iter(blocks())))
        process = first._workers[0].process
        started = time.monotonic()
        first.close()
        assert time.monotonic() - started < 3
        assert process.exitcode == 0


def test_workers_are_told_apart_from_lost_ones_when_they_are_stopped(small):
    with pool(small) as made:
        pass_ = made.fetch(iter(blocks()))
        next(pass_)
        worker = made._workers[0]
        made.close()
        assert "stopped" in str(worker._lost())
