"""What the checks of indexes share: the index, its data, its capabilities, and how it is compared with the oracle."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from eden_core.batch import Windows
from eden_core.interfaces import WindowIndex
from eden_core.testing.capabilities import Capability, capability_of_method, is_offered
from eden_core.testing.lifecycle import LifecycleTests, Probe
from eden_core.testing.oracle import Contigs, Request
from eden_core.testing.suite import facts, new_folder
from eden_core.tiling import Tiling


def _takes_intervals(suite: "IndexData", _given: object) -> bool:
    batches = batches_of([("BCR__ECT-SAMPLE1__CT1-1", 100, 400)], ("contig_id", "start", "length"), 1)
    with TemporaryDirectory() as folder:
        return is_offered(lambda: suite.make_index(Path(folder), batches, Tiling(100, 100)).close())


def _knows_lengths(_suite: "IndexData", given: Mapping[str, Any]) -> bool:
    return any(batch.column("length").null_count < batch.num_rows for batch in given["index"].contigs())


class IndexData(LifecycleTests):
    """The index under test, and what it is built from."""

    kind: ClassVar[str] = "index"
    data: ClassVar[tuple[str, ...]] = ("contigs", "tilings", "odd_ids")
    optional: ClassVar[tuple[Capability, ...]] = (
        capability_of_method("builds", WindowIndex, "build", "`build` writes an index."),
        Capability("intervals", "It is built from intervals of contigs too.", "`make_index` takes intervals", _takes_intervals),
        Capability(
            "retiles",
            "Windows may be cut in another way than they were built.",
            "its class says `retiles`",
            lambda _suite, given: type(given["index"]).retiles,
        ),
        Capability("lengths", "It knows where sequences end.", "`contigs` gives a length", _knows_lengths),
        Capability(
            "digests",
            "It knows what it was built from.",
            "its `contigs_digest` is not None",
            lambda _suite, given: given["index"].contigs_digest is not None,
        ),
        capability_of_method("checks", WindowIndex, "check", "`check` finds damage."),
    )

    max_open_files: ClassVar[int] = 16
    """the most files that an index may leave open"""

    def make_index(self, location: Path, contigs: list[pa.RecordBatch], tiling: Tiling) -> WindowIndex:
        """Write an index of these contigs (batches for `build`) under an existing empty folder; return it open."""
        raise NotImplementedError(f"{type(self).__name__} must define make_index(self, location, contigs, tiling)")

    @pytest.fixture
    def contigs(self) -> list[tuple[str, int]]:
        """(id, length in bases) in byte order of the ids; one at least has a window under the first of `tilings`."""
        lengths = [0, 1, 49, 50, 99, 100, 101, 179, 180, 181, 260, 5_000, 12_345, 7, 110]
        ids = [f"BCR__ECT-SAMPLE{1 + n % 2}__CT1-{n}" for n in range(len(lengths))]
        return sorted(zip(ids, lengths, strict=True), key=lambda contig: contig[0].encode())

    @pytest.fixture
    def tilings(self) -> list[Tiling]:
        """Ways to cut, under which `contigs` have different windows; the first is used where one will do."""
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
        with self.make_index(new_folder(tmp_path / "index"), contig_batches(contigs), tilings[0]) as index:
            yield index

    @pytest.fixture
    def probe(self, index: WindowIndex) -> Probe:
        """The index with a question to it. Not to be overridden."""
        window_ids = np.random.default_rng(3).permutation(len(index))
        return Probe(index, "lookup", window_ids, window_ids[:1], window_ids[::-1].copy(), Windows)


def contig_batches(contigs: Contigs, rows: int = 4) -> list[pa.RecordBatch]:
    """Return what `build` is given, in batches of so many rows and an empty one."""
    schema = pa.schema([pa.field("contig_id", pa.string(), nullable=False), pa.field("length", pa.int64(), nullable=False)])
    parts = [contigs[first : first + rows] for first in range(0, len(contigs), rows)]
    columns = [([i for i, _ in part], [length for _, length in part]) for part in [*parts, []]]
    return [pa.RecordBatch.from_arrays([pa.array(i, pa.string()), pa.array(n, pa.int64())], schema=schema) for i, n in columns]


def batches_of(rows: Sequence[tuple[Any, ...]], names: Sequence[str], size: int) -> list[pa.RecordBatch]:
    """Return rows with columns of these names in batches of so many rows."""
    parts = [rows[first : first + size] for first in range(0, len(rows), size)]
    return [pa.RecordBatch.from_pylist([dict(zip(names, row, strict=True)) for row in part]) for part in parts]


def check_windows(found: Windows, every: Sequence[Request], window_ids: NDArray[np.int64], tiling: Tiling, claim: str) -> None:
    """Compare the answer to `window_ids` with those windows of the oracle, which lists all of them."""
    wanted = [every[window_id] for window_id in window_ids.tolist()]
    assert len(found) == len(wanted), f"{claim}; {len(wanted)} window ids were answered with {len(found)} windows"
    assert facts(found.window_ids) == facts(window_ids), f"{claim}; window_ids must be the ids that were asked for"
    rows = zip(found.sequence_ids, found.starts.tolist(), found.lengths.tolist(), strict=True)
    for window_id, (sequence_id, start, length), (wanted_id, wanted_start, bases) in zip(window_ids, rows, wanted, strict=True):
        place, wanted_place = f"{sequence_id} from {start}", f"{wanted_id} from {wanted_start}"
        assert place == wanted_place, f"{claim}; window {window_id} lies in {place}, expected {wanted_place}"
        fits = length in {bases, tiling.window_size}
        assert fits, f"{claim}; window {window_id} has {length} bases, expected {bases} or the window size"


def check_every_window(index: WindowIndex, every: Sequence[Request], tiling: Tiling, claim: str) -> None:
    """Compare all windows of an index with those of the oracle."""
    assert len(index) == len(every), f"{claim}; there are {len(index)} windows, expected {len(every)}"
    window_ids = np.arange(len(index))
    check_windows(index.lookup(window_ids), every, window_ids, tiling, claim)


def contig_rows(index: WindowIndex, further: Mapping[str, pa.DataType] | None = None) -> list[dict[str, Any]]:
    """Return what `contigs` lists, once its types are seen to be right."""
    wanted = {"contig_id": pa.string(), "first_window": pa.int64(), "windows": pa.int64(), "length": pa.int64()}
    wanted |= further or {}
    batches = list(index.contigs())
    for batch in batches:
        types = {field.name: field.type for field in batch.schema}
        assert types == wanted, f"contigs() must give batches of {wanted}, not {types}"
    return [row for batch in batches for row in batch.to_pylist()]


def check_nothing_left(folder: Path, what: str) -> None:
    """Fail where something lies in a folder."""
    left = [path.name for path in folder.iterdir()]
    assert not left, f"{what} must leave nothing; it left {left}: write beside the target, rename at the end"
