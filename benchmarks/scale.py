"""Many shards: time to the first batch, open files and memory of a worker, metadata calls before the first read.

python benchmarks/scale.py [--append docs/performance.md]
"""

import argparse
import multiprocessing
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import apsw
import numpy as np
import torch

from eden_core import EdenDataset, EdenLoader, extract_sample_id
from eden_core.workers import WorkerPool
from eden_sqlite.store import SqliteShards

ROUNDS = 5
BASES = 9000
READING = """
import os, sys
from eden_core import EdenDataset, EdenLoader

if __name__ == "__main__":
    directory = sys.argv[1]
    dataset = EdenDataset(sequence_db_dir=directory, window_db_path=directory + "/train_windows.db")
    loader = EdenLoader(dataset, num_workers=1)
    next(iter(loader))
    dataset[0]
    loader.close()
"""
CALLS = "open,openat,stat,lstat,newfstatat,statx,access,faccessat,faccessat2,readlink,readlinkat,getdents64"


def make_shards(directory: Path, shards: int) -> None:
    """Shards of one 9 kb contig each, copies of one file but for the id, and an index of one window a shard."""
    store = SqliteShards(str(directory))
    bases = np.random.default_rng(1).choice(np.frombuffer(b"ACGT", np.uint8), BASES).tobytes()
    template = Path(store.write_shard("T", [("BCR__ECT-S000000__CT1", bases)]).location)
    names = [f"BCR__ECT-S{i:06}__CT1" for i in range(shards)]
    for name in names:
        sample = extract_sample_id(name)
        (directory / sample).mkdir()
        path = directory / sample / f"glm_dataset_{sample}.sqlite"
        shutil.copyfile(template, path)
        connection = apsw.Connection(str(path))
        connection.execute("PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF")
        connection.execute("UPDATE sequences SET contig_id=?", (name,))
        connection.close()
    shutil.rmtree(template.parent)
    index = sqlite3.connect(directory / "train_windows.db")
    index.execute("CREATE TABLE metadata (key TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    index.execute(
        "CREATE TABLE window_mappings (window_idx INTEGER PRIMARY KEY, sequence_id TEXT NOT NULL, window_in_seq_idx INTEGER NOT NULL)"
    )
    index.executemany("INSERT INTO metadata VALUES (?, ?)", [("window_size", 8192), ("stride", 7992)])
    index.executemany("INSERT INTO window_mappings VALUES (?, ?, 0)", enumerate(names))
    index.commit()
    index.close()


def forget(directory: Path) -> None:
    """Have the kernel drop what it keeps of these files in memory."""
    for path in directory.rglob("*.sqlite"):
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def memory_of(pid: int) -> float:
    """Memory that no other process shares (USS), in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kilobytes) for kilobytes in re.findall(r"^Private_\w+:\s+(\d+)", text, re.MULTILINE)) / 1024


class _Nothing:
    """A reader that reads nothing."""

    def fetch(self, rows: object) -> object:
        return rows


def empty_worker() -> float:
    """Memory of a worker of the same kind that has nothing to read, MB."""
    pool = WorkerPool(_Nothing(), 1, prefetch_factor=2, persistent=True, start_method="forkserver")  # type: ignore[arg-type]
    before = set(multiprocessing.active_children())
    next(pool.fetch(iter([np.arange(4)])))
    (worker,) = set(multiprocessing.active_children()) - before
    found = memory_of(worker.pid)
    pool.close()
    return found


def first_batches(directory: Path, *, cold: bool) -> list[float]:
    """Seconds to the first batch of a pass, 2 workers running, each round with files that are not open yet."""
    seconds = []
    for number in range(ROUNDS):
        dataset = EdenDataset(sequence_db_dir=str(directory), window_db_path=str(directory / "train_windows.db"), seed=number)
        loader = EdenLoader(dataset, num_workers=2)
        next(iter(loader))
        if cold:
            forget(directory)
        started = time.perf_counter()
        next(iter(loader))
        seconds.append(time.perf_counter() - started)
        loader.close()
    return seconds


def worker_after_an_epoch(directory: Path) -> tuple[int, float]:
    """Most open files and most memory (MB) of two workers that have read every shard."""
    dataset = EdenDataset(sequence_db_dir=str(directory), window_db_path=str(directory / "train_windows.db"))
    before = set(multiprocessing.active_children())
    loader = EdenLoader(dataset, num_workers=2, micro_batch_size=8)
    for _ in loader:
        workers = set(multiprocessing.active_children()) - before
    files = max(len(list(Path(f"/proc/{worker.pid}/fd").iterdir())) for worker in workers)
    memory = max(memory_of(worker.pid) for worker in workers)
    loader.close()
    return files, memory


def metadata_calls(directory: Path) -> list[int]:
    """Metadata calls at or below the store's directory, of each process, before it opens its first shard; by strace."""
    with tempfile.TemporaryDirectory() as folder:
        script, trace = Path(folder) / "read.py", Path(folder) / "trace"
        script.write_text(READING)
        command = [
            "strace",
            "-f",
            "-qq",
            "-e",
            f"trace={CALLS},pread64",
            "-y",
            "-o",
            str(trace),
            sys.executable,
            str(script),
            str(directory),
        ]
        subprocess.run(command, check=True)
        lines = trace.read_text(errors="replace").splitlines()
    counts: dict[str, int] = {}
    done = set()
    for line in lines:
        process, _, call = line.partition(" ")
        call = call.strip()
        if process in done or str(directory) not in call or "AT_EMPTY_PATH" in call:  # the last is fstat, of an open file
            continue
        if "glm_dataset_" in call:
            done.add(process)
        elif not call.startswith("pread64"):
            counts[process] = counts.get(process, 0) + 1
    return sorted(count for process, count in counts.items() if process in done)


def section(many: int = 10_000, most: int = 100_000) -> str:
    """Measure, and return the section of the page."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "many"
        directory.mkdir()
        make_shards(directory, many)
        warm, cold = (first_batches(directory, cold=cold) for cold in (False, True))
        empty = empty_worker()
        files, memory = worker_after_an_epoch(directory)
        calls = "strace is not installed"
        if shutil.which("strace"):
            shutil.rmtree(directory)
            directory.mkdir()
            make_shards(directory, most)
            calls = ", ".join(map(str, metadata_calls(directory)))
    return f"""
## Many shards

Shards of one 9 kb contig, as Eden writes them. 2 workers that run already; median of {ROUNDS} runs (smallest … largest).

| what | measured | limit |
|---|---|---|
| first batch from {many:,} shards, files cached | {milliseconds(warm)} | 2 s |
| first batch from {many:,} shards, files dropped from the page cache | {milliseconds(cold)} | 2 s |
| open files of a worker that has read all {many:,} | {files} | 256 |
| memory of such a worker beyond an empty one ({empty:.0f} MB; private memory) | {memory - empty:.0f} MB | 150 MB |
| metadata calls (open, stat, readdir) in the store's directory before the first shard is opened, {most:,} shards, trainer and worker (strace) | {calls} | 10 |
"""


def milliseconds(seconds: list[float]) -> str:
    """Median, with the smallest and largest."""
    return f"{median(seconds) * 1e3:.0f} ms ({min(seconds) * 1e3:.0f} … {max(seconds) * 1e3:.0f})"


def main() -> None:
    """Measure, print, and add to the page where asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--append", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    text = section()
    print(text)
    if given.append:
        page = given.append.read_text().partition("\n## Many shards")[0].rstrip() + "\n"
        given.append.write_text(page + text)


if __name__ == "__main__":
    main()
