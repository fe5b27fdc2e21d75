import shutil

import numpy as np
import pytest
from plain import write_seed_index, write_seed_shard

from eden_core import Ragged, SequenceStore, assembly, errors
from eden_core.shuffling import BlockShuffle
from eden_sqlite.index import SqliteIndex
from eden_sqlite.store import SqliteShards


class Asked(SequenceStore):
    """Keeps which windows it was asked for."""

    name = "asked"

    def read(self, windows):
        self.windows = windows
        return Ragged.from_rows([b""] * 0, np.uint8)


def many(tmp_path, samples):
    lengths = {f"BCR__ECT-S{i:04}__CT{j}": 100 for i in range(samples) for j in range(2)}
    return SqliteIndex(str(write_seed_index(tmp_path / "w.db", lengths, 64, 48)))


def test_a_sample_that_the_store_lacks_is_named(small, tmp_path):
    shutil.copytree(small.directory, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "S1")
    with pytest.raises(errors.ShardNotFoundError, match="S1"):
        assembly.check_samples(SqliteIndex(str(small.windows)), SqliteShards(str(tmp_path / "copy")))


def test_each_sample_is_asked_for_one_base(tmp_path):
    store = Asked("nowhere")
    assembly.check_samples(many(tmp_path, 20), store)
    assert sorted({i.split("__")[1] for i in store.windows.sequence_ids}) == [f"ECT-S{i:04}" for i in range(20)]
    assert store.windows.lengths.tolist() == [1] * 20


def test_many_samples_are_looked_at_here_and_there(tmp_path):
    store = Asked("nowhere")
    assembly.check_samples(many(tmp_path, 2000), store)
    samples = sorted({int(i.split("__")[1][5:]) for i in store.windows.sequence_ids})
    assert len(samples) == assembly.CHECKED_SAMPLES
    assert np.diff(samples).max() < 12


def test_a_large_index_is_not_gone_through(tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "CHECKED_WINDOWS", 100)
    index, store = many(tmp_path, 200), Asked("nowhere")
    monkeypatch.setattr(SqliteIndex, "contigs", None)
    assembly.check_samples(index, store)
    assert len(store.windows) > 150


def test_ids_without_a_sample_count_as_one(tmp_path):
    write_seed_shard(tmp_path, "only", {"chr1": "ACGT" * 30, "chr2": "ACGT" * 30})
    index = SqliteIndex(str(write_seed_index(tmp_path / "w.db", {"chr1": 120, "chr2": 120}, 64, 48)))
    assembly.check_samples(index, SqliteShards(str(tmp_path)))


@pytest.mark.parametrize(
    ("setting", "seq_length", "shuffle"),
    [
        (True, 8192, True),
        (False, 8192, False),
        ("block", 8192, BlockShuffle(64, 2048)),
        ("block", 512, BlockShuffle(1024, 2048)),
        ("block", 1 << 22, BlockShuffle(1, 2048)),
        ({"block": {}}, 8192, BlockShuffle(64, 2048)),
        ({"block": {"rows": 7}}, 8192, BlockShuffle(7, 2048)),
        ({"block": {"buffer_blocks": 9}}, 8192, BlockShuffle(64, 9)),
    ],
)
def test_ways_to_shuffle(setting, seq_length, shuffle):
    assert assembly.chosen_shuffle(setting, seq_length) == shuffle


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("blocks", "shuffle is 'blocks'; expected True, False, 'block', or .* options rows, buffer_blocks"),
        (1, "shuffle is 1; expected True"),
        (["block"], "shuffle is .'block'.; expected True"),
        ({}, "shuffle is {}; expected True"),
        ({"block": 512}, "shuffle is {'block': 512}; expected True"),
        ({"block": {"windows": 512}}, "shuffle is {'block': {'windows': 512}}; .* options rows, buffer_blocks"),
        ({"block": {}, "rows": 512}, "shuffle is .* expected True"),
        ({"block": {"rows": 0}}, "rows of shuffle='block' is 0; expected an integer of 1 or more"),
        ({"block": {"buffer_blocks": 1.5}}, "buffer_blocks of shuffle='block' is 1.5; expected an integer of 1 or more"),
    ],
)
def test_a_way_to_shuffle_that_makes_no_sense(setting, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        assembly.chosen_shuffle(setting, 8192)
