"""Training with real processes: Lightning DDP over gloo, checkpoints, SIGKILL."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
import ranks
from jobs.training import SEQ_LENGTH, digests_of, global_batches
from plain import write_seed_index, write_seed_shard

from eden_core import EdenDataModule
from eden_core.ledger import read_ledger
from eden_core.replay import dataset_of, rows_of_step, start_of_step

TOTAL = 8
KILLING = Path(__file__).parents[1] / "jobs" / "killing.py"


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Path:
    """Some 80 windows: ten steps an epoch."""
    folder, draw = tmp_path_factory.mktemp("genome"), random.Random(7)
    sequences = {f"BCR__ECT-S1__CT{i:02}-1": "".join(draw.choices("ACGT", k=draw.randint(5, 400))) for i in range(21)}
    write_seed_shard(folder, "S1", sequences)
    write_seed_index(folder / "train_windows.db", {name: len(bases) for name, bases in sequences.items()}, 64, 48)
    return folder


@pytest.fixture(scope="module")
def epoch_rows(genome) -> int:
    return len(dataset(genome))


def dataset(genome, **options):
    from eden_core import EdenDataset

    return EdenDataset(sequence_db_dir=str(genome), window_db_path=str(genome / "train_windows.db"), seq_length=64, **options)


def train(genome, run, size, **options) -> list[str]:
    return ranks.run("jobs.training:train", size, data_dir=str(genome), run=str(run), **{"total": TOTAL} | options)


@pytest.fixture(scope="module")
def unbroken(genome) -> dict[int, list[tuple[int, str]]]:
    """The global batches of 200 steps, as one loader gives them."""
    data = EdenDataModule(
        data_dir=str(genome), seq_length=SEQ_LENGTH, micro_batch_size=TOTAL, num_workers=0, rc_aug=True, extra_keys=("row_ids",)
    )
    loader = data.train_dataloader()
    batches = islice((batch for _ in range(200) for batch in loader), 200)  # pass after pass
    return {step: [*zip(b["row_ids"].tolist(), digests_of(b), strict=True)] for step, b in enumerate(batches)}


@pytest.mark.parametrize(("size", "micro"), [(2, 2), (4, 1)])
def test_any_number_of_ranks_sees_the_same_global_batches(genome, unbroken, tmp_path, size, micro):
    train(genome, tmp_path, size, steps=40, micro=micro)
    assert global_batches(tmp_path / "log") == {step: unbroken[step] for step in range(40)}


@pytest.fixture(scope="module")
def of_four_ranks(genome, tmp_path_factory) -> Path:
    """The folder of a run of four ranks, with a checkpoint after its 14 steps."""
    run = tmp_path_factory.mktemp("four") / "run"
    train(genome, run, 4, steps=14, micro=2, save_every=14)
    return run


@pytest.mark.parametrize(("size", "micro", "workers"), [(2, 2, 2), pytest.param(8, 1, 0, marks=pytest.mark.slow)])
def test_a_run_of_four_ranks_goes_on_with_fewer_or_more(
    genome, unbroken, of_four_ranks, epoch_rows, tmp_path, size, micro, workers
):
    run = shutil.copytree(of_four_ranks, tmp_path / "run")
    train(genome, run, size, steps=33, micro=micro, workers=workers, resume=True, log="after")
    found = global_batches(run / "log") | global_batches(run / "after")
    assert found == {step: unbroken[step] for step in range(33)}
    rows = [row for step in range(33) for row, _ in found[step]]
    whole = epoch_rows - epoch_rows % TOTAL
    assert sorted(rows[: 2 * whole]) == [*range(whole), *range(epoch_rows, epoch_rows + whole)]


def test_lightning_s_model_parallel_strategy_says_which_ranks_share_their_rows(genome, tmp_path):
    found = ranks.run("jobs.training:model_parallel", 4, data_dir=str(genome), run=str(tmp_path))
    assert found == [[[first + i, first + i + 1] for i in range(0, 20, 4)] for first in (0, 0, 2, 2)]


def test_what_a_step_was_made_of_can_be_told_afterwards(genome, of_four_ranks, tmp_path):
    run = shutil.copytree(of_four_ranks, tmp_path / "run")
    train(genome, run, 2, steps=20, micro=1, resume=True, log="after", skip_rows=[[130, 140]])
    starts = read_ledger(run)
    assert [(start.step, start.data_parallel_size, start.micro_batch_size) for start in starts] == [(0, 4, 2), (14, 2, 1)]
    for log, steps in (("log", range(14)), ("after", range(14, 20))):
        for step in steps:
            start = start_of_step(starts, step)
            blocks = rows_of_step(start, step, dataset_of(start))
            trained = [
                [row for line in lines if line["step"] == step for row in line["rows"]]
                for lines in ([json.loads(t) for t in p.read_text().splitlines()] for p in sorted((run / log).iterdir()))
            ]
            assert [block.rows.tolist() for block in blocks] == trained, step


def killed_run(genome, run, **options) -> tuple[list[str], dict]:
    """What the killer says, and the starts and weights that it gives."""
    settings = {"data_dir": str(genome), "run": str(run), "total": TOTAL, "save_every": 7} | options
    done = subprocess.run([sys.executable, KILLING, json.dumps(settings)], capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-4000:]
    *said, found = done.stdout.splitlines()
    return said, json.loads(found)


def check_killed_run(run, begins, steps, unbroken):
    """Each start trained on what the unbroken run trained on, and what counts of them makes it up."""
    effective = {}
    for number, begin in enumerate(begins):
        found = global_batches(run / f"start-{number}")
        for step, batch in found.items():
            assert batch == unbroken[step][: len(batch)], f"step {step} of start {number + 1}"
        assert min(found, default=begin) == begin
        effective = {step: batch for step, batch in effective.items() if step < begin} | found
    assert effective == {step: unbroken[step] for step in range(steps)}


@pytest.mark.slow  # a kill, and what comes after it, are in test_killed_on_one_rank_it_ends_with_the_very_weights
def test_a_run_killed_again_and_again_trains_on_the_rows_of_the_unbroken_one(genome, unbroken, tmp_path):
    said, found = killed_run(genome, tmp_path, kills=5, sizes=[2, 1, 4], steps=60, seed=3)
    assert sum("killed at step" in line for line in said) == 5
    check_killed_run(tmp_path, found["begins"], 60, unbroken)


def test_killed_on_one_rank_it_ends_with_the_very_weights(genome, tmp_path):
    """Bit by bit: the same rows in the same order, with the optimizer that the checkpoint kept."""
    (weights,) = train(genome, tmp_path / "whole", 1, steps=40, micro=TOTAL)
    _, found = killed_run(genome, tmp_path / "killed", kills=2, sizes=[1], steps=40, seed=1)
    assert found["weights"] == [weights]


def test_a_job_that_slurm_signals_goes_on_with_the_rows_that_it_was_not_trained_on(genome, unbroken, tmp_path):
    """The signal comes in the middle of a step as a rule; Lightning saves a checkpoint in its handler."""
    options = {"data_dir": str(genome), "run": str(tmp_path), "total": TOTAL, "micro": 2}
    script = f"import json; from jobs.training import train; train(steps=10**6, **json.loads({json.dumps(options)!r}))"
    tests = Path(__file__).parents[1]
    slurm = {
        "NTASKS": "1",
        "PROCID": "0",
        "LOCALID": "0",
        "NODEID": "0",
        "NODELIST": "localhost",
        "JOB_ID": "1",
        "JOB_NAME": "j",
    }
    environment = os.environ | {f"SLURM_{name}": value for name, value in slurm.items()} | {"RANK": "0", "WORLD_SIZE": "1"}
    environment |= {"PYTHONPATH": str(tests), "PATH": f"{tests / 'commands'}:{os.environ['PATH']}", "MASTER_ADDR": "127.0.0.1"}
    log = tmp_path / "log" / "rank-0.jsonl"
    with subprocess.Popen([sys.executable, "-c", script], env=environment, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while len(log.read_text().splitlines() if log.exists() else ()) < 50 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGUSR1)
        while not (tmp_path / "requeued").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    before = global_batches(tmp_path / "log")
    train(genome, tmp_path, 2, steps=40, micro=2, resume=True, log="after")
    after = global_batches(tmp_path / "after")
    assert min(after) >= 11, process.stderr
    assert {step: batch for step, batch in before.items() if step < min(after)} | after == {s: unbroken[s] for s in range(40)}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills(genome, unbroken, tmp_path):
    said, found = killed_run(genome, tmp_path, kills=50, sizes=[2, 1, 4, 2], steps=200, seed=11)
    print("\n".join(said))
    check_killed_run(tmp_path, found["begins"], 200, unbroken)
