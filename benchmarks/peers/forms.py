"""The bases of a workload in the forms that Eden reads."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq

from eden_core import EdenDataset, Tiling, extract_sample_id, installed_plugins
from eden_core.precompute import precompute
from peers import protocol

STORE = "store"
SEED_FORMAT = "seed-format"
"""shards as the seed's documentation makes them, with Python's sqlite3"""


def write_store(workload: protocol.Workload, folder: Path, store: str) -> None:
    """Write the workload's sequences into `store` in a folder; indexes lie beside it."""
    directory = folder / STORE
    directory.mkdir()
    by_sample = groupby(_sequences(workload), lambda sequence: extract_sample_id(sequence[0]))
    if store == SEED_FORMAT:
        for sample, sequences in by_sample:
            _seed_shard(directory, sample, sequences)
        return
    with installed_plugins().store(store, str(directory)) as plugin:
        for sample, sequences in by_sample:
            plugin.write_shard(sample, sequences)
        plugin.finish()


def write_index(workload: protocol.Workload, folder: Path, index: str, stride: int | None = None) -> None:
    """Write an index of windows every `stride` bases, None: the workload's, unless it is there."""
    path = index_path(workload, folder, index, stride)
    if not path.exists():
        tiling = Tiling(protocol.WINDOW, stride or workload.stride)
        precompute(workload.folder / "contigs.parquet", path, tiling, index=index, allow_gaps=True)


def index_path(workload: protocol.Workload, folder: Path, index: str, stride: int | None = None) -> Path:
    """Where the index lies."""
    return folder / f"windows-{stride or workload.stride}.{index}"


def arguments(workload: protocol.Workload, folder: Path, store: str, index: str, stride: int | None = None) -> dict[str, Any]:
    """What `EdenDataset` is to be called with."""
    return {
        "store": "sqlite-shards" if store == SEED_FORMAT else store,
        "index": index,
        "sequence_db_dir": str(folder / STORE),
        "window_db_path": str(index_path(workload, folder, index, stride)),
    }


class Prepared:
    """The stores of a workload, in the folders that the loaders read too."""

    STORES: ClassVar[dict[str, str]] = {"arrow-shards": "arrow", "sqlite-shards": "sqlite", SEED_FORMAT: "sqlite"}
    """store -> its index"""

    def __init__(self, scratch: Path, workload: protocol.Workload, *, seed_format: bool = False) -> None:
        self.workload, self.folder = workload, scratch / "prepared" / workload.folder.name
        known = {store: index for store, index in self.STORES.items() if seed_format or store != SEED_FORMAT}
        self.missing = {store: problem for store, index in known.items() if (problem := missing(store, index))}
        self.stores = {store: index for store, index in known.items() if store not in self.missing}
        for store in self.stores:
            protocol.make(self.of(store), partial(write_store, workload, self.of(store), store))

    def of(self, store: str) -> Path:
        """Where a store lies, its indexes beside it."""
        return self.folder / store

    def dataset(self, store: str, stride: int | None = None, **options: object) -> EdenDataset:
        """Open a store, with an index of windows every `stride` bases."""
        index = self.STORES[store]
        write_index(self.workload, self.of(store), index, stride)
        return EdenDataset(**arguments(self.workload, self.of(store), store, index, stride), **options)  # type: ignore[arg-type]

    @property
    def note(self) -> str:
        """What is to be said of stores that are left out."""
        return " ".join(f"{store}: left out, {problem}." for store, problem in self.missing.items())


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
