"""What every index must do when it is asked where windows lie, and that it does what its suite says."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.batch import Windows
from eden_core.errors import FormatError, WindowOutOfRangeError
from eden_core.interfaces import WindowIndex
from eden_core.testing.capabilities import assumes, compare_capabilities, is_offered
from eden_core.testing.clauses import CAPABILITIES, Clause
from eden_core.testing.indexes.data import IndexData, check_windows, contig_batches, contig_rows
from eden_core.testing.lifecycle import halve, opened_again
from eden_core.testing.oracle import windows_in
from eden_core.testing.processes import count_open_files
from eden_core.testing.suite import answer_of, error_of, new_folder, quick
from eden_core.tiling import Tiling

_ORDER = Clause("windows-follow-the-request", "Windows are answered in the order asked, and one asked twice is answered twice.")
_TYPES = Clause(
    "types", "Ids are strings in a tuple; window_ids, starts and lengths int64 [W]; so is the answer to no windows at all."
)


class LookupTests(IndexData):
    """Checks of an index that was built."""

    @CAPABILITIES
    def test_capabilities_are_as_declared(
        self, index: WindowIndex, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Tries each capability, and compares what came of it with the suite."""
        signs = ("intervals", "retiles", "lengths", "digests", "checks")
        found = {name: assumes(self, name, index=index) for name in signs}
        build = partial(type(index).build, str(tmp_path / Path(index.location).name), contig_batches(contigs), tilings[0])
        compare_capabilities(self, {"builds": is_offered(build), **found}, index=index)

    @_ORDER
    def test_any_order_and_repeats(self, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]) -> None:
        """Asks for three times as many windows as there are, drawn at random."""
        window_ids = np.random.default_rng(2).integers(0, len(index), 3 * len(index))
        claim = "windows must be answered in the order asked, repeats included"
        check_windows(index.lookup(window_ids), windows_in(contigs, tilings[0]), window_ids, tilings[0], claim)

    @_ORDER
    def test_any_windows_are_those_of_a_list(
        self, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Asks for whatever windows hypothesis thinks of, and compares them with a list of all."""
        every = windows_in(contigs, tilings[0])

        @quick(40)
        @given(st.lists(st.integers(0, len(every) - 1), max_size=20))
        def are_those_of_a_list(chosen: list[int]) -> None:
            window_ids = np.array(chosen, np.int64)
            check_windows(index.lookup(window_ids), every, window_ids, tilings[0], "lookup() must answer what a list would")

        are_those_of_a_list()

    @Clause("company", "A window is answered the same alone as among others, whatever was looked up before.")
    @pytest.mark.parametrize("step", [1, -7])
    def test_windows_do_not_depend_on_company(self, index: WindowIndex, step: int) -> None:
        """Looks windows up together, then one by one: all from the first on, or every seventh from the last on."""
        window_ids = np.arange(len(index))[::step]
        together = index.lookup(window_ids)
        for i, window_id in enumerate(window_ids.tolist()):
            alone = index.lookup(np.array([window_id]))
            found = (alone.sequence_ids[0], alone.starts[0], alone.lengths[0])
            wanted = (together.sequence_ids[i], together.starts[i], together.lengths[i])
            assert found == wanted, f"window {window_id} must be answered the same alone and in company"

    @_TYPES
    def test_types_and_shapes(self, index: WindowIndex) -> None:
        """Looks at the answer to all windows."""
        _check_types(index.lookup(np.arange(len(index))), len(index))

    @_TYPES
    def test_no_windows(self, index: WindowIndex) -> None:
        """Asks for no windows."""
        lookup = partial(index.lookup, np.empty(0, np.int64))
        _check_types(answer_of(lookup, "no window ids must be answered with no windows"), 0)

    @Clause(
        "ids-out-of-range",
        "A window id outside 0 … len - 1 is a WindowOutOfRangeError, whatever else is asked.",
    )
    @pytest.mark.parametrize("behind", [None, 0, 1_000_000])
    def test_a_window_out_of_range_is_refused(self, index: WindowIndex, behind: int | None) -> None:
        """Asks for window -1, for the first one behind the last, and for one far behind, beside window 0."""
        outside = -1 if behind is None else len(index) + behind
        claim = f"window {outside} of {len(index)} must raise WindowOutOfRangeError"
        error_of(partial(index.lookup, np.array([0, outside])), WindowOutOfRangeError, claim)

    @Clause(
        "contigs-agree-with-lookup",
        "`contigs` lists, in order of windows, each sequence that has any: its first window, their number, its length or null.",
    )
    def test_contigs_agree_with_lookup(self, index: WindowIndex, contigs: list[tuple[str, int]]) -> None:
        """Compares what is listed with what `lookup` says of every window."""
        rows = [row for row in contig_rows(index) if row["windows"]]
        looked_up = index.lookup(np.arange(len(index))).sequence_ids
        ids = [row["contig_id"] for row in rows]
        assert ids == list(dict.fromkeys(looked_up)), "contigs() must list the sequences in the order of their windows"
        for row in rows:
            counted = (looked_up.index(row["contig_id"]), looked_up.count(row["contig_id"]))
            listed = (row["first_window"], row["windows"])
            assert listed == counted, f"contigs() must give first_window and windows of {row['contig_id']} as {counted}"
            known = (None, dict(contigs)[row["contig_id"]])
            assert row["length"] in known, f"contigs() must give the length of {row['contig_id']} as {known[1]}, or null"

    @Clause(
        "lengths-are-known",
        "No window reaches behind its sequence, and `contigs` gives every length.",
        needs=("lengths",),
    )
    def test_lengths_are_known(self, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]) -> None:
        """Compares the lengths of all windows, and of all sequences, with those that it was built from."""
        unknown = [row["contig_id"] for row in contig_rows(index) if row["length"] is None]
        assert not unknown, f"contigs() must give the length of every sequence, of {', '.join(unknown[:5])} too"
        found, wanted = index.lookup(np.arange(len(index))), windows_in(contigs, tilings[0])
        for window_id, (length, (sequence_id, _, bases)) in enumerate(zip(found.lengths.tolist(), wanted, strict=True)):
            assert length == bases, f"window {window_id}, in {sequence_id}, must have {bases} bases, not {length}"

    @Clause(
        "retiling",
        "Cut in another way when it is opened, an index is as if built so.",
        needs=("retiles",),
    )
    def test_another_tiling_at_open_is_as_if_built_so(
        self, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Opens the index with half the window size, another stride and another minimum length."""
        built = tilings[0]
        size = max(2, built.window_size // 2)
        asked = Tiling(size, max(1, size // 2), min(size, built.min_length + 1), built.keep_tail, built.reserve)
        options: dict[str, Any] = {"window_size": size, "stride": asked.stride, "min_length": asked.min_length}
        claim = f"opened with {options}, windows must lie where {asked} says"
        with answer_of(partial(type(index), index.location, **options), claim) as again:
            assert again.tiling == asked, f"{claim}; its tiling is {again.tiling}"
            every = np.arange(len(again))
            check_windows(again.lookup(every), windows_in(contigs, asked), every, asked, claim)
            assert again.fingerprint() != index.fingerprint(), "fingerprint() must change with the tiling that is asked for"

    @Clause("open-files", "However often windows are looked up, few files stay open, and `close` closes them all.")
    def test_open_files_are_bounded(self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]) -> None:
        """Looks a window up 100 times, counts open files (`max_open_files` is what it allows), closes, and counts again."""
        before = count_open_files()
        with self.make_index(new_folder(tmp_path / "many"), contig_batches(contigs), tilings[0]) as index:
            for _ in range(100):
                index.lookup(np.array([len(index) - 1]))
            opened = count_open_files() - before
        most = self.max_open_files
        assert opened <= most, f"at most {most} files may stay open, however often windows are looked up; {opened} do"
        left = count_open_files() - before
        assert left <= 0, f"close() must close every file; of {opened} it left {left} open"

    @Clause("whole-indexes-pass", "`check` finds nothing wrong with an index that is whole.")
    def test_a_whole_index_passes_the_check(self, index: WindowIndex) -> None:
        """Checks the index that was built."""
        answer_of(index.check, "check() must not refuse an index that is whole")

    @Clause("damage-is-found", "An index that was cut short is a FormatError, when it is opened or checked.", needs=("checks",))
    def test_damage_is_found(self, index: WindowIndex) -> None:
        """Cuts the file of the index in half, opens it again, and checks it."""
        if not Path(index.location).is_file():
            pytest.skip(f"{index.location} is no file that could be damaged")
        index.close()
        halve(Path(index.location))
        error_of(lambda: opened_again(index).check(), FormatError, "an index that was cut in half must raise FormatError")


def _check_types(windows: Windows, count: int) -> None:
    assert isinstance(windows.sequence_ids, tuple), f"sequence_ids must be a tuple, not {type(windows.sequence_ids)}"
    assert len(windows.sequence_ids) == count, f"{count} window ids must give as many sequence_ids"
    assert {type(i) for i in windows.sequence_ids} <= {str}, "sequence_ids must hold plain strings"
    for name in ("window_ids", "starts", "lengths"):
        array = getattr(windows, name)
        assert array.dtype == np.int64, f"{name} must be int64, not {array.dtype}"
        assert array.shape == (count,), f"{name} of {count} windows must have the shape {(count,)}, not {array.shape}"
