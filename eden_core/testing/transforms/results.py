"""What a transform makes of a batch: bases, prefixes and weights, each window by itself."""

from dataclasses import replace
from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eden_core.batch import SequenceBatch
from eden_core.interfaces import Transform
from eden_core.testing.clauses import Clause
from eden_core.testing.suite import answer_of, facts, quick
from eden_core.testing.transforms.data import TransformData, apply, check_batch, chosen_windows, row_facts

_TYPES = Clause("types", "As many windows come back as were given, none included, in the same types and with valid offsets.")
_COMPANY = Clause("company", "A window is changed the same alone, among others, and in another order.")


class ResultTests(TransformData):
    """Checks of what comes back."""

    @_TYPES
    def test_types_and_shapes(self, transform: Transform, batch: SequenceBatch) -> None:
        """Looks at the changed batch."""
        check_batch(apply(transform, batch), len(batch.windows))

    @_TYPES
    def test_no_windows(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes a batch without windows."""
        empty = partial(apply, transform, chosen_windows(batch, []))
        check_batch(answer_of(empty, "a batch without windows must be answered with one"), 0)

    @Clause("weights-are-optional", "A batch without loss weights is accepted, and its bases change as they do with weights.")
    def test_works_without_weights(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes the batch with and without its weights."""
        unweighted = partial(apply, transform, replace(batch, weights=None))
        plain = answer_of(unweighted, "a batch without loss weights must be accepted")
        check_batch(plain, len(batch.windows))
        claim = "bases and prefixes must not depend on whether there are weights"
        assert row_facts(plain)[0] == row_facts(apply(transform, batch))[0], claim

    @Clause("weights-go-with-the-bases", "Weights that are given are kept, changed or replaced, one for each base.")
    def test_weights_go_with_the_bases(self, transform: Transform, batch: SequenceBatch) -> None:
        """Compares the offsets of the weights with those of the bases."""
        changed = apply(transform, batch)
        assert changed.weights is not None, "loss weights of the batch must not be dropped"
        claim = "weights must have the offsets of the bases, also where bases were cut"
        assert facts(changed.weights.offsets) == facts(changed.bases.offsets), claim

    @Clause("never-lengthens", "A window may lose bases, and never gains any.")
    def test_never_lengthens(self, transform: Transform, batch: SequenceBatch) -> None:
        """Compares the lengths before and after."""
        before, after = batch.bases.lengths, apply(transform, batch).bases.lengths
        longer = np.flatnonzero(after > before).tolist()
        assert not longer, f"a window may lose bases but gain none: only so many fit its row; windows {longer} grew"

    @Clause("prefixes-grow-as-announced", "Prefixes grow behind what is there, by exactly `prefix_lengths`.")
    def test_prefixes_grow_as_announced(self, transform: Transform, batch: SequenceBatch) -> None:
        """Compares prefixes before and after with what was announced."""
        announced = transform.prefix_lengths(batch.windows)
        assert announced.dtype == np.int64, f"prefix_lengths() must be int64, not {announced.dtype}"
        assert announced.shape == (len(batch.windows),), f"prefix_lengths() must give one length a window: {announced.shape}"
        assert (announced >= 0).all(), f"prefix_lengths() must not be negative: {announced}"
        after = apply(transform, batch).prefix
        grown = (after.lengths - batch.prefix.lengths).tolist()
        claim = "prefixes must grow by exactly prefix_lengths(): as many bases fewer were read"
        assert grown == announced.tolist(), f"{claim}; they grew by {grown}, announced were {announced.tolist()}"
        for old, new in zip(batch.prefix, after, strict=True):
            assert new[: old.size].tolist() == old.tolist(), "tokens must be added behind the prefix that is there"

    @Clause("prefix-lengths-by-window", "How many tokens a window gets depends on that window alone.", needs=("prefixes",))
    def test_prefix_lengths_do_not_depend_on_company(self, transform: Transform, batch: SequenceBatch) -> None:
        """Asks for the lengths of all windows, and of each alone."""
        together = transform.prefix_lengths(batch.windows).tolist()
        alone = [int(transform.prefix_lengths(chosen_windows(batch, [i]).windows)[0]) for i in range(len(batch.windows))]
        assert alone == together, f"prefix_lengths() must be the same alone and in company; alone {alone}, together {together}"

    @Clause("weights-are-valid", "Weights that come back are one for each base, finite and not negative.")
    def test_weights_are_valid(self, transform: Transform, batch: SequenceBatch) -> None:
        """Looks at the weights of a batch that had some and of one that had none."""
        for weights in (None, batch.weights):
            changed = apply(transform, replace(batch, weights=weights))
            if changed.weights is None:
                continue
            claim = "weights must have the offsets of the bases"
            assert facts(changed.weights.offsets) == facts(changed.bases.offsets), claim
            wrong = changed.weights.values[~(np.isfinite(changed.weights.values) & (changed.weights.values >= 0))]
            assert not wrong.size, f"weights must be finite and 0 or more, unlike {wrong[:5].tolist()}"

    @Clause("prefixes-are-token-ids", "Tokens that are put in front of the bases are ids: 0 or more.")
    def test_prefixes_are_token_ids(self, transform: Transform, batch: SequenceBatch) -> None:
        """Looks for negative numbers in the prefixes."""
        tokens = apply(transform, batch).prefix.values
        assert (tokens >= 0).all(), f"prefixes must hold token ids, 0 or more, unlike {tokens[tokens < 0][:5].tolist()}"

    @Clause("windows-are-kept", "Which windows they are, and which rows they go to, stays as it was.")
    def test_picks_and_windows_are_kept(self, transform: Transform, batch: SequenceBatch) -> None:
        """Compares `picks` and `windows` before and after."""
        changed = apply(transform, batch)
        assert facts(changed.picks) == facts(batch.picks), "`picks` must be handed on as it is"
        assert facts(changed.windows) == facts(batch.windows), "`windows` must be handed on as it is"

    @_COMPANY
    def test_windows_do_not_depend_on_company(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes each window alone, and all in the other order."""
        together = row_facts(apply(transform, batch))
        count = len(batch.windows)
        for chosen in [*([i] for i in range(count)), list(range(count))[::-1]]:
            changed = row_facts(apply(transform, chosen_windows(batch, chosen)))
            claim = "a window must be changed the same alone, in company and in another order"
            assert all(c == [rows[i] for i in chosen] for c, rows in zip(changed, together, strict=True)), claim

    @_COMPANY
    def test_any_batch_is_changed_window_by_window(self, transform: Transform, batch: SequenceBatch) -> None:
        """Changes whatever batch of these windows hypothesis thinks of, and compares with each changed alone."""
        numbers = range(len(batch.windows))
        oracle = [[part[0] for part in row_facts(apply(transform, chosen_windows(batch, [i])))] for i in numbers]

        @quick(30)
        @given(st.lists(st.sampled_from(numbers), max_size=8))
        def is_a_list_of_windows(chosen: list[int]) -> None:
            changed = zip(*row_facts(apply(transform, chosen_windows(batch, chosen))), strict=True)
            claim = f"windows {chosen} together must be changed as each alone"
            assert [list(window) for window in changed] == [oracle[i] for i in chosen], claim

        is_a_list_of_windows()
