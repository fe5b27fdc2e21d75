"""Builds an "arrow" index of many contigs with metagenome-like lengths, and measures it.

python benchmarks/big_index.py big.arrow [contigs]
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eden_arrow.index import ArrowIndex
from eden_core import Tiling

CONTIGS = 217_000_000
BATCH = 1 << 20
MEDIAN, MEAN = 2_200, 4_000

LOOK_UP = """
import json, sys, time
from pathlib import Path
import numpy as np
from eden_arrow.index import ArrowIndex
path, io, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
    return {name: found[name] for name in ("Rss", "Private_Clean", "Private_Dirty")}
before = private()
started = time.perf_counter()
index = ArrowIndex(path, io=io, **options)
opened = time.perf_counter() - started
ids = np.random.default_rng(1).integers(0, len(index), (1 + 100_000 // 64, 64))
wall, cpu = [], time.process_time()
for block in np.concatenate([ids, ids]):
    started = time.perf_counter()
    index.lookup(block)
    wall.append(1e6 * (time.perf_counter() - started) / block.size)
cpu = 1e6 * (time.process_time() - cpu) / (2 * ids.size)
after = private()
print(json.dumps({
    "io": io, **options, "windows": len(index), "open_s": round(opened, 3),
    "us_a_window_median": round(float(np.median(wall[len(ids):])), 2), "first_time": round(float(np.median(wall[:len(ids)])), 2),
    "cpu_us_a_window": round(cpu, 2),
    **{f"more_{name}_MiB": round(after[name] - before[name], 1) for name in after},
}))
"""


def contigs(count: int) -> Iterator[pa.RecordBatch]:
    """Yield contigs of log-normal lengths, ids in byte order."""
    draw = np.random.default_rng(7)
    sigma = np.sqrt(2 * np.log(MEAN / MEDIAN))
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        lengths = np.maximum(200, np.exp(draw.normal(np.log(MEDIAN), sigma, size))).astype(np.int64)
        numbers = pc.utf8_lpad(pa.array(np.arange(first, first + size)).cast(pa.string()), 9, "0")
        ids = pc.binary_join_element_wise("META__X-S123__c", numbers, "")
        yield pa.RecordBatch.from_arrays([ids, pa.array(lengths)], names=["contig_id", "length"])


def main() -> None:
    """Build where there is no file, then look windows up at random."""
    path, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else CONTIGS
    if not path.exists():
        started = time.perf_counter()
        summary = ArrowIndex.build(str(path), contigs(count), Tiling())
        seconds, peak = time.perf_counter() - started, getrusage(RUSAGE_SELF).ru_maxrss / 1024
        print(
            json.dumps({"built": summary.windows, "s": round(seconds), "peak_MiB": round(peak), "bytes": path.stat().st_size})
        )
    for io, options in (("pread", {}), ("mmap", {}), ("pread", {"window_size": 2048, "stride": 1920})):
        found = subprocess.run(
            [sys.executable, "-c", LOOK_UP, str(path), io, json.dumps(options)], check=True, capture_output=True
        )
        print(found.stdout.decode().strip(), flush=True)


main()
