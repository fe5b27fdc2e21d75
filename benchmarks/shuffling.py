"""Shuffling in blocks: how well it mixes, and what a cold disk has to do for it.

python benchmarks/shuffling.py [--folder DIR_ON_THE_DISK]
"""

import argparse
import ctypes
import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from eden_core import EdenDataset, Tiling
from eden_core.order import EpochOrder
from eden_core.precompute import precompute
from eden_core.sampler import RankSampler
from eden_core.shuffle_quality import STRETCH, shuffle_quality
from eden_core.shuffling import BlockShuffle, Shuffle
from eden_sqlite.store import SqliteShards
from page import Section, run

WINDOWS = 232_000_000
GLOBAL_BATCHES = (64, 512, 2048)
QUALITIES: tuple[Shuffle, ...] = (
    True,
    BlockShuffle(64, 8192),
    BlockShuffle(64, 2048),
    BlockShuffle(128, 1024),
    BlockShuffle(512, 256),
    BlockShuffle(64, 512),
    BlockShuffle(128, 256),
    BlockShuffle(512, 64),
    False,
)
READS: tuple[Shuffle, ...] = (True, BlockShuffle(64, 512), BlockShuffle(128, 256), BlockShuffle(512, 64), False)
RANKS = ((1, 1), (8, 8), (64, 64), (64, 8))
"""data-parallel ranks, and those of them that read through one page cache: a node's, or all, through a file server's"""

STORES = ("contigs of 5 Mb", "metagenome-like lengths")
TASK_ROWS = 64
FEW_ROWS = 2048
"""rows that a node reads where a buffer says nothing: few enough that the cache does not help a true shuffle"""

PAGE = mmap.PAGESIZE
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]


def name_of(shuffle: Shuffle) -> str:
    """How the tables call a way to shuffle."""
    if isinstance(shuffle, BlockShuffle):
        return f"{shuffle.buffer_blocks:,} blocks of {shuffle.rows}"
    return "true shuffle" if shuffle else "none"


def qualities() -> Iterator[str]:
    """Lines of the table of quality."""
    for shuffle in QUALITIES:
        order = EpochOrder(WINDOWS, seed=1, shuffle=shuffle)
        found = [shuffle_quality(order, size) for size in GLOBAL_BATCHES]
        cells = [f"{one.score:.3f} | {one.order.neighbours:.2%}" for one in found]
        buffer = f"{shuffle.rows * shuffle.buffer_blocks >> 7:,}" if isinstance(shuffle, BlockShuffle) else ""
        yield f"| {name_of(shuffle)} | {buffer} | {' | '.join(cells)} |"


def make_store(folder: Path, kind: str) -> None:
    """Write 200 contigs of 5 Mb or 150,000 of 4 kb (log-normal, median 2.2 kb) in shards, in the order of their numbers."""
    folder.mkdir(exist_ok=True)
    draws, letters, store = np.random.default_rng(1), np.frombuffer(b"ACGT", np.uint8), SqliteShards(str(folder))
    pool = np.tile(letters[draws.integers(0, 4, 5_000_000, dtype=np.uint8)], 2)
    lengths, shards = np.full(200, 5_000_000), 20
    if kind == STORES[1]:
        lengths = np.clip(draws.lognormal(np.log(2200), 1.1, 150_000), 200, 900_000).astype(np.int64)
    each = lengths.size // shards
    names = [f"META__X-S{i // each}__c{i % each}" for i in range(lengths.size)]
    for shard in range(shards):
        numbers = range(shard * each, (shard + 1) * each)
        sequences = ((names[i], pool[(first := 7919 * i % 5_000_000) : first + lengths[i]].tobytes()) for i in numbers)
        store.write_shard(f"S{shard}", sequences)
    by_name = np.argsort(np.array(names))
    table = pa.table({"contig_id": np.array(names)[by_name], "length": lengths[by_name]})
    pq.write_table(table, folder / "contigs.parquet")
    precompute(folder / "contigs.parquet", folder / "train_windows.db", Tiling(keep_tail=True))


class PageCache:
    """What the kernel holds in memory of the shards of a store."""

    def __init__(self, folder: Path) -> None:
        self._files: list[tuple[int, int, Any]] = []
        for path in sorted(folder.rglob("*.sqlite")):
            file, size = os.open(path, os.O_RDONLY), path.stat().st_size
            self._files.append((file, size, _LIBC.mmap(None, size, 0, mmap.MAP_SHARED, file, 0)))

    def forget(self) -> None:
        """Have the kernel drop it all."""
        os.sync()
        for file, _, _ in self._files:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)

    def pages(self) -> np.ndarray:
        """Which pages are in memory, bool, file after file with one page between that never is."""
        found = []
        for _, size, address in self._files:
            pages = np.zeros(-(-size // PAGE) + 1, np.uint8)
            if _LIBC.mincore(address, size, pages.ctypes.data):
                raise OSError(ctypes.get_errno(), "mincore")
            found.append(pages & 1)
        return np.concatenate(found).astype(bool)


@dataclass
class Cost:
    """What reading rows cost.

    Attributes:
        places: places of the disk that were read: runs of pages that came into memory together.
        bytes: bytes that came into memory.
        rows: rows read.
    """

    places: int
    bytes: int
    rows: int

    def __str__(self) -> str:
        return f"{self.places / self.rows:.3f} | {self.bytes / self.rows / 1024:.0f}"


def reading(folder: Path, cache: PageCache, shuffle: Shuffle, ranks: int, on_node: int, *, whole_blocks: bool) -> Cost:
    """Read the first buffer of an epoch (or some rows) as the ranks of one node do, in turns, from files that are not cached.

    With `whole_blocks` all of a block is read as soon as the first row of it is asked for.
    """
    data = EdenDataset(sequence_db_dir=str(folder), window_db_path=str(folder / "train_windows.db"), shuffle=False)
    (source,), order = data.sources, EpochOrder(len(data), seed=42, shuffle=shuffle)
    data.batch([0])
    cache.forget()
    before, cost, known = cache.pages(), Cost(0, 0, 0), np.zeros(len(data), bool)

    def read(windows: np.ndarray) -> None:
        nonlocal before
        source.store.read(source.index.lookup(windows))
        after = cache.pages()
        new = after & ~before
        cost.places += int((new & ~np.roll(new, 1)).sum())
        cost.bytes += int(new.sum()) * PAGE
        before = after

    rows = (
        shuffle.rows * shuffle.buffer_blocks
        if isinstance(shuffle, BlockShuffle)
        else max(FEW_ROWS, TASK_ROWS * on_node) * ranks // on_node
    )
    samplers = [RankSampler(len(data), 1, rank, ranks) for rank in range(on_node)]
    for task in range(rows // (TASK_ROWS * ranks)):
        for sampler in samplers:
            wanted = order.pick(sampler.block(0, 0, range(task * TASK_ROWS, (task + 1) * TASK_ROWS)).rows).window_ids
            if whole_blocks and isinstance(shuffle, BlockShuffle):
                for block in np.unique(wanted[~known[wanted]] // shuffle.rows).tolist():
                    windows = np.arange(block * shuffle.rows, min(len(data), (block + 1) * shuffle.rows))
                    known[windows] = True
                    read(windows)
            read(wanted)
            cost.rows += TASK_ROWS
    data.close()
    return cost


def reads(folder: Path, kind: str) -> Iterator[str]:
    """Make a store; yield lines of the table of reading."""
    make_store(folder, kind)
    cache = PageCache(folder)
    for ranks, on_node in RANKS:
        for shuffle in READS:
            plain = reading(folder, cache, shuffle, ranks, on_node, whole_blocks=False)
            whole = ""
            if isinstance(shuffle, BlockShuffle):
                whole = str(reading(folder, cache, shuffle, ranks, on_node, whole_blocks=True))
            yield f"| {kind} | {ranks} ({on_node}) | {name_of(shuffle)} | {plain} | {whole or ' | '} |"


def section(folder: Path) -> str:
    """Measure, and return the section of the page."""
    device = folder.stat().st_dev
    ahead = Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb").read_text().strip()
    newline = "\n"
    heads = " | ".join(f"score, {size} rows | neighbours" for size in GLOBAL_BATCHES)
    return f"""
## Shuffling in blocks

How well `shuffle="block"` mixes global batches of {", ".join(map(str, GLOBAL_BATCHES))} rows, {WINDOWS:,} windows, stretches of {STRETCH} windows
taken to be alike (`eden_core.shuffle_quality`). The buffer is what a page cache must hold, at 8192 bases a row.

| shuffle | buffer, MiB | {heads} |
|---|---|{"---|" * 2 * len(GLOBAL_BATCHES)}
{newline.join(qualities())}

What a cold disk has to do, rows of 8192 bases at most: "sqlite-shards", 200 contigs of 5 Mb, or 150,000 of 4 kb, tasks of {TASK_ROWS} rows, micro-batch 1, {ahead} KiB of readahead.
Some of the ranks, those of a node, or all, those of a file server, read the first buffer of an epoch in turns through one page cache (without
buffers some {FEW_ROWS:,} rows). A place is a run of pages that the kernel brings into its cache in one go (`mincore`). The last two columns: were all
of a block read as soon as the first row of it is asked for.

| store | ranks (through one cache) | shuffle | places read a row | KiB read a row | whole blocks: places | KiB |
|---|---|---|---|---|---|---|
{newline.join(line for number, kind in enumerate(STORES) for line in reads(folder / str(number), kind))}
"""


def measure(given: argparse.Namespace) -> Section:
    """Measure everything."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        return Section("shuffling", section(Path(folder)).strip())


if __name__ == "__main__":
    run(measure, folder={"type": Path, "help": "where to put the 1 GB that is read"})
