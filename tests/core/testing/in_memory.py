"""The smallest store, index, transform, objective and executor that keep the contracts (an executor but for one clause)."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core import Draws, Ragged, SequenceBatch, SequenceStore, Tiling, Transform, Vocabulary, WindowIndex, Windows
from eden_core.errors import (
    InputError,
    RepeatedIdError,
    SequenceNotFoundError,
    ShardNotFoundError,
    StaleIndexError,
    WindowOutOfRangeError,
)
from eden_core.interfaces import ExecutorFactory, IndexSummary, Objective, ShardSummary
from eden_core.sequence_ids import extract_sample_id
from eden_core.testing import ExecutorTests, ObjectiveTests, SequenceStoreTests, TransformTests, WindowIndexTests


class MemoryStore(SequenceStore):
    name: ClassVar[str] = "memory"

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.sequences: dict[str, bytes] = {}

    def read(self, windows: Windows) -> Ragged[np.uint8]:
        places = zip(windows.sequence_ids, windows.starts.tolist(), windows.lengths.tolist(), strict=True)
        return Ragged.from_rows([np.frombuffer(self.row(*place), np.uint8) for place in places], np.uint8)

    def row(self, sequence_id: str, start: int, length: int) -> bytes:
        if sequence_id not in self.sequences:
            raise SequenceNotFoundError(f"no sequence {sequence_id!r}")
        if start >= len(self.sequences[sequence_id]):
            raise StaleIndexError(f"{sequence_id!r} ends before {start}")
        return self.sequences[sequence_id][start : start + length]

    def samples(self) -> Iterator[str]:
        yield from sorted({extract_sample_id(i) for i in self.sequences}, key=str.encode)

    def contigs(self, sample: str | None = None) -> Iterator[pa.RecordBatch]:
        if sample not in {None, *self.samples()}:
            raise ShardNotFoundError(f"no sample {sample!r}")
        ids = sorted((i for i in self.sequences if sample in {None, extract_sample_id(i)}), key=str.encode)
        yield pa.RecordBatch.from_pydict({"contig_id": ids, "length": [len(self.sequences[i]) for i in ids]})

    def write_shard(self, sample: str, sequences: Iterable[tuple[str, bytes]]) -> ShardSummary:
        listed = list(sequences)
        written = dict(listed)
        if len(written) < len(listed):
            raise RepeatedIdError(f"an id of {sample!r} comes twice")
        kept = {i: bases for i, bases in self.sequences.items() if extract_sample_id(i) != sample}
        self.sequences = {**kept, **written}
        return ShardSummary(sample, self.location, len(written), sum(map(len, written.values())))

    def remove_shard(self, sample: str) -> None:
        self.write_shard(sample, ())

    def fingerprint(self) -> str:
        return self.name


class MemoryStoreTests(SequenceStoreTests):
    store_class: ClassVar[type[MemoryStore]] = MemoryStore

    def make_store(self, location: Path, sequences: dict[str, bytes]) -> SequenceStore:
        store = self.store_class(str(location))
        store.sequences = dict(sequences)
        return store


class JsonIndex(WindowIndex):
    """An index that is one JSON file, held in memory."""

    name: ClassVar[str] = "json"

    def __init__(self, location: str) -> None:
        super().__init__(location)
        content = json.loads(Path(location).read_text())
        self.tiling = Tiling(*content["tiling"])
        self.intervals = content.get("intervals", False)
        self.rows: list[tuple[str, int, int]] = [tuple(row) for row in content["rows"]]

    @classmethod
    def build(cls, location: str, contigs: Iterable[pa.RecordBatch], tiling: Tiling) -> IndexSummary:
        listed = [row for batch in contigs for row in batch.to_pylist()]
        intervals = bool(listed) and "start" in listed[0]
        if intervals:
            cls.check_intervals(listed)
            rows = [found for row in listed for found in cls.cut_interval(row, tiling)]
        else:
            cls.check_ids([row["contig_id"] for row in listed])
            rows = [found for row in listed for found in cls.cut(row["contig_id"], row["length"], tiling)]
        if not rows:
            raise InputError("no window")
        keys = (tiling.window_size, tiling.stride, tiling.min_length, tiling.keep_tail, tiling.reserve)
        Path(location).write_text(json.dumps({"tiling": keys, "rows": rows, "intervals": intervals}))
        return IndexSummary(location, len(listed), len(rows))

    @staticmethod
    def check_ids(ids: list[str]) -> None:
        if any(left.encode() >= right.encode() for left, right in pairwise(ids)):
            raise InputError("ids must be unique and in byte order")

    @staticmethod
    def check_intervals(rows: list[dict]) -> None:
        for left, right in pairwise(rows):
            ends = (left["contig_id"].encode(), left["start"] + left["length"])
            if ends > (right["contig_id"].encode(), right["start"]):
                raise InputError("intervals must be in byte order and not overlap")

    @staticmethod
    def cut_interval(row: dict, tiling: Tiling) -> list[tuple[str, int, int]]:
        stop = row["start"] + row["length"]
        known = [np.array([row["contig_length"]])] if "contig_length" in row else []
        firsts, counts = tiling.interval_windows(np.array([row["start"]]), np.array([row["length"]]), *known)
        starts = [i * tiling.stride for i in range(int(firsts[0]), int(firsts[0] + counts[0]))]
        return [(row["contig_id"], start, min(tiling.window_size, stop - start)) for start in starts]

    @staticmethod
    def cut(sequence_id: str, length: int, tiling: Tiling) -> list[tuple[str, int, int]]:
        starts = (i * tiling.stride for i in range(int(tiling.counts(np.array([length]))[0])))
        return [(sequence_id, start, min(tiling.window_size, length - start)) for start in starts]

    def __len__(self) -> int:
        return len(self.rows)

    def lookup(self, window_ids: NDArray[np.int64]) -> Windows:
        if any(not 0 <= i < len(self) for i in window_ids.tolist()):
            raise WindowOutOfRangeError("no such window")
        rows = [self.rows[i] for i in window_ids.tolist()]
        ids, starts, lengths = zip(*rows, strict=True) if rows else ((), (), ())
        return Windows(window_ids, tuple(ids), np.array(starts, np.int64), np.array(lengths, np.int64))

    def contigs(self) -> Iterator[pa.RecordBatch]:
        if self.intervals:  # a stretch may be one window
            for i, (contig_id, start, _) in enumerate(self.rows):
                row = {"contig_id": contig_id, "first_window": i, "windows": 1, "length": None, "start": start}
                fields = [(name, pa.string() if name == "contig_id" else pa.int64()) for name in row]
                yield pa.RecordBatch.from_pylist([row], pa.schema(fields))
            return
        ids = [row[0] for row in self.rows]
        for contig_id in dict.fromkeys(ids):
            row = {"contig_id": contig_id, "first_window": ids.index(contig_id), "windows": ids.count(contig_id)}
            fields = [("contig_id", pa.string()), ("first_window", pa.int64()), ("windows", pa.int64())]
            yield pa.RecordBatch.from_pylist([row], pa.schema([*fields, ("length", pa.int64())]))

    def fingerprint(self) -> str:
        return f"json {self.tiling} {self.rows}"


class JsonIndexTests(WindowIndexTests):
    index_class: ClassVar[type[JsonIndex]] = JsonIndex

    def make_index(self, location: Path, contigs: list[pa.RecordBatch], tiling: Tiling) -> WindowIndex:
        path = str(location / "windows.json")
        self.index_class.build(path, contigs, tiling)
        return self.index_class(path)


class Trim(Transform):
    """Cuts a drawn number of bases off the end and marks the row with one token."""

    name: ClassVar[str] = "trim"
    augments: ClassVar[bool] = True

    def __init__(self, most: int = 9) -> None:
        self.most = most

    def prefix_lengths(self, windows: Windows) -> NDArray[np.int64]:
        return np.ones(len(windows), np.int64)

    def apply(self, batch: SequenceBatch, draws: Draws) -> SequenceBatch:
        cuts = (draws.uniform(self.name) * self.most).astype(np.int64)
        kept = np.maximum(batch.bases.lengths - cuts, np.minimum(batch.bases.lengths, 1)).tolist()
        prefix = Ragged.from_rows([[*row, 7] for row in batch.prefix], np.int64)
        weights = None if batch.weights is None else _cut(batch.weights, kept)
        return replace(batch, bases=_cut(batch.bases, kept), prefix=prefix, weights=weights)


def _cut(ragged: Ragged, kept: list[int]) -> Ragged:
    return Ragged.from_rows([row[:n] for row, n in zip(ragged, kept, strict=True)], ragged.values.dtype)


class TrimTests(TransformTests):
    transform_class: ClassVar[type[Trim]] = Trim

    def make_transform(self) -> Transform:
        return self.transform_class()


class Hide(Objective):
    """Shows some bases, drawn at random, as the mask token, and asks for them."""

    name: ClassVar[str] = "hide"
    shifted: ClassVar[bool] = False
    predicts_all: ClassVar[bool] = False

    def __init__(self, share: float = 0.3) -> None:
        self.share = share

    def bind(self, vocabulary: Vocabulary) -> Self:
        bound = copy(self)
        bound.mask = vocabulary.mask
        return bound

    def choose(self, tokens: Ragged, draws: Draws) -> tuple[NDArray, NDArray]:
        chosen = draws.uniform_per_base(self.name, tokens.lengths).values < self.share
        return np.where(chosen, self.mask, tokens.values), chosen


class HideTests(ObjectiveTests):
    objective_class: ClassVar[type[Hide]] = Hide

    def make_objective(self) -> Objective:
        return self.objective_class()


class Threads(ExecutorFactory):
    """Two threads: right, but that tasks must run in other processes."""

    name: ClassVar[str] = "threads"
    workers = 2

    def opened(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(2)


class ThreadsTests(ExecutorTests):
    executor_class: ClassVar[type[Threads]] = Threads

    def make_executor(self) -> ExecutorFactory:
        return self.executor_class()
