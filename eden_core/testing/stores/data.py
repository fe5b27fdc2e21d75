"""What the checks of stores share: the store, its data, its capabilities, and how it is compared with the oracle."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from eden_core.batch import Ragged
from eden_core.interfaces import SequenceStore
from eden_core.testing.capabilities import Capability, capability_of_method
from eden_core.testing.lifecycle import LifecycleTests, Probe
from eden_core.testing.oracle import Request, Sequences, rows_of
from eden_core.testing.suite import answer_of, example_sequences, new_folder, windows_of

_of_method = partial(capability_of_method, contract=SequenceStore)


class StoreData(LifecycleTests):
    """The store under test, and what it holds."""

    kind: ClassVar[str] = "store"
    data: ClassVar[tuple[str, ...]] = ("sequences", "many_samples", "odd_ids")
    optional: ClassVar[tuple[Capability, ...]] = (
        _of_method("samples", method="samples", meaning="`samples` lists the samples."),
        _of_method("contigs", method="contigs", meaning="`contigs` lists the sequences and their lengths."),
        _of_method("writes", method="write_shard", meaning="`write_shard` writes a sample."),
        _of_method("removes", method="remove_shard", meaning="`remove_shard` removes a sample."),
        _of_method("checks", method="check_shard", meaning="`check_shard` finds damage."),
        _of_method("state", method="shard_state", meaning="`shard_state` takes a cheap look at a shard."),
        _of_method("optimizes", method="optimize_shard", meaning="`optimize_shard` makes reads cheap."),
        Capability(
            "threads",
            "Several threads may `read` at once.",
            "its `max_read_threads` is more than 1",
            lambda _suite, given: bool(given["store"].max_read_threads > 1),
        ),
    )
    max_open_files: ClassVar[int] = 256
    """the most files that reading `many_samples` may leave open"""

    def make_store(self, location: Path, sequences: dict[str, bytes]) -> SequenceStore:
        """Write these sequences (id -> bases) in the store's own way under an existing empty folder; return it open."""
        raise NotImplementedError(f"{type(self).__name__} must define make_store(self, location, sequences)")

    @pytest.fixture
    def sequences(self) -> dict[str, bytes]:
        """Id -> bases, at least 1 a sequence; ids of the form `BCR__ECT-SAMPLE1__CT1-1`, one or several samples."""
        return example_sequences()

    @pytest.fixture
    def many_samples(self) -> dict[str, bytes]:
        """Id -> bases: one small sequence each of more samples than files may be open."""
        return {f"BCR__ECT-S{n}__CT1-1": b"ACGTN" * (1 + n % 7) for n in range(300)}

    @pytest.fixture
    def store(self, tmp_path: Path, sequences: dict[str, bytes]) -> Iterator[SequenceStore]:
        """The store under test, holding `sequences`. Not to be overridden: write `make_store`."""
        with self.make_store(new_folder(tmp_path / "store"), dict(sequences)) as store:
            yield store

    @pytest.fixture
    def probe(self, store: SequenceStore, sequences: dict[str, bytes]) -> Probe:
        """The store with a question to it. Not to be overridden."""
        starts = [(sequence_id, 0, 1) for sequence_id in sequences]
        requests = requests_of(sequences)
        return Probe(store, "read", windows_of(requests), windows_of(starts), windows_of(requests[::-1]), Ragged)


def requests_of(sequences: Sequences) -> list[Request]:
    """Return windows at the start, in the middle and at the end of every sequence, and all of it."""
    requests: list[Request] = []
    for sequence_id, bases in sequences.items():
        n = len(bases)
        places = ((0, n), (0, 1), (n - 1, 1), (n // 2, n - n // 2), (n // 3, min(50, n - n // 3)))
        requests += [(sequence_id, start, length) for start, length in places]
    return requests


def cut_from(sequences: Sequences, length: int) -> bytes:
    """Return bases of which these sequences are made, over and over."""
    bases = max(sequences.values(), key=lambda each: len(set(each[:length])))[:length]
    return (bases * -(-length // len(bases)))[:length]


def check_reads(store: SequenceStore, sequences: Sequences, claim: str, requests: Sequence[Request] | None = None) -> None:
    """Compare what a store reads with the oracle; `requests` are those of `requests_of` unless given."""
    asked = requests_of(sequences) if requests is None else requests
    _check_rows(answer_of(partial(store.read, windows_of(asked)), claim), sequences, asked, claim)


def _check_rows(rows: Ragged[np.uint8], sequences: Sequences, requests: Sequence[Request], claim: str) -> None:
    assert len(rows) == len(requests), f"{claim}; {len(requests)} windows were answered with {len(rows)} rows"
    for (sequence_id, start, length), row, wanted in zip(requests, rows, rows_of(sequences, requests), strict=True):
        got, window = row.tobytes(), f"{length} bases of {sequence_id} from {start}"
        assert len(got) == len(wanted), f"{claim}; for {window} came {len(got)} bases, expected {len(wanted)}"
        if got != wanted:
            at = next(i for i in range(len(wanted)) if got[i] != wanted[i])
            difference = f"from base {at} on it is {got[at:][:20]!r}, not {wanted[at:][:20]!r}"
            raise AssertionError(f"{claim}; {window}: {difference}")
