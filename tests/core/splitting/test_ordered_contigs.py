import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eden_core.errors import InputError
from eden_core.splitting.ordered_contigs import OrderedContigs

IDS = ["B", "a", "b", "é", "\uffee", "\U0001f9ec"]


def write(path, ids, **columns):
    pq.write_table(pa.table({"contig_id": ids, "length": pa.array(range(len(ids)), pa.int64()), **columns}), path)
    return path


def read(contigs):
    return [row for batch in contigs for row in batch.to_pylist()]


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_in_byte_order_at_each_pass(tmp_path, seed):
    ids = random.Random(seed).sample(IDS, len(IDS))
    contigs = OrderedContigs(write(tmp_path / "c.parquet", ids, sample=ids, more=ids), ["sample", "digest"])
    expected = [{"contig_id": one, "length": ids.index(one), "sample": one} for one in IDS]
    assert contigs.columns == ("sample",)
    assert read(contigs) == read(contigs) == expected


@pytest.mark.parametrize("ids", [["a", "a"], ["b", "a", "b"]])
def test_repeated_ids(tmp_path, ids):
    with pytest.raises(InputError, match="occurs more than once"):
        OrderedContigs(write(tmp_path / "c.parquet", ids))


def test_order_and_repeats_are_seen_across_batches(tmp_path):
    ids = [f"{i:06}" for i in range(70_000)]
    swapped = [*ids[:65_536], ids[65_535], *ids[65_537:]]
    with pytest.raises(InputError, match="'065535' occurs more than once"):
        OrderedContigs(write(tmp_path / "c.parquet", swapped))
    assert [row["contig_id"] for row in read(OrderedContigs(write(tmp_path / "d.parquet", ids[::-1])))] == ids


def test_an_empty_table(tmp_path):
    assert read(OrderedContigs(write(tmp_path / "c.parquet", pa.array([], pa.string())))) == []
