"""What a store that can be written must do."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from eden_core.errors import RepeatedIdError
from eden_core.interfaces import SequenceStore
from eden_core.testing.capabilities import has
from eden_core.testing.clauses import Clause
from eden_core.testing.oracle import Sequences, by_sample
from eden_core.testing.stores.data import StoreData, check_reads, cut_from
from eden_core.testing.suite import BrokenInputError, error_of, new_folder, quick, windows_of

_WRITES = ("writes",)


class WriteTests(StoreData):
    """Checks of writing and removing."""

    @Clause(
        "shards-are-replaced", "`write_shard` replaces all that the store had of a sample, and may be repeated.", needs=_WRITES
    )
    def test_a_shard_is_replaced(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Writes other sequences of a sample, twice, reads all, and asks for the old ones."""
        sample, old, kept = _parted(sequences)
        new = {f"{next(iter(old))}-new": cut_from(sequences, 500)}
        check_reads(store, sequences, "the store must read")
        for _ in range(2):
            _write(store, sample, new)
            check_reads(store, {**kept, **new}, "after write_shard() and close() a store must read what was written")
        _check_gone(store, old, "write_shard() must replace all that the store had of a sample")

    @Clause(
        "shards-are-added", "`write_shard` adds a sample that the store did not have, and says what it wrote.", needs=_WRITES
    )
    def test_a_shard_is_added(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Writes a sample, compares its ShardSummary, and reads it and those that were there."""
        added = _added(sequences)
        check_reads(store, sequences, "the store must read")
        _write(store, "ADDED", added)
        check_reads(store, {**sequences, **added}, "a store must read the sample that was added and those it had")

    @Clause(
        "one-sample-grows",
        "A store of one sample that was asked in vain for another reads that one once it is written.",
        needs=_WRITES,
    )
    def test_a_store_of_one_sample_grows(self, store: SequenceStore, tmp_path: Path, sequences: dict[str, bytes]) -> None:
        """Makes a store of one sample, asks it for another, writes that, and reads both."""
        (sample, first, _), added = _parted(sequences), _added(sequences)
        read = windows_of([(sequence_id, 0, 1) for sequence_id in added])
        with self.make_store(new_folder(tmp_path / "one"), first) as one:
            error_of(partial(one.read, read), LookupError, f"a store of the sample {sample} alone must refuse another one")
            _write(one, "ADDED", added)
            check_reads(one, {**first, **added}, "after write_shard() and close() a store must not think it has one sample")

    @Clause(
        "repeated-ids", "An id that comes twice in a sample is a RepeatedIdError, and leaves what there was.", needs=_WRITES
    )
    def test_a_repeated_id_is_refused(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Writes a sample with an id that repeats, and reads what was there before."""
        sample, old, _ = _parted(sequences)
        twice = [(sequence_id, cut_from(sequences, 4)) for sequence_id in old] * 2
        error_of(lambda: store.write_shard(sample, iter(twice)), RepeatedIdError, "write_shard() must refuse it")
        store.close()
        check_reads(store, sequences, "a refused write_shard() must leave the old shard whole")

    @Clause(
        "failed-writes-leave-no-trace",
        "When the sequences end in an error, it is passed on, an old shard stays whole and a new one absent.",
        needs=_WRITES,
    )
    def test_a_failed_shard_leaves_no_trace(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Writes an old and a new sample from sequences that break off, and reads both."""
        sample, old, _ = _parted(sequences)
        unfinished = "BCR__ECT-UNFINISHED__CT1-1"
        for target, first in ((sample, next(iter(old))), ("UNFINISHED", unfinished)):
            write = partial(store.write_shard, target, _broken_off(first, cut_from(sequences, 10)))
            error_of(write, BrokenInputError, "write_shard() must pass on the error of the sequences it is given")
        store.close()
        check_reads(store, sequences, "a failed write_shard() must leave the old shard whole: write beside it, then rename")
        _check_gone(store, {unfinished: b""}, "a failed write_shard() must leave nothing of a new sample")

    @Clause(
        "shards-are-removed",
        "`remove_shard` removes a sample at once, and may be repeated; the others stay.",
        needs=("removes",),
    )
    def test_a_shard_is_removed(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Removes a sample twice, then with `finish`; reads the others, and writes it again where that is possible."""
        sample, old, kept = _parted(sequences)
        check_reads(store, sequences, "the store must read")
        for finish in (False, True):
            store.remove_shard(sample)
            if finish:
                store.finish()
            store.close()
            check_reads(store, kept, "after remove_shard() a store must read the samples that stay")
            _check_gone(store, old, "remove_shard() must remove all that the store had of a sample, before and after finish()")
            if has(self, "samples", store=store):
                assert sample not in list(store.samples()), f"after remove_shard() samples() still lists {sample}"
        if has(self, "writes", store=store):
            _write(store, sample, old)
            check_reads(store, sequences, "after remove_shard() a sample can be written again")

    @Clause("writes-are-those-of-a-dict", "After any writes and removals a store reads what a dict would.", needs=_WRITES)
    def test_any_writes_read_like_those_of_a_dict(
        self, store: SequenceStore, tmp_path: Path, sequences: dict[str, bytes]
    ) -> None:
        """Writes and removes samples as hypothesis has it, `finish` in between or not, and reads all after each."""
        small = {i: bases for i, bases in sequences.items() if len(bases) <= 10_000} or sequences
        samples, removes = by_sample(small), has(self, "removes", store=store)
        step = st.sampled_from(sorted(samples)).flatmap(
            lambda sample: st.tuples(
                st.just(sample),
                st.lists(st.sampled_from(sorted(samples[sample])), min_size=0 if removes else 1, unique=True),
                st.booleans(),
            )
        )

        @quick(6)
        @given(st.lists(step, min_size=1, max_size=4))
        def reads_like_a_dict(steps: list[tuple[str, list[str], bool]]) -> None:
            with TemporaryDirectory(dir=tmp_path) as folder, self.make_store(Path(folder), dict(small)) as written:
                held = {sample: dict(some) for sample, some in samples.items()}
                for sample, ids, finish in steps:
                    held[sample] = {i: small[i][::-1] for i in ids}
                    _change(written, sample, held[sample], finish=finish)
                    oracle = {i: bases for some in held.values() for i, bases in some.items()}
                    check_reads(written, oracle, f"after {steps} a store must read what a dict would")

        reads_like_a_dict()


def _parted(sequences: Sequences) -> tuple[str, dict[str, bytes], dict[str, bytes]]:
    """Return a sample, its sequences, and those of the others."""
    samples = by_sample(sequences)
    sample = next(iter(samples))
    return sample, samples[sample], {i: bases for other in samples if other != sample for i, bases in samples[other].items()}


def _change(store: SequenceStore, sample: str, sequences: Sequences, *, finish: bool) -> None:
    if sequences:
        store.write_shard(sample, iter(sequences.items()))
    else:
        store.remove_shard(sample)
    if finish:
        store.finish()
    store.close()


def _write(store: SequenceStore, sample: str, sequences: Sequences) -> None:
    summary = store.write_shard(sample, iter(sequences.items()))
    store.finish()
    store.close()
    got = (summary.sample, summary.sequences, summary.bases)
    wanted = (sample, len(sequences), sum(map(len, sequences.values())))
    assert got == wanted, f"ShardSummary must say (sample, sequences, bases) = {wanted}, not {got}"


def _check_gone(store: SequenceStore, sequences: Sequences, claim: str) -> None:
    for sequence_id in sequences:
        outlived = f"{claim}; {sequence_id} outlived it"
        error_of(partial(store.read, windows_of([(sequence_id, 0, 1)])), LookupError, outlived)


def _added(sequences: Sequences) -> dict[str, bytes]:
    return {"BCR__ECT-ADDED__CT1-1": cut_from(sequences, 300)}


def _broken_off(first: str, bases: bytes) -> Iterator[tuple[str, bytes]]:
    yield first, bases
    raise BrokenInputError
