import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.errors import InputError
from eden_core.splitting import clusters as module
from eden_core.splitting.clusters import ClusterCounts, Clusters


@pytest.fixture
def clusters(tmp_path):
    def write(*rows):
        (tmp_path / "cluster.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
        return Clusters(tmp_path / "cluster.tsv")

    return write


def groups(found, *ids):
    units = found.units(pa.array(ids)).tolist()
    return [units.index(unit) for unit in units]


def test_members_are_together(clusters):
    found = clusters(("a", "a"), ("a", "b"), ("c", "c"), ("c", "d"))
    assert groups(found, "a", "b", "c", "d", "alone", "other") == [0, 0, 2, 2, 4, 5]
    assert found.counts() == ClusterCounts(4, 2, 0)


def test_a_member_of_two_clusters_joins_them(clusters):
    assert groups(clusters(("a", "b"), ("c", "b"), ("d", "e"), ("e", "c")), "a", "c", "d") == [0, 0, 0]


def test_original_ids_are_known(clusters):
    found = clusters(("k1", "k2"), ("x__y", "k1"))
    assert groups(found, "T__F-s__k1", "T__F-s__k2", "T__F-s__x__y", "T__F-s__k3") == [0, 0, 0, 3]
    assert not found.may_be_ambiguous


def test_an_original_id_of_two_contigs(clusters):
    found = clusters(("k1", "k2"))
    ids = pa.array(["T__F-s__k1", "T__F-s__k2", "T__F-t__k2"])
    found.units(ids)
    assert found.may_be_ambiguous
    assert found.ambiguous(ids) == "T__F-s__k2"


def test_further_columns_and_quotes(clusters):
    assert groups(clusters(("a", 'b"', "0.9"), ('"c', "a", "1")), "a", 'b"', '"c') == [0, 0, 0]


def test_unknown_names(clusters):
    found = clusters(("a", "b"), ("a", "gone"))
    found.units(pa.array(["a", "b"]))
    assert found.counts() == ClusterCounts(2, 0, 1)
    nothing = clusters(("x", "y"))
    nothing.units(pa.array(["a"]))
    with pytest.raises(InputError, match="none of its 2 names is a contig"):
        nothing.counts()


@pytest.mark.parametrize("text", ["", "a\n", "a\tb\nc\n"])
def test_files_that_are_no_clusters(tmp_path, text):
    (tmp_path / "c.tsv").write_text(text)
    with pytest.raises(InputError, match="no table of clusters"):
        Clusters(tmp_path / "c.tsv")


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        Clusters(tmp_path / "c.tsv")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_components(edges):
    expected = list(range(31))
    for _ in range(31):
        for one, other in edges:
            expected[one] = expected[other] = min(expected[one], expected[other])
    ends = np.array(edges, np.int64).reshape(-1, 2)
    assert module._components(31, ends[:, 0], ends[:, 1]).tolist() == expected
