"""Every check of the transform suite finds the fault that it is there for."""

import re

import pytest
import wrong_transforms as wrong
from in_memory import TrimTests
from running import checks_of, complaint, label

FAULTS = [
    (wrong.Lengthens, "test_never_lengthens", "gain none"),
    (wrong.WideBases, "test_types_and_shapes", "`bases` must be uint8, not int64"),
    (wrong.LosesAWindow, "test_types_and_shapes", "`bases` must have a row for each"),
    (wrong.FailsOnNothing, "test_no_windows", "batch without windows must be answered"),
    (wrong.NeedsWeights, "test_works_without_weights", "without loss weights must be accepted"),
    (wrong.OldWeights, "test_weights_go_with_the_bases", "must have the offsets of the bases"),
    (wrong.DropsWeights, "test_weights_go_with_the_bases", "must not be dropped"),
    (wrong.ChangesTheBatch, "test_the_batch_is_left_as_it_was", "must change a copy"),
    (wrong.LeansOnTheFirst, "test_windows_do_not_depend_on_company", "alone, in company"),
    (wrong.Counts, "test_is_deterministic", "keep no state"),
    (wrong.RollsItsOwnDice, "test_draws_are_the_only_chance", "must come from `draws`"),
    (wrong.RollsPythonsDice, "test_draws_are_the_only_chance", "must come from `draws`"),
    (wrong.AnnouncesTooMuch, "test_prefixes_grow_as_announced", "exactly prefix_lengths"),
    (wrong.PrefixInFront, "test_prefixes_grow_as_announced", "behind the prefix that is there"),
    (wrong.FloatLengths, "test_prefixes_grow_as_announced", "must be int64"),
    (wrong.ReordersWindows, "test_picks_and_windows_are_kept", "`windows` must be handed on"),
    (wrong.HoldsALambda, "test_pickles", "must pickle"),
    (wrong.BindsNothing, "test_bind_gives_a_transform", "must return a transform, not None"),
    (wrong.HidesAnOption, "test_options_are_explicit", "'least' must be kept"),
    (wrong.CatchAll, "test_options_are_explicit", "must be listed by name"),
    (wrong.FingerprintOfThisObject, "test_fingerprint", "equal fingerprints"),
]


@pytest.mark.parametrize(("transform", "check", "clause"), FAULTS, ids=[label(*fault) for fault in FAULTS])
def test_fault_is_found(tmp_path, transform, check, clause):
    suite = type(f"{transform.__name__}Tests", (TrimTests,), {"transform_class": transform})
    assert re.search(clause, complaint(suite, check, tmp_path))


def test_every_check_has_its_fault():
    assert {fault[1] for fault in FAULTS} == checks_of(TrimTests)
