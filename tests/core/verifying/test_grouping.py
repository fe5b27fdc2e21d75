import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.verifying import grouping
from eden_core.verifying.grouping import Group, group_of, write_groups


@given(st.lists(st.integers(0, 40), max_size=120), st.integers(1, 5), st.integers(1, 30))
def test_each_row_goes_to_its_sample_in_order(tmp_path_factory, samples, groups, buffered):
    folder = tmp_path_factory.mktemp("groups")
    names = [f"s{n}" for n in samples]
    rows = pa.table({"number": range(len(names)), "sample": pa.array(names, pa.string())})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "_ROWS_BUFFERED", buffered)
        assert write_groups(rows.to_batches(max_chunksize=7), folder, "kind", groups) == set(names)
    found = {}
    for number in range(groups):
        group = Group(folder, "kind", number)
        for sample in group.samples:
            assert group_of(sample, groups) == number
            found[sample] = [n for batch in group.rows(sample) for n in batch.column("number").to_pylist()]
    assert found == {name: [i for i, one in enumerate(names) if one == name] for name in names}


def test_rows_may_all_be_of_one_sample(tmp_path):
    rows = pa.table({"number": [1, 2], "sample": ["a", "b"]})
    write_groups(rows.to_batches(), tmp_path, "kind", 1)
    group = Group(tmp_path, "kind", 0, only="all")
    assert group.samples == ["all"]
    assert [batch.column("number").to_pylist() for batch in group.rows("all")] == [[1, 2]]
