"""Many shards: time to the first batch, open files and memory of a worker, metadata calls before the first read.

python benchmarks/shards.py [--small]
"""

import argparse
import multiprocessing
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import numpy as np
import torch

from eden_core import EdenDataset, EdenLoader, extract_sample_id
from eden_sqlite.store import SqliteShards
from page import Section, Target, run, say, spread, table
from peers import workloads
from peers.forms import STORE, Prepared
from timing import empty_worker, forget, memory_of

ROUNDS = 5
BASES = 9000
READING = """
import sys
from eden_core import EdenDataset, EdenLoader

if __name__ == "__main__":
    options = eval(sys.argv[1])
    dataset = EdenDataset(**options)
    loader = EdenLoader(dataset, num_workers=1)
    next(iter(loader))
    dataset[0]
    loader.close()
"""
CALLS = "open,openat,stat,lstat,newfstatat,statx,access,faccessat,faccessat2,readlink,readlinkat,getdents64"


def make_sqlite_shards(directory: Path, shards: int) -> None:
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


@contextmanager
def new_processes() -> Iterator:
    """Give a function that tells which child processes have come since."""
    before = set(multiprocessing.active_children())
    yield lambda: set(multiprocessing.active_children()) - before


def first_batches(places: Prepared, store: str, *, cold: bool) -> list[float]:
    """Seconds to the first batch of a pass, 2 workers running, each round with files that are not open yet."""
    seconds = []
    for number in range(ROUNDS):
        loader = EdenLoader(places.dataset(store, seed=number), num_workers=2)
        next(iter(loader))
        if cold:
            forget(places.of(store))
        started = time.perf_counter()
        next(iter(loader))
        seconds.append(time.perf_counter() - started)
        loader.close()
    return seconds


def worker_after(dataset: EdenDataset, rows: int) -> tuple[int, tuple[float, float]]:
    """Most open files and most memory (see `memory_of`) of two workers that have read so many rows."""
    loader, read = EdenLoader(dataset, num_workers=2, micro_batch_size=8), 0
    with new_processes() as workers:
        for batch in loader:
            found = workers()
            read += len(batch["tokens"])
            if read >= rows:
                break
        files = max(len(list(Path(f"/proc/{worker.pid}/fd").iterdir())) for worker in found)
        memory = max(memory_of(worker.pid) for worker in found)
    loader.close()
    return files, memory


def metadata_calls(directory: Path, options: dict[str, str]) -> list[int]:
    """Metadata calls at or below the store's directory, of each process, before it first opens a file for its bases; by strace."""
    with tempfile.TemporaryDirectory() as folder:
        script, trace = Path(folder) / "read.py", Path(folder) / "trace"
        script.write_text(READING)
        strace = ["strace", "-f", "-qq", "-e", f"trace={CALLS},pread64", "-y", "-o", str(trace)]
        subprocess.run([*strace, sys.executable, str(script), repr(options)], check=True)
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


def calls_of_many(shards: int) -> list[int] | None:
    """Metadata calls of the trainer and a worker with so many sqlite shards; None without strace."""
    if not shutil.which("strace"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        make_sqlite_shards(directory, shards)
        return metadata_calls(directory, {"sequence_db_dir": folder, "window_db_path": str(directory / "train_windows.db")})


class Found:
    """What was measured with one store."""

    def __init__(self, places: Prepared, store: str, empty: tuple[float, float]) -> None:
        say(f"  {store}")
        self.store = store
        self.files_written = sum(path.is_file() for path in (places.of(store) / STORE).rglob("*"))
        self.warm, self.cold = (first_batches(places, store, cold=cold) for cold in (False, True))
        dataset = places.dataset(store)
        self.open_files, memory = worker_after(dataset, len(dataset) - 16)
        self.memory, self.mapped = (found - of_empty for found, of_empty in zip(memory, empty, strict=True))

    def line(self) -> list[str]:
        """Its line of the table."""
        milliseconds = [spread([1e3 * each for each in seconds], 0) for seconds in (self.warm, self.cold)]
        return [
            self.store,
            str(self.files_written),
            *milliseconds,
            str(self.open_files),
            f"{round(self.memory)}",
            f"{round(self.mapped)}",
        ]

    def targets(self, shards: int) -> list[Target]:
        """What must hold of it."""
        row = f"{shards:,} shards"
        return [
            Target(row, f"{self.store}, first batch, files dropped from the page cache", "< 2 s", f"{max(self.cold):.2f} s", max(self.cold) < 2),
            Target(row, f"{self.store}, open files of a worker", "<= 256", str(self.open_files), self.open_files <= 256),
            Target(row, f"{self.store}, memory of a worker over an empty one", "< 150 MB", f"{self.memory:.0f} MB", self.memory < 150),
        ]  # fmt: skip


def measure(given: argparse.Namespace) -> Section:
    """Measure everything."""
    torch.set_num_threads(1)
    say("files of the workload")
    places = Prepared(given.scratch, workloads.generate(given.scratch, "shards", small=given.small))
    shards, many = len(places.workload.lengths), 1_000 if given.small else 100_000
    empty = empty_worker()
    found = [Found(places, store, empty) for store in places.stores]
    say(f"{many:,} shards")
    calls = calls_of_many(many)
    shown = "not counted: strace is not installed" if calls is None else ", ".join(map(str, calls))
    head = "store|files|first batch in ms, files cached|files dropped from the page cache|open files of a worker"
    head += "|MB of a worker that no file backs|MB of files that it maps"
    text = f"""## Many shards

{shards:,} samples of one contig of 9 kb. 2 workers that run already; {ROUNDS} rounds. Open files and memory are those of the larger of two workers that have read every sample; memory is private, beyond an empty worker's ({empty[0]:.0f} MB). {places.note}

{table(head.split("|"), [one.line() for one in found])}

Metadata calls (open, stat, readdir) in the directory of {many:,} "sqlite-shards" before the first shard is opened, trainer and worker (strace): {shown}."""
    case = f"{many:,} sqlite-shards, trainer and worker"
    row = "metadata calls per process before the first read"
    targets = [target for one in found for target in one.targets(shards)]
    targets.append(Target(row, case, "<= 10", shown, None if calls is None else max(calls) <= 10))
    return Section("shards", text, targets)


if __name__ == "__main__":
    run(measure)
