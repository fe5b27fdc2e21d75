from pathlib import Path

import pytest
from contig_batches import batches_of

import eden_arrow
from eden_core import Tiling
from eden_core.plugins import installed_plugins
from eden_core.sidecars import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def registered() -> None:
    installed_plugins().register(eden_arrow)  # where the distribution was installed before it had this plugin


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def built(tmp_path):
    """Builds an index of contigs {id: length}, or of rows (id, start, length[, contig length])."""
    from eden_arrow.index import ArrowIndex

    def build(contigs, tiling: Tiling, name: str = "w.arrow") -> str:
        rows = sorted(contigs.items()) if isinstance(contigs, dict) else contigs
        ArrowIndex.build(str(tmp_path / name), batches_of(rows), tiling)
        return str(tmp_path / name)

    return build
