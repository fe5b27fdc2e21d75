"""Indexes with one fault each."""

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from in_memory import JsonIndex

from eden_core import Tiling, Windows
from eden_core.interfaces import IndexSummary


class NoTail(JsonIndex):
    """Cuts by the plain rule even where the tail is to be kept."""

    @staticmethod
    def cut(sequence_id, length, tiling):
        return JsonIndex.cut(sequence_id, length, replace(tiling, keep_tail=False))


class NoMinimum(JsonIndex):
    @staticmethod
    def cut(sequence_id, length, tiling):
        return JsonIndex.cut(sequence_id, length, replace(tiling, min_length=0))


class StartsByWindowSize(JsonIndex):
    @staticmethod
    def cut(sequence_id, length, tiling):
        rows = JsonIndex.cut(sequence_id, length, tiling)
        return [(name, start // tiling.stride * tiling.window_size, bases) for name, start, bases in rows]


class NaturalOrder(JsonIndex):
    def __init__(self, location):
        super().__init__(location)
        self.rows.sort(key=lambda row: (len(row[0]), row[0], row[1]))


class SortedWindows(JsonIndex):
    def lookup(self, window_ids):
        return super().lookup(np.sort(window_ids))


class RepeatsOnce(JsonIndex):
    def lookup(self, window_ids):
        return super().lookup(np.array(list(dict.fromkeys(window_ids.tolist())), np.int64))


class FirstIsShort(JsonIndex):
    """The first window of a batch is answered with one base fewer."""

    def lookup(self, window_ids):
        found = super().lookup(window_ids)
        return replace(found, lengths=found.lengths - (np.arange(len(found)) == 0))


class ListOfIds(JsonIndex):
    def lookup(self, window_ids):
        found = super().lookup(window_ids)
        return replace(found, sequence_ids=list(found.sequence_ids))


class NumpyStrings(JsonIndex):
    def lookup(self, window_ids):
        found = super().lookup(window_ids)
        return replace(found, sequence_ids=tuple(np.array(found.sequence_ids)))


class FailsOnNothing(JsonIndex):
    def lookup(self, window_ids):
        ids, starts, lengths = zip(*(self.rows[i] for i in window_ids.tolist()), strict=True)
        return Windows(window_ids, ids, np.array(starts), np.array(lengths))


class CountsFromTheEnd(JsonIndex):
    """Answers -1 with the last window, as lists do."""

    def lookup(self, window_ids):
        return super().lookup(window_ids % len(self))


class PlainIndexError(JsonIndex):
    def lookup(self, window_ids):
        [self.rows[i] for i in window_ids.tolist()]
        return super().lookup(window_ids)


class StaysAsBuilt(JsonIndex):
    retiles = True

    def __init__(
        self, location: str, *, window_size: int | None = None, stride: int | None = None, min_length: int | None = None
    ) -> None:
        super().__init__(location)
        self.window_size, self.stride, self.min_length = window_size, stride, min_length


class ForgetsTheTiling(JsonIndex):
    def __init__(self, location):
        super().__init__(location)
        self.tiling = Tiling(self.tiling.window_size, self.tiling.stride)


class WrongFirstWindow(JsonIndex):
    def contigs(self):
        for batch in super().contigs():
            yield batch.set_column(1, batch.schema.field(1), pa.array([batch[1][0].as_py() + 1], pa.int64()))


class ContigsByName(JsonIndex):
    def contigs(self):
        yield from sorted(super().contigs(), key=lambda batch: batch["contig_id"][0].as_py()[::-1])


class FingerprintOfTheTiling(JsonIndex):
    def fingerprint(self):
        return str(self.tiling)


class FingerprintOfTheFile(JsonIndex):
    """Differs from build to build."""

    def fingerprint(self):
        return f"json {Path(self.location).stat().st_ino}"


class PathInFingerprint(JsonIndex):
    def fingerprint(self):
        return self.location


class WritesInPlace(JsonIndex):
    @classmethod
    def build(cls, location, contigs, tiling):
        Path(location).write_text(json.dumps({"tiling": [100, 80], "rows": []}))
        return super().build(location, contigs, tiling)


class DeletesFirst(JsonIndex):
    """Leaves nothing behind, but nothing of the old index either."""

    @classmethod
    def build(cls, location, contigs, tiling):
        Path(location).unlink(missing_ok=True)
        return super().build(location, contigs, tiling)


class LeavesADraft(JsonIndex):
    @classmethod
    def build(cls, location, contigs, tiling):
        Path(f"{location}.tmp").touch()
        summary = super().build(location, contigs, tiling)
        Path(f"{location}.tmp").unlink()
        return summary


class TakesAnyOrder(JsonIndex):
    @staticmethod
    def check_ids(ids):
        pass


class TakesNothing(JsonIndex):
    @classmethod
    def build(cls, location, contigs, tiling):
        listed = [batch for batch in contigs if batch.num_rows]
        if all(length == 0 for batch in listed for length in batch["length"].to_pylist()):
            Path(location).write_text(json.dumps({"tiling": [100, 80], "rows": []}))
            return IndexSummary(location, 0, 0)
        return super().build(location, listed, tiling)


class ChecksWithinBatches(JsonIndex):
    """Sees a fault of the order only when both contigs lie in one batch."""

    @classmethod
    def build(cls, location, contigs, tiling):
        batches = list(contigs)
        for batch in batches:
            JsonIndex.check_ids(batch["contig_id"].to_pylist())
        rows = {row["contig_id"]: row["length"] for batch in batches for row in batch.to_pylist()}
        schema = batches[0].schema
        columns = [pa.array(column) for column in zip(*sorted(rows.items()), strict=True)]
        return super().build(location, [pa.RecordBatch.from_arrays(columns, schema=schema)], tiling)


class ReadsBehindIntervals(JsonIndex):
    """Takes the end of any interval for the end of its contig."""

    @staticmethod
    def cut_interval(row, tiling):
        return JsonIndex.cut_interval({**row, "contig_length": row["start"] + row["length"]}, tiling)


class IntervalsFromZero(JsonIndex):
    """Lists stretches as if each began with its contig."""

    def contigs(self):
        for batch in super().contigs():
            if "start" not in batch.schema.names:
                yield batch
                continue
            yield batch.set_column(4, batch.schema.field(4), pa.array([0] * batch.num_rows, pa.int64()))


class TakesAnyIntervals(JsonIndex):
    @staticmethod
    def check_intervals(rows):
        pass


class SharesItsAnswers(JsonIndex):
    def lookup(self, window_ids):
        if not hasattr(self, "last"):
            self.last = super().lookup(window_ids)
        return self.last


class WrapsInPlace(JsonIndex):
    def lookup(self, window_ids):
        window_ids += 0
        return super().lookup(window_ids)


class ClosesForGood(JsonIndex):
    def close(self):
        self.rows = None


class HoldsALambda(JsonIndex):
    def __init__(self, location):
        super().__init__(location)
        self.length = lambda: len(self.rows)


class KnownHereOnly(JsonIndex):
    known: ClassVar[dict[str, list]] = {}

    def __init__(self, location):
        super().__init__(location)
        self.known[location] = self.rows

    def lookup(self, window_ids):
        self.rows = self.known[self.location]
        return super().lookup(window_ids)
