"""Every check of the index suite finds the fault that it is there for."""

import re

import pytest
import wrong_indexes as wrong
from in_memory import JsonIndexTests
from running import checks_of, complaint, label

from eden_core.testing.lifecycle import LifecycleTests

FAULTS = [
    (wrong.NoTail, "test_windows_lie_where_the_tiling_says", {}, "keep_tail=True.*; there are"),
    (wrong.NoMinimum, "test_windows_lie_where_the_tiling_says", {}, "min_length=60.*; there are"),
    (wrong.StartsByWindowSize, "test_windows_lie_where_the_tiling_says", {}, r"window \d+ lies in"),
    (wrong.NaturalOrder, "test_windows_lie_where_the_tiling_says", {}, "byte order of their ids"),
    (wrong.SortedWindows, "test_any_order_and_repeats", {}, "in the order asked"),
    (wrong.RepeatsOnce, "test_any_order_and_repeats", {}, "repeats included"),
    (wrong.FirstIsShort, "test_windows_do_not_depend_on_company", {}, "alone and in company"),
    (wrong.ListOfIds, "test_types_and_shapes", {}, "must be a tuple"),
    (wrong.NumpyStrings, "test_types_and_shapes", {}, "plain strings"),
    (wrong.FailsOnNothing, "test_no_windows", {}, "answered with no windows"),
    (wrong.CountsFromTheEnd, "test_a_window_out_of_range_is_refused", {"behind": None}, "window -1 .* must raise"),
    (wrong.PlainIndexError, "test_a_window_out_of_range_is_refused", {"behind": 0}, "it raised IndexError"),
    (wrong.ForgetsTheTiling, "test_tiling_is_kept", {}, "read back"),
    (wrong.StaysAsBuilt, "test_another_tiling_at_open_is_as_if_built_so", {}, "its tiling is"),
    (wrong.WrongFirstWindow, "test_contigs_agree_with_lookup", {}, "must give first_window and windows"),
    (wrong.ContigsByName, "test_contigs_agree_with_lookup", {}, "in the order of their windows"),
    (wrong.FingerprintOfTheTiling, "test_other_builds_have_other_fingerprints", {}, "differ where windows do"),
    (wrong.FingerprintOfTheFile, "test_equal_builds_have_equal_fingerprints", {}, "the same for equal builds"),
    (wrong.PathInFingerprint, "test_fingerprint_is_stable", {}, "free of paths"),
    (wrong.WritesInPlace, "test_a_failed_build_leaves_nothing", {}, r"it left \['windows.json'\]"),
    (wrong.DeletesFirst, "test_a_failed_build_leaves_nothing", {}, "index it was to replace whole"),
    (wrong.LeavesADraft, "test_a_failed_build_leaves_nothing", {}, r"it left \['windows.json.tmp'\]"),
    (wrong.TakesAnyOrder, "test_unfit_contigs_are_refused", {"fault": "unsorted"}, "fault 'unsorted'"),
    (wrong.ChecksWithinBatches, "test_unfit_contigs_are_refused", {"fault": "repeated"}, "fault 'repeated'"),
    (wrong.ChecksWithinBatches, "test_unfit_contigs_are_refused", {"fault": "natural order"}, "'natural order'"),
    (wrong.TakesNothing, "test_unfit_contigs_are_refused", {"fault": "no window"}, "fault 'no window'"),
    (wrong.ReadsBehindIntervals, "test_windows_of_intervals_lie_in_them", {"ends": "unknown"}, "lengths are unknown"),
    (wrong.IntervalsFromZero, "test_windows_of_intervals_lie_in_them", {"ends": "known"}, "must agree with lookup"),
    (wrong.TakesAnyIntervals, "test_unfit_intervals_are_refused", {"fault": "overlapping"}, "for overlapping intervals"),
    (wrong.TakesAnyIntervals, "test_unfit_intervals_are_refused", {"fault": "unsorted"}, "for unsorted intervals"),
    (wrong.SharesItsAnswers, "test_answers_are_not_shared", {}, "must not share memory"),
    (wrong.WrapsInPlace, "test_request_is_left_as_it_was", {}, "must accept read-only arrays"),
    (wrong.ClosesForGood, "test_closes_twice_and_opens_again", {}, "must open the files again"),
    (wrong.HoldsALambda, "test_pickles_before_the_first_use", {}, "must pickle"),
    (wrong.KnownHereOnly, "test_works_in_a_spawned_process", {}, "started by spawn"),
]


@pytest.mark.parametrize(("index", "check", "parameters", "clause"), FAULTS, ids=[label(*fault) for fault in FAULTS])
def test_fault_is_found(tmp_path, index, check, parameters, clause):
    suite = type(f"{index.__name__}Tests", (JsonIndexTests,), {"index_class": index})
    assert re.search(clause, complaint(suite, check, tmp_path, **parameters))


def test_every_check_has_its_fault():
    shared = checks_of(LifecycleTests)  # has its faults in test_wrong_stores.py
    assert {fault[1] for fault in FAULTS} | shared == checks_of(JsonIndexTests)
