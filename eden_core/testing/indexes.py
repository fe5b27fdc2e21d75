"""The contract of indexes, as tests to inherit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from eden_core.batch import Windows
from eden_core.errors import InputError, NotSupportedError, WindowOutOfRangeError
from eden_core.interfaces import WindowIndex
from eden_core.testing.lifecycle import LifecycleTests, Probe, opened_again
from eden_core.testing.suite import (
    BrokenInputError,
    Request,
    answer_of,
    error_of,
    facts,
    new_folder,
    skipped_where_not_supported,
)
from eden_core.tiling import Tiling

Contigs = Sequence[tuple[str, int]]
"""(id, length in bases), in byte order of the ids"""


class WindowIndexTests(LifecycleTests):
    """What every index must do. Inherit, name the class `Test…`, write `make_index`; override fixtures, never checks.

    Fixtures to override where the data do not suit the index: `contigs`, `tilings`.
    """

    def make_index(self, location: Path, contigs: list[pa.RecordBatch], tiling: Tiling) -> WindowIndex:
        """Write an index of these contigs (batches for `build`) under an existing empty folder; return it open."""
        raise NotImplementedError(f"{type(self).__name__} must define make_index(self, location, contigs, tiling)")

    @pytest.fixture
    def contigs(self) -> list[tuple[str, int]]:
        """(id, length) in byte order of the ids; at least four, with different lengths. May be overridden."""
        lengths = [0, 1, 49, 50, 99, 100, 101, 179, 180, 181, 260, 5_000, 12_345, 7, 110]
        ids = [f"BCR__ECT-SAMPLE{1 + n % 2}__CT1-{n}" for n in range(len(lengths))]
        return sorted(zip(ids, lengths, strict=True), key=lambda contig: contig[0].encode())

    @pytest.fixture
    def tilings(self) -> list[Tiling]:
        """Ways to cut, all with different windows; the first is used where one will do. May be overridden."""
        plain = Tiling(window_size=100, stride=80)
        return [
            plain,
            replace(plain, min_length=60),
            replace(plain, stride=130),
            replace(plain, keep_tail=True, reserve=10),
            replace(plain, keep_tail=True, reserve=10, min_length=60),
            Tiling(window_size=1, stride=1),
        ]

    @pytest.fixture
    def index(self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]) -> Iterator[WindowIndex]:
        """The index under test: `contigs` cut in the first of `tilings`. Not to be overridden: write `make_index`."""
        with self.make_index(new_folder(tmp_path / "index"), _batches(contigs), tilings[0]) as index:
            yield index

    @pytest.fixture
    def probe(self, index: WindowIndex) -> Probe:
        """The index with a question to it. Not to be overridden."""
        window_ids = np.random.default_rng(3).permutation(len(index))
        return Probe(index, "lookup", window_ids, window_ids[:1])

    def test_windows_lie_where_the_tiling_says(
        self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Contigs come in byte order; window i of one starts at i * stride; windows that are too short are left out."""
        for number, tiling in enumerate(tilings):
            wanted = _windows(contigs, tiling)
            with self.make_index(new_folder(tmp_path / str(number)), _batches(contigs), tiling) as index:
                clause = f"windows must lie where {tiling} says, contigs in byte order of their ids"
                assert len(index) == len(wanted), f"{clause}; there are {len(index)} windows, expected {len(wanted)}"
                _check_windows(index.lookup(np.arange(len(index))), wanted, np.arange(len(index)), tiling, clause)

    def test_tiling_is_kept(self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]) -> None:
        """`tiling` is read back as it was built."""
        for number, tiling in enumerate(tilings):
            with self.make_index(new_folder(tmp_path / str(number)), _batches(contigs), tiling) as index:
                assert index.tiling == tiling, "`tiling` must be read back from the index as it was built"

    def test_another_tiling_at_open_is_as_if_built_so(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """An index that `retiles` cuts as it is asked to when it is opened; fingerprints change with that."""
        if not type(index).retiles:
            pytest.skip(f"{type(index).__name__} does not say that it can be cut in another way")
        built = tilings[0]
        size = max(2, built.window_size // 2)
        asked = replace(built, window_size=size, stride=max(1, size // 2), min_length=min(size, built.min_length + 1))
        options: dict[str, Any] = {"window_size": size, "stride": asked.stride, "min_length": asked.min_length}
        clause = f"opened with {options}, windows must lie where {asked} says"
        wanted = _windows(contigs, asked)
        with answer_of(partial(type(index), index.location, **options), clause) as again:
            assert again.tiling == asked, f"{clause}; its tiling is {again.tiling}"
            _check_windows(again.lookup(np.arange(len(again))), wanted, np.arange(len(wanted)), asked, clause)
            assert again.fingerprint() != index.fingerprint(), "fingerprint() must change with the tiling that is asked for"

    def test_any_order_and_repeats(self, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]) -> None:
        """Windows are answered in the order asked, and one asked twice is answered twice."""
        window_ids = np.random.default_rng(2).integers(0, len(index), 3 * len(index))
        clause = "windows must be answered in the order asked, repeats included"
        _check_windows(index.lookup(window_ids), _windows(contigs, tilings[0]), window_ids, tilings[0], clause)

    def test_windows_do_not_depend_on_company(self, index: WindowIndex) -> None:
        """A window is answered the same alone as among others."""
        window_ids = np.arange(len(index))[::-7]
        together = index.lookup(window_ids)
        for i, window_id in enumerate(window_ids.tolist()):
            alone = index.lookup(np.array([window_id]))
            found = (alone.sequence_ids[0], alone.starts[0], alone.lengths[0])
            wanted = (together.sequence_ids[i], together.starts[i], together.lengths[i])
            assert found == wanted, f"window {window_id} must be answered the same alone and in company"

    def test_types_and_shapes(self, index: WindowIndex) -> None:
        """Ids are strings in a tuple; window_ids, starts and lengths int64 [W]."""
        _check_types(index.lookup(np.arange(len(index))), len(index))

    def test_no_windows(self, index: WindowIndex) -> None:
        """No windows are answered with no windows, in the same types."""
        lookup = partial(index.lookup, np.empty(0, np.int64))
        _check_types(answer_of(lookup, "no window ids must be answered with no windows"), 0)

    @pytest.mark.parametrize("behind", [None, 0, 1_000_000])
    def test_a_window_out_of_range_is_refused(self, index: WindowIndex, behind: int | None) -> None:
        """A window id outside 0 … len - 1 is a WindowOutOfRangeError, whatever else is asked."""
        outside = -1 if behind is None else len(index) + behind
        clause = f"window {outside} of {len(index)} must raise WindowOutOfRangeError"
        error_of(partial(index.lookup, np.array([0, outside])), WindowOutOfRangeError, clause)

    def test_contigs_agree_with_lookup(self, index: WindowIndex, contigs: list[tuple[str, int]]) -> None:
        """`contigs` lists, in order of windows, each sequence that has any: its first window and their number."""
        rows = [row for row in _contig_rows(index) if row["windows"]]
        looked_up = index.lookup(np.arange(len(index))).sequence_ids
        ids = [row["contig_id"] for row in rows]
        assert ids == list(dict.fromkeys(looked_up)), "contigs() must list the sequences in the order of their windows"
        for row in rows:
            counted = (looked_up.index(row["contig_id"]), looked_up.count(row["contig_id"]))
            listed = (row["first_window"], row["windows"])
            assert listed == counted, f"contigs() must give first_window and windows of {row['contig_id']} as {counted}"
            known = (None, dict(contigs)[row["contig_id"]])
            assert row["length"] in known, f"contigs() must give the length of {row['contig_id']} as {known[1]}, or null"

    def test_equal_builds_have_equal_fingerprints(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """The same contigs cut in the same way have one fingerprint, wherever and in whatever batches."""
        with self.make_index(new_folder(tmp_path / "again"), _batches(contigs, rows=3), tilings[0]) as again:
            clause = "fingerprint() must be the same for equal builds, wherever and in whatever batches they were made"
            assert again.fingerprint() == index.fingerprint(), clause

    def test_other_builds_have_other_fingerprints(
        self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """Another tiling, another contig or another id is another fingerprint."""
        renamed = [*contigs[:-1], (f"{contigs[-1][0]}-renamed", contigs[-1][1])]
        builds: list[tuple[Contigs, Tiling]] = [(contigs, tiling) for tiling in tilings]
        builds += [(contigs[:-1], tilings[0]), (renamed, tilings[0])]
        seen: dict[str, str] = {}
        for number, (listed, tiling) in enumerate(builds):
            build = f"{len(listed)} contigs to {listed[-1][0]} in {tiling}"
            with self.make_index(new_folder(tmp_path / str(number)), _batches(listed), tiling) as index:
                twin = seen.setdefault(index.fingerprint(), build)
            assert twin == build, f"fingerprint() must differ where windows do; it is one for {twin} and for {build}"

    def test_a_failed_build_leaves_nothing(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling]
    ) -> None:
        """When the contigs end in an error, a new index stays absent and an old one whole."""
        window_ids = np.arange(len(index))
        folder, before = new_folder(tmp_path / "failed"), facts(index.lookup(window_ids))
        clause = "build() must pass on the error of the contigs it is given"
        for location in (folder / Path(index.location).name, Path(index.location)):
            with skipped_where_not_supported():
                build = partial(type(index).build, str(location), _broken_off(contigs), tilings[0])
                error_of(build, BrokenInputError, clause)
        left = [path.name for path in folder.iterdir()]
        assert not left, f"a failed build() must leave nothing; it left {left}: write beside the target, rename at the end"
        clause = "a failed build() must leave the index it was to replace whole"
        with answer_of(partial(opened_again, index), clause) as old:
            assert facts(answer_of(partial(old.lookup, window_ids), clause)) == before, clause

    @pytest.mark.parametrize("fault", ["unsorted", "natural order", "repeated", "no window"])
    def test_unfit_contigs_are_refused(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling], fault: str
    ) -> None:
        """Contigs out of byte order or repeated, or without a single window, are an InputError and leave nothing."""
        folder = new_folder(tmp_path / "unfit")
        unfit = _unfit(contigs, fault)
        for rows in (1, len(unfit) + 1):
            location = str(folder / Path(index.location).name)
            with skipped_where_not_supported():
                build = partial(type(index).build, location, iter(_batches(unfit, rows)), tilings[0])
                error_of(build, InputError, f"build() must raise InputError for contigs with the fault {fault!r}")
            left = [path.name for path in folder.iterdir()]
            assert not left, f"a build() that is refused must leave nothing; it left {left}"

    @pytest.mark.parametrize("ends", ["known", "unknown"])
    def test_windows_of_intervals_lie_in_them(
        self, tmp_path: Path, contigs: list[tuple[str, int]], tilings: list[Tiling], ends: str
    ) -> None:
        """Windows begin at multiples of the stride and end in their interval; short ones only where it ends with its contig.

        `contigs` lists stretches of windows that follow each other, with the base where each begins.
        """
        for number, tiling in enumerate(tilings):
            wanted, batches = _interval_windows(contigs, tiling, ends), _interval_batches(contigs, ends)
            clause = f"windows of intervals must lie where {tiling} says, given that their contigs' lengths are {ends}"
            with (
                skipped_where_not_supported(),
                self.make_index(new_folder(tmp_path / str(number)), batches, tiling) as index,
            ):
                assert len(index) == len(wanted), f"{clause}; there are {len(index)} windows, expected {len(wanted)}"
                _check_windows(index.lookup(np.arange(len(index))), wanted, np.arange(len(index)), tiling, clause)
                listed = [
                    (row["contig_id"], row["start"] + i * tiling.stride)
                    for row in _contig_rows(index, {"start": pa.int64()})
                    for i in range(row["windows"])
                ]
                assert listed == [window[:2] for window in wanted], f"contigs() must agree with lookup() on {tiling}"

    @pytest.mark.parametrize("fault", ["overlapping", "unsorted"])
    def test_unfit_intervals_are_refused(
        self, tmp_path: Path, index: WindowIndex, contigs: list[tuple[str, int]], tilings: list[Tiling], fault: str
    ) -> None:
        """Intervals that share bases, or that are out of order, are an InputError and leave nothing."""
        sequence_id = contigs[0][0]
        rows = [(sequence_id, 0, 400), (sequence_id, 399 if fault == "overlapping" else 500, 400)]
        location = new_folder(tmp_path / "unfit") / Path(index.location).name
        for size in (1, 2):
            batches = _batches_of(rows if fault == "overlapping" else rows[::-1], ("contig_id", "start", "length"), size)
            with skipped_where_not_supported():
                build = partial(type(index).build, str(location), iter(batches), tilings[0])
                error = error_of(build, (InputError, NotSupportedError), f"build() must raise InputError for {fault} intervals")
                if isinstance(error, NotSupportedError):
                    raise error
            left = [path.name for path in location.parent.iterdir()]
            assert not left, f"a build() that is refused must leave nothing; it left {left}"


def _intervals(contigs: Contigs) -> list[tuple[str, int, int, int]]:
    """Return (id, start, length, length of the contig) of a few stretches of each contig, between which bases are left out."""
    cuts = (0.0, 0.13, 0.31, 0.5, 0.52, 1.0)
    rows = []
    for sequence_id, length in contigs:
        edges = [round(cut * length) for cut in cuts]
        stretches = [(edges[i], edges[i + 1]) for i in (0, 2, 4)]
        rows += [(sequence_id, start, stop - start, length) for start, stop in stretches]
    return rows


def _interval_windows(contigs: Contigs, tiling: Tiling, ends: str) -> list[Request]:
    found = []
    for sequence_id, start, length, whole in _intervals(contigs):
        first = start
        while first % tiling.stride:
            first += 1
        rest = start + length - first
        if ends == "known" and start + length == whole:
            some = _windows_of_one(max(0, rest), tiling)
        else:
            shifts = [] if tiling.window_size < tiling.min_length else range(0, rest - tiling.window_size + 1, tiling.stride)
            some = [(shift, tiling.window_size) for shift in shifts]
        found += [(sequence_id, first + shift, bases) for shift, bases in some]
    return found


def _interval_batches(contigs: Contigs, ends: str) -> list[pa.RecordBatch]:
    names = ("contig_id", "start", "length", *(["contig_length"] if ends == "known" else []))
    return _batches_of([row[: len(names)] for row in _intervals(contigs)], names, 4)


def _batches_of(rows: Sequence[tuple[Any, ...]], names: Sequence[str], size: int) -> list[pa.RecordBatch]:
    parts = [rows[first : first + size] for first in range(0, len(rows), size)]
    return [pa.RecordBatch.from_pylist([dict(zip(names, row, strict=True)) for row in part]) for part in parts]


def _windows(contigs: Contigs, tiling: Tiling) -> list[Request]:
    """Return (id, start, bases to the end of the window or the sequence), by the words of the contract alone."""
    return [(sequence_id, *window) for sequence_id, length in contigs for window in _windows_of_one(length, tiling)]


def _windows_of_one(length: int, tiling: Tiling) -> list[tuple[int, int]]:
    if tiling.keep_tail:
        starts = [0]
        while starts[-1] + tiling.window_size - tiling.reserve < length:
            starts.append(starts[-1] + tiling.stride)
    elif length < tiling.window_size:
        starts = [0]
    else:
        starts = [i * tiling.stride for i in range(1 + (length - tiling.window_size) // tiling.stride)]
    windows = [(start, min(tiling.window_size, length - start)) for start in starts]
    return [(start, bases) for start, bases in windows if bases >= max(1, tiling.min_length)]


def _batches(contigs: Contigs, rows: int = 4) -> list[pa.RecordBatch]:
    schema = pa.schema([pa.field("contig_id", pa.string(), nullable=False), pa.field("length", pa.int64(), nullable=False)])
    parts = [contigs[first : first + rows] for first in range(0, len(contigs), rows)]
    columns = [([i for i, _ in part], [length for _, length in part]) for part in [*parts, []]]
    return [pa.RecordBatch.from_arrays([pa.array(i, pa.string()), pa.array(n, pa.int64())], schema=schema) for i, n in columns]


def _broken_off(contigs: Contigs) -> Iterator[pa.RecordBatch]:
    yield from _batches(contigs)[:-2]
    raise BrokenInputError


def _unfit(contigs: Contigs, fault: str) -> list[tuple[str, int]]:
    sequence_id = contigs[0][0]
    return {
        "unsorted": [*contigs[1:], contigs[0]],
        "natural order": [(f"{sequence_id}-2", 500), (f"{sequence_id}-10", 500)],
        "repeated": [*contigs, contigs[-1]],
        "no window": [(sequence_id, 0)],
    }[fault]


def _check_windows(
    found: Windows, every: Sequence[Request], window_ids: NDArray[np.int64], tiling: Tiling, clause: str
) -> None:
    wanted = [every[window_id] for window_id in window_ids.tolist()]
    assert len(found) == len(wanted), f"{clause}; {len(wanted)} window ids were answered with {len(found)} windows"
    assert facts(found.window_ids) == facts(window_ids), f"{clause}; window_ids must be the ids that were asked for"
    rows = zip(found.sequence_ids, found.starts.tolist(), found.lengths.tolist(), strict=True)
    for window_id, (sequence_id, start, length), (wanted_id, wanted_start, bases) in zip(window_ids, rows, wanted, strict=True):
        place, wanted_place = f"{sequence_id} from {start}", f"{wanted_id} from {wanted_start}"
        assert place == wanted_place, f"{clause}; window {window_id} lies in {place}, expected {wanted_place}"
        fits = length in {bases, tiling.window_size}
        assert fits, f"{clause}; window {window_id} has {length} bases, expected {bases} or the window size"


def _check_types(windows: Windows, count: int) -> None:
    assert isinstance(windows.sequence_ids, tuple), f"sequence_ids must be a tuple, not {type(windows.sequence_ids)}"
    assert len(windows.sequence_ids) == count, f"{count} window ids must give as many sequence_ids"
    assert {type(i) for i in windows.sequence_ids} <= {str}, "sequence_ids must hold plain strings"
    for name in ("window_ids", "starts", "lengths"):
        array = getattr(windows, name)
        assert array.dtype == np.int64, f"{name} must be int64, not {array.dtype}"
        assert array.shape == (count,), f"{name} of {count} windows must have the shape {(count,)}, not {array.shape}"


def _contig_rows(index: WindowIndex, further: Mapping[str, pa.DataType] | None = None) -> list[dict[str, Any]]:
    wanted = {"contig_id": pa.string(), "first_window": pa.int64(), "windows": pa.int64(), "length": pa.int64()}
    wanted |= further or {}
    batches = list(index.contigs())
    for batch in batches:
        types = {field.name: field.type for field in batch.schema}
        assert types == wanted, f"contigs() must give batches of {wanted}, not {types}"
    return [row for batch in batches for row in batch.to_pylist()]
