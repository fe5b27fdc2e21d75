"""Indexes with one fault each, and which check must find it."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from in_memory import JsonIndex, JsonIndexTests
from running import Fault

from eden_core import Tiling, Windows
from eden_core.errors import FormatError
from eden_core.interfaces import IndexSummary


class AnswersWithATuple(JsonIndex):
    def lookup(self, window_ids):
        found = super().lookup(window_ids)
        return (found.sequence_ids, found.starts, found.lengths)


class OneBufferForEachSize(JsonIndex):
    def lookup(self, window_ids):
        found = super().lookup(window_ids)
        starts = self.__dict__.setdefault("buffers", {}).setdefault(len(found), np.empty_like(found.starts))
        starts[:] = found.starts
        return replace(found, starts=starts)


class NarrowStarts(JsonIndex):
    def lookup(self, window_ids):
        found = super().lookup(window_ids)
        return replace(found, starts=found.starts.astype(np.int32).astype(np.int64))


class FloatStarts(JsonIndex):
    def lookup(self, window_ids):
        found = super().lookup(window_ids)
        return replace(found, starts=found.starts.astype(np.float32).astype(np.int64))


class ShortIds(JsonIndex):
    @staticmethod
    def cut(sequence_id, length, tiling):
        return JsonIndex.cut(sequence_id[:80], length, tiling)


class IdsAreLines(JsonIndex):
    @staticmethod
    def cut(sequence_id, length, tiling):
        return JsonIndex.cut(sequence_id.splitlines()[0], length, tiling)


class GoesOn(JsonIndex):
    """Answers the window behind the last one by adding the stride."""

    def lookup(self, window_ids):
        found = super().lookup(window_ids)
        last_id, last = getattr(self, "last", (None, None))
        if len(found) == 1 and window_ids[0] - 1 == last_id:
            found = replace(last, window_ids=window_ids, starts=last.starts + self.tiling.stride)
        self.last = (window_ids[-1], found) if len(found) == 1 else (None, None)
        return found


class OpensAnewEachTime(JsonIndex):
    def __init__(self, location):
        super().__init__(location)
        self.files = []

    def lookup(self, window_ids):
        self.files.append(Path(self.location).open())  # noqa: SIM115 - the fault
        return super().lookup(window_ids)

    def close(self):
        for file in self.files:
            file.close()


class StaysOpen(JsonIndex):
    """Closes its file with the process."""

    def __init__(self, location):
        super().__init__(location)
        LEFT_OPEN.append(Path(location).open())  # noqa: SIM115 - the fault


LEFT_OPEN = []


class HashInFingerprint(JsonIndex):
    def fingerprint(self):
        return f"json {hash(str(self.rows))}"


class NoColumnOfLengths(JsonIndex):
    def contigs(self):
        for batch in super().contigs():
            yield batch.select(["contig_id", "first_window", "windows"])


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


class Nameless(JsonIndex):
    name = ""


class CatchAll(JsonIndex):
    def __init__(self, location, **options):
        super().__init__(location)


class OnAnOpenFile(JsonIndex):
    """Reads through a file that stays open, and that forked children share."""

    def __init__(self, location):
        super().__init__(location)
        self.file = Path(location).open("rb", buffering=0)  # noqa: SIM115 - the fault

    def lookup(self, window_ids):
        self.file.seek(window_ids.size)
        return super().lookup(window_ids)

    def close(self):
        self.file.close()


class OneThreadOnly(JsonIndex):
    def lookup(self, window_ids):
        first = self.__dict__.setdefault("thread", threading.get_ident())
        if first != threading.get_ident():
            raise RuntimeError("objects created in a thread can only be used in that same thread")
        return super().lookup(window_ids)


class KnowsOneLength(JsonIndex):
    def contigs(self):
        for number, batch in enumerate(super().contigs()):
            at = batch.schema.get_field_index("length")
            length = pa.array([None if number else 1], pa.int64())
            yield batch.set_column(at, batch.schema.field(at), length)


class FullWindows(JsonIndex):
    """Knows how long sequences are, and answers with full windows all the same."""

    def contigs(self):
        for batch in super().contigs():
            at = batch.schema.get_field_index("length")
            yield batch.set_column(at, batch.schema.field(at), pa.array([1], pa.int64()))

    def lookup(self, window_ids):
        found = super().lookup(window_ids)
        return replace(found, lengths=np.full_like(found.lengths, self.tiling.window_size))


class DigestsNothing(JsonIndex):
    contigs_digest = 1


class SeesDamageEverywhere(JsonIndex):
    def check(self):
        raise FormatError("it is damaged")


class SeesNoDamage(JsonIndex):
    def check(self):
        pass


class SaysTooLittle(JsonIndex): ...


class SaysTooMuch(JsonIndex): ...


ALL = tuple(capability.name for capability in JsonIndexTests.optional)


def _fault(wrong, check, complaint, parameters=None, **attributes):
    return Fault(JsonIndexTests, wrong, check, complaint, parameters or {}, attributes)


FAULTS = [
    _fault(AnswersWithATuple, "test_it_answers", "must answer with Windows, not with tuple"),
    _fault(OneBufferForEachSize, "test_answers_stay_as_they_are", "use no buffer twice"),
    _fault(NarrowStarts, "test_large_numbers_are_exact", r"must be exact.*; window \d+ lies in"),
    _fault(FloatStarts, "test_large_numbers_are_exact", r"must be exact.*; window \d+ lies in"),
    _fault(ShortIds, "test_ids_are_data", r"letter by letter.*; window \d+ lies in"),
    _fault(IdsAreLines, "test_ids_are_data", r"letter by letter.*; window \d+ lies in"),
    _fault(GoesOn, "test_windows_do_not_depend_on_company", "alone and in company", {"step": 1}),
    _fault(OpensAnewEachTime, "test_open_files_are_bounded", r"looked up; \d+ do"),
    _fault(StaysOpen, "test_open_files_are_bounded", r"it left \d+ open"),
    _fault(HashInFingerprint, "test_works_in_a_spawned_process", "must be the same in every process"),
    _fault(NoColumnOfLengths, "test_lengths_are_known", "it raised KeyError"),
    _fault(NoTail, "test_windows_lie_where_the_tiling_says", "keep_tail=True.*; there are"),
    _fault(NoMinimum, "test_windows_lie_where_the_tiling_says", "min_length=60.*; there are"),
    _fault(StartsByWindowSize, "test_windows_lie_where_the_tiling_says", r"window \d+ lies in"),
    _fault(NaturalOrder, "test_windows_lie_where_the_tiling_says", "byte order of their ids"),
    _fault(SortedWindows, "test_any_order_and_repeats", "in the order asked"),
    _fault(RepeatsOnce, "test_any_order_and_repeats", "repeats included"),
    _fault(FirstIsShort, "test_windows_do_not_depend_on_company", "alone and in company", {"step": -7}),
    _fault(ListOfIds, "test_types_and_shapes", "must be a tuple"),
    _fault(NumpyStrings, "test_types_and_shapes", "plain strings"),
    _fault(FailsOnNothing, "test_no_windows", "answered with no windows"),
    _fault(CountsFromTheEnd, "test_a_window_out_of_range_is_refused", "window -1 .* must raise", {"behind": None}),
    _fault(PlainIndexError, "test_a_window_out_of_range_is_refused", "it raised IndexError", {"behind": 0}),
    _fault(ForgetsTheTiling, "test_tiling_is_kept", "read back"),
    _fault(StaysAsBuilt, "test_another_tiling_at_open_is_as_if_built_so", "its tiling is"),
    _fault(WrongFirstWindow, "test_contigs_agree_with_lookup", "must give first_window and windows"),
    _fault(ContigsByName, "test_contigs_agree_with_lookup", "in the order of their windows"),
    _fault(FingerprintOfTheTiling, "test_other_builds_have_other_fingerprints", "differ where windows do"),
    _fault(FingerprintOfTheFile, "test_equal_builds_have_equal_fingerprints", "the same for equal builds"),
    _fault(PathInFingerprint, "test_fingerprint_is_stable", "free of paths"),
    _fault(WritesInPlace, "test_a_failed_build_leaves_nothing", r"it left \['windows.json'\]"),
    _fault(DeletesFirst, "test_a_failed_build_leaves_nothing", "index it was to replace whole"),
    _fault(LeavesADraft, "test_a_failed_build_leaves_nothing", r"it left \['windows.json.tmp'\]"),
    _fault(TakesAnyOrder, "test_unfit_contigs_are_refused", "fault 'unsorted'", {"fault": "unsorted"}),
    _fault(ChecksWithinBatches, "test_unfit_contigs_are_refused", "fault 'repeated'", {"fault": "repeated"}),
    _fault(ChecksWithinBatches, "test_unfit_contigs_are_refused", "'natural order'", {"fault": "natural order"}),
    _fault(TakesNothing, "test_unfit_contigs_are_refused", "fault 'no window'", {"fault": "no window"}),
    _fault(ReadsBehindIntervals, "test_windows_of_intervals_lie_in_them", "lengths are unknown", {"ends": "unknown"}),
    _fault(IntervalsFromZero, "test_windows_of_intervals_lie_in_them", "must agree with lookup", {"ends": "known"}),
    _fault(TakesAnyIntervals, "test_unfit_intervals_are_refused", "for overlapping intervals", {"fault": "overlapping"}),
    _fault(TakesAnyIntervals, "test_unfit_intervals_are_refused", "for unsorted intervals", {"fault": "unsorted"}),
    _fault(SharesItsAnswers, "test_answers_are_not_shared", "must not share memory"),
    _fault(WrapsInPlace, "test_request_is_left_as_it_was", "must accept read-only arrays"),
    _fault(ClosesForGood, "test_closes_twice_and_opens_again", "must open the files again"),
    _fault(HoldsALambda, "test_pickles_before_the_first_use", "must pickle"),
    _fault(KnownHereOnly, "test_works_in_a_spawned_process", "started by spawn"),
    _fault(SortedWindows, "test_any_windows_are_those_of_a_list", "what a list would"),
    _fault(StartsByWindowSize, "test_any_contigs_have_the_windows_of_a_list", "the windows of .* must lie where"),
    _fault(KnowsOneLength, "test_lengths_are_known", "must give the length of every sequence"),
    _fault(FullWindows, "test_lengths_are_known", "must have .* bases, not 100"),
    _fault(DigestsNothing, "test_digests_tell_what_was_built", r"must be \(\d+, \d+\), not \(1, None\)"),
    _fault(SeesDamageEverywhere, "test_a_whole_index_passes_the_check", "must not refuse an index that is whole"),
    _fault(SeesNoDamage, "test_damage_is_found", "cut in half must raise FormatError; it raised JSONDecodeError"),
    _fault(SaysTooLittle, "test_capabilities_are_as_declared", "'intervals' is not, and there it is", capabilities=("builds",)),
    _fault(SaysTooMuch, "test_capabilities_are_as_declared", "'retiles' is declared, .* not there", capabilities=ALL),
    _fault(Nameless, "test_name_and_location", "the class attribute `name`"),
    _fault(CatchAll, "test_options_are_explicit", "'options' must be keyword-only"),
    _fault(HoldsALambda, "test_pickles_after_the_first_use", "must pickle"),
    _fault(OnAnOpenFile, "test_works_in_a_forked_process", "must open its own files"),
    _fault(OneThreadOnly, "test_works_in_another_thread", "in another thread"),
]
