"""What an index that is built from intervals of contigs must do."""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from eden_core.errors import InputError
from eden_core.interfaces import WindowIndex
from eden_core.testing.clauses import Clause
from eden_core.testing.indexes.data import IndexData, batches_of, check_every_window, check_nothing_left, contig_rows
from eden_core.testing.oracle import Contigs, intervals_in, windows_in_intervals
from eden_core.testing.suite import error_of, new_folder
from eden_core.tiling import Tiling


class IntervalTests(IndexData):
    """Checks of intervals."""

    @Clause(
        "windows-lie-in-intervals",
        "Windows begin at multiples of the stride and end in their interval, short ones only where that ends with its contig, "
        "and `contigs` lists stretches of windows with the base where each begins.",
        needs=("intervals",),
    )
    @pytest.mark.parametrize("ends", ["known", "unknown"])
    def test_windows_of_intervals_lie_in_them(
        self, index: WindowIndex, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling], ends: str
    ) -> None:
        """Builds three stretches of each of `contigs` in each of `tilings`, and compares with a list."""
        for number, tiling in enumerate(tilings):
            wanted = windows_in_intervals(contigs, tiling, ends_known=ends == "known")
            if not wanted:
                continue
            claim = f"windows of intervals must lie where {tiling} says, given that their contigs' lengths are {ends}"
            with self.make_index(new_folder(tmp_path / str(number)), _interval_batches(contigs, ends), tiling) as built:
                check_every_window(built, wanted, tiling, claim)
                listed = [
                    (row["contig_id"], row["start"] + i * tiling.stride)
                    for row in contig_rows(built, {"start": pa.int64()})
                    for i in range(row["windows"])
                ]
                assert listed == [window[:2] for window in wanted], f"contigs() must agree with lookup() on {tiling}"

    @Clause(
        "unfit-intervals-are-refused",
        "Intervals that share bases, or that are out of order, are an InputError and leave nothing.",
        needs=("builds", "intervals"),
    )
    @pytest.mark.parametrize("fault", ["overlapping", "unsorted"])
    def test_unfit_intervals_are_refused(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling], fault: str
    ) -> None:
        """Builds two intervals with each of these faults, in batches of one and of two."""
        sequence_id = contigs[0][0]
        rows = [(sequence_id, 0, 400), (sequence_id, 399 if fault == "overlapping" else 500, 400)]
        location = new_folder(tmp_path / "unfit") / Path(index.location).name
        for size in (1, 2):
            batches = batches_of(rows if fault == "overlapping" else rows[::-1], ("contig_id", "start", "length"), size)
            build = partial(type(index).build, str(location), iter(batches), tilings[0])
            error_of(build, InputError, f"build() must raise InputError for {fault} intervals")
            check_nothing_left(location.parent, "a build() that is refused")


def _interval_batches(contigs: Contigs, ends: str) -> list[pa.RecordBatch]:
    names = ("contig_id", "start", "length", *(["contig_length"] if ends == "known" else []))
    return batches_of([row[: len(names)] for row in intervals_in(contigs)], names, 4)
