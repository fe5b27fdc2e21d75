"""What a store that lists, checks, describes or optimizes its shards must do, and that it does what its suite says."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from eden_core.errors import FormatError, ShardNotFoundError
from eden_core.interfaces import SequenceStore
from eden_core.sequence_ids import extract_sample_id
from eden_core.testing.capabilities import assumes, compare_capabilities, is_offered
from eden_core.testing.clauses import CAPABILITIES, Clause
from eden_core.testing.lifecycle import halve, opened_again
from eden_core.testing.oracle import by_sample
from eden_core.testing.stores.data import StoreData, check_reads, cut_from
from eden_core.testing.suite import answer_of, error_of


class ShardTests(StoreData):
    """Checks of what is optional and changes no bases."""

    @CAPABILITIES
    def test_capabilities_are_as_declared(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Tries each capability, last those that write, and compares what came of it with the suite."""
        sample = extract_sample_id(next(iter(sequences)))
        added = ("BCR__ECT-TRIED__CT1-1", cut_from(sequences, 5))
        attempts: dict[str, Callable[[], object]] = {
            "samples": lambda: list(store.samples()),
            "contigs": lambda: list(store.contigs()),
            "state": lambda: store.shard_state(sample),
            "optimizes": lambda: store.optimize_shard(sample),
            "writes": lambda: store.write_shard("TRIED", iter([added])),
            "removes": lambda: store.remove_shard("NO.SUCH"),
        }
        found = {name: is_offered(attempt) for name, attempt in attempts.items()}
        found |= {name: assumes(self, name, store=store) for name in ("checks", "threads")}
        compare_capabilities(self, found, store=store)

    @Clause(
        "contigs-are-listed",
        "`contigs` lists each sequence once with its length, in byte order of the ids within a sample.",
        needs=("contigs",),
    )
    def test_contigs_are_listed(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Compares what is listed, and its types, with a dict."""
        listed = _listed(list(store.contigs()))
        lengths = sorted((sequence_id, len(bases)) for sequence_id, bases in sequences.items())
        assert sorted(listed) == lengths, "contigs() must list each sequence once, with its length in bases"
        for sample in by_sample(sequences):
            ids = [sequence_id.encode() for sequence_id, _ in listed if extract_sample_id(sequence_id) == sample]
            assert ids == sorted(ids), f"contigs() must list ids in byte order within a shard, unlike {ids}"

    @Clause("samples-are-listed", "`samples` lists each sample once, in byte order.", needs=("samples",))
    def test_samples_are_listed(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Compares what is listed with the samples that the ids name."""
        samples, wanted = list(store.samples()), list(by_sample(sequences))
        assert samples == wanted, f"samples() must list each sample once, in byte order: {wanted}, not {samples}"

    @Clause(
        "contigs-of-a-sample",
        "`contigs` of a sample lists the sequences of that sample alone; an unknown sample is a ShardNotFoundError.",
        needs=("samples", "contigs"),
    )
    def test_contigs_of_a_sample_are_listed(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Lists the sequences of each sample, and of one that is not there."""
        for sample, held in by_sample(sequences).items():
            listed = sorted(_listed(list(store.contigs(sample))))
            wanted = sorted((sequence_id, len(bases)) for sequence_id, bases in held.items())
            assert listed == wanted, f"contigs({sample!r}) must list the sequences of that sample alone"
        error_of(lambda: list(store.contigs("NO.SUCH")), ShardNotFoundError, "contigs() of an unknown sample must be refused")

    @Clause("whole-shards-pass", "`check_shard` finds nothing wrong with what is whole.")
    def test_whole_shards_pass_the_check(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Checks every sample that `make_store` wrote."""
        for sample in by_sample(sequences):
            answer_of(partial(store.check_shard, sample), "check_shard() must not refuse a shard that is whole")

    @Clause("damage-is-found", "`check_shard` of a shard that was cut short is a FormatError.", needs=("checks",))
    def test_damage_is_found(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Cuts the largest file under the store's location in half, opens the store again, and checks every sample."""
        files = [path for path in Path(store.location).rglob("*") if path.is_file()]
        if not files:
            pytest.skip(f"there are no files under {store.location} that could be damaged")
        store.close()
        damaged = max(files, key=lambda path: path.stat().st_size)
        halve(damaged)
        claim = f"{damaged.name} was cut in half: check_shard() of one of its samples must raise FormatError"

        def check_all() -> None:
            with opened_again(store) as again:
                for sample in by_sample(sequences):
                    again.check_shard(sample)

        error_of(check_all, FormatError, claim)

    @Clause(
        "state-of-shards",
        "`shard_state` tells a sample and the size of its shard, and calls what is whole safe.",
        needs=("state",),
    )
    def test_state_of_shards(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Looks at the state of every sample that `make_store` wrote."""
        for sample in by_sample(sequences):
            state = store.shard_state(sample)
            assert state.sample == sample, f"the state of {sample!r} must name that sample, not {state.sample!r}"
            assert state.location, "the state must say where the shard lies"
            assert state.bytes > 0, f"a shard with bases has bytes; the state of {sample!r} says {state.bytes}"
            assert state.unsafe is None, f"a shard that is whole may be read; the state of {sample!r} says {state.unsafe!r}"

    @Clause(
        "optimizing-keeps-the-bases",
        "`optimize_shard` changes no base, and leaves a shard that is fast already as it is.",
        needs=("optimizes",),
    )
    def test_optimizing_keeps_the_bases(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Optimizes every sample twice, and reads all."""
        for sample in by_sample(sequences):
            once, again = store.optimize_shard(sample), store.optimize_shard(sample)
            assert once.sample == again.sample == sample, f"OptimizeSummary must name the sample {sample!r}"
            assert not again.rewritten, f"{sample!r} was just optimized, and must be left as it is"
        store.close()
        check_reads(store, sequences, "after optimize_shard() a store must read what it read before")


def _listed(batches: list[pa.RecordBatch]) -> list[tuple[str, int]]:
    for batch in batches:
        types = {field.name: field.type for field in batch.schema}
        wanted = {"contig_id": pa.string(), "length": pa.int64()}
        assert types == wanted, f"contigs() must give batches of contig_id: string, length: int64, not {types}"
    return [(row["contig_id"], row["length"]) for batch in batches for row in batch.to_pylist()]
