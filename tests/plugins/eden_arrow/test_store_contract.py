"""The store keeps the contract, however it is read and written, before and after its parts are merged."""

from pathlib import Path
from typing import Any, ClassVar

from eden_arrow.store import ArrowShards
from eden_core import SequenceStore, extract_sample_id
from eden_core.testing import SequenceStoreTests


class _Tests(SequenceStoreTests):
    capabilities = ("samples", "contigs", "writes", "removes", "checks", "state")
    options: ClassVar[dict[str, Any]] = {}
    finished: ClassVar[bool] = True
    max_open_files = 128

    def make_store(self, location: Path, sequences: dict[str, bytes]) -> SequenceStore:
        store = ArrowShards(str(location), **self.options)
        for sample in {extract_sample_id(sequence_id) for sequence_id in sequences}:
            store.write_shard(sample, ((i, bases) for i, bases in sequences.items() if extract_sample_id(i) == sample))
        if self.finished:
            store.finish()
        return store


class TestMapped(_Tests):
    options: ClassVar = {"io": "mmap"}


class TestRead(_Tests):
    options: ClassVar = {"io": "pread", "shard_bytes": 10_000}


class TestPacked(_Tests):
    options: ClassVar = {"packed": True}


class TestPackedAndRead(_Tests):
    options: ClassVar = {"packed": True, "io": "pread"}


class TestParts(_Tests):
    finished = False


class TestPackedParts(_Tests):
    options: ClassVar = {"packed": True, "io": "pread"}
    finished = False
