"""The smallest right implementations pass every check, also with the smallest data."""

from dataclasses import replace

import numpy as np
import pytest
from in_memory import HideTests, JsonIndexTests, MemoryStore, MemoryStoreTests, ThreadsTests, Trim, TrimTests

from eden_core import Ragged, Tiling
from eden_core.testing.transforms.data import chosen_windows, example_batch


class TestMemoryStore(MemoryStoreTests): ...


class ThreadedStore(MemoryStore):
    max_read_threads = 4


class TestThreadedStore(MemoryStoreTests):
    store_class = ThreadedStore


class NAlone(MemoryStore):
    """Refuses other letters."""

    def write_shard(self, sample, sequences):
        listed = list(sequences)
        assert all(set(bases) <= set(b"Nn") for _, bases in listed)
        return super().write_shard(sample, listed)


class TestOneBase(MemoryStoreTests):
    store_class = NAlone
    capabilities = ("samples", "contigs", "writes", "removes")

    @pytest.fixture
    def sequences(self):
        return {"BCR__ECT-S__1": b"n"}

    @pytest.fixture
    def many_samples(self):
        return {"BCR__ECT-S__1": b"N"}


class TestJsonIndex(JsonIndexTests): ...


class TestOneContig(JsonIndexTests):
    capabilities = ("builds", "intervals")

    @pytest.fixture
    def contigs(self):
        return [("BCR__ECT-S__1", 3)]

    @pytest.fixture
    def tilings(self):
        return [Tiling(window_size=2, stride=1)]


def test_every_contig_may_be_long(tmp_path):
    contigs, tilings = [("BCR__ECT-S__1", 5000), ("BCR__ECT-S__2", 7000)], [Tiling(window_size=100, stride=80)]
    JsonIndexTests().test_any_contigs_have_the_windows_of_a_list(tmp_path, contigs, tilings)


class TestTrim(TrimTests): ...


class TrimAndWeigh(Trim):
    def apply(self, batch, draws):
        changed = super().apply(batch, draws)
        ones = np.ones(changed.bases.values.size, np.float32)
        return replace(changed, weights=changed.weights or Ragged(ones, changed.bases.offsets))


class TestOneWindow(TrimTests):
    transform_class = TrimAndWeigh
    capabilities = ("augments", "prefixes", "weights")

    @pytest.fixture
    def batch(self):
        return chosen_windows(example_batch(), [0])


class TestHide(HideTests): ...


class TestOneToken(HideTests):
    capabilities = ("chooses",)

    @pytest.fixture
    def tokens(self):
        return Ragged.from_rows([[65]], np.int64)


class TestThreads(ThreadsTests):
    @pytest.mark.xfail(reason="threads are no other processes", raises=AssertionError, strict=True)
    def test_every_task_comes_back(self, tmp_path, numbers):
        super().test_every_task_comes_back(tmp_path, numbers)
