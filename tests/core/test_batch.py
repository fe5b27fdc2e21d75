import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import Picks, Ragged, Windows
from eden_core.batch import offsets_of

ROWS = st.lists(st.lists(st.integers(0, 255), max_size=5), max_size=8)


@given(ROWS)
def test_rows_come_back_as_they_went_in(rows):
    ragged = Ragged.from_rows(rows, np.uint8)
    assert [row.tolist() for row in ragged] == rows
    assert [ragged[i].tolist() for i in range(len(ragged))] == rows


@given(ROWS)
def test_types_and_lengths(rows):
    ragged = Ragged.from_rows(rows, np.uint8)
    assert (ragged.values.dtype, ragged.offsets.dtype) == (np.uint8, np.int64)
    assert ragged.lengths.tolist() == [len(row) for row in rows]


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_out_of_range_is_an_index_error(row):
    with pytest.raises(IndexError, match=f"row {row} of 3"):
        Ragged.from_rows([[1], [2], [3]], np.int64)[row]


def test_a_row_is_a_view():
    ragged = Ragged.from_rows([[1, 2], [3]], np.int64)
    assert np.shares_memory(ragged[0], ragged.values)


def test_empty_rows():
    assert [row.size for row in Ragged.empty(3, np.float32)] == [0, 0, 0]
    assert Ragged.empty(3, np.float32).values.dtype == np.float32


def test_no_rows_at_all():
    assert len(Ragged.from_rows([], np.uint8)) == 0
    assert list(Ragged.from_rows([], np.uint8)) == []


def test_offsets():
    assert offsets_of(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert offsets_of(np.empty(0, np.int64)).tolist() == [0]


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Ragged.empty(1, np.uint8).values = np.zeros(1, np.uint8)


def test_records_pickle():
    ragged = pickle.loads(pickle.dumps(Ragged.from_rows([[1], [2, 3]], np.int64)))
    assert [row.tolist() for row in ragged] == [[1], [2, 3]]


def test_lengths_of_picks_and_windows():
    ids = np.arange(4)
    assert len(Picks(ids, ids, ids, ids.astype(np.int16))) == 4
    assert len(Windows(ids, ("a", "b", "c", "d"), ids, ids)) == 4
