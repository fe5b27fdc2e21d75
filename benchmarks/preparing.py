"""Preparing data: import, verify, split and index, in MB/s, contigs/s and peak memory; the commands as users give them.

python benchmarks/preparing.py [--small]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from page import Section, Target, run, say, spread

BIN = Path(sys.executable).parent
ROUNDS = 5
SIZES = {
    "chromosome": 250_000_000,
    "genomes": 400_000_000,
    "metagenomes": 1_000_000_000,
    "reads": 5_000_000,
    "unsorted": 20_000_000,
}


def bases(draw: np.random.Generator, length: int) -> np.ndarray:
    """Random bases, uint8."""
    return np.frombuffer(b"ACGT", np.uint8)[draw.integers(0, 4, length)]


def write_fasta(path: Path, contigs: list[np.ndarray]) -> None:
    """Lines of 80 bases."""
    with path.open("wb") as file:
        for number, contig in enumerate(contigs):
            file.write(b">contig_%d flag=1\n" % number)
            whole = contig.size - contig.size % 80
            lines = np.full((whole // 80, 81), ord("\n"), np.uint8)
            lines[:, :80] = contig[:whole].reshape(-1, 80)
            file.write(lines.tobytes())
            if contig.size > whole:
                file.write(contig[whole:].tobytes() + b"\n")


def make_chromosome(folder: Path) -> None:
    """One contig, half of it soft-masked in stretches, with gaps."""
    draw = np.random.default_rng(1)
    contig = bases(draw, SIZES["chromosome"]).copy()
    place = 0
    for length in draw.integers(50, 600, 800_000).tolist():
        contig[place : place + length] |= 32
        place += 2 * length
    for gap in draw.integers(0, contig.size - 50_000, 12).tolist():
        contig[gap : gap + 50_000] = ord("N")
    write_fasta(folder / "chr1.fa", [contig])


def make_genomes(folder: Path) -> None:
    """Bacterial genomes of 5 Mb."""
    draw = np.random.default_rng(2)
    for number in range(SIZES["genomes"] // 5_000_000):
        write_fasta(folder / f"G{number:03}.fa", [bases(draw, 5_000_000)])


def make_metagenomes(folder: Path) -> None:
    """Samples of 500 contigs: log-normal, median 2.2 kb, mean 4 kb."""
    draw = np.random.default_rng(3)
    for number in range(SIZES["metagenomes"] // 2_000_000):
        lengths = np.maximum(200, draw.lognormal(np.log(2200), 1.1, 500)).astype(int)
        write_fasta(folder / f"MG__S{number:04}.fa", [bases(draw, length) for length in lengths.tolist()])


def make_reads(folder: Path) -> None:
    """One file of very many short contigs, whose ids are in no order."""
    draw = np.random.default_rng(4)
    pool = bases(draw, 1_000_000).tobytes()
    with (folder / "reads.fa").open("wb") as file:
        for number in range(SIZES["reads"]):
            place, length = number * 7919 % 900_000, 150 + number * 31 % 300
            file.write(b">k141_%d\n%b\n" % (number * 2654435761 % 2**32, pool[place : place + length]))


MEASURED = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - started
print(json.dumps([status, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))
"""


class Measured:
    """What one run of a command took; a small process starts it, since a child's memory counts from that of its parent."""

    def __init__(self, *command: object) -> None:
        words = [str(BIN / str(command[0])), *map(str, command[1:])]
        done = subprocess.run([sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, check=True)
        status, self.seconds, self.megabytes = json.loads(done.stdout)
        if status:
            raise RuntimeError(f"{command} ended with {status}")


def imported(folder: Path, work: Path, workers: int) -> Measured:
    """Import into a new store."""
    shutil.rmtree(work, ignore_errors=True)
    os.sync()
    return Measured("eden", "import", folder, "--out", work, "--workers", workers)


def import_rows(place: Path) -> list[str]:
    """Import each kind of source with one worker and with two, interleaved."""
    makers: dict[str, tuple[str, Callable[[Path], None]]] = {
        "chromosome": ("one contig of 250 Mb, soft-masked, with gaps", make_chromosome),
        "genomes": ("80 genomes of 5 Mb", make_genomes),
        "metagenomes": ("500 samples of 500 contigs, 4 kb on average", make_metagenomes),
    }
    rows = []
    for name, (what, make) in makers.items():
        folder = place / name
        folder.mkdir()
        say(f"  import of {what}")
        make(folder)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        runs = [[imported(folder, place / "out", workers) for workers in (1, 2)] for _ in range(ROUNDS)]
        one, two = ([pair[i] for pair in runs] for i in (0, 1))
        ratios = [pair[0].seconds / pair[1].seconds for pair in runs]
        memory = max(run.megabytes for run in one)
        rows.append(
            f"| {what} | {size:,.0f} | {spread([size / run.seconds for run in one], 0)} | {spread([size / run.seconds for run in two], 0)} "
            f"| {spread(ratios, 2)} | {memory:,.0f} |"
        )
        if name != "metagenomes":
            shutil.rmtree(folder)
    return rows


def further_rows(place: Path) -> tuple[list[str], list[Target]]:
    """What else is done with the metagenomes, and the extremes; and what must hold of these."""
    store = place / "out"
    size = sum(path.stat().st_size for path in store.glob("*/*.sqlite")) / 1e6
    contigs = pq.read_metadata(store / "contigs.parquet").num_rows
    say("  verify")
    verify = median(Measured("eden", "verify", store).seconds for _ in range(ROUNDS))
    split = ("eden", "split", store / "contigs.parquet", "--out", store / "splits", "--force")
    say("  split")
    leakage = Measured(*split, "--check-leakage", "--sequence-db-dir", store).seconds
    rows = [
        f"| `eden verify` of these samples, every base, two workers | {verify:.1f} s for {size:,.0f} MB and {contigs:,} contigs |",
        f"| `eden split --check-leakage` of them, two workers | {leakage:.1f} s |",
    ]
    say("  very many contigs")
    folder = place / "reads"
    folder.mkdir()
    make_reads(folder)
    reads = imported(folder, place / "out", 1)
    rows.append(
        f"| import of one file of {SIZES['reads']:,} contigs of 300 bases | {reads.seconds:.0f} s, {reads.megabytes:,.0f} MB |"
    )
    ids = np.random.default_rng(5).permutation(SIZES["unsorted"])
    table = pa.table({"contig_id": [f"MG__FASTA-SRR1234567__k141_{i}" for i in ids], "length": np.full(ids.size, 2200)})
    pq.write_table(table, place / "unsorted.parquet")
    del table
    built = Measured("eden-precompute", place / "unsorted.parquet", place / "unsorted.db", "--index", "sqlite")
    rows.append(
        f"| `eden-precompute` of {ids.size:,} contigs that are in no order | {built.seconds:.0f} s, {built.megabytes:,.0f} MB, "
        f"an index of {(place / 'unsorted.db').stat().st_size / 1e9:.1f} GB |"
    )
    case = f"{ids.size:,} contigs that are in no order, memory of the largest process"
    row = '"sqlite" index, `idx_sequence_id` included'
    return rows, [Target(row, case, "bounded (< 2,000 MB)", f"{built.megabytes:,.0f} MB", built.megabytes < 2_000)]


def section() -> Section:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as folder:
        imports = import_rows(Path(folder))
        further, targets = further_rows(Path(folder))
    lines, more = "\n".join(imports), "\n".join(further)
    text = f"""## Preparing data

Import of plain FASTA into "sqlite-shards": MB of the files, through the command as users give it, start-up and syncs to disk included. Median of {ROUNDS} runs (smallest … largest), with one worker and two in turn; memory is the most that one process held.

| what | MB | MB/s, 1 worker | MB/s, 2 workers | times as fast | MB of memory |
|---|---|---|---|---|---|
{lines}

A file is one task: a single one is not faster with a second worker.

| what | measured |
|---|---|
{more}"""
    return Section("preparing", text, targets)


def measure(given: argparse.Namespace) -> Section:
    """Measure everything."""
    if given.small:
        SIZES.update({name: size // 50 for name, size in SIZES.items()})
    return section()


if __name__ == "__main__":
    run(measure)
