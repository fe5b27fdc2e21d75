"""The bases of a workload in the forms that Eden reads."""

import sqlite3
import struct
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq

from eden_core import EdenDataset, Tiling, extract_sample_id, installed_plugins
from eden_core.precompute import precompute
from peers import protocol

STORE = "store"
BGZIP = "fasta, bgzip"
IN_PLACE = {"fasta": "arrow", BGZIP: "arrow", "twobit": "arrow"}
"""what stores read that need no preparing -> the index"""
LINE = 80
"""bases of a line of FASTA"""
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
    if store in IN_PLACE:
        _in_place(directory, store, list(_sequences(workload)))
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
        "store": _plugin(store),
        "index": index,
        "sequence_db_dir": str(folder / STORE),
        "window_db_path": str(index_path(workload, folder, index, stride)),
    }


class Prepared:
    """The stores of a workload, in the folders that the loaders read too."""

    STORES: ClassVar[dict[str, str]] = {"arrow-shards": "arrow", "sqlite-shards": "sqlite", SEED_FORMAT: "sqlite"}
    """store -> its index"""

    def __init__(
        self, scratch: Path, workload: protocol.Workload, *, seed_format: bool = False, in_place: bool = False
    ) -> None:
        self.workload, self.folder = workload, scratch / "prepared" / workload.folder.name
        known = {store: index for store, index in self.STORES.items() if seed_format or store != SEED_FORMAT}
        known |= IN_PLACE if in_place else {}
        self.missing = {store: problem for store, index in known.items() if (problem := missing(store, index))}
        self.stores = {store: index for store, index in known.items() if store not in self.missing}
        for store in self.stores:
            protocol.make(self.of(store), partial(write_store, workload, self.of(store), store))

    def of(self, store: str) -> Path:
        """Where a store lies, its indexes beside it."""
        return self.folder / store

    def dataset(self, store: str, stride: int | None = None, **options: object) -> EdenDataset:
        """Open a store, with an index of windows every `stride` bases."""
        index = (self.STORES | IN_PLACE)[store]
        write_index(self.workload, self.of(store), index, stride)
        return EdenDataset(**arguments(self.workload, self.of(store), store, index, stride), **options)  # type: ignore[arg-type]

    @property
    def note(self) -> str:
        """What is to be said of stores that are left out."""
        return " ".join(f"{store}: left out, {problem}." for store, problem in self.missing.items())


def missing(store: str, index: str) -> str | None:
    """Why this form cannot be read here, if it cannot."""
    for kind, name in (("store", _plugin(store)), ("index", index)):
        if name not in {entry.name for entry in installed_plugins().entries(kind)}:
            return f'the {kind} "{name}" is not installed'
    return "pysam is not installed" if store == BGZIP and find_spec("pysam") is None else None


def _plugin(store: str) -> str:
    return {SEED_FORMAT: "sqlite-shards", BGZIP: "fasta"}.get(store, store)


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


def _in_place(directory: Path, store: str, sequences: list[tuple[str, bytes]]) -> None:
    """Write one file that a store reads as it is."""
    if store == "twobit":
        _two_bit(directory / "genome.2bit", sequences)
        return
    path = directory / "genome.fa"
    with path.open("wb") as file:
        for name, bases in sequences:
            file.write(f">{name}\n".encode())
            file.writelines(bases[first : first + LINE] + b"\n" for first in range(0, len(bases), LINE))
    if store == BGZIP:
        import pysam

        pysam.tabix_compress(str(path), f"{path}.gz")
        path.unlink()


def _two_bit(path: Path, sequences: list[tuple[str, bytes]]) -> None:
    """Write UCSC's format of bases that are A, C, G and T: there are no blocks."""
    code = np.zeros(256, np.uint8)
    code[list(b"TCAG")] = range(4)
    index, offset = struct.pack("<4I", 0x1A412743, 1, len(sequences), 0), 16 + sum(9 + len(name) for name, _ in sequences)
    for name, bases in sequences:
        index += bytes([len(name)]) + name.encode() + struct.pack("<Q", offset)
        offset += 16 + (len(bases) + 3) // 4
    with path.open("wb") as file:
        file.write(index)
        for _, bases in sequences:
            fours = np.resize(np.append(code[np.frombuffer(bases, np.uint8)], [0, 0, 0]), ((len(bases) + 3) // 4, 4))
            file.write(struct.pack("<4I", len(bases), 0, 0, 0))
            file.write((fours << np.array([6, 4, 2, 0], np.uint8)).sum(axis=1, dtype=np.uint8).tobytes())
