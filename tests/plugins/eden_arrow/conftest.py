from itertools import groupby
from pathlib import Path

import pytest
from contig_batches import batches_of

from eden_arrow.index import ArrowIndex
from eden_arrow.store import ArrowShards
from eden_core import Tiling, extract_sample_id
from eden_core.sidecars import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def built(tmp_path):
    """Builds an index of contigs {id: length}, or of rows (id, start, length[, contig length])."""

    def build(contigs, tiling: Tiling, name: str = "w.arrow") -> str:
        rows = sorted(contigs.items()) if isinstance(contigs, dict) else contigs
        ArrowIndex.build(str(tmp_path / name), batches_of(rows), tiling)
        return str(tmp_path / name)

    return build


@pytest.fixture
def written(tmp_path):
    """Writes sequences (id -> bases) to `tmp_path / "store"`, by the samples that their ids name, and merges them."""

    def write(sequences: dict[str, bytes], *, finish: bool = True, **options) -> ArrowShards:
        store = ArrowShards(str(tmp_path / "store"), **options)
        for sample, items in groupby(sorted(sequences.items()), lambda item: extract_sample_id(item[0])):
            store.write_shard(sample, items)
        if finish:
            store.finish()
        return store

    return write


@pytest.fixture
def shards(tmp_path) -> Path:
    return tmp_path / "store" / "shards"
