"""What a row costs: each store, transforms, where in a contig, bytes read from files, workers; and building the index "sqlite".

    python benchmarks/rows.py [--rounds 7] [--small]

Reads the same files as loaders.py: a hundred chromosomes of 5 Mb.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import default_collate

from eden_core import EdenDataset, Tiling
from eden_core.precompute import precompute
from page import Section, Target, run, say, spread, table
from peers import forms, workloads
from peers.forms import Prepared
from peers.loaders.plain import PlainDataset
from peers.protocol import into_page_cache
from peers.rounds import FLOOR, floor_microseconds, memory_floor
from timing import BLOCK, BLOCKS, Stream, Work, counters, forget, microseconds_a_row, ratios

TAGGED = {"rc_aug": True, "use_control_tags": True}
PLAIN = "a plain loader of the seed's format"
WORKERS, MICRO_BATCHES = (0, 2), (1, 16)


def tenth(dataset: EdenDataset, a_contig: int, *, last: bool) -> Work:
    """Read rows of the first or the last tenth of a contig only, of a dataset in index order with as many rows a contig."""
    some = max(1, a_contig // 10)

    def work(block: np.ndarray) -> object:
        place = block % a_contig % some
        return dataset.batch(block - block % a_contig + (a_contig - 1 - place if last else place))

    return work


def variants(places: Prepared) -> dict[str, Work]:
    """What is compared: title -> what reads a block of rows."""
    a_contig = int(places.workload.counts()[0])
    found: dict[str, Work] = {}
    for store in places.stores:
        in_order = places.dataset(store, shuffle=False)
        found[store] = places.dataset(store).batch
        if store != forms.SEED_FORMAT:
            found[f"{store}, reverse complement and tags"] = places.dataset(store, **TAGGED).batch
        if store in forms.IN_PLACE:
            continue
        found[f"{store}, first tenth of a contig"] = tenth(in_order, a_contig, last=False)
        found[f"{store}, last tenth of a contig"] = tenth(in_order, a_contig, last=True)
    seed = places.of(forms.SEED_FORMAT)
    slow = PlainDataset(seed / forms.STORE, forms.index_path(places.workload, seed, "sqlite"))
    found[PLAIN] = lambda block: default_collate([slow[row] for row in block[:8].tolist()])
    return found


def block_times(places: Prepared, rounds: int) -> dict[str, list[float]]:
    """Microseconds a row of each variant, one number a round."""
    floor, works, rows = memory_floor(places.workload), variants(places), places.workload.windows
    found: dict[str, list[float]] = {name: [] for name in (FLOOR, *works)}
    for work in works.values():
        work(np.arange(BLOCK) % rows)
    for number in range(rounds):
        found[FLOOR].append(floor_microseconds(floor))
        for name, work in works.items():
            slow = name == PLAIN
            found[name].append(microseconds_a_row(work, rows, 1 if slow else BLOCKS) * (BLOCK / 8 if slow else 1))
        say(f"  blocks of rows, round {number + 1} of {rounds}")
    return found


def loader_times(places: Prepared, rounds: int, seconds: float = 0.5) -> dict[tuple[str, int, int], list[float]]:
    """(variant, workers, micro-batch size) -> microseconds a row; "memory floor" with 0 and 0."""
    floor = memory_floor(places.workload)
    streams = {}
    for store in places.stores:
        if store in Prepared.STORES and store != forms.SEED_FORMAT:
            for title, options in ((store, {}), (f"{store}, reverse complement and tags", TAGGED)):
                for workers in WORKERS:
                    for size in MICRO_BATCHES:
                        streams[title, workers, size] = Stream(places.dataset(store, **options), workers, size)
    found: dict[tuple[str, int, int], list[float]] = {key: [] for key in ((FLOOR, 0, 0), *streams)}
    for stream in streams.values():
        next(stream.batches)
    for number in range(rounds):
        found[FLOOR, 0, 0].append(floor_microseconds(floor))
        for key, stream in streams.items():
            found[key].append(stream.microseconds_a_row(seconds))
        say(f"  loaders, round {number + 1} of {rounds}")
    for stream in streams.values():
        stream.loader.close()
    return found


def bytes_read(places: Prepared, store: str, rows: int = 256) -> tuple[float, float]:
    """Bytes for each random window of files that are open: by system calls, and from the disk where nothing is cached."""
    dataset = places.dataset(store)
    a_contig = int(places.workload.counts()[0])
    in_order = places.dataset(store, shuffle=False)
    dataset.sources[0].store.read(in_order.locate(range(0, len(dataset), a_contig), measured=False))
    windows = dataset.locate(np.random.default_rng(2).integers(0, len(dataset), rows), measured=False)
    forget(places.of(store))
    before = counters()
    dataset.sources[0].store.read(windows)
    after = counters()
    dataset.close()
    return (after["rchar"] - before["rchar"]) / rows, (after["read_bytes"] - before["read_bytes"]) / rows


def precompute_rate(folder: Path, contigs: int) -> tuple[float, float]:
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


def measure(given: argparse.Namespace) -> Section:
    """Measure everything."""
    torch.set_num_threads(1)
    say("files of the workload")
    places = Prepared(
        given.scratch, workloads.generate(given.scratch, "chromosomes", small=given.small), seed_format=True, in_place=True
    )
    for store in places.stores:
        into_page_cache(places.of(store))
    blocks = block_times(places, given.rounds)
    loaders = loader_times(places, min(given.rounds, 5))
    say("bytes read")
    read = {store: bytes_read(places, store) for store in places.stores}
    say("building an index")
    with tempfile.TemporaryDirectory() as folder:
        built = precompute_rate(Path(folder), 20_000 if given.small else 500_000)
    text = "\n\n".join(
        [_blocks_text(blocks, given.rounds, places), _loaders_text(loaders), _read_text(read), _built_text(built)]
    )
    targets = [
        *_block_targets(blocks),
        *_loader_targets(loaders),
        *_offset_targets(blocks),
        *_read_targets(read),
        _built_target(built),
    ]
    return Section("rows", text, targets)


def _blocks_text(found: dict[str, list[float]], rounds: int, places: Prepared) -> str:
    lines = [[name, spread(times), spread(ratios(times, found[FLOOR]))] for name, times in found.items()]
    return f"""## A row, one process, blocks of 64 rows in random order

A hundred contigs of 5 Mb. {rounds} rounds; in a round each variant is the median of {BLOCKS} blocks. The floor copies the bases, widens them twice, writes mask and positions, into memory that was touched before. "{forms.SEED_FORMAT}" is made with Python's sqlite3, and read by Eden's store "sqlite-shards". "fasta", plain in lines of {forms.LINE} and compressed with bgzip, and "twobit" are read as they are, one file each. {places.note}

{table(["what", "µs a row", "ratio to the floor"], lines)}"""


def _loaders_text(found: dict[tuple[str, int, int], list[float]]) -> str:
    floor = found[FLOOR, 0, 0]
    lines = [
        [title, str(workers), str(size), spread(times), spread(ratios(times, floor)), f"{1e6 / median(times):,.0f}"]
        for (title, workers, size), times in found.items()
        if title != FLOOR
    ]
    return f"""## The loader

`EdenLoader` on the same files, its workers running already; time passes in the process that trains, which does nothing else.

{table(["what", "workers", "micro-batch", "µs a row", "ratio to the floor", "rows a second"], lines)}"""


def _read_text(found: dict[str, tuple[float, float]]) -> str:
    lines = [[store, f"{calls:,.0f}", f"{disk:,.0f}", f"{disk / 8190:.2f}"] for store, (calls, disk) in found.items()]
    head = ["store", "bytes by system calls", "bytes from the disk, nothing cached", "times the window"]
    return f"""## Bytes read from files for a random window of 8190 bases

256 windows in contigs of 5 Mb, one window of each read before. What is read through a memory map is no system call; from the disk comes also what the kernel reads ahead.

{table(head, lines)}"""


def _built_text(built: tuple[float, float]) -> str:
    return f"""## Building the index "sqlite", metagenome-like lengths (median 2.2 kb, 500,000 contigs)

{built[0] / 1e6:.2f} million windows/s from a table in byte order, {built[1] / 1e6:.2f} million windows/s from one that has to be sorted first; reading the table, the index on `sequence_id` and the sync to disk included."""


ARROW, ARROW_TAGGED = "arrow-shards", "arrow-shards, reverse complement and tags"
BATCH = 'full int64 batch, "arrow-shards" + "arrow"'


def _block_targets(found: dict[str, list[float]]) -> list[Target]:
    floor = found[FLOOR]
    targets = [Target("memory floor", "blocks of 64 windows", "", f"{spread(floor)} µs a row", True)]
    for name, most, what in ((ARROW, 2.0, "plain"), (ARROW_TAGGED, 2.5, "reverse complement and tags")):
        case, must = f"{what}, blocks of 64 windows", f"<= {most} x floor"
        times = ratios(found[name], floor) if name in found else []
        targets.append(_at_most(BATCH, case, must, times, most))
    return targets


def _loader_targets(found: dict[tuple[str, int, int], list[float]]) -> list[Target]:
    targets = []
    for name, most, what in ((ARROW, 2.0, "plain"), (ARROW_TAGGED, 2.5, "reverse complement and tags")):
        for workers in WORKERS:
            for size in MICRO_BATCHES:
                times = ratios(found[name, workers, size], found[FLOOR, 0, 0]) if (name, workers, size) in found else []
                case = f"{what}, loader, micro-batch {size}, {workers} workers"
                targets.append(_at_most(BATCH, case, f"<= {most} x floor", times, most))
    return targets


def _offset_targets(found: dict[str, list[float]]) -> list[Target]:
    targets = []
    for store in Prepared.STORES:
        late, early = (found.get(f"{store}, {which} tenth of a contig", []) for which in ("last", "first"))
        most, must = (20.0, "within 20 x") if store == forms.SEED_FORMAT else (1.25, "flat (<= 1.25 x)")
        case = f"{store}, last tenth of a contig to first"
        targets.append(_at_most("dependence on the window's offset", case, must, ratios(late, early), most, 2))
    return targets


def _read_targets(found: dict[str, tuple[float, float]]) -> list[Target]:
    row, must = "bytes read per random window of a 5 Mb contig, cold", "<= 2 x the window"
    targets = []
    for store in Prepared.STORES:
        if store != forms.SEED_FORMAT:
            calls, disk = found.get(store, (0.0, 0.0))
            if calls > 8190:
                targets.append(_at_most(row, f"{store}, by system calls", must, [calls / 8190], 2.0, 2))
            targets.append(_at_most(row, f"{store}, from the disk", must, [disk / 8190] if disk else [], 2.0, 2))
    return targets


def _built_target(built: tuple[float, float]) -> Target:
    rate = built[0] / 1e6
    what = '"sqlite" index, `idx_sequence_id` included'
    return Target(what, "metagenome lengths, a table in byte order", ">= 0.8 million windows/s", f"{rate:.2f}", rate >= 0.8)


def _at_most(row: str, case: str, must: str, values: list[float], most: float, digits: int = 1) -> Target:
    if not values:
        return Target(row, case, must, "left out", None)
    shown = spread(values, digits) if len(values) > 1 else f"{values[0]:.{digits}f}"
    return Target(row, case, must, shown, median(values) <= most)


if __name__ == "__main__":
    run(measure, rounds={"type": int, "default": 7})
