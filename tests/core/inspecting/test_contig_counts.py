import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import errors
from eden_core.inspecting.contig_counts import (
    ContigCounter,
    LengthBin,
    count_table,
    length_report,
    sample_of_group,
    tags_and_samples,
)
from eden_core.sequence_ids import sample_or_empty


def batch_of(lengths: dict[str, int | None], **columns) -> pa.RecordBatch:
    named = {"contig_id": pa.array(lengths, pa.string()), "length": pa.array(lengths.values(), pa.int64())}
    return pa.RecordBatch.from_pydict(named | columns)


def counted(*batches):
    counter = ContigCounter()
    for batch in batches:
        counter.add(batch)
    return counter.report()


@given(st.lists(st.text("AB_-\n", max_size=8), min_size=1))
def test_samples_and_tags_are_those_of_the_ids(ids):
    tags, groups = tags_and_samples(pa.array(ids))
    assert [sample_of_group(group) for group in groups.to_pylist()] == [sample_or_empty(one) for one in ids]
    assert tags.to_pylist() == [one.split("__")[0] if "__" in one else "" for one in ids]


def test_samples_and_tags_are_counted_over_batches():
    report = counted(
        batch_of({"BCR__E-S1__1": 5, "BCR__E-S1__2": 7, "VIR__E-S2__1": 30}), batch_of({"BCR__E-S3-a__1": 20, "plain": 1})
    )
    assert report.tags == {"BCR": 3, "VIR": 1, "": 1}
    assert (report.samples.count, report.samples.largest) == (4, "S2")
    assert (report.samples.largest_contigs, report.samples.largest_bases) == (1, 30)


def test_columns_go_before_what_ids_say():
    report = counted(batch_of({"BCR__E-S1__1": 5}, sample=["other"], tag=["TAG"]))
    assert (report.tags, report.samples.largest) == ({"TAG": 1}, "other")


def test_one_unknown_length_makes_all_unknown():
    report = counted(batch_of({"BCR__E-S1__1": 5, "BCR__E-S1__2": None}))
    assert (report.contigs, report.lengths) == (2, None)


def test_nothing_at_all():
    report = counted()
    assert (report.contigs, report.lengths, report.tags, report.samples.count) == (0, None, {}, 0)


def test_letters_are_shares():
    letters = {"A": [2, 1], "C": [1, 0], "G": [1, 1], "T": [0, 2], "N": [3, 0], "other": [0, 1], "lower": [4, 0]}
    found = counted(batch_of({"a": 7, "b": 5}, **letters)).composition
    assert (found.gc, found.n, found.other, found.lower) == pytest.approx((3 / 8, 3 / 12, 1 / 12, 4 / 12))


def test_classes_go_from_the_shortest_to_the_longest():
    report = length_report({0: 2, 1: 1, 9: 1, 10: 3})
    assert report.histogram == (
        LengthBin(0, 1, 2, 0),
        LengthBin(1, 2, 1, 1),
        LengthBin(2, 5, 0, 0),
        LengthBin(5, 10, 1, 9),
        LengthBin(10, 20, 3, 30),
    )


@given(st.dictionaries(st.integers(1, 10**10), st.integers(1, 10**6), min_size=1))
def test_classes_hold_everything(by_length):
    report = length_report(by_length)
    assert sum(one.contigs for one in report.histogram) == sum(by_length.values())
    assert sum(one.bases for one in report.histogram) == report.bases == sum(n * k for n, k in by_length.items())
    assert report.histogram[0].shortest <= min(by_length)
    assert report.histogram[-1].below > max(by_length)


def test_a_table_of_other_types_is_counted(tmp_path):
    ids = pa.array(["BCR__E-S1__1"] * 2).dictionary_encode()
    columns = {"contig_id": ids, "length": pa.array([3, 4], pa.uint32()), "sample": pa.array([1, 2]), "start": [0, 9]}
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    report = count_table(tmp_path / "c.parquet")
    assert (report.contigs, report.lengths.bases, report.samples.largest) == (2, 7, "S1")


def test_a_damaged_table(tmp_path):
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"contig_id": ["a" * 10_000], "length": [1]}), path, compression="none")
    whole = bytearray(path.read_bytes())
    whole[4:40] = b"\xff" * 36
    path.write_bytes(whole)
    with pytest.raises(errors.InputError, match=r"c\.parquet cannot be read"):
        count_table(path)
