from itertools import groupby
from pathlib import Path

import pytest

import eden_arrow
from eden_arrow.store import ArrowShards
from eden_core import extract_sample_id
from eden_core.plugins import installed_plugins

installed_plugins().register(eden_arrow)  # where the distribution was installed before it had this plugin


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
