from itertools import groupby

import pytest
from sequence_files import write_fasta, write_two_bit

from eden_core import extract_sample_id
from eden_core.testing import SequenceStoreTests
from eden_core.testing.suite import example_sequences
from eden_fasta.stores import FastaStore, TwoBitStore


def by_sample(sequences):
    return {sample: dict(some) for sample, some in groupby(sequences.items(), lambda item: extract_sample_id(item[0]))}


CAPABILITIES = ("samples", "contigs", "checks", "state", "threads")


class _FastaTests(SequenceStoreTests):
    capabilities = CAPABILITIES

    @pytest.fixture
    def odd_ids(self):
        """Without blanks, where a FASTA id ends."""
        return [f"BCR__ECT-SAMPLE1__{end}" for end in ("a|b/c:1-90", "%2F..\\é∂", ",;'d\"", "x" * 100, "x" * 99 + "y")]


class TestFasta(_FastaTests):
    def make_store(self, location, sequences):
        for number, (sample, some) in enumerate(by_sample(sequences).items()):
            write_fasta(location / f"{sample}.fa", some, *((70, b"\n"), (61, b"\r\n"), (10**6, b"\n"))[number % 3])
        with FastaStore(str(location)) as store:  # half of a FASTA file is FASTA: only one that was indexed is known to be cut
            store.fingerprint()
        return FastaStore(str(location))


class TestBgzip(_FastaTests):
    def make_store(self, location, sequences):
        pysam = pytest.importorskip("pysam")
        for sample, some in by_sample(sequences).items():
            plain = write_fasta(location / f"{sample}.plain", some)
            pysam.tabix_compress(str(plain), str(location / f"{sample}.fna.gz"))
            plain.unlink()
        return FastaStore(str(location))


class TestTwoBit(SequenceStoreTests):
    capabilities = CAPABILITIES

    @pytest.fixture
    def sequences(self):
        def kept(bases):
            return bytes(base if base in b"ACGTNacgtn" else ord("n" if chr(base).islower() else "N") for base in bases)

        return {name: kept(bases) for name, bases in example_sequences().items()}

    def make_store(self, location, sequences):
        for number, (sample, some) in enumerate(by_sample(sequences).items()):
            write_two_bit(location / f"{sample}.2bit", some, "<>"[number % 2], number // 2 % 2)
        return TwoBitStore(str(location))
