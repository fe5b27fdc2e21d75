"""Whether a row costs the same whatever the size: from 100,000 to 232 million windows, 10 to 10,000 shards, 2 to 8 workers.

python benchmarks/scaling.py [--rounds 5] [--small]
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch

from charts import Line, lines
from eden_core import EdenDataset
from page import Section, Target, run, say, spread, table
from peers import workloads
from peers.forms import Prepared
from peers.protocol import into_page_cache
from peers.rounds import FLOOR, floor_microseconds, memory_floor
from timing import Stream, microseconds_a_row, ratios

STRIDES = (16_384, 1_858, 186, 80, 8)
SMALL_STRIDES = (16_384, 1_858, 186)
MOST_IN_SQLITE = 25_000_000
"""windows: that index has a row for each, 75 bytes of it"""
SHARDS = (10, 100, 1_000, 10_000)
WORKERS = (2, 4, 8)
FLAT = 1.5
"""times the smallest size's row that the largest one's may cost to count as the same: less than sharing a machine does"""

Points = dict[str, dict[int, list[float]]]
"""store -> size -> microseconds a row, one number a round"""


def by_windows(given: argparse.Namespace) -> tuple[Points, list[float]]:
    """The same 1.9 billion bases, with ever more windows."""
    workload = workloads.generate(given.scratch, "windows", small=given.small)
    places = Prepared(given.scratch, workload)
    data: dict[tuple[str, int], EdenDataset] = {}
    for store, index in places.stores.items():
        for stride in SMALL_STRIDES if given.small else STRIDES:
            windows = int(workload.counts(stride).sum())
            if index != "sqlite" or windows <= MOST_IN_SQLITE:
                say(f"  {store}: {windows:,} windows")
                data[store, windows] = places.dataset(store, stride)
    return _interleaved(data, [places.of(store) for store in places.stores], memory_floor(workload), given.rounds)


def by_shards(given: argparse.Namespace) -> tuple[Points, list[float]]:
    """The same 10,000 contigs, in ever more samples."""
    data: dict[tuple[str, int], EdenDataset] = {}
    folders: list[Path] = []
    for samples in SHARDS:
        name = "shards" if samples == SHARDS[-1] else f"shards-{samples}"
        workload = workloads.generate(given.scratch, name, small=given.small)
        places = Prepared(given.scratch, workload)
        say(f"  {samples:,} samples")
        for store in places.stores:
            data[store, samples] = places.dataset(store)
            folders.append(places.of(store))
    return _interleaved(data, folders, memory_floor(workload), given.rounds)


def _interleaved(
    data: dict[tuple[str, int], EdenDataset], folders: list[Path], floor: Iterator[float], rounds: int
) -> tuple[Points, list[float]]:
    found: Points = {}
    floors = []
    next(floor)  # it takes memory, which must not be that of the files which are read next
    for folder in folders:
        into_page_cache(folder)
    for one in data.values():
        for _ in range(8):  # until pages and connections are at hand
            microseconds_a_row(one.batch, len(one))
    for number in range(rounds):
        floors.append(floor_microseconds(floor))
        for (store, size), one in data.items():
            found.setdefault(store, {}).setdefault(size, []).append(microseconds_a_row(one.batch, len(one)))
        say(f"  round {number + 1} of {rounds}")
    for one in data.values():
        one.close()
    return found, floors


def by_workers(given: argparse.Namespace) -> Points:
    """Microseconds a row, as time passes, with more workers than cores."""
    places = Prepared(given.scratch, workloads.generate(given.scratch, "chromosomes", small=given.small))
    streams = {(store, workers): Stream(places.dataset(store), workers, 16) for store in places.stores for workers in WORKERS}
    for stream in streams.values():
        next(stream.batches)
    found: Points = {}
    for number in range(given.rounds):
        for (store, workers), stream in streams.items():
            times = found.setdefault(store, {}).setdefault(workers, [])
            times.append(stream.microseconds_a_row(1.0, ready=64 * 4 * workers))
        say(f"  round {number + 1} of {given.rounds}")
    for stream in streams.values():
        stream.loader.close()
    return found


def measure(given: argparse.Namespace) -> Section:
    """Measure everything."""
    torch.set_num_threads(1)
    say("windows")
    windows, window_floors = by_windows(given)
    say("shards")
    shards, shard_floors = by_shards(given)
    say("workers")
    workers = by_workers(given)
    text = f"""## The same row at any size

Blocks of 64 rows in random order, one process; everything in turn, {given.rounds} rounds. The last column is the cost against that of the smallest size, within a round.

### From 100,000 windows to 232 million

A hundred contigs of 18.6 Mb, 1.9 GB in all, with a window of 8192 bases every {", ".join(f"{stride:,}" for stride in STRIDES)} bases. "arrow-shards" is read through the index "arrow", "sqlite-shards" through "sqlite", which has a row for every window and is left out beyond {MOST_IN_SQLITE / 1e6:.0f} million.

![Microseconds a row by number of windows](images/scaling-windows.svg)

{_table("windows", windows, window_floors)}

### From 10 shards to 10,000

10,000 contigs of 9 kb, dealt to so many samples.

![Microseconds a row by number of samples](images/scaling-shards.svg)

{_table("samples", shards, shard_floors)}

### More workers than cores

`EdenLoader`, micro-batch 16, a hundred contigs of 5 Mb; microseconds that pass in the process that trains.

{_table("workers", workers, None)}"""
    images = {
        "scaling-windows.svg": _plot("Row by number of windows", windows, window_floors, "windows"),
        "scaling-shards.svg": _plot("Row by number of samples", shards, shard_floors, "samples"),
    }
    return Section("scaling", text, _targets(windows, shards, workers), images)


def _table(size: str, found: Points, floors: list[float] | None) -> str:
    rows = []
    for store, sizes in found.items():
        first = next(iter(sizes.values()))
        for number, times in sizes.items():
            to_floor = [spread(ratios(times, floors))] if floors else [f"{1e6 / median(times):,.0f}"]
            rows.append([store, f"{number:,}", spread(times), *to_floor, spread(ratios(times, first), 2)])
    return table(["store", size, "µs a row", "ratio to the floor" if floors else "rows a second", "to the smallest"], rows)


def _plot(title: str, found: Points, floors: list[float], size: str) -> str:
    series = [Line(store, list(sizes.items())) for store, sizes in found.items()]
    everything = [number for sizes in found.values() for number in sizes]
    series.append(Line(FLOOR, [(min(everything), floors), (max(everything), floors)]))
    return lines(title, series, size, "µs a row")


def _targets(windows: Points, shards: Points, workers: Points) -> list[Target]:
    targets = []
    cases: list[tuple[str, Points, Callable[[int, int], str]]] = [
        ("same cost a row from few windows to many", windows, lambda few, many: f"{few:,} to {many:,} windows"),
        ("same cost a row from few shards to many", shards, lambda few, many: f"{few:,} to {many:,} samples"),
        ("8 workers on 2 cores do not slow down", workers, lambda few, many: f"{many} workers to {few}"),
    ]
    for row, found, case in cases:
        for store, sizes in found.items():
            few, many = min(sizes), max(sizes)
            times = ratios(sizes[many], sizes[few])
            most = 1.1 if found is workers else FLAT
            targets.append(Target(row, f"{store}, {case(few, many)}", f"<= {most} x", spread(times, 2), median(times) <= most))
    return targets


if __name__ == "__main__":
    run(measure, rounds={"type": int, "default": 5})
