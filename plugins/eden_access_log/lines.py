"""What a log says of batches: lines of JSON, and columns with an entry for each window."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.observing import BatchRead, Reading
from eden_core.sequence_ids import sample_or_empty

if TYPE_CHECKING:
    from eden_core.source import Source

FORMAT = 1
"""of the lines of JSON: `eden_access_log` in the first"""

SCHEMA = pa.schema(
    [
        ("window_idx", pa.int64()),
        ("sequence_id", pa.string()),
        ("sample_id", pa.string()),
        ("window_in_seq_idx", pa.int64()),
        ("rank", pa.int64()),
        ("access_ts", pa.int64()),
        ("step", pa.int64()),
        ("row", pa.int64()),
    ]
)

Columns = Sequence[list[Any]]
"""in the order of `SCHEMA`"""


def description(reading: Reading) -> str:
    """Return the first line: what is read, with absolute paths."""
    dataset = reading.dataset
    found = {
        "eden_access_log": FORMAT,
        "split": reading.split,
        "rank": reading.rank,
        "data_parallel_rank": reading.data_parallel_rank,
        "seq_length": dataset.seq_length,
        "seed": dataset.seed,
        "rows": dataset.epoch_rows,
        "packing": dataset.packing.kind,
        "split_windows": dataset.packing.split_windows,
        "sources": [_described(source) for source in dataset.sources],
    }
    return json.dumps(found) + "\n"


def _described(source: "Source") -> dict[str, Any]:
    store, index = source.store, source.index
    return {
        "name": source.name,
        "store": store.name,
        "store_location": _absolute(store.location),
        "index": index.name,
        "index_location": _absolute(index.location),
        "windows": len(index),
        "window_size": index.tiling.window_size,
        "stride": index.tiling.stride,
    }


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())


def batch_lines(batches: Sequence[BatchRead], *, several: bool) -> str:
    """Return a line for each batch.

    Args:
        batches: what was handed out.
        several: whether there are several sources, and lines say of which each window is.
    """
    return "".join(_batch_line(batch, several=several) for batch in batches)


def _batch_line(batch: BatchRead, *, several: bool) -> str:
    """Write a line by hand: lists of numbers look in JSON as they do in Python, and its encoder takes four times as long."""
    step, waited = ("null" if number is None else number for number in (batch.step, batch.waited_ns))
    of_windows = f', "sources": {batch.picks.sources.tolist()}' if several else ""
    if batch.picks.skips is not None:
        of_windows += f', "continued": {np.flatnonzero(batch.picks.skips).tolist()}'
    return (
        f'{{"step": {step}, "time_ns": {batch.time_ns}, "rows": {batch.rows.tolist()}, "used": {batch.used.tolist()}, '
        f'"waited_ns": {waited}{of_windows}}}\n'
    )


def columns_of(batches: Sequence[BatchRead], rank: int, strides: NDArray[np.int64]) -> Columns:
    """Return the columns of the log of these batches.

    Args:
        batches: at least one.
        rank: of the process.
        strides: int64 [sources], of the tiling of each.
    """
    ids = [sequence_id for batch in batches for sequence_id in batch.windows.sequence_ids]
    sources, starts = _joined([b.picks.sources for b in batches]), _joined([_starts(b) for b in batches])
    counts = [len(batch.windows) for batch in batches]
    return (
        _joined([batch.picks.window_ids for batch in batches]).tolist(),
        ids,
        [sample_or_empty(sequence_id) for sequence_id in ids],
        (starts // strides[sources]).tolist(),
        [rank] * len(ids),
        _repeated([batch.time_ns for batch in batches], counts),
        _repeated([batch.step for batch in batches], counts),
        _joined([batch.rows[batch.picks.rows] for batch in batches]).tolist(),
    )


def _starts(batch: BatchRead) -> NDArray[np.int64]:
    """Where windows begin, whatever part of them their rows read."""
    return batch.windows.starts if batch.picks.skips is None else batch.windows.starts - batch.picks.skips


def _joined(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(columns)


def _repeated(values: Sequence[int | None], counts: Sequence[int]) -> list[int | None]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]
