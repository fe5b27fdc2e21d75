"""The bases of a workload in the forms that Eden reads."""

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from peers import protocol
import pyarrow.parquet as pq

from eden_core import Tiling, extract_sample_id, installed_plugins
from eden_core.precompute import precompute

SEED_FORMAT = "seed-format"
"""shards as the seed's documentation makes them, with Python's sqlite3"""


def write(workload: protocol.Workload, folder: Path, store: str, index: str) -> None:
    """Write a store and an index of the workload's windows into a folder."""
    by_sample = groupby(_sequences(workload), lambda sequence: extract_sample_id(sequence[0]))
    if store == SEED_FORMAT:
        for sample, sequences in by_sample:
            _seed_shard(folder, sample, sequences)
    else:
        with installed_plugins().store(store, str(folder)) as plugin:
            for sample, sequences in by_sample:
                plugin.write_shard(sample, sequences)
            plugin.finish()
    write_index(workload, folder, index, workload.stride)


def write_index(workload: protocol.Workload, folder: Path, index: str, stride: int) -> Path:
    """Write an index of windows every `stride` bases."""
    path = index_path(folder, index, stride)
    tiling = Tiling(protocol.WINDOW, stride)
    precompute(workload.folder / "contigs.parquet", path, tiling, index=index, allow_gaps=True, force=True)
    return path


def index_path(folder: Path, index: str, stride: int | None = None) -> Path:
    """Where the index lies: of this stride, or the only one."""
    if stride is None:
        (found,) = folder.glob(f"windows-*.{index}")
        return found
    return folder / f"windows-{stride}.{index}"


def arguments(folder: Path, store: str, index: str, stride: int | None = None) -> dict[str, Any]:
    """What `EdenDataset` is to be called with."""
    return {
        "store": "sqlite-shards" if store == SEED_FORMAT else store,
        "index": index,
        "sequence_db_dir": str(folder),
        "window_db_path": str(index_path(folder, index, stride)),
    }


def missing(store: str, index: str) -> str | None:
    """Why this form cannot be read here, if it cannot."""
    wanted = [("index", index)] if store == SEED_FORMAT else [("store", store), ("index", index)]
    for kind, name in wanted:
        if name not in {entry.name for entry in installed_plugins().entries(kind)}:
            return f'the {kind} "{name}" is not installed'
    return None


def _sequences(workload: protocol.Workload) -> Iterator[tuple[str, bytes]]:
    ids = pq.read_table(workload.folder / "contigs.parquet").column("contig_id").to_pylist()
    for name, bases in zip(ids, workload.contigs(), strict=True):
        yield name, np.asarray(bases).tobytes()


def _seed_shard(directory: Path, sample: str, sequences: Iterator[tuple[str, bytes]]) -> None:
    (directory / sample).mkdir()
    connection = sqlite3.connect(directory / sample / f"glm_dataset_{sample}.sqlite")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("CREATE TABLE sequences (contig_id TEXT PRIMARY KEY, nt_sequence TEXT NOT NULL)")
    connection.executemany("INSERT INTO sequences VALUES (?, ?)", ((name, bases.decode()) for name, bases in sequences))
    connection.commit()
    connection.close()
