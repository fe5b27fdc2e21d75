import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.errors import InputError
from eden_core.verifying.ordered_rows import OrderedRows, ordered_rows, read_columns

IDS = st.lists(st.text("abé", max_size=3)).map(lambda ids: sorted(ids, key=str.encode))
SCHEMA = pa.schema([("contig_id", pa.string())])


def batches(ids, rows=2):
    return [pa.record_batch([pa.array(ids[i : i + rows], pa.string())], schema=SCHEMA) for i in range(0, len(ids), rows)]


@given(IDS, IDS)
def test_rows_are_taken_up_to_each_id_once(ids, bounds):
    rows, taken = OrderedRows(batches(ids), SCHEMA), []
    for bound in bounds:
        found = rows.until(bound)["contig_id"].to_pylist()
        assert all(one.encode() <= bound.encode() for one in found)
        taken += found
        assert len(taken) == sum(one.encode() <= bound.encode() for one in ids)
    taken += [one for table in rows.rest() for one in table["contig_id"].to_pylist()]
    assert taken == ids


def test_a_table_out_of_order_is_sorted_by_id_then_start(tmp_path):
    table = pa.table({"length": [1, 2, 3], "contig_id": ["b", "a", "a"], "start": [0, 9, 5]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_columns(tmp_path / "t.parquet") == ("contig_id", "length", "start")
    [batch] = ordered_rows(tmp_path / "t.parquet", ["contig_id", "length", "start"])
    assert batch.to_pydict() == {"contig_id": ["a", "a", "b"], "length": [3, 2, 1], "start": [5, 9, 0]}


@pytest.mark.parametrize("values", [[None, 3], ["x", "3"]])
def test_what_is_no_number_is_refused(tmp_path, values):
    pq.write_table(pa.table({"contig_id": ["a", "b"], "length": [1, 2], "start": values}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet"):
        list(ordered_rows(tmp_path / "t.parquet", ["contig_id", "start"]))
