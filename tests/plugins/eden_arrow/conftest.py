from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

import eden_arrow
from eden_core import Tiling
from eden_core.plugins import installed_plugins
from eden_core.sidecars import CACHE_VARIABLE

installed_plugins().register(eden_arrow)


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


def batches_of(rows: Sequence[tuple]) -> list[pa.RecordBatch]:
    names = ("contig_id", "length") if len(rows[0]) == 2 else ("contig_id", "start", "length", "contig_length")[: len(rows[0])]
    table = pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})
    return [batch for part in (table.slice(0, 2), table.slice(2)) for batch in part.to_batches()]
