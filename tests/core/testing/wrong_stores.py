"""Stores with one fault each."""

import io
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from in_memory import MemoryStore

from eden_core import Ragged, Windows
from eden_core.errors import FormatError
from eden_core.interfaces import ShardSummary
from eden_core.sequence_ids import extract_sample_id


class OneBaseLate(MemoryStore):
    def row(self, sequence_id, start, length):
        return super().row(sequence_id, start, length + 1)[1:]


class SortedRows(MemoryStore):
    def read(self, windows):
        order = sorted(range(len(windows)), key=lambda i: (windows.sequence_ids[i], windows.starts[i], windows.lengths[i]))
        ids = tuple(windows.sequence_ids[i] for i in order)
        return super().read(Windows(windows.window_ids[order], ids, windows.starts[order], windows.lengths[order]))


class RepeatsOnce(MemoryStore):
    def read(self, windows):
        places = dict.fromkeys(zip(windows.sequence_ids, windows.starts.tolist(), windows.lengths.tolist(), strict=True))
        return Ragged.from_rows([np.frombuffer(self.row(*place), np.uint8) for place in places], np.uint8)


class NarrowOffsets(MemoryStore):
    def read(self, windows):
        rows = super().read(windows)
        return Ragged(rows.values, rows.offsets.astype(np.int32))


class SignedBases(MemoryStore):
    def read(self, windows):
        rows = super().read(windows)
        return Ragged(rows.values.view(np.int8), rows.offsets)


class FailsOnNothing(MemoryStore):
    def read(self, windows):
        places = zip(windows.sequence_ids, windows.starts, windows.lengths, strict=True)
        rows = [np.frombuffer(self.row(*place), np.uint8) for place in places]
        return Ragged(np.concatenate(rows), np.cumsum([0, *map(len, rows)]))


class PadsTheEnd(MemoryStore):
    def row(self, sequence_id, start, length):
        return super().row(sequence_id, start, length).ljust(length, b"N")


class EmptyBehindTheEnd(MemoryStore):
    def row(self, sequence_id, start, length):
        return self.sequences[sequence_id][start : start + length]


class PlainKeyError(MemoryStore):
    def row(self, sequence_id, start, length):
        self.sequences[sequence_id]
        return super().row(sequence_id, start, length)


class NamelessError(MemoryStore):
    def row(self, sequence_id, start, length):
        try:
            return super().row(sequence_id, start, length)
        except LookupError as error:
            raise type(error)("no such sequence") from None


class FollowsPaths(MemoryStore):
    """Looks for a file named after the sample."""

    def row(self, sequence_id, start, length):
        if "/" in sequence_id:
            return Path(self.location, extract_sample_id(sequence_id)).read_bytes()
        return super().row(sequence_id, start, length)


class UpperCase(MemoryStore):
    def row(self, sequence_id, start, length):
        return super().row(sequence_id, start, length).upper()


class FirstDecides(MemoryStore):
    """Reads as many bases of each window as the first one wants."""

    def read(self, windows):
        return super().read(replace(windows, lengths=np.full(len(windows), windows.lengths[0])))


class SortsInPlace(MemoryStore):
    def read(self, windows):
        rows = super().read(windows)
        windows.starts.sort()
        return rows


class KeepsAnswers(MemoryStore):
    """Answers the same question from memory."""

    def read(self, windows):
        key = (windows.sequence_ids, windows.starts.tobytes(), windows.lengths.tobytes())
        if getattr(self, "last", (None, None))[0] != key:
            self.last = (key, super().read(windows))
        return self.last[1]


class OneCacheForAll(MemoryStore):
    cache: ClassVar[dict[str, bytes]] = {}

    def row(self, sequence_id, start, length):
        super().row(sequence_id, start, length)
        return self.cache.setdefault(sequence_id, self.sequences[sequence_id])[start : start + length]


class OnFiles(MemoryStore):
    """One file a sequence, kept open for good; right as long as nobody pickles, forks, closes or has many sequences."""

    def __init__(self, location, *, sequences=None):
        super().__init__(location, sequences=sequences)
        self.files: dict[str, io.FileIO] = {}

    def row(self, sequence_id, start, length):
        bases = super().row(sequence_id, start, length)
        file = self.file(sequence_id)
        file.seek(start)
        return file.read(len(bases))

    def file(self, sequence_id):
        if sequence_id not in self.files:
            path = Path(self.location, sequence_id)
            path.write_bytes(self.sequences[sequence_id])
            self.files[sequence_id] = path.open("rb", buffering=0)
        return self.files[sequence_id]

    def close(self):
        for file in self.files.values():
            file.close()


class OnForgottenFiles(OnFiles):
    """Pickles and closes well, but never limits its files and shares them with forked children."""

    def __getstate__(self):
        return {**self.__dict__, "files": {}}

    def close(self):
        super().close()
        self.files.clear()


class LeavesFilesOpen(OnForgottenFiles):
    left: ClassVar[list[io.FileIO]] = []

    def close(self):
        self.left.extend(self.files.values())


class KnownHereOnly(MemoryStore):
    """Keeps its sequences in a global of the process that made it."""

    known: ClassVar[dict[str, dict[str, bytes]]] = {}

    def __init__(self, location, *, sequences=None):
        super().__init__(location)
        self.known[location] = dict(sequences or {})
        del self.sequences

    def row(self, sequence_id, start, length):
        return MemoryStore("", sequences=self.known[self.location]).row(sequence_id, start, length)


class HoldsALock(MemoryStore):
    def __init__(self, location, *, sequences=None):
        super().__init__(location, sequences=sequences)
        self.lock = threading.Lock()


class OneThreadOnly(MemoryStore):
    """Refuses, as Python's sqlite3 does, to be used by another thread than the first one."""

    def read(self, windows):
        first = self.__dict__.setdefault("thread", threading.get_ident())
        if first != threading.get_ident():
            raise RuntimeError("objects created in a thread can only be used in that same thread")
        return super().read(windows)


class SharedByThreads(MemoryStore):
    """Says that threads may read at once, and keeps what it is asked where they all see it."""

    max_read_threads = 8

    def read(self, windows):
        self.windows = windows
        time.sleep(0.001)
        return super().read(self.windows)


class NamelessStore(MemoryStore):
    name = ""


class CatchAll(MemoryStore):
    def __init__(self, location, **options):
        super().__init__(location, **options)


class PathInFingerprint(MemoryStore):
    def fingerprint(self):
        return f"memory {self.location}"


class FingerprintOfThisObject(MemoryStore):
    def fingerprint(self):
        return f"memory {id(self)}"


class NaturalOrder(MemoryStore):
    def contigs(self, sample=None):
        for batch in super().contigs(sample):
            ids = batch["contig_id"].to_pylist()
            yield batch.take(pa.array(sorted(range(len(ids)), key=lambda i: (len(ids[i]), ids[i]))))


class ForgetsAContig(MemoryStore):
    def contigs(self, sample=None):
        yield from (batch.slice(1) for batch in super().contigs(sample))


class NarrowLengths(MemoryStore):
    def contigs(self, sample=None):
        for batch in super().contigs(sample):
            yield pa.RecordBatch.from_arrays([batch[0], batch[1].cast(pa.int32())], batch.schema.names)


class AddsToAShard(MemoryStore):
    def write_shard(self, sample, sequences):
        summary = super().write_shard("no such sample", sequences)
        return ShardSummary(sample, summary.location, summary.sequences, summary.bases)


class CountsWrongly(MemoryStore):
    def write_shard(self, sample, sequences):
        summary = super().write_shard(sample, sequences)
        return ShardSummary(sample, summary.location, summary.sequences, 0)


class OneShardOnly(MemoryStore):
    def write_shard(self, sample, sequences):
        written = dict(sequences)
        self.sequences = written
        return super().write_shard(sample, written.items())


class RemembersItsSamples(MemoryStore):
    """Looks only once what samples there are."""

    def row(self, sequence_id, start, length):
        samples = self.__dict__.setdefault("samples", {extract_sample_id(i) for i in self.sequences})
        return super().row(sequence_id if extract_sample_id(sequence_id) in samples else "no such sample", start, length)


class WritesInPlace(MemoryStore):
    def write_shard(self, sample, sequences):
        super().write_shard(sample, [])
        for sequence_id, bases in sequences:
            self.sequences[sequence_id] = bases
        return super().write_shard(sample, self.sequences.items())


class RemovesOneSequence(MemoryStore):
    def remove_shard(self, sample):
        held = [i for i in self.sequences if extract_sample_id(i) == sample]
        self.sequences = {i: bases for i, bases in self.sequences.items() if i not in held[:1]}


class SwallowsErrors(MemoryStore):
    def write_shard(self, sample, sequences):
        try:
            return super().write_shard(sample, sequences)
        except Exception:  # noqa: BLE001 - the fault
            return super().write_shard(sample, [])


class SamplesAsTheyCame(MemoryStore):
    def samples(self):
        yield from dict.fromkeys(extract_sample_id(i) for i in sorted(self.sequences, reverse=True))


class ListsEverySample(MemoryStore):
    def contigs(self, sample=None):
        yield from super().contigs()


class SeesDamageEverywhere(MemoryStore):
    def check_shard(self, sample):
        raise FormatError(f"{sample} is damaged")
