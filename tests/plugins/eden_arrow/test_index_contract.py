"""The bundled Arrow plugins keep the contracts."""

from pathlib import Path

import pyarrow as pa

from eden_arrow.index import ArrowIndex
from eden_core import Tiling, WindowIndex
from eden_core.testing import WindowIndexTests


class TestArrowIndex(WindowIndexTests):
    capabilities = ("builds", "intervals", "retiles", "lengths", "digests", "checks")
    io = "mmap"

    def make_index(self, location: Path, contigs: list[pa.RecordBatch], tiling: Tiling) -> WindowIndex:
        path = str(location / "windows.arrow")
        ArrowIndex.build(path, contigs, tiling)
        return ArrowIndex(path, io=self.io)


class TestArrowIndexByReads(TestArrowIndex):
    io = "pread"
