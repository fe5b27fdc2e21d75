"""Counts that do not depend on how busy the machine is; times are for the benchmark."""

import os
import random
import re
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from eden_core import EdenDataset, Tiling, installed_plugins

SEQ_LENGTH, BASES_A_ROW = 8192, 8190
KINDS = {
    "sqlite": ("sqlite-shards", "sqlite", {}),
    "arrow": ("arrow-shards", "arrow", {"io": "pread"}),
}


@dataclass(frozen=True)
class Genomes:
    """A store of a few long contigs in samples of their own, and an index of them."""

    folder: Path
    store: str
    index: str
    options: dict = field(default_factory=dict)

    def dataset(self, **options) -> EdenDataset:
        places = {"sequence_db_dir": str(self.folder), "window_db_path": f"{self.folder}.windows"}
        return EdenDataset(self.store, self.index, store_options=self.options, **places, **options)


def write_genomes(folder: Path, kind: str, samples: int, bases: int) -> Genomes:
    store_name, index_name, options = KINDS[kind]
    letters = np.frombuffer(b"ACGT", np.uint8)
    generator = np.random.default_rng(5)
    names = sorted(f"BAC__FASTA-s{i}__c" for i in range(samples))
    with installed_plugins().store(store_name, str(folder)) as store:
        for name in names:
            store.write_shard(name.split("-")[1].split("__")[0], [(name, letters[generator.integers(0, 4, bases)].tobytes())])
        store.finish()
    contigs = pa.RecordBatch.from_pydict({"contig_id": names, "length": np.full(samples, bases)})
    installed_plugins().index_class(index_name).build(f"{folder}.windows", [contigs], Tiling())
    return Genomes(folder, store_name, index_name, options)


@pytest.fixture(scope="module", params=KINDS)
def long_contigs(request, tmp_path_factory) -> Genomes:
    return write_genomes(tmp_path_factory.mktemp("long"), request.param, 2, 5_000_000)


@pytest.fixture(scope="module", params=KINDS)
def many_shards(request, tmp_path_factory) -> Genomes:
    return write_genomes(tmp_path_factory.mktemp("many"), request.param, 300, 9_000)


def read_calls() -> tuple[int, int]:
    """Bytes and calls with which this process has read files so far."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"]), int(lines["syscr"])


def test_bytes_and_calls_a_window(long_contigs):
    dataset = long_contigs.dataset()
    windows = dataset.locate(np.random.default_rng(2).integers(0, len(dataset), 256), measured=False)
    dataset.sources[0].store.read(windows)  # opens the files
    before = read_calls()
    read = dataset.sources[0].store.read(windows).values.size
    used, calls = np.subtract(read_calls(), before)
    assert used <= 2 * read
    assert calls <= 3 * len(windows)


def test_memory_that_a_batch_allocates(long_contigs):
    dataset = long_contigs.dataset(rc_aug=True, use_control_tags=True)
    rows = np.random.default_rng(3).integers(0, len(dataset), 64)
    batch = dataset.batch(rows)
    size = sum(tensor.nbytes for tensor in batch.values())
    del batch
    tracemalloc.start()
    try:
        dataset.batch(rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 64 * SEQ_LENGTH * 28
    assert peak < 64 * BASES_A_ROW * 2.5  # the bases as stored and as turned; tokens, labels and masks go where others were


def test_large_arrays_that_a_batch_allocates(long_contigs):
    dataset = long_contigs.dataset()
    rows = np.random.default_rng(4).integers(0, len(dataset), 64)
    kept = dataset.batch(rows)
    del kept
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        kept = dataset.batch(rows)
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    large = [change for change in after.compare_to(before, "traceback") if change.size_diff > 64 * SEQ_LENGTH]
    assert large == []
    assert kept["tokens"].shape == (64, SEQ_LENGTH)


def test_open_files(many_shards):
    dataset = many_shards.dataset()
    rows = random.Random(1).sample(range(len(dataset)), len(dataset))
    before = len(os.listdir("/proc/self/fd"))
    for first in range(0, len(rows), 64):
        dataset.batch(rows[first : first + 64])
    assert len(os.listdir("/proc/self/fd")) - before <= 140
    dataset.close()
    assert len(os.listdir("/proc/self/fd")) <= before


READING = """
import sys
from eden_core import EdenDataset
folder, store, index, options = sys.argv[1:]
dataset = EdenDataset(store, index, sequence_db_dir=folder, window_db_path=f"{folder}.windows", store_options=eval(options))
dataset.batch(range(1))
"""


def metadata_calls(genomes: Genomes, trace: Path) -> int:
    """Calls that name the store's folder or what lies in it, until the first row is read."""
    names = "trace=open,openat,stat,lstat,newfstatat,statx,access,faccessat,faccessat2,getdents64,readlink"
    given = [str(genomes.folder), genomes.store, genomes.index, repr(genomes.options)]
    command = ["strace", "-f", "-qq", "-e", names, "-y", "-o", str(trace), sys.executable, "-c", READING, *given]
    subprocess.run(command, check=True)
    place = re.compile(re.escape(str(genomes.folder)) + r"[\"/>]")
    lines = [line for line in trace.read_text(errors="replace").splitlines() if place.search(line)]
    return len([line for line in lines if "AT_EMPTY_PATH" not in line])


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_metadata_calls_do_not_grow_with_shards(many_shards, tmp_path):
    kind = next(name for name, kind in KINDS.items() if kind[0] == many_shards.store)
    few = write_genomes(tmp_path / "few", kind, 20, 9_000)
    found = [metadata_calls(genomes, tmp_path / "trace") for genomes in (few, many_shards)]
    assert found[0] == found[1] <= 16  # ten, and those of the shard that is read
