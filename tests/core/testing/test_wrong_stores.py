"""Every check of the store suite finds the fault that it is there for."""

import re

import pytest
import wrong_stores as wrong
from in_memory import MemoryStoreTests
from running import checks_of, complaint, label

FAULTS = [
    (wrong.OneBaseLate, "test_rows_are_the_bases_asked_for", {}, r"sequence\[start : start \+ length\]"),
    (wrong.OneBaseLate, "test_any_windows_read_like_slices", {}, r"sequence\[start : start \+ length\]"),
    (wrong.SortedRows, "test_rows_follow_the_request", {}, "in the order of the windows"),
    (wrong.RepeatsOnce, "test_rows_follow_the_request", {}, "repeats included"),
    (wrong.NarrowOffsets, "test_types_and_shapes", {}, "offsets must be int64, not int32"),
    (wrong.SignedBases, "test_types_and_shapes", {}, "values must be uint8, not int8"),
    (wrong.FailsOnNothing, "test_no_windows_give_no_rows", {}, "no windows must be answered with no rows"),
    (wrong.PadsTheEnd, "test_rows_end_with_their_sequence", {}, "end where its sequence ends, unpadded"),
    (wrong.EmptyBehindTheEnd, "test_a_start_behind_the_end_is_stale", {"behind": 0}, "must raise StaleIndexError"),
    (wrong.PlainKeyError, "test_an_unknown_sequence_is_named", {"unknown": "contig"}, "SequenceNotFoundError"),
    (wrong.NamelessError, "test_an_unknown_sequence_is_named", {"unknown": "sample"}, "must name it"),
    (wrong.FollowsPaths, "test_hostile_ids_are_refused", {"hostile": "B__E-../../x__1"}, "never become a path"),
    (wrong.FirstDecides, "test_rows_do_not_depend_on_company", {}, "the same alone and in company"),
    (wrong.UpperCase, "test_case_and_letters_are_kept", {}, "case and letters kept"),
    (wrong.SortsInPlace, "test_request_is_left_as_it_was", {}, "must accept read-only arrays"),
    (wrong.KeepsAnswers, "test_answers_are_not_shared", {}, "must not share memory"),
    (wrong.OneCacheForAll, "test_two_stores_do_not_mix", {}, "another store's data"),
    (wrong.HoldsALock, "test_pickles_before_the_first_use", {}, "must pickle; it raised TypeError"),
    (wrong.OnFiles, "test_pickles_after_the_first_use", {}, "files open must pickle"),
    (wrong.OnFiles, "test_closes_twice_and_opens_again", {}, "must open the files again"),
    (wrong.OnForgottenFiles, "test_open_files_are_bounded", {}, "at most 256 files may stay open"),
    (wrong.OnForgottenFiles, "test_works_in_a_forked_process", {}, "must open its own files"),
    (wrong.KnownHereOnly, "test_works_in_a_spawned_process", {}, "started by spawn; there it raised KeyError"),
    (wrong.OneThreadOnly, "test_works_in_another_thread", {}, "in another thread"),
    (wrong.SharedByThreads, "test_threads_may_read_at_once", {}, r"8 threads .* must get their own rows"),
    (wrong.NamelessStore, "test_name_and_location", {}, "the class attribute `name`"),
    (wrong.CatchAll, "test_options_are_explicit", {}, "'options' must be keyword-only and listed by name"),
    (wrong.PathInFingerprint, "test_fingerprint_is_stable", {}, "free of paths"),
    (wrong.FingerprintOfThisObject, "test_fingerprint_is_stable", {}, "the same for every opening"),
    (wrong.NaturalOrder, "test_contigs_are_listed", {}, "byte order within a shard"),
    (wrong.ForgetsAContig, "test_contigs_are_listed", {}, "list each sequence once"),
    (wrong.SamplesAsTheyCame, "test_samples_are_listed", {}, "each sample once, in byte order"),
    (wrong.ListsEverySample, "test_samples_are_listed", {}, "of that sample alone"),
    (wrong.SeesDamageEverywhere, "test_whole_shards_pass_the_check", {}, "must not refuse"),
    (wrong.NarrowLengths, "test_contigs_are_listed", {}, "length: int64"),
    (wrong.AddsToAShard, "test_a_shard_is_replaced", {}, "outlived it"),
    (wrong.CountsWrongly, "test_a_shard_is_added", {}, "ShardSummary must say"),
    (wrong.OneShardOnly, "test_a_shard_is_added", {}, "that was added and those it had"),
    (wrong.RemembersItsSamples, "test_a_store_of_one_sample_grows", {}, "must not think it has one sample"),
    (wrong.RemovesOneSequence, "test_a_shard_is_removed", {}, "must remove all that the store had of a sample"),
    (wrong.WritesInPlace, "test_a_failed_shard_leaves_no_trace", {}, "must leave the old shard whole"),
    (wrong.SwallowsErrors, "test_a_failed_shard_leaves_no_trace", {}, "must pass on the error"),
]


@pytest.mark.parametrize(("store", "check", "parameters", "clause"), FAULTS, ids=[label(*fault) for fault in FAULTS])
def test_fault_is_found(tmp_path, store, check, parameters, clause):
    suite = type(f"{store.__name__}Tests", (MemoryStoreTests,), {"store_class": store})
    assert re.search(clause, complaint(suite, check, tmp_path, **parameters))


def test_every_check_has_its_fault():
    assert {fault[1] for fault in FAULTS} == checks_of(MemoryStoreTests)


def test_files_left_open_by_close_are_found(tmp_path):
    parts = {"store_class": wrong.LeavesFilesOpen, "max_open_files": 1000}
    suite = type("LeavesFilesOpenTests", (MemoryStoreTests,), parts)
    found = complaint(suite, "test_open_files_are_bounded", tmp_path)
    for file in wrong.LeavesFilesOpen.left:
        file.close()
    assert "must close every file; of 300 it left 300 open" in found
