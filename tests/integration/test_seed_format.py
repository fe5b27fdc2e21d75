"""Files made by others, with nothing but Python's sqlite3, load here; ours read there. See `plain.py`."""

import sqlite3

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from eden_core import EdenDataset, installed_plugins
from eden_core.precompute import precompute
from eden_core.tiling import Tiling


def test_our_files_give_the_same_batches_as_theirs(small, tmp_path):
    store = installed_plugins().store("sqlite-shards", str(tmp_path))
    for sample in ("S0", "S1", "S2"):
        group = [(name, bases.encode()) for name, bases in small.sequences.items() if f"-{sample}__" in name]
        store.write_shard(sample, group)
    lengths = {name: len(bases) for name, bases in small.sequences.items()}
    pq.write_table(pa.table({"contig_id": list(lengths), "length": list(lengths.values())}), tmp_path / "c.parquet")
    precompute(tmp_path / "c.parquet", tmp_path / "w.db", Tiling(64, 48))

    theirs = EdenDataset(**small.options, rc_aug=True, use_control_tags=True)
    ours = EdenDataset(
        sequence_db_dir=str(tmp_path),
        window_db_path=str(tmp_path / "w.db"),
        seq_length=64,
        rc_aug=True,
        use_control_tags=True,
    )
    everything = np.arange(len(theirs))
    assert all(
        torch.equal(a, b) for a, b in zip(ours.batch(everything).values(), theirs.batch(everything).values(), strict=True)
    )


def test_a_reader_of_the_format_finds_our_bases(small, tmp_path):
    store = installed_plugins().store("sqlite-shards", str(tmp_path))
    name, bases = next(iter(small.sequences.items()))
    store.write_shard("S0", [(name, bases.encode())])
    connection = sqlite3.connect(tmp_path / "S0" / "glm_dataset_S0.sqlite")
    query = "SELECT substr(nt_sequence, ?, ?) FROM sequences WHERE contig_id = ?"
    assert connection.execute(query, (3, 5, name)).fetchone() == (bases[2:7],)
