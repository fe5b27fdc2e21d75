"""Killed at any moment, `eden-precompute` goes on with the same command, and nothing tells that it was killed."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

COMMAND = Path(sys.executable).with_name("eden-precompute")


@dataclass(frozen=True)
class Undisturbed:
    """What runs without a kill wrote, and how long they took in seconds."""

    tables: list[Path]
    files: dict[str, bytes]
    one: float
    all: float


def command(tables: list[Path], out: Path) -> list[str]:
    """One split in this process, or several in workers."""
    where = [tables[0], out / "0_windows.db"] if len(tables) == 1 else [*tables, "--out", out]
    return [str(COMMAND), *map(str, where), "--window-size", "512", "--stride", "480", "--skip-existing"]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("splits")
    draw = np.random.default_rng(1)
    tables = []
    for split, contigs in enumerate((60_000, 20_000, 3_000)):
        ids = [f"BCR__X-S{split}__{i}" for i in draw.permutation(contigs).tolist()]
        pq.write_table(pa.table({"contig_id": ids, "length": draw.integers(100, 5000, contigs)}), folder / f"{split}.parquet")
        tables.append(folder / f"{split}.parquet")
    seconds = []
    for some in (tables[:1], tables):
        (out := folder / f"out{len(some)}").mkdir()
        begun = time.perf_counter()
        subprocess.run(command(some, out), check=True, capture_output=True)
        seconds.append(time.perf_counter() - begun)
    return Undisturbed(tables, files_of(folder / "out3"), *seconds)


def kill_and_go_on(undisturbed: Undisturbed, tables: list[Path], out: Path, moment: float) -> bool:
    """Whether the run was still going when it was killed."""
    process = subprocess.Popen(
        command(tables, out), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(moment)
    killed = process.poll() is None
    if killed:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run(command(tables, out), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    expected = [f"{table.stem}_windows.db" for table in tables]
    assert files_of(out) == {name: undisturbed.files[name] for name in expected}
    return killed


def test_four_moments(undisturbed, tmp_path):
    killed = 0
    for number in range(4):
        (out := tmp_path / str(number)).mkdir()
        killed += kill_and_go_on(undisturbed, undisturbed.tables[:1], out, undisturbed.one * (0.4 + 0.15 * number))
    assert killed


@pytest.mark.slow
@pytest.mark.parametrize("number", range(100))
def test_a_hundred_moments(undisturbed, tmp_path, number):
    tables = undisturbed.tables[: 1 if number % 2 else 3]
    moment = random.Random(number).uniform(0.2, 1) * (undisturbed.one if len(tables) == 1 else undisturbed.all)
    kill_and_go_on(undisturbed, tables, tmp_path, moment)
