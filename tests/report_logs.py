"""Access logs as training writes them, of a real order, for the tests of `eden report`."""

import csv
import json
import secrets
from pathlib import Path

import numpy as np

from eden_core import EdenDataset
from eden_core.sequence_ids import sample_or_empty

COLUMNS = ("window_idx", "sequence_id", "sample_id", "window_in_seq_idx", "rank", "access_ts", "step", "row")


def write_log(
    folder: Path,
    dataset: EdenDataset,
    batches: list[dict],
    *,
    rank: int = 0,
    data_parallel_rank: int | None = None,
    sources: bool = False,
) -> Path:
    """Write the log of a process with its `.jsonl`; a batch is {"step", "time_ns", "rows", "waited_ns", "used"}."""
    folder.mkdir(exist_ok=True)
    path = folder / f"window_access_{dataset.split}_rank{rank}_{secrets.token_hex(4)}.csv"
    head = {
        "eden_access_log": 1,
        "split": dataset.split,
        "rank": rank,
        "data_parallel_rank": rank if data_parallel_rank is None else data_parallel_rank,
        "seq_length": dataset.seq_length,
        "seed": dataset.seed,
        "rows": dataset.epoch_rows,
        "packing": "none",
        "sources": [
            {
                "name": one.name, "store": one.store.name, "store_location": one.store.location, "index": one.index.name,
                "index_location": one.index.location, "windows": len(one.index),
                "window_size": one.index.tiling.window_size, "stride": one.index.tiling.stride,
            }
            for one in dataset.sources
        ],
    }  # fmt: skip
    stride = dataset.sources[0].index.tiling.stride
    with path.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        for batch in batches:
            found = dataset.locate(np.array(batch["rows"]), measured=False)
            for window, name, start, row in zip(found.window_ids, found.sequence_ids, found.starts, batch["rows"], strict=True):
                step = "" if batch["step"] is None else batch["step"]
                number = int(start) // stride
                lines.writerow([window, name, sample_or_empty(name), number, rank, batch["time_ns"], step, row])
    if sources:
        batches = [batch | {"sources": dataset.picks(batch["rows"]).sources.tolist()} for batch in batches]
    path.with_suffix(".jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in (head, *batches)))
    return path


def batches_of(
    dataset: EdenDataset,
    steps: range,
    *,
    rank: int = 0,
    ranks: int = 1,
    size: int = 4,
    begun_ns: int = 1_750_000_000_000_000_000,
) -> list[dict]:
    """The batches of a rank in steps of `ranks` x `size` rows, one every 10 ms or so."""
    draw = np.random.default_rng([steps.start, rank])
    found, now = [], begun_ns
    for step in steps:
        first = (step * ranks + rank) * size
        waited = int(draw.lognormal(13, 1))
        now += 10_000_000 + waited
        used = [
            int(n) for n in np.minimum(draw.integers(dataset.seq_length // 2, 2 * dataset.seq_length, size), dataset.seq_length)
        ]
        found.append(
            {"step": step, "time_ns": now, "rows": list(range(first, first + size)), "used": used, "waited_ns": waited}
        )
    return found
