"""Measures what a row costs, and writes docs/performance.md.

    python benchmarks/rows.py [--write docs/performance.md] [--fasta GENOME.fa.gz]

Each round measures every variant once, in turn, so that what disturbs the machine disturbs all alike; the ratios to the memory
floor are taken within a round.
"""

import argparse
import datetime as dt
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from eden_core import EdenDataset, EdenLoader, Tiling
from eden_core.importing import import_files
from eden_core.importing.source_files import SourceFile
from eden_core.precompute import precompute
from eden_core.records import read_records

ROUNDS = 7
BLOCK = 64
BLOCKS = 24
S = 8192
ROOT = Path(__file__).parents[1]


def microseconds_a_row(work: Callable[[np.ndarray], object], rows: int) -> float:
    """Median over blocks of 64 rows in random order."""
    draws = np.random.default_rng(1)
    times = []
    for _ in range(BLOCKS):
        block = draws.integers(0, rows, BLOCK)
        started = time.perf_counter()
        work(block)
        times.append(time.perf_counter() - started)
    return median(times) / BLOCK * 1e6


def floor(genome: bytes) -> Callable[[np.ndarray], object]:
    """Copy 8190 bytes a row, widen twice, write mask and positions, into memory touched before."""
    source = np.frombuffer(genome, np.uint8)
    read = np.zeros((BLOCK, S - 2), np.uint8)
    tokens, labels, positions = (np.zeros((BLOCK, S), np.int64) for _ in range(3))
    mask, every = np.zeros((BLOCK, S), np.float32), np.arange(S)

    def work(rows: np.ndarray) -> None:
        for place, row in enumerate(rows.tolist()):
            read[place] = source[row * 7992 : row * 7992 + S - 2]
        tokens[:, 1:-1] = read
        labels[:, :-2] = read
        mask[:] = 1
        positions[:] = every

    return work


def plain(directory: Path, index: Path) -> Callable[[np.ndarray], object]:
    """A loader as the seed's format describes it: one query and one SUBSTR a row, a list of characters, tensors per item."""
    shard = sqlite3.connect(next(directory.glob("*/glm_dataset_*.sqlite")))
    shard.execute("ATTACH ? AS windows", (str(index),))
    query = (
        "SELECT substr(s.nt_sequence, w.window_in_seq_idx * 7992 + 1, 8190) FROM windows.window_mappings AS w "
        "JOIN sequences AS s ON s.contig_id = w.sequence_id WHERE w.window_idx = ?"
    )

    def item(row: int) -> dict[str, torch.Tensor]:
        (bases,) = shard.execute(query, (row,)).fetchone()
        ids = [2, *(ord(base) for base in bases.upper()), 0]
        tokens = torch.tensor(ids + [1] * (S - len(ids)))
        labels = torch.cat([tokens[1:], torch.tensor([1])])
        mask = (~torch.isin(labels, torch.tensor([0, 1, 2, 3]))).float()
        return {"tokens": tokens, "labels": labels, "loss_mask": mask, "position_ids": torch.arange(S)}

    return lambda rows: torch.utils.data.default_collate([item(int(row)) for row in rows[:8]])


def seed_shard(directory: Path, source: Path) -> None:
    """The same sequences in a shard as Python's sqlite3 makes it."""
    rows = sqlite3.connect(source).execute("SELECT * FROM sequences").fetchall()
    folder = directory / source.parent.name
    folder.mkdir(parents=True)
    target = sqlite3.connect(folder / source.name)
    target.execute("CREATE TABLE sequences (contig_id TEXT PRIMARY KEY, nt_sequence TEXT NOT NULL)")
    target.executemany("INSERT INTO sequences VALUES (?, ?)", rows)
    target.commit()
    target.close()


def bytes_read(dataset: EdenDataset, rows: int = 256) -> float:
    """Bytes that reach the process from files for each random window, handles already open."""
    dataset.sources[0].store.read(dataset.locate(range(8)))
    windows = dataset.locate(np.random.default_rng(2).integers(0, len(dataset), rows), measured=False)
    before = _counter("rchar")
    dataset.sources[0].store.read(windows)
    return (_counter("rchar") - before) / rows


def _counter(name: str) -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))


def rows_a_second(dataset: EdenDataset, workers: int, micro_batch_size: int, seconds: float = 2.0) -> float:
    """Rows a second of a loader whose workers run already."""
    loader = EdenLoader(dataset, num_workers=workers, micro_batch_size=micro_batch_size)
    count, started = 0, 0.0
    while True:
        for batch in loader:
            if not started:
                started = time.perf_counter()
                continue
            count += len(batch["tokens"])
            if time.perf_counter() - started > seconds:
                rate = count / (time.perf_counter() - started)
                loader.close()
                return rate


def precompute_rate(folder: Path, contigs: int = 500_000) -> tuple[float, float]:
    """Windows a second of the sqlite index at metagenome-like lengths, sorted and unsorted input."""
    draws = np.random.default_rng(3)
    lengths = np.clip(draws.lognormal(np.log(2200), 1.1, contigs), 200, 2_000_000).astype(np.int64)
    ids = [f"META__X-S{i % 1000}__c{i}" for i in range(contigs)]
    rates = []
    for order in (np.argsort(np.array([name.encode() for name in ids])), draws.permutation(contigs)):
        pq.write_table(pa.table({"contig_id": [ids[i] for i in order], "length": lengths[order]}), folder / "m.parquet")
        summary = precompute(folder / "m.parquet", folder / "m.db", Tiling(), force=True)
        rates.append(summary.windows / summary.seconds)
    return rates[0], rates[1]


def spread(values: list[float], digits: int = 1) -> str:
    """Median, with the smallest and largest."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} … {max(values):.{digits}f})"


def measure(fasta: Path, folder: Path) -> str:
    """Run everything, and return the page."""
    imported = import_files([SourceFile(str(fasta), "S", "BENCH")], folder / "ours")
    precompute(imported.contigs, folder / "w.db", Tiling())
    seed_shard(folder / "seed", imported.out / imported.receipts[0].location)
    genome = b"".join(record.bases for record in read_records(fasta))

    def dataset(directory: str, **options: object) -> EdenDataset:
        return EdenDataset(sequence_db_dir=str(folder / directory), window_db_path=str(folder / "w.db"), **options)  # type: ignore[arg-type]

    ours, seeds = dataset("ours"), dataset("seed")
    tagged = dataset("ours", rc_aug=True, use_control_tags=True)
    rows = len(ours)
    early, late = dataset("ours", shuffle=False), dataset("ours", shuffle=False)
    variants: dict[str, Callable[[np.ndarray], object]] = {
        "memory floor": floor(genome),
        "our shard": ours.batch,
        "our shard, reverse complement and tags": tagged.batch,
        "our shard, first tenth of the contig": lambda block: early.batch(block % (rows // 10)),
        "our shard, last tenth of the contig": lambda block: late.batch(rows - 1 - block % (rows // 10)),
        "shard made with Python's sqlite3": seeds.batch,
    }
    found: dict[str, list[float]] = {name: [] for name in (*variants, "plain")}
    slow = plain(folder / "seed", folder / "w.db")
    for work in (*variants.values(), slow):
        work(np.arange(BLOCK) % rows)
    for _ in range(ROUNDS):
        for name, work in variants.items():
            found[name].append(microseconds_a_row(work, rows))
        started = time.perf_counter()
        slow(np.random.default_rng(4).integers(0, rows, BLOCK))
        found["plain"].append((time.perf_counter() - started) / 8 * 1e6)
    return page(
        fasta, found, {"ours": bytes_read(ours), "seed": bytes_read(seeds)}, loader_rates(ours), precompute_rate(folder)
    )


def loader_rates(dataset: EdenDataset) -> dict[tuple[int, int], float]:
    """(workers, micro-batch size) -> rows a second."""
    return {(w, m): rows_a_second(dataset, w, m) for w in (0, 2) for m in (1, 16)}


def page(
    fasta: Path,
    found: dict[str, list[float]],
    read: dict[str, float],
    rates: dict[tuple[int, int], float],
    built: tuple[float, float],
) -> str:
    """Return docs/performance.md."""
    floors = found["memory floor"]
    lines = [
        "# Performance",
        "",
        "Written by `make bench`; do not edit. A row is 8192 tokens: int64 tokens, labels and position ids, float32 loss mask.",
        "",
        f"{dt.datetime.now(dt.UTC).date().isoformat()}, {fasta.name}, {os.cpu_count()} cores ({_processor()}), "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "apsw", "lightning"))
        + ".",
        "",
        "## A row, one process, blocks of 64 rows in random order, warm cache",
        "",
        (
            f"Median of {ROUNDS} rounds (smallest … largest); in a round each variant is the median of {BLOCKS} blocks, and the ratio "
            "is to the same round's floor: copying the bases, widening them twice, writing mask and positions, into memory that was "
            "touched before."
        ),
        "",
        "| what | µs a row | ratio to the floor |",
        "|---|---|---|",
    ]
    for name, times in found.items():
        ratios = [time_ / base for time_, base in zip(times, floors, strict=True)]
        shown = "a plain loader in the seed's format" if name == "plain" else name
        lines.append(f"| {shown} | {spread(times)} | {spread(ratios)} |")
    speedups = [slow / fast for slow, fast in zip(found["plain"], found["shard made with Python's sqlite3"], strict=True)]
    flat = [late / early for late, early in zip(found[_LATE], found[_EARLY], strict=True)]
    lines += [
        "",
        (
            "The plain loader does what the format's description says: a query and a SUBSTR a row, one character at a time, tensors per "
            f"item, default collate. On the same shard made with Python's sqlite3, Eden is {spread(speedups, 0)} times as fast. "
            f"A row in the last tenth of the contig costs {spread(flat, 2)} times one in the first tenth."
        ),
        "",
        "## Bytes read from files for a random window of 8190 bases",
        "",
        "| shard | bytes | times the window |",
        "|---|---|---|",
        f"| ours | {read['ours']:,.0f} | {read['ours'] / 8190:.2f} |",
        f"| made with Python's sqlite3 (read through a memory map) | {read['seed']:,.0f} | {read['seed'] / 8190:.2f} |",
        "",
        "## The loader, rows a second",
        "",
        "| workers | micro-batch 1 | micro-batch 16 |",
        "|---|---|---|",
        *(f"| {w} | {rates[w, 1]:,.0f} | {rates[w, 16]:,.0f} |" for w in (0, 2)),
        "",
        '## Building the index "sqlite", metagenome-like lengths (median 2.2 kb, 500,000 contigs)',
        "",
        (
            f"{built[0] / 1e6:.2f} million windows/s from a table in byte order, {built[1] / 1e6:.2f} million windows/s from one that has "
            "to be sorted first; reading the table, the index on `sequence_id` and the sync to disk included."
        ),
        "",
    ]
    return "\n".join(lines)


_EARLY, _LATE = "our shard, first tenth of the contig", "our shard, last tenth of the contig"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Measure, print, and write the page where asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    parser.add_argument("--fasta", type=Path, default=ROOT.parent / "shared" / "data" / "ecoli_536_NC_008253.fna.gz")
    given = parser.parse_args()
    if not given.fasta.exists():
        sys.exit(f"{given.fasta} is missing: give --fasta, a genome of several million bases")
    with tempfile.TemporaryDirectory() as folder:
        text = measure(given.fasta, Path(folder))
    print(text)
    if given.write:
        given.write.write_text(text)


if __name__ == "__main__":
    main()
