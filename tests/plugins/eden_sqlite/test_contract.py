"""The bundled SQLite plugins keep the contracts."""

from pathlib import Path

import pyarrow as pa

from eden_core import SequenceStore, Tiling, WindowIndex, extract_sample_id
from eden_core.testing import SequenceStoreTests, WindowIndexTests
from eden_sqlite.index import SqliteIndex
from eden_sqlite.store import SqliteShards


def _write(store: SqliteShards, sequences: dict[str, bytes]) -> None:
    for sample in {extract_sample_id(sequence_id) for sequence_id in sequences}:
        store.write_shard(sample, ((i, bases) for i, bases in sequences.items() if extract_sample_id(i) == sample))
    store.finish()


class TestSqliteShards(SequenceStoreTests):
    capabilities = ("samples", "contigs", "writes", "removes", "checks", "state", "optimizes")

    def make_store(self, location: Path, sequences: dict[str, bytes]) -> SequenceStore:
        store = SqliteShards(str(location))
        _write(store, sequences)
        return store


class TestSqliteIndex(WindowIndexTests):
    capabilities = ("builds", "intervals", "digests", "checks")

    def make_index(self, location: Path, contigs: list[pa.RecordBatch], tiling: Tiling) -> WindowIndex:
        path = str(location / "windows.db")
        SqliteIndex.build(path, contigs, tiling)
        return SqliteIndex(path)
