"""What must become of an index that is built: windows, fingerprints, digests, and nothing half-written."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.digests import ContigDigests
from eden_core.errors import InputError
from eden_core.interfaces import WindowIndex
from eden_core.testing.clauses import Clause
from eden_core.testing.indexes.data import (
    IndexData,
    batches_of,
    check_every_window,
    check_nothing_left,
    contig_batches,
)
from eden_core.testing.lifecycle import opened_again
from eden_core.testing.oracle import Contigs, windows_in
from eden_core.testing.suite import BrokenInputError, answer_of, error_of, facts, new_folder, quick
from eden_core.tiling import Tiling

_WINDOWS = Clause(
    "windows-lie-where-the-tiling-says",
    "Contigs come in byte order; window i of one starts at i * stride; windows that are too short are left out.",
)


class BuildTests(IndexData):
    """Checks of building."""

    @_WINDOWS
    def test_windows_lie_where_the_tiling_says(
        self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Builds `contigs` in each of `tilings`, and compares all windows with a list."""
        for number, tiling in enumerate(tilings):
            with self.make_index(new_folder(tmp_path / str(number)), contig_batches(contigs), tiling) as index:
                claim = f"windows must lie where {tiling} says, contigs in byte order of their ids"
                check_every_window(index, windows_in(contigs, tiling), tiling, claim)

    @_WINDOWS
    def test_any_contigs_have_the_windows_of_a_list(
        self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Builds some of `contigs`, with lengths that hypothesis thinks of, in one of `tilings`, and compares with a list."""
        given_lengths = [length for _, length in contigs]
        lengths = st.integers(min(given_lengths), max(min(given_lengths), min(1_000, max(given_lengths))))
        some = st.dictionaries(st.sampled_from([i for i, _ in contigs]), lengths, min_size=1, max_size=6)

        @quick(12)
        @given(some, st.sampled_from(tilings), st.integers(1, 3))
        def are_those_of_a_list(drawn: dict[str, int], tiling: Tiling, rows: int) -> None:
            chosen = sorted(drawn.items(), key=lambda contig: contig[0].encode())
            every, batches = windows_in(chosen, tiling), contig_batches(chosen, rows)
            if every:
                with TemporaryDirectory(dir=tmp_path) as folder, self.make_index(Path(folder), batches, tiling) as index:
                    check_every_window(index, every, tiling, f"the windows of {chosen} must lie where {tiling} says")

        are_those_of_a_list()

    @Clause("ids-are-data", "An id may have any letter, and is as long as it is.")
    def test_ids_are_data(
        self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling], odd_ids: list[str]
    ) -> None:
        """Builds an index of `odd_ids`, and compares all windows with a list."""
        odd, longest = sorted(odd_ids, key=str.encode), max(length for _, length in contigs)
        listed = [(sequence_id, longest + n) for n, sequence_id in enumerate(odd)]
        with self.make_index(new_folder(tmp_path / "odd"), contig_batches(listed), tilings[0]) as index:
            claim = "an id must be kept letter by letter, whatever it means in a table, a path or a query"
            check_every_window(index, windows_in(listed, tilings[0]), tilings[0], claim)

    @Clause("large-numbers", "Starts are exact in a contig of many billions of bases.")
    def test_large_numbers_are_exact(self, tmp_path: Path, contigs: list[tuple[str, int]]) -> None:
        """Builds two contigs of 2**31 bases and more, with windows as far apart, and compares them with a list."""
        first, second = contigs[0][0], f"{contigs[0][0]}-2"
        large, tiling = [(first, 3 * 2**33 + 500), (second, 2**31 + 7)], Tiling(window_size=100, stride=2**31 + 3)
        with self.make_index(new_folder(tmp_path / "large"), contig_batches(large), tiling) as index:
            claim = "starts behind base 2**31 must be exact: int64, and never floating-point numbers"
            check_every_window(index, windows_in(large, tiling), tiling, claim)

    @Clause("tiling-is-kept", "`tiling` is read back as it was built.")
    def test_tiling_is_kept(self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]) -> None:
        """Builds `contigs` in each of `tilings`."""
        for number, tiling in enumerate(tilings):
            with self.make_index(new_folder(tmp_path / str(number)), contig_batches(contigs), tiling) as index:
                assert index.tiling == tiling, "`tiling` must be read back from the index as it was built"

    @Clause("equal-fingerprints", "Equal contigs cut in the same way have one fingerprint, wherever and in whatever batches.")
    def test_equal_builds_have_equal_fingerprints(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Builds the index again, elsewhere and from smaller batches."""
        with self.make_index(new_folder(tmp_path / "again"), contig_batches(contigs, rows=3), tilings[0]) as again:
            claim = "fingerprint() must be the same for equal builds, wherever and in whatever batches they were made"
            assert again.fingerprint() == index.fingerprint(), claim

    @Clause("other-fingerprints", "Another tiling, another contig or another id is another fingerprint.")
    def test_other_builds_have_other_fingerprints(
        self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Builds `contigs` in each of `tilings`, with one more, and with another id."""
        longest = max(length for _, length in contigs)
        builds: list[tuple[Contigs, Tiling]] = [(contigs, tiling) for tiling in tilings]
        builds += [([*contigs, (f"{contigs[-1][0]}-{end}", longest)], tilings[0]) for end in ("more", "other")]
        seen: dict[str, str] = {}
        for number, (listed, tiling) in enumerate(builds):
            build = f"{len(listed)} contigs to {listed[-1][0]} in {tiling}"
            with self.make_index(new_folder(tmp_path / str(number)), contig_batches(listed), tiling) as index:
                twin = seen.setdefault(index.fingerprint(), build)
            assert twin == build, f"fingerprint() must differ where windows do; it is one for {twin} and for {build}"

    @Clause(
        "digests-tell-what-was-built",
        "`contigs_digest` and `bases_digest` are those of `ContigDigests`, and other bases are another fingerprint.",
        needs=("digests",),
    )
    def test_digests_tell_what_was_built(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Builds contigs whose bases have digests, and others, and compares digests and fingerprints."""
        fingerprints = {index.fingerprint()}
        for letter in "ab":
            rows = [(*contig, letter * 32) for contig in contigs]
            batches, digests = batches_of(rows, ("contig_id", "length", "digest"), 4), ContigDigests()
            for batch in batches:
                digests.add(batch)
            with self.make_index(new_folder(tmp_path / letter), batches, tilings[0]) as built:
                found, wanted = (built.contigs_digest, built.bases_digest), (digests.contigs, digests.bases)
                assert found == wanted, f"(contigs_digest, bases_digest) must be {wanted}, not {found}"
                fingerprints.add(built.fingerprint())
        assert len(fingerprints) == 3, "fingerprint() must differ where the digests of bases do"

    @Clause(
        "failed-builds-leave-nothing",
        "When the contigs end in an error, it is passed on, a new index stays absent and an old one whole.",
        needs=("builds",),
    )
    def test_a_failed_build_leaves_nothing(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Builds a new and the old index from contigs that break off, and looks the old one's windows up."""
        window_ids = np.arange(len(index))
        folder, before = new_folder(tmp_path / "failed"), facts(index.lookup(window_ids))
        claim = "build() must pass on the error of the contigs it is given"
        for location in (folder / Path(index.location).name, Path(index.location)):
            build = partial(type(index).build, str(location), _broken_off(contigs), tilings[0])
            error_of(build, BrokenInputError, claim)
        check_nothing_left(folder, "a failed build()")
        claim = "a failed build() must leave the index it was to replace whole"
        with answer_of(partial(opened_again, index), claim) as old:
            assert facts(answer_of(partial(old.lookup, window_ids), claim)) == before, claim

    @Clause(
        "unfit-contigs-are-refused",
        "Contigs out of byte order or repeated, or without a single window, are an InputError and leave nothing.",
        needs=("builds",),
    )
    @pytest.mark.parametrize("fault", ["unsorted", "natural order", "repeated", "no window"])
    def test_unfit_contigs_are_refused(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling], fault: str
    ) -> None:
        """Builds contigs with each of these faults, in batches of one and all in one."""
        folder = new_folder(tmp_path / "unfit")
        unfit = _unfit(contigs, fault)
        for rows in (1, len(unfit) + 1):
            location = str(folder / Path(index.location).name)
            build = partial(type(index).build, location, iter(contig_batches(unfit, rows)), tilings[0])
            error_of(build, InputError, f"build() must raise InputError for contigs with the fault {fault!r}")
            check_nothing_left(folder, "a build() that is refused")


def _broken_off(contigs: Contigs) -> Iterator[pa.RecordBatch]:
    yield from contig_batches(contigs, rows=1)[:-1]
    raise BrokenInputError


def _unfit(contigs: Contigs, fault: str) -> list[tuple[str, int]]:
    sequence_id, longest = contigs[0][0], max(length for _, length in contigs)
    return {
        "unsorted": [(f"{sequence_id}-2", longest), (f"{sequence_id}-1", longest)],
        "natural order": [(f"{sequence_id}-2", longest), (f"{sequence_id}-10", longest)],
        "repeated": [*contigs, contigs[-1]],
        "no window": [(sequence_id, 0)],
    }[fault]
