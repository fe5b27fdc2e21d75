"""The index "arrow" of 217 million contigs: building it, opening it, looking windows up, and memory of workers with either store.

    python benchmarks/arrow_index.py [--index FILE] [--rounds 5] [--small]

The index is built in the scratch folder once, where `--index` names none; what that took is kept beside it.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from eden_core import EdenDataset
from page import ROOT, Section, Target, run, say, spread, table
from peers import forms, workloads
from peers.forms import STORE, Prepared
from peers.protocol import into_page_cache
from renamed import RenamedStore
from shards import worker_after
from timing import empty_worker

CONTIGS, SMALL_CONTIGS = 217_000_000, 300_000
BUILDING = """
import json, resource, sys, time
import numpy as np, pyarrow as pa, pyarrow.compute as pc
from eden_core import Tiling, installed_plugins

def contigs(count, step=1 << 20):
    draws = np.random.default_rng(3)
    for first in range(0, count, step):
        numbers = np.arange(first, min(first + step, count))
        lengths = np.clip(draws.lognormal(np.log(2200), 1.1, numbers.size), 200, 2_000_000).astype(np.int64)
        text = [pc.utf8_lpad(pa.array(part).cast(pa.string()), 9, "0") for part in (numbers // 20_000, numbers)]
        ids = pc.binary_join_element_wise("META__FASTA-SRR", text[0], "__k141_", text[1], "")
        yield pa.record_batch({"contig_id": ids, "length": pa.array(lengths)})

path, count = sys.argv[1], int(sys.argv[2])
started = time.perf_counter()
windows = installed_plugins().index_class("arrow").build(path, contigs(count), Tiling()).windows
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"contigs": count, "windows": windows, "seconds": seconds, "gigabytes": peak}))
"""
LOOKING = """
import json, sys, time
import numpy as np
from eden_core import installed_plugins
from timing import memory_of

installed_plugins().index_class("arrow")
before = memory_of("self")
started = time.perf_counter()
index = installed_plugins().index("arrow", sys.argv[1])
index.lookup(np.array([len(index) // 2]))
opened = time.perf_counter() - started
draws = np.random.default_rng(int(sys.argv[2]))
def look_up(size, blocks):
    times = []
    for _ in range(blocks):
        block = draws.integers(0, len(index), size)
        started = time.perf_counter()
        index.lookup(block)
        times.append(time.perf_counter() - started)
    return float(np.median(times)) / size * 1e6
look_up(64, 2000)
found = {size: look_up(size, 500) for size in (64, 1)}
after = memory_of("self")
print(json.dumps({"windows": len(index), "opened": opened, "us": found[64], "us1": found[1],
    "memory": after[0] - before[0], "mapped": after[1] - before[1]}))
"""


def in_process(script: str, *arguments: object) -> dict[str, Any]:
    """Run a script in a process of its own, and return what it printed."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT / "benchmarks")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def built(path: Path, contigs: int) -> dict[str, Any] | None:
    """Build the index unless it is there; return what that took, if that is known."""
    record = path.with_name(path.name + ".built.json")
    if not path.exists():
        say(f"  building an index of {contigs:,} contigs")
        record.write_text(json.dumps(in_process(BUILDING, path, contigs)))
    found: dict[str, Any] | None = json.loads(record.read_text()) if record.exists() else None
    return found


def memory_of_workers(given: argparse.Namespace, index: Path) -> dict[str, tuple[float, float]]:
    """MB of a worker over an empty one, with each store of 10,000 samples and this index: of its own, and of mapped files."""
    places = Prepared(given.scratch, workloads.generate(given.scratch, "shards", small=given.small))
    contigs = pq.read_table(places.workload.folder / "contigs.parquet")
    lengths = dict(zip(contigs["contig_id"].to_pylist(), contigs["length"].to_pylist(), strict=True))
    empty = empty_worker()
    found = {}
    for store in places.stores:
        say(f"  workers with {store}")
        inner = RenamedStore(str(places.of(store) / STORE), store=store, lengths=lengths)
        dataset = EdenDataset(inner, "arrow", window_db_path=str(index))
        _, memory = worker_after(dataset, 2_000 if given.small else 60_000)
        found[store] = (memory[0] - empty[0], memory[1] - empty[1])
    return found


def measure(given: argparse.Namespace) -> Section:
    """Measure everything."""
    problem = forms.missing(forms.SEED_FORMAT, "arrow")
    path = given.index or given.scratch / "big.arrow"
    if problem:
        return Section("arrow_index", f"## An index of 217 million contigs\n\nLeft out: {problem}.", _targets(None, [], {}))
    building = built(path, SMALL_CONTIGS if given.small else CONTIGS)
    say("  looking windows up")
    into_page_cache(path)
    looked = [in_process(LOOKING, path, number) for number in range(given.rounds)]
    workers = memory_of_workers(given, path)
    size = sum(each.stat().st_size for each in ([path] if path.is_file() else path.rglob("*"))) / 1e9
    made = "It was made elsewhere; what that took is not known."
    if building:
        made = f"{building['contigs']:,} contigs in byte order of their ids: built in {building['seconds']:.0f} s, with {building['gigabytes']:.1f} GB at most."
    rows = [
        ["opened, and the first window looked up, in ms", spread([1e3 * one["opened"] for one in looked], 0)],
        ["µs a window, 64 random ones at once", spread([one["us"] for one in looked], 2)],
        ["µs a window, one at a time", spread([one["us1"] for one in looked])],
        ["MB of the process that no file backs, after 160,000 windows", spread([one["memory"] for one in looked])],
        ["MB of the file that it maps", spread([one["mapped"] for one in looked], 0)],
        *(
            [f"MB of a worker over an empty one, with {store} of 10,000 samples; MB of files that it maps", f"{mine:.0f}; {mapped:.0f}"]
            for store, (mine, mapped) in workers.items()
        ),
    ]  # fmt: skip
    text = f"""## An index of 217 million contigs

The index "arrow" of {looked[0]["windows"]:,} windows, {size:.1f} GB. {made} Each of {given.rounds} rounds is a process of its own, the file in the page cache. Pages of a mapped file belong to the page cache: all processes share them, and the kernel drops them when memory is short.

{table(["what", "measured"], rows)}"""
    return Section("arrow_index", text, _targets(building, looked, workers))


def _targets(
    building: dict[str, Any] | None, looked: list[dict[str, Any]], workers: dict[str, tuple[float, float]]
) -> list[Target]:
    row = 'index of 232 million windows over 217 million contigs, "arrow"'
    targets = []
    for case, must, most, values, unit in (
        ("built out of core", "< 8 GB", 8, [building["gigabytes"]] if building else [], "GB"),
        ("opened", "< 1 s", 1, [one["opened"] for one in looked], "s"),
        ("µs a window, 64 at once", "< 5 us", 5, [one["us"] for one in looked], "us"),
        ("memory of the process", "< 50 MB", 50, [one["memory"] for one in looked], "MB"),
    ):
        shown = f"{max(values):.2f} {unit} at most" if values else "left out"
        targets.append(Target(row, case, must, shown, max(values) < most if values else None))
    for store, (mine, _) in workers.items():
        case = f"{store}, 217 million contigs in the index"
        targets.append(Target("memory per worker over an empty one", case, "< 150 MB", f"{mine:.0f} MB", mine < 150))
    return targets


if __name__ == "__main__":
    run(measure, index={"type": Path}, rounds={"type": int, "default": 5})
