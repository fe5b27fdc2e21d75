"""Stores with one fault each, and which check must find it."""

import io
import os
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from in_memory import MemoryStore, MemoryStoreTests
from running import Fault

from eden_core import Ragged, Windows
from eden_core.errors import FormatError, NotSupportedError
from eden_core.interfaces import OptimizeSummary, ShardState, ShardSummary
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


class NeedsToWrite(MemoryStore):
    def read(self, windows):
        windows.starts[:] += 0
        return super().read(windows)


class AnswersWithAList(MemoryStore):
    def read(self, windows):
        return list(super().read(windows))


class OneBufferForEachSize(MemoryStore):
    def read(self, windows):
        rows = super().read(windows)
        buffers = self.__dict__.setdefault("buffers", {})
        buffer = buffers.setdefault(rows.values.size, np.empty_like(rows.values))
        buffer[:] = rows.values
        return Ragged(buffer, rows.offsets)


class SplitsIdsAtColons(MemoryStore):
    """Takes what follows a colon for a region."""

    def row(self, sequence_id, start, length):
        return super().row(sequence_id.partition(":")[0], start, length)


class AsciiIds(MemoryStore):
    def row(self, sequence_id, start, length):
        return super().row(sequence_id.encode("ascii", "ignore").decode(), start, length)


class IdsOfOneWidth(MemoryStore):
    """Knows the first 80 characters of an id."""

    def row(self, sequence_id, start, length):
        known = [name for name in self.sequences if name[:80] == sequence_id[:80]]
        return super().row(known[0] if known else sequence_id, start, length)


class GoesOn(MemoryStore):
    """Reads on in the same sequence where a window begins at the base at which the last one ended."""

    def row(self, sequence_id, start, length):
        last, stop = getattr(self, "place", ("", -1))
        bases = super().row(last if start == stop else sequence_id, start, length)
        self.place = (sequence_id, start + len(bases))
        return bases


class UracilToThymine(MemoryStore):
    def row(self, sequence_id, start, length):
        return super().row(sequence_id, start, length).translate(bytes.maketrans(b"Uu", b"Tt"))


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

    def __init__(self, location):
        super().__init__(location)
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


class LeavesFilesOpenOverErrors(MemoryStore):
    def row(self, sequence_id, start, length):
        if start >= len(self.sequences.get(sequence_id, b"bases")):
            path = Path(self.location, "file")
            path.touch()
            LeavesFilesOpen.left.append(path.open())
        return super().row(sequence_id, start, length)


class OnDescriptors(MemoryStore):
    """Reads by position, which moves nothing, through a descriptor that a forked child gets from its parent."""

    descriptor = -1

    def row(self, sequence_id, start, length):
        bases = super().row(sequence_id, start, length)
        if self.descriptor < 0:
            path = Path(self.location, "file")
            path.touch()
            self.descriptor = os.open(path, os.O_RDONLY)
        os.pread(self.descriptor, 1, 0)
        return bases

    def close(self):
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


class OnOneConnection(MemoryStore):
    """Reads through a connection to SQLite that a forked child gets from its parent."""

    connection = None

    def row(self, sequence_id, start, length):
        if self.connection is None:
            self.connection = sqlite3.connect(Path(self.location, "file.db"), check_same_thread=False)
        self.connection.execute("SELECT 1").fetchall()
        return super().row(sequence_id, start, length)

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class HashInFingerprint(MemoryStore):
    def fingerprint(self):
        return f"memory {hash('bases')}"


class OptionOfAnyKind(MemoryStore):
    def __init__(self, location, *, letters=frozenset("ACGT")):
        super().__init__(location)
        self.letters = letters


class KnownHereOnly(MemoryStore):
    """Keeps its sequences in a global of the process that made it."""

    known: ClassVar[dict[str, dict[str, bytes]]] = {}

    @property
    def sequences(self):
        return self.known[self.location]

    @sequences.setter
    def sequences(self, held):
        self.known[self.location] = held


class HoldsALock(MemoryStore):
    def __init__(self, location):
        super().__init__(location)
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
        super().__init__(location)


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


class LastOneWins(MemoryStore):
    def write_shard(self, sample, sequences):
        return super().write_shard(sample, dict(sequences).items())


class SeesNoDamage(MemoryStore):
    """Has a file, and never looks at it."""

    def __init__(self, location):
        super().__init__(location)
        Path(location, "file").write_text("bases")

    def check_shard(self, sample):
        pass


class WeighsNothing(MemoryStore):
    def shard_state(self, sample):
        return ShardState(sample, self.location, bytes=0)


class RewritesEachTime(MemoryStore):
    def optimize_shard(self, sample, target=None, *, force=False):
        return OptimizeSummary(sample, self.location, rewritten=True, bytes_before=2, bytes_after=1)


class OptimizesCaseAway(MemoryStore):
    def optimize_shard(self, sample, target=None, *, force=False):
        self.sequences = {i: bases.upper() for i, bases in self.sequences.items()}
        return OptimizeSummary(sample, self.location, rewritten=False, bytes_before=2, bytes_after=1)


class RefusesToWrite(MemoryStore):
    def write_shard(self, sample, sequences):
        raise NotSupportedError("this store is read only")


class SaysTooLittle(MemoryStore): ...


class SaysTooMuch(MemoryStore): ...


ALL = tuple(capability.name for capability in MemoryStoreTests.optional)


def _fault(wrong, check, complaint, parameters=None, **attributes):
    return Fault(MemoryStoreTests, wrong, check, complaint, parameters or {}, attributes)


FAULTS = [
    _fault(OneBaseLate, "test_rows_are_the_bases_asked_for", r"sequence\[start : start \+ length\]"),
    _fault(OneBaseLate, "test_any_windows_read_like_slices", r"sequence\[start : start \+ length\]"),
    _fault(SortedRows, "test_rows_follow_the_request", "in the order of the windows"),
    _fault(RepeatsOnce, "test_rows_follow_the_request", "repeats included"),
    _fault(NarrowOffsets, "test_types_and_shapes", "offsets must be int64, not int32"),
    _fault(SignedBases, "test_types_and_shapes", "values must be uint8, not int8"),
    _fault(FailsOnNothing, "test_no_windows_give_no_rows", "no windows must be answered with no rows"),
    _fault(PadsTheEnd, "test_rows_end_with_their_sequence", "end where its sequence ends, unpadded"),
    _fault(EmptyBehindTheEnd, "test_a_start_behind_the_end_is_stale", "must raise StaleIndexError", {"behind": 0}),
    _fault(PlainKeyError, "test_an_unknown_sequence_is_named", "SequenceNotFoundError", {"unknown": "contig"}),
    _fault(NamelessError, "test_an_unknown_sequence_is_named", "must name it", {"unknown": "sample"}),
    _fault(FollowsPaths, "test_hostile_ids_are_refused", "never become a path", {"hostile": "B__E-../../x__1"}),
    _fault(FirstDecides, "test_rows_do_not_depend_on_company", "the same alone and in company"),
    _fault(UpperCase, "test_case_and_letters_are_kept", "case and letters kept"),
    _fault(SortsInPlace, "test_request_is_left_as_it_was", "must not change the arrays"),
    _fault(NeedsToWrite, "test_request_is_left_as_it_was", "must accept read-only arrays; it raised ValueError"),
    _fault(AnswersWithAList, "test_it_answers", "must answer with Ragged, not with list"),
    _fault(OneBufferForEachSize, "test_answers_stay_as_they_are", "use no buffer twice"),
    _fault(SplitsIdsAtColons, "test_ids_are_data", "letter by letter.*SequenceNotFoundError"),
    _fault(AsciiIds, "test_ids_are_data", "letter by letter.*SequenceNotFoundError"),
    _fault(IdsOfOneWidth, "test_ids_are_data", "letter by letter.*StaleIndexError"),
    _fault(GoesOn, "test_rows_do_not_depend_on_the_one_before", "must not go on where"),
    _fault(UracilToThymine, "test_case_and_letters_are_kept", "case and letters kept"),
    _fault(LeavesFilesOpenOverErrors, "test_errors_leave_no_files_open", r"it left \d+ open"),
    _fault(OnDescriptors, "test_works_in_a_forked_process", "it opened none, and has its parent's"),
    _fault(OnOneConnection, "test_works_in_a_forked_process", "it opened none, and has its parent's"),
    _fault(HashInFingerprint, "test_works_in_a_spawned_process", "must be the same in every process"),
    _fault(OptionOfAnyKind, "test_options_are_explicit", "option 'letters' must be JSON-like"),
    _fault(KeepsAnswers, "test_answers_are_not_shared", "must not share memory"),
    _fault(OneCacheForAll, "test_two_stores_do_not_mix", "another store's data"),
    _fault(HoldsALock, "test_pickles_before_the_first_use", "must pickle; it raised TypeError"),
    _fault(OnFiles, "test_pickles_after_the_first_use", "files open must pickle"),
    _fault(OnFiles, "test_closes_twice_and_opens_again", "must open the files again"),
    _fault(OnForgottenFiles, "test_open_files_are_bounded", "at most 256 files may stay open"),
    _fault(OnForgottenFiles, "test_works_in_a_forked_process", "must open its own files"),
    _fault(KnownHereOnly, "test_works_in_a_spawned_process", r"started by spawn read\(\) must work; there it raised KeyError"),
    _fault(OneThreadOnly, "test_works_in_another_thread", "in another thread"),
    _fault(SharedByThreads, "test_threads_may_read_at_once", r"8 threads .* must get their own rows"),
    _fault(NamelessStore, "test_name_and_location", "the class attribute `name`"),
    _fault(CatchAll, "test_options_are_explicit", "'options' must be keyword-only and listed by name"),
    _fault(PathInFingerprint, "test_fingerprint_is_stable", "free of paths"),
    _fault(FingerprintOfThisObject, "test_fingerprint_is_stable", "the same for every opening"),
    _fault(NaturalOrder, "test_contigs_are_listed", "byte order within a shard"),
    _fault(ForgetsAContig, "test_contigs_are_listed", "list each sequence once"),
    _fault(SamplesAsTheyCame, "test_samples_are_listed", "each sample once, in byte order"),
    _fault(SeesDamageEverywhere, "test_whole_shards_pass_the_check", "must not refuse"),
    _fault(NarrowLengths, "test_contigs_are_listed", "length: int64"),
    _fault(AddsToAShard, "test_a_shard_is_replaced", "outlived it"),
    _fault(CountsWrongly, "test_a_shard_is_added", "ShardSummary must say"),
    _fault(OneShardOnly, "test_a_shard_is_added", "that was added and those it had"),
    _fault(RemembersItsSamples, "test_a_store_of_one_sample_grows", "must not think it has one sample"),
    _fault(RemovesOneSequence, "test_a_shard_is_removed", "must remove all that the store had of a sample"),
    _fault(WritesInPlace, "test_a_failed_shard_leaves_no_trace", "must leave the old shard whole"),
    _fault(SwallowsErrors, "test_a_failed_shard_leaves_no_trace", "must pass on the error"),
    _fault(LastOneWins, "test_a_repeated_id_is_refused", "it raised nothing"),
    _fault(OneShardOnly, "test_any_writes_read_like_those_of_a_dict", "must read what a dict would"),
    _fault(ListsEverySample, "test_contigs_of_a_sample_are_listed", "of that sample alone"),
    _fault(SeesNoDamage, "test_damage_is_found", "must raise FormatError; it raised nothing"),
    _fault(WeighsNothing, "test_state_of_shards", "the state of .* says 0"),
    _fault(RewritesEachTime, "test_optimizing_keeps_the_bases", "must be left as it is"),
    _fault(OptimizesCaseAway, "test_optimizing_keeps_the_bases", "must read what it read before"),
    _fault(RefusesToWrite, "test_capabilities_are_as_declared", "'writes' is assumed, .* not there: mend RefusesToWrite"),
    _fault(SaysTooLittle, "test_capabilities_are_as_declared", "'samples' is not, and there it is", capabilities=()),
    _fault(SaysTooMuch, "test_capabilities_are_as_declared", "'checks' is declared, .* not there", capabilities=ALL),
    _fault(LeavesFilesOpen, "test_open_files_are_bounded", "of 300 it left 300 open", max_open_files=1000),
]
