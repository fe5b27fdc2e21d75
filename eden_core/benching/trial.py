"""What a fresh process measures. Run by `eden_core.benching.fresh`, never in the process of `eden bench` itself."""

import multiprocessing
import os
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import numpy as np

from eden_core.benching.processes import Footprint, Reading, descendants, threads
from eden_core.benching.settings import Trial
from eden_core.dataset import EdenDataset
from eden_core.loader import EdenLoader
from eden_core.tensors import Batch

SAMPLED_TOKENS = 1 << 22
"""tokens of the rows that are read to find how full rows are"""

FIRST_BATCH = "/eden-bench/first-batch"
"""a path that is asked for when the first batch is there, so that a trace shows when that was"""

_QUANTILES = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


def survey(trial: Trial) -> dict[str, Any]:
    """Open the dataset once, which plans packed rows if need be, and describe it; read some rows, spread evenly."""
    with closing(EdenDataset(**trial.dataset)) as dataset:
        with closing(EdenLoader(dataset, **trial.loader | {"num_workers": 0}, data_parallel=(0, 1), check_ranks=False)):
            pass  # sizes that do not fit are told before anything is measured
        count = min(len(dataset), max(1, SAMPLED_TOKENS // dataset.seq_length))
        encoded = dataset.reader.fetch(dataset.omissions.rows(np.arange(count) * len(dataset) // count))
        return {
            "split": dataset.split,
            "rows": len(dataset),
            "seq_length": dataset.seq_length,
            "fill": float(dataset.reader.layout.used(encoded).sum()) / (count * dataset.seq_length),
            "bases_per_row": int(encoded.batch.bases.values.size) / count,
            "sampled_rows": count,
            "packing": dataset.packing.kind,
            "sources": [
                {
                    "name": source.name,
                    "store": source.store.name,
                    "store_location": source.store.location,
                    "index": source.index.name,
                    "index_location": source.index.location,
                    "windows": len(source.index),
                }
                for source in dataset.sources
            ],
        }


def measure(trial: Trial, started: float) -> dict[str, Any]:
    """Read batches for a while.

    Args:
        trial: what to do.
        started: `time.monotonic()` when this process was started.

    Returns:
        What `eden_core.benching` describes as a round.
    """
    dataset = EdenDataset(**trial.dataset)
    with closing(EdenLoader(dataset, **trial.loader, data_parallel=(0, 1), check_ranks=False)) as loader:
        ready = time.monotonic() - started
        batches = _endless(loader)
        opened, before = Reading.of(os.getpid()), time.perf_counter()
        rows = len(next(batches)["tokens"])
        first = time.perf_counter() - before
        if not trial.cold:
            rows += _read(batches, min(1.0, trial.seconds / 5), trial.step)["rows"]
        workers = [child.pid for child in multiprocessing.active_children() if child.pid is not None]
        processes = (os.getpid(), *workers)
        earlier = [Reading.of(pid) for pid in processes]
        timed = _read(batches, trial.seconds, trial.step, max(1, len(loader) - 1) if trial.cold else None)
        later = [Reading.of(pid) for pid in processes]
        footprints = [Footprint.of(pid) for pid in processes]
        others = [Footprint.of(pid).pss for pid in descendants(os.getpid()) if pid not in workers]
    described = []
    for pid, begin, end, footprint in zip(processes, earlier, later, footprints, strict=True):
        timed_part, whole = end.since(begin), end.since(opened) if pid == os.getpid() else end
        shares = {"cpu": timed_part.cpu / timed["seconds"], "delay": timed_part.delay / timed["seconds"]}
        described.append({**shares, **asdict(footprint), "read": whole.read, "disk": whole.disk})
    return {
        **timed,
        "rows_in_all": rows + timed["rows"],
        "start_s": ready,
        "first_batch_s": first,
        "trainer": described[0],
        "workers": described[1:],
        "other_pss": sum(pss or 0 for pss in others),
    }


def trace(trial: Trial) -> dict[str, Any]:
    """Read one batch, and say which thread belongs to whom."""
    dataset = EdenDataset(**trial.dataset)
    with closing(EdenLoader(dataset, **trial.loader, data_parallel=(0, 1), check_ranks=False)) as loader:
        next(iter(loader))
        os.access(FIRST_BATCH, os.F_OK)
        workers = [child.pid for child in multiprocessing.active_children() if child.pid is not None]
        return {"trainer": threads(os.getpid()), "workers": [threads(pid) for pid in workers]}


def _endless(loader: EdenLoader) -> Iterator[Batch]:
    """Pass after pass, with the time between them; a mixture that may be used up begins anew."""
    while True:
        yield from loader
        if loader.rank_sampler.end is not None:
            loader.set_epoch(0)


def _read(batches: Iterator[Batch], seconds: float, step: float, most: int | None = None) -> dict[str, Any]:
    """Ask for batches until the time is over, or `most` are there, and say how long each was waited for."""
    waits, rows, tokens = array("d"), 0, 0
    clock: Callable[[], float] = time.perf_counter
    begin = clock()
    now, end = begin, begin + seconds
    while now < end and len(waits) != most:
        asked = clock()
        shape = next(batches)["tokens"].shape
        waits.append(clock() - asked)
        rows += shape[0]
        tokens += shape.numel()
        if step:
            time.sleep(step)
        now = clock()
    passed, waited = now - begin, np.frombuffer(waits)
    percentiles = np.percentile(waited, list(_QUANTILES.values())) * 1000
    return {
        "seconds": passed,
        "steps": len(waits),
        "rows": rows,
        "tokens": tokens,
        "wait_ms": dict(zip(_QUANTILES, percentiles.tolist(), strict=True)),
        "waited": float(waited.sum()) / passed,
    }


TASKS: dict[str, Callable[..., dict[str, Any]]] = {"survey": survey, "measure": measure, "trace": trace}
