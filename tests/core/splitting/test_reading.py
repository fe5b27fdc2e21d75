import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.errors import StaleIndexError
from eden_core.plugins import installed_plugins
from eden_core.splitting import reading as split_reading
from eden_core.splitting.reading import Rows, read_stretches, split_rows


def rows(*lengths, starts=None):
    count = len(lengths)
    starts = np.zeros(count, np.int64) if starts is None else np.array(starts)
    return Rows(np.arange(count), pa.array([f"c{i}" for i in range(count)]), starts, np.array(lengths, np.int64))


@given(st.lists(st.integers(0, 60), max_size=6), st.integers(1, 20), st.integers(0, 5))
def test_pieces_cover_rows_with_an_overlap(lengths, bases, overlap):
    pieces = rows(*lengths).cut(bases, overlap)
    for row, length in enumerate(lengths):
        mine = np.flatnonzero(pieces.numbers == row)
        starts, sizes = pieces.starts[mine], pieces.lengths[mine]
        assert starts.tolist() == [i * bases for i in range(len(mine))]
        assert starts[-1] + sizes[-1] == length
        assert all(sizes[:-1] == bases + overlap)


@pytest.fixture
def store(tmp_path):
    draw = random.Random(1)
    sequences = {f"c{i}": "".join(draw.choices("ACGT", k=length)) for i, length in enumerate([50, 0, 130, 7])}
    with installed_plugins().store("sqlite-shards", str(tmp_path)) as opened:
        opened.write_shard("s", [(name, text.encode()) for name, text in sequences.items()])
        yield opened, sequences


def test_bases_are_read_with_a_letter_between_rows(store, monkeypatch):
    opened, sequences = store
    monkeypatch.setattr(split_reading, "READ", 60)
    found = list(read_stretches(opened, rows(50, 0, 100, 7, starts=[0, 0, 20, 0]), 5))
    pieces = [
        (one.rows.ids[i].as_py(), int(one.rows.starts[i]), one.bases[one.offsets[i] : one.offsets[i + 1]].tobytes().decode())
        for one in found
        for i in range(len(one.rows.ids))
    ]
    assert len(found) > 1
    assert pieces == [
        ("c0", 0, sequences["c0"] + "N"),
        ("c2", 20, sequences["c2"][20:85] + "N"),
        ("c2", 80, sequences["c2"][80:120] + "N"),
        ("c3", 0, sequences["c3"] + "N"),
    ]


def test_a_table_of_other_contigs(store):
    with pytest.raises(StaleIndexError, match="has 50 bases of 'c0', and the table says 51 or more"):
        list(read_stretches(store[0], rows(51), 5))


def test_rows_of_a_table_by_number(tmp_path):
    table = pa.table({"contig_id": [f"c{i}" for i in range(10)], "start": range(10), "length": [5] * 10})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=4)
    parts = list(split_rows(tmp_path / "t.parquet", 2, 9))
    assert [part.numbers.tolist() for part in parts] == [[2, 3], [4, 5, 6, 7], [8]]
    assert [one for part in parts for one in part.ids.to_pylist()] == [f"c{i}" for i in range(2, 9)]
    assert parts[0].starts.tolist() == [2, 3]
    assert sum(len(part.ids) for part in split_rows(tmp_path / "t.parquet")) == 10
