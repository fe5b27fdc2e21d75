"""What is read: random bases, the same on every machine, written once into the scratch folder.

python benchmarks/peers/workloads.py [names] [--scratch FOLDER]
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from peers.protocol import WINDOW, Workload, make

STRIDE = 7992
LETTERS = np.frombuffer(b"ACGT", np.uint8)


@dataclass(frozen=True)
class Recipe:
    """How the contigs of a workload are made."""

    title: str
    lengths: Callable[[], np.ndarray]
    samples: int
    stride: int = STRIDE

    def small(self) -> "Recipe":
        """A hundredth of it, to try things out."""
        lengths = self.lengths()
        kept = lengths[: max(1, len(lengths) // 100)]
        fewer = np.minimum(kept, max(20_000, int(lengths.sum()) // 20 // len(kept)))
        return Recipe(self.title, lambda: fewer, min(self.samples, len(kept)), max(self.stride, 80))


def metagenome_lengths(contigs: int = 50_000) -> np.ndarray:
    """Log-normal: median 2.2 kb, mean 4 kb."""
    draws = np.random.default_rng(3)
    return np.clip(draws.lognormal(np.log(2200), 1.1, contigs), 200, 2_000_000).astype(np.int64)


RECIPES = {
    "metagenome": Recipe("metagenome-like contigs: 50,000 in 50 samples, median 2.2 kb, mean 4 kb", metagenome_lengths, 50),
    "chromosomes": Recipe("a hundred chromosomes of 5 Mb", lambda: np.full(100, 5_000_000), 100),
    "long": Recipe("one chromosome of 200 Mb", lambda: np.full(1, 200_000_000), 1),
    "shards": Recipe("10,000 samples of one contig of 9 kb", lambda: np.full(10_000, 9_000), 10_000),
    "windows": Recipe(
        "232 million windows: a hundred contigs of 18.6 Mb, a window every 8 bases",
        lambda: np.full(100, 18_568_192),
        100,
        8,
    ),
}
SPREAD = {
    f"shards-{samples}": Recipe(f"10,000 contigs of 9 kb in {samples:,} samples", lambda: np.full(10_000, 9_000), samples)
    for samples in (10, 100, 1_000)
}
"""the contigs of "shards" in fewer samples"""


def contig_ids(contigs: int, samples: int) -> list[str]:
    """Ids in byte order; the contigs of a sample follow each other."""
    return [f"BCR__ECT-S{i * samples // contigs:06}__CT{i:08}" for i in range(contigs)]


def generate(scratch: Path, name: str, *, small: bool = False) -> Workload:
    """Write bases.bin, lengths.npy and contigs.parquet of a workload, unless they are there."""
    recipe = (RECIPES | SPREAD)[name]
    recipe = recipe.small() if small else recipe
    lengths = recipe.lengths().astype(np.int64)
    folder = scratch / "workloads" / name
    windows = int(np.where(lengths < WINDOW, 1, 1 + (lengths - WINDOW) // recipe.stride).sum())

    def write() -> None:
        draws = np.random.default_rng(5)
        np.save(folder / "lengths.npy", lengths)
        ids = contig_ids(len(lengths), recipe.samples)
        pq.write_table(pa.table({"contig_id": ids, "length": lengths}), folder / "contigs.parquet")
        with (folder / "bases.bin").open("wb") as file:
            left = int(lengths.sum())
            while left:
                count = min(left, 1 << 24)
                file.write(LETTERS[draws.integers(0, 4, count, np.uint8)].tobytes())
                left -= count

    if shutil.disk_usage(_existing(scratch)).free < 10 * int(lengths.sum()) and not folder.exists():
        raise OSError(f"{scratch}: too little room for the workload {name}, of which loaders make copies")
    make(folder, write, title=recipe.title, stride=recipe.stride, windows=windows)
    return Workload(folder)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.resolve().parents) if path.exists())
