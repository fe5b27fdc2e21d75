"""The contract of stores, as tests to inherit."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from eden_core.batch import Ragged
from eden_core.errors import EdenError, SequenceNotFoundError, ShardNotFoundError, StaleIndexError
from eden_core.interfaces import SequenceStore
from eden_core.sequence_ids import extract_sample_id
from eden_core.testing.lifecycle import LifecycleTests, Probe
from eden_core.testing.suite import (
    BrokenInputError,
    Request,
    answer_of,
    count_open_files,
    error_of,
    example_sequences,
    facts,
    new_folder,
    skipped_where_not_supported,
    windows_of,
)

Sequences = Mapping[str, bytes]

_PHASES = [Phase.generate, Phase.shrink]


class SequenceStoreTests(LifecycleTests):
    """What every store must do. Inherit, name the class `Test…`, write `make_store`; override fixtures, never checks.

    Fixtures to override where the data do not suit the store: `sequences`, `many_samples`.
    """

    max_open_files: ClassVar[int] = 256
    """the most files that reading `many_samples` may leave open"""

    def make_store(self, location: Path, sequences: dict[str, bytes]) -> SequenceStore:
        """Write these sequences (id -> bases) in the store's own way under an existing empty folder; return it open."""
        raise NotImplementedError(f"{type(self).__name__} must define make_store(self, location, sequences)")

    @pytest.fixture
    def sequences(self) -> dict[str, bytes]:
        """Id -> bases; several samples, ids of the form `BCR__ECT-SAMPLE1__CT1-1`. May be overridden."""
        return example_sequences()

    @pytest.fixture
    def many_samples(self) -> dict[str, bytes]:
        """Id -> bases: one small sequence each of more samples than files may be open. May be overridden."""
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
        return Probe(store, "read", windows_of(_requests(sequences)), windows_of(starts))

    def test_rows_are_the_bases_asked_for(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Row i is `sequence[start : start + length]`."""
        _check_reads(store, sequences, "row i must be sequence[start : start + length]")

    def test_rows_follow_the_request(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Rows come in the order of the windows, however mixed, and a window asked twice is answered twice."""
        requests = _requests(sequences) * 2
        mixed = [requests[i] for i in np.random.default_rng(1).permutation(len(requests))]
        _check_reads(store, sequences, "rows must come in the order of the windows, repeats included", mixed)

    def test_types_and_shapes(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Values are uint8 [total]; offsets int64 [W + 1], from 0 to total."""
        requests = _requests(sequences)
        _check_types(store.read(windows_of(requests)), len(requests))

    def test_no_windows_give_no_rows(self, store: SequenceStore) -> None:
        """No windows are answered with no rows, in the same types."""
        _check_types(answer_of(partial(store.read, windows_of([])), "no windows must be answered with no rows"), 0)

    def test_rows_end_with_their_sequence(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """A window that reaches beyond its sequence is cut at the end: no padding, nothing of the next sequence."""
        beyond = [(s, start, len(b) + 999) for s, b in sequences.items() for start in (0, len(b) // 2, len(b) - 1)]
        _check_reads(store, sequences, "a row must end where its sequence ends, unpadded", beyond)

    @pytest.mark.parametrize("behind", [0, 1, 5_000])
    def test_a_start_behind_the_end_is_stale(self, store: SequenceStore, sequences: dict[str, bytes], behind: int) -> None:
        """A window that starts at or behind its sequence's end is a StaleIndexError, never an empty row."""
        clause = "a window that starts at or behind its sequence's end must raise StaleIndexError"
        for sequence_id, bases in sequences.items():
            windows = windows_of([(sequence_id, 0, 5), (sequence_id, len(bases) + behind, 5)])
            error_of(partial(store.read, windows), StaleIndexError, clause)

    @pytest.mark.parametrize("unknown", ["contig", "sample"])
    def test_an_unknown_sequence_is_named(self, store: SequenceStore, sequences: dict[str, bytes], unknown: str) -> None:
        """An unknown sequence, in a known sample or not, is a SequenceNotFoundError or ShardNotFoundError naming it."""
        known = next(iter(sequences))
        missing = f"{known}-missing" if unknown == "contig" else "BCR__ECT-NO.SUCH.SAMPLE__CT1-1"
        before = facts(store.read(windows_of([(known, 0, 5)])))
        read = partial(store.read, windows_of([(known, 0, 5), (missing, 0, 5)]))
        clause = "an unknown sequence must raise SequenceNotFoundError (or ShardNotFoundError)"
        error = error_of(read, (SequenceNotFoundError, ShardNotFoundError), clause)
        assert missing in str(error), f"the error for an unknown sequence must name it ({missing}); it says: {error}"
        again = facts(store.read(windows_of([(known, 0, 5)])))
        assert again == before, "a store must still answer as before after an unknown sequence"

    @pytest.mark.parametrize("hostile", ["BCR__ECT-../../escaped__1", "BCR__ECT-/etc__1", "x'; DROP TABLE sequences; --"])
    def test_hostile_ids_are_refused(self, store: SequenceStore, sequences: dict[str, bytes], hostile: str) -> None:
        """An id that would leave the store's folder or end a query is an EdenError, and does no harm."""
        windows = windows_of(_requests(sequences))
        before = facts(store.read(windows))
        clause = f"the id {hostile!r} is not in the store: it must raise an EdenError and never become a path or query"
        error_of(partial(store.read, windows_of([(hostile, 0, 5)])), EdenError, clause)
        assert facts(store.read(windows)) == before, "a hostile id must do no harm"

    def test_rows_do_not_depend_on_company(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """A window is answered the same alone as among others."""
        requests = _requests(sequences)
        for row, request in zip(store.read(windows_of(requests)), requests, strict=True):
            alone = store.read(windows_of([request]))
            assert facts(alone[0]) == facts(row), f"{request} must be answered the same alone and in company"

    def test_case_and_letters_are_kept(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Bases come as stored: lower case stays lower, IUPAC letters stay."""
        whole = [(sequence_id, 0, len(bases)) for sequence_id, bases in sequences.items()]
        letters = bytes(sorted(set(store.read(windows_of(whole)).values.tolist())))
        stored = bytes(sorted(set(b"".join(sequences.values()))))
        assert letters == stored, f"bases must come as stored, case and letters kept: stored {stored!r}, read {letters!r}"

    def test_any_windows_read_like_slices(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Whatever is asked, the answer is that of a plain dict."""

        @settings(deadline=None, derandomize=True, max_examples=40, database=None, report_multiple_bugs=False, phases=_PHASES)
        @given(st.lists(_any_request(sequences), max_size=20))
        def reads_like_slices(requests: list[Request]) -> None:
            _check_reads(store, sequences, "row i must be sequence[start : start + length]", requests)

        reads_like_slices()

    def test_two_stores_do_not_mix(self, tmp_path: Path, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Two stores of one class, used in turn, keep to their own data."""
        others = {sequence_id: bases[::-1] + b"ACGT" for sequence_id, bases in sequences.items()}
        with self.make_store(new_folder(tmp_path / "other"), dict(others)) as other:
            for _ in range(2):
                _check_reads(store, sequences, "a store must not answer from another store's data")
                _check_reads(other, others, "a store must not answer from another store's data")

    def test_threads_may_read_at_once(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """A store with a `max_read_threads` of more than 1 answers so many threads at once as it answers each alone."""
        count = min(store.max_read_threads, 8)
        assert count >= 1, f"max_read_threads must be 1 or more, not {store.max_read_threads}"
        if count == 1:
            pytest.skip("this store is read by one thread at a time")
        requests, together = _requests(sequences), Barrier(count)

        def read(thread: int) -> None:
            together.wait()
            for number in range(10):
                turned = np.roll(np.arange(len(requests)), thread + number).tolist()
                clause = (
                    f"{count} threads that read at once (max_read_threads {store.max_read_threads}) must get their own rows"
                )
                _check_reads(store, sequences, clause, [requests[i] for i in turned])

        for _ in range(2):
            store.close()
            with ThreadPoolExecutor(count) as threads:
                list(threads.map(read, range(count)))

    def test_open_files_are_bounded(self, tmp_path: Path, many_samples: dict[str, bytes]) -> None:
        """Reading many samples leaves at most `max_open_files` files open; close() leaves none."""
        before = count_open_files()
        requests = [(sequence_id, 0, 5) for sequence_id in many_samples]
        with self.make_store(new_folder(tmp_path / "many"), dict(many_samples)) as store:
            for request in requests:
                store.read(windows_of([request]))
            _check_reads(store, many_samples, "every sample must be read", requests)
            opened = count_open_files() - before
        most = self.max_open_files
        assert opened <= most, f"at most {most} files may stay open, however many samples are read; {opened} do"
        left = count_open_files() - before
        assert left <= 0, f"close() must close every file; of {opened} it left {left} open"

    def test_contigs_are_listed(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """`contigs` lists each sequence once with its length, in byte order of the ids within a sample."""
        with skipped_where_not_supported():
            listed = _listed(list(store.contigs()))
        lengths = sorted((sequence_id, len(bases)) for sequence_id, bases in sequences.items())
        assert sorted(listed) == lengths, "contigs() must list each sequence once, with its length in bases"
        for sample in {extract_sample_id(sequence_id) for sequence_id in sequences}:
            ids = [sequence_id.encode() for sequence_id, _ in listed if extract_sample_id(sequence_id) == sample]
            assert ids == sorted(ids), f"contigs() must list ids in byte order within a shard, unlike {ids}"

    def test_samples_are_listed(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """`samples` lists each sample once, in byte order, and `contigs` lists those of one sample."""
        with skipped_where_not_supported():
            samples = list(store.samples())
        by_sample: dict[str, list[tuple[str, int]]] = {}
        for sequence_id, bases in sequences.items():
            by_sample.setdefault(extract_sample_id(sequence_id), []).append((sequence_id, len(bases)))
        wanted = sorted(by_sample, key=str.encode)
        assert samples == wanted, f"samples() must list each sample once, in byte order: {wanted}, not {samples}"
        with skipped_where_not_supported():
            for sample, contigs in by_sample.items():
                listed = _listed(list(store.contigs(sample)))
                assert sorted(listed) == sorted(contigs), f"contigs({sample!r}) must list the sequences of that sample alone"
        error_of(lambda: list(store.contigs("NO.SUCH")), ShardNotFoundError, "contigs() of an unknown sample must be refused")

    def test_whole_shards_pass_the_check(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """`check_shard` finds nothing wrong with what `make_store` wrote."""
        for sample in {extract_sample_id(sequence_id) for sequence_id in sequences}:
            answer_of(partial(store.check_shard, sample), "check_shard() must not refuse a shard that is whole")

    def test_a_shard_is_replaced(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """`write_shard` replaces all that the store had of a sample, and may be repeated."""
        sample, old = _first_sample(sequences)
        kept = {sequence_id: bases for sequence_id, bases in sequences.items() if sequence_id not in old}
        new = {f"{next(iter(old))}-new": b"ACGTNacgtn" * 50}
        _check_reads(store, sequences, "the store must read")
        for _ in range(2):
            _write(store, sample, new)
            _check_reads(store, {**kept, **new}, "after write_shard() and close() a store must read what was written")
        for sequence_id in old:
            clause = f"write_shard() must replace all that the store had of a sample; {sequence_id} outlived it"
            error_of(partial(store.read, windows_of([(sequence_id, 0, 1)])), LookupError, clause)

    def test_a_shard_is_added(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """`write_shard` adds a sample that the store did not have."""
        added = {"BCR__ECT-ADDED__CT1-1": b"ACGTNacgtn" * 30}
        _check_reads(store, sequences, "the store must read")
        _write(store, "ADDED", added)
        _check_reads(store, {**sequences, **added}, "a store must read the sample that was added and those it had")

    def test_a_store_of_one_sample_grows(self, tmp_path: Path, sequences: dict[str, bytes]) -> None:
        """A store that held one sample, and was asked in vain for another, reads that one once it is written."""
        sample, first = _first_sample(sequences)
        added = {"BCR__ECT-ADDED__CT1-1": b"ACGTNacgtn" * 30}
        read = windows_of([(sequence_id, 0, 1) for sequence_id in added])
        with self.make_store(new_folder(tmp_path / "one"), first) as store:
            error_of(partial(store.read, read), LookupError, f"a store of the sample {sample} alone must refuse another one")
            _write(store, "ADDED", added)
            _check_reads(store, {**first, **added}, "after write_shard() and close() a store must not think it has one sample")

    def test_a_shard_is_removed(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """`remove_shard` removes a sample at once, and may be repeated; the others stay."""
        sample, old = _first_sample(sequences)
        kept = {sequence_id: bases for sequence_id, bases in sequences.items() if sequence_id not in old}
        _check_reads(store, sequences, "the store must read")
        for finish in (False, True):
            with skipped_where_not_supported():
                store.remove_shard(sample)
            if finish:
                store.finish()
            store.close()
            _check_reads(store, kept, "after remove_shard() a store must read the samples that stay")
            clause = "remove_shard() must remove all that the store had of a sample, before and after finish()"
            for sequence_id in old:
                error_of(partial(store.read, windows_of([(sequence_id, 0, 1)])), LookupError, clause)
            with skipped_where_not_supported():
                samples = list(store.samples())
            assert sample not in samples, f"{clause}; samples() still lists {sample}"
        _write(store, sample, old)
        _check_reads(store, sequences, "after remove_shard() a sample can be written again")

    def test_a_failed_shard_leaves_no_trace(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """When the sequences end in an error, an old shard stays whole and a new one absent."""
        sample, old = _first_sample(sequences)
        unfinished = "BCR__ECT-UNFINISHED__CT1-1"
        for target, first in ((sample, next(iter(old))), ("UNFINISHED", unfinished)):
            write = partial(store.write_shard, target, _broken_off(first))
            with skipped_where_not_supported():
                error_of(write, BrokenInputError, "write_shard() must pass on the error of the sequences it is given")
        store.close()
        clause = "a failed write_shard() must leave the old shard whole: write beside it, then rename"
        _check_reads(store, sequences, clause)
        clause = "a failed write_shard() must leave nothing of a new sample"
        error_of(partial(store.read, windows_of([(unfinished, 0, 1)])), LookupError, clause)


def _requests(sequences: Sequences) -> list[Request]:
    """Windows at the start, in the middle and at the end of every sequence, and all of it."""
    requests: list[Request] = []
    for sequence_id, bases in sequences.items():
        n = len(bases)
        places = ((0, n), (0, 1), (n - 1, 1), (n // 2, n - n // 2), (n // 3, min(50, n - n // 3)))
        requests += [(sequence_id, start, length) for start, length in places]
    return requests


def _any_request(sequences: Sequences) -> st.SearchStrategy[Request]:
    def of(sequence_id: str) -> st.SearchStrategy[Request]:
        starts = st.integers(0, len(sequences[sequence_id]) - 1)
        return st.tuples(st.just(sequence_id), starts, st.integers(1, 9_000))

    return st.sampled_from(sorted(sequences)).flatmap(of)


def _check_reads(store: SequenceStore, sequences: Sequences, clause: str, requests: Sequence[Request] | None = None) -> None:
    asked = _requests(sequences) if requests is None else requests
    _check_rows(answer_of(partial(store.read, windows_of(asked)), clause), sequences, asked, clause)


def _check_rows(rows: Ragged[np.uint8], sequences: Sequences, requests: Sequence[Request], clause: str) -> None:
    assert len(rows) == len(requests), f"{clause}; {len(requests)} windows were answered with {len(rows)} rows"
    for (sequence_id, start, length), row in zip(requests, rows, strict=True):
        wanted, got = sequences[sequence_id][start : start + length], row.tobytes()
        window = f"{length} bases of {sequence_id} from {start}"
        assert len(got) == len(wanted), f"{clause}; for {window} came {len(got)} bases, expected {len(wanted)}"
        if got != wanted:
            at = next(i for i in range(len(wanted)) if got[i] != wanted[i])
            difference = f"from base {at} on it is {got[at:][:20]!r}, not {wanted[at:][:20]!r}"
            raise AssertionError(f"{clause}; {window}: {difference}")


def _check_types(rows: Ragged[np.uint8], count: int) -> None:
    assert rows.values.dtype == np.uint8, f"values must be uint8, not {rows.values.dtype}"
    assert rows.values.ndim == 1, f"values must be one row of all bases, not of shape {rows.values.shape}"
    assert rows.offsets.dtype == np.int64, f"offsets must be int64, not {rows.offsets.dtype}"
    assert rows.offsets.shape == (count + 1,), f"offsets of {count} windows must have the shape {(count + 1,)}"
    assert rows.offsets[0] == 0, f"offsets must begin with 0, not {rows.offsets[0]}"
    assert rows.offsets[-1] == rows.values.size, f"offsets must end with the number of values, {rows.values.size}"


def _listed(batches: list[pa.RecordBatch]) -> list[tuple[str, int]]:
    for batch in batches:
        types = {field.name: field.type for field in batch.schema}
        wanted = {"contig_id": pa.string(), "length": pa.int64()}
        assert types == wanted, f"contigs() must give batches of contig_id: string, length: int64, not {types}"
    return [(row["contig_id"], row["length"]) for batch in batches for row in batch.to_pylist()]


def _first_sample(sequences: Sequences) -> tuple[str, dict[str, bytes]]:
    sample = extract_sample_id(next(iter(sequences)))
    return sample, {i: bases for i, bases in sequences.items() if extract_sample_id(i) == sample}


def _write(store: SequenceStore, sample: str, sequences: Sequences) -> None:
    with skipped_where_not_supported():
        summary = store.write_shard(sample, iter(sequences.items()))
    store.finish()
    store.close()
    got = (summary.sample, summary.sequences, summary.bases)
    wanted = (sample, len(sequences), sum(map(len, sequences.values())))
    assert got == wanted, f"ShardSummary must say (sample, sequences, bases) = {wanted}, not {got}"


def _broken_off(first: str) -> Iterator[tuple[str, bytes]]:
    yield first, b"NNNNNNNNNN"
    raise BrokenInputError
