"""Packing: fill and planning at OpenGenome2-like lengths, what a token costs packed and unpacked, and rows of a million tokens.

python benchmarks/packing.py [--small]
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from eden_core import EdenDataset, EdenLoader, Tiling
from eden_core.precompute import precompute
from eden_sqlite.store import SqliteShards
from page import Section, Target, run, say

CONTIGS = 1_000_000
STORED = 50_000
SAMPLES = 50
ROUNDS = 7
BLOCK = 64
LETTERS = np.frombuffer(b"ACGT", np.uint8)
VARIANTS = {
    "one window a row": {},
    'packing="concat"': {"packing": "concat"},
    'packing="thd"': {"packing": "thd"},
    "one window a row, reverse complement and tags": {"rc_aug": True, "use_control_tags": True},
    'packing="thd", reverse complement and tags': {"packing": "thd", "rc_aug": True, "use_control_tags": True},
}
PLANNING = """
import sys, time
from eden_core import EdenDataset
def memory(name):
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0]) / 1024
EdenDataset.__init__
open("/proc/self/clear_refs", "w").write("5")  # the peak is that of what follows
before = memory("VmRSS")
folder, options = sys.argv[1], eval(sys.argv[2])
started = time.perf_counter()
data = EdenDataset(sequence_db_dir=folder, window_db_path=folder + "/train_windows.db", **options)
seconds = time.perf_counter() - started
print(len(data), data.order.most_windows, seconds, memory("VmHWM") - before)
"""


def lengths_like_opengenome2(count: int) -> np.ndarray:
    """Log-normal: median 2.2 kb, mean 4 kb, and two contigs of more than 1 Mb."""
    lengths = np.clip(np.random.default_rng(3).lognormal(np.log(2200), 1.1, count), 200, 900_000).astype(np.int64)
    lengths[[count // 3, count // 2]] = 1_400_000, 2_600_000
    return lengths


def contig_table(folder: Path, count: int) -> tuple[list[str], np.ndarray]:
    """Write contigs.parquet; return ids and lengths, in byte order of the ids."""
    folder.mkdir(exist_ok=True)
    ids = sorted(f"META__X-S{i % SAMPLES}__c{i}" for i in range(count))
    lengths = lengths_like_opengenome2(count)
    pq.write_table(pa.table({"contig_id": ids, "length": lengths}), folder / "contigs.parquet")
    return ids, lengths


def stored(folder: Path, ids: list[str], lengths: np.ndarray) -> None:
    """Write shards of random bases."""
    draws, store = np.random.default_rng(5), SqliteShards(str(folder))
    by_sample: dict[str, list[int]] = {}
    for i, name in enumerate(ids):
        by_sample.setdefault(name.split("-")[1].split("_")[0], []).append(i)

    def sequences(places: list[int]) -> Iterator[tuple[str, bytes]]:
        for i in places:
            yield ids[i], LETTERS[draws.integers(0, 4, lengths[i])].tobytes()

    for sample, places in by_sample.items():
        store.write_shard(sample, sequences(places))


def planned(folder: Path, options: dict) -> tuple[int, int, list[float], float]:
    """Rows, windows of the fullest row, seconds of several first plans, and the most megabytes beyond an idle process."""
    seconds, megabytes = [], 0.0
    for _ in range(3):
        for path in folder.glob("train_windows.db.*"):
            path.unlink()
        done = subprocess.run(
            [sys.executable, "-c", PLANNING, str(folder), repr(options)], capture_output=True, text=True, check=True
        )
        rows, most, took, grown = done.stdout.split()
        seconds.append(float(took))
        megabytes = max(megabytes, float(grown))
    return int(rows), int(most), seconds, megabytes


def fills(folder: Path, contigs: int) -> tuple[list[str], dict[str, float]]:
    """Lines of the table of fill and planning, and the share of useful tokens in packed rows."""
    ids, lengths = contig_table(folder, contigs)
    summary = precompute(folder / "contigs.parquet", folder / "train_windows.db", Tiling(keep_tail=True))
    stored(folder, ids[:64], lengths[:64])  # the fingerprint reads a few windows
    tokens = summary.bases_in_rows + 2 * summary.windows
    lines = [f"| one window a row | {summary.windows:,} | {tokens / summary.windows / 8192:.1%} | 1 | | |"]
    useful = {}
    for name, options in {
        'packing="thd"': {"packing": "thd"},
        'packing="thd", pad_segments_to=16': {"packing": "thd", "pad_segments_to": 16},
        'pack_by="sample"': {"packing": "concat", "pack_by": "sample"},
        'pack_by="sample", split_windows=True': {"packing": "concat", "pack_by": "sample", "split_windows": True},
    }.items():
        rows, most, seconds, megabytes = planned(folder, options)
        useful[name] = tokens / rows / 8192
        lines.append(f"| {name} | {rows:,} | {useful[name]:.1%} | {most} | {median(seconds):.1f} | {megabytes:.0f} |")
    return lines, useful


def microseconds_a_row(data: EdenDataset, seed: int) -> float:
    """Median over blocks of 64 rows in random order."""
    draws, times = np.random.default_rng(seed), []
    for _ in range(12):
        rows = draws.integers(0, len(data), BLOCK)
        started = time.perf_counter()
        data.batch(rows)
        times.append(time.perf_counter() - started)
    return median(times) / BLOCK * 1e6


def bases_a_second(data: EdenDataset, workers: int, seconds: float = 1.5) -> float:
    """Bases with loss weight a second that a loader gives, its workers running already."""
    loader, bases, started = EdenLoader(data, num_workers=workers, micro_batch_size=16), 0.0, 0.0
    for batch in loader:
        if not started:
            started = time.perf_counter()
            continue
        bases += float(batch["loss_mask"].sum())
        if time.perf_counter() - started > seconds:
            break
    rate = bases / (time.perf_counter() - started)
    loader.close()
    return rate


def costs(folder: Path) -> list[str]:
    """Lines of the table of what rows and bases cost."""
    options = {"sequence_db_dir": str(folder), "window_db_path": str(folder / "train_windows.db")}
    data = {name: EdenDataset(**options, **further) for name, further in VARIANTS.items()}
    useful = {
        name: np.mean([float(one.batch(range(i, i + BLOCK))["loss_mask"].sum()) / BLOCK for i in range(0, 1280, BLOCK)])
        for name, one in data.items()
    }
    rows: dict[str, list[float]] = {name: [] for name in data}
    rates: dict[str, list[list[float]]] = {name: [[], []] for name in data}
    for number in range(ROUNDS):
        for name, one in data.items():
            rows[name].append(microseconds_a_row(one, number))
            if number < 3:
                for place, workers in enumerate((0, 2)):
                    rates[name][place].append(bases_a_second(one, workers))
    base = {name: [value / useful[name] for value in values] for name, values in rows.items()}
    lines = []
    for name in data:
        plain = VARIANTS_PLAIN[name]
        ratio = median(a / b for a, b in zip(base[name], base[plain], strict=True))
        speeds = " | ".join(f"{median(found) / 1e6:.0f}" for found in rates[name])
        lines.append(
            f"| {name} | {median(rows[name]):.1f} | {useful[name]:.0f} | {median(base[name]) * 1e3:.2f} | {ratio:.2f} | {speeds} |"
        )
    return lines


VARIANTS_PLAIN = {
    name: "one window a row, reverse complement and tags" if "rc_aug" in options else "one window a row"
    for name, options in VARIANTS.items()
}
"""variant -> the unpacked one that it is compared with"""


def contexts(folder: Path) -> list[str]:
    """Lines of the table of longer rows from one store."""
    lines = []
    for seq_length in (8192, 131_072, 1_048_576):
        index = folder / f"w{seq_length}.db"
        started = time.perf_counter()
        precompute(folder / "contigs.parquet", index, Tiling(seq_length, seq_length - 200, keep_tail=True))
        built = time.perf_counter() - started
        data = EdenDataset(
            sequence_db_dir=str(folder), window_db_path=str(index), seq_length=seq_length, packing="concat", pack_by="sample",
            separate_segments=True, extra_keys=("token_counts",),
        )  # fmt: skip
        block = max(1, 2 * 1_048_576 // seq_length)
        rows = np.random.default_rng(1).permutation(len(data))[: 8 * block]
        data.batch(rows[:block])
        times, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        padded = 0
        for first in range(0, len(rows) - len(rows) % block or len(rows), block):
            started = time.perf_counter()
            batch = data.batch(rows[first : first + block])
            times.append((time.perf_counter() - started) / len(batch["tokens"]))
            padded += int(batch["token_counts"][:, 0].sum())
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        batch_bytes = sum(value.element_size() * value[:1].numel() for value in batch.values())
        milliseconds = median(times) * 1e3
        fill = 1 - padded / (len(rows) * seq_length)
        lines.append(
            f"| {seq_length:,} | {built:.2f} | {len(data):,} | {fill:.1%} | {milliseconds:.2f} | {milliseconds / seq_length * 1e6:.1f} | {batch_bytes / 2**20:.1f} | {grown / block:.1f} |"
        )
    return lines


def section(folder: Path, contigs: int, stored_contigs: int) -> Section:
    """Measure everything in a folder."""
    small = folder / "stored"
    ids, lengths = contig_table(small, stored_contigs)
    stored(small, ids, lengths)
    precompute(small / "contigs.parquet", small / "train_windows.db", Tiling(keep_tail=True))
    newline = "\n"
    say("planning")
    planned_lines, useful = fills(folder / "planned", contigs)
    say("what a base costs")
    cost_lines = costs(small)
    say("longer rows")
    text = f"""## Packing

Lengths like OpenGenome2's metagenomes: log-normal, median 2.2 kb, mean 4 kb, {contigs:,} contigs; windows of 8192 bases every 7992, the tail kept.
Planning happens once for an index and its settings; seconds are those of opening the dataset the first time (median of 3), megabytes what the process grew by.

| rows | number | useful tokens | windows in the fullest | planned in s | MB |
|---|---|---|---|---|---|
{newline.join(planned_lines)}

What a base costs, {stored_contigs:,} such contigs in {SAMPLES} shards, blocks of 64 rows in random order, one process; medians of {ROUNDS} rounds. The ratio is to the unpacked rows of the same transforms, within a round.

| rows | us a row | bases a row | ns a base | ratio | million bases/s, 0 workers | 2 workers |
|---|---|---|---|---|---|---|
{newline.join(cost_lines)}

Longer rows from the same store, `pack_by="sample"` with separators: the index built anew, then rows read in blocks of two million tokens. Memory is that of the tensors of a row, and what the process grew by while reading, for each row of a block.

| tokens a row | index built in s | rows | useful tokens | ms a row | ns a token | MB of tensors a row | MB grown a row |
|---|---|---|---|---|---|---|---|
{newline.join(contexts(small))}"""
    row = "useful tokens a row when packed, metagenome-like lengths"
    targets = [
        Target(row, name, ">= 97 %", f"{useful[name]:.1%}", useful[name] >= 0.97)
        for name in ('packing="thd"', 'pack_by="sample", split_windows=True')
    ]
    return Section("packing", text, targets)


def measure(given: argparse.Namespace) -> Section:
    """Measure everything."""
    torch.set_num_threads(1)
    contigs, stored_contigs = (50_000, 5_000) if given.small else (CONTIGS, STORED)
    with tempfile.TemporaryDirectory() as folder:
        return section(Path(folder), contigs, stored_contigs)


if __name__ == "__main__":
    run(measure)
