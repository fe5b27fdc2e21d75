"""A store that takes its time, and a training loop that does not wait for it.

What is looked at is the median of five parts of a run: what disturbs the machine disturbs one or two of them, and a loader that
cannot keep up makes the loop wait in all.
"""

import numpy as np
import pytest

from latency import Loop

MORE_WORKERS_THAN_CORES = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


def stall(loop: Loop) -> float:
    _, waits = loop.run()
    return float(np.median(loop.stalls(waits)))


@MORE_WORKERS_THAN_CORES
@pytest.mark.parametrize(("workers", "threads"), [(4, 1), (1, 4)])
def test_reads_of_80_ms_hide_behind_steps_of_25(workers, threads):
    assert stall(Loop(8, workers, threads, seconds=0.01, step=0.025, steps=80, seq_length=64)) < 0.05


@MORE_WORKERS_THAN_CORES
@pytest.mark.slow
@pytest.mark.parametrize(("micro_batch_size", "workers", "threads"), [(1, 1, 1), (8, 4, 1), (8, 1, 4), (64, 4, 8)])
def test_windows_of_20_ms_stall_steps_of_50_for_less_than_a_hundredth(micro_batch_size, workers, threads):
    assert stall(Loop(micro_batch_size, workers, threads)) < 0.01


def test_the_first_batch_comes_before_a_whole_block_is_read():
    loop = Loop(1, 1, seconds=0.2, step=0, steps=0, seq_length=64)
    assert loop.run()[0] < 64 * loop.seconds / 2


def test_a_loop_that_waits_is_told(monkeypatch, caplog):
    monkeypatch.setattr("eden_core.waits.MEASURED_BATCHES", 20)
    monkeypatch.setattr("eden_core.waits.MEASURED_SECONDS", 0.2)
    Loop(1, 1, seconds=0.02, step=0.005, steps=50, seq_length=64).run()
    (record,) = caplog.records
    assert "the training loop waited for data" in record.getMessage()
