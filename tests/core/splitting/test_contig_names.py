import fnmatch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.errors import InputError
from eden_core.sequence_ids import control_tag, sample_or_empty
from eden_core.splitting.contig_names import ContigPatterns, original_ids, samples_of, tags_of

NAMES = st.text("ab_-.[\n", max_size=12)


def batch(ids, **columns):
    return pa.RecordBatch.from_pydict({"contig_id": pa.array(ids, pa.string()), **columns})


def matches(pattern, *ids):
    return ContigPatterns("--exclude", [pattern]).matches(pa.array(ids, pa.string())).tolist()


@given(st.lists(NAMES))
def test_samples_are_those_of_the_ids(ids):
    assert samples_of(batch(ids)).to_pylist() == [sample_or_empty(one) for one in ids]


@given(st.lists(st.tuples(st.text("a-.\n", min_size=1), NAMES).map("__".join)))
def test_tags_are_those_of_the_ids(ids):
    assert [f"<ctrl_{tag.lower()}>" for tag in tags_of(batch(ids)).to_pylist()] == [control_tag(one) for one in ids]


def test_ids_without_parts_have_none():
    assert samples_of(batch(["chr1", "A__B"])).to_pylist() == ["", ""]
    assert tags_of(batch(["chr1", "A__B"])).to_pylist() == ["", "A"]


def test_columns_come_before_ids():
    table = batch(["T__X-S__1", "T__X-S__2"], sample=["one", None], tag=["a", "b"])
    assert samples_of(table).to_pylist() == ["one", ""]
    assert tags_of(table).to_pylist() == ["a", "b"]


def test_original_ids():
    second, last = original_ids(pa.array(["HUMAN__FASTA-hg38__chr8", "T__F-s__a__b", "chr8"]))
    assert second.to_pylist() == ["chr8", "a__b", None]
    assert last.to_pylist() == ["chr8", "b", None]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("chr8", [True, True, False, False]),
        ("chr*", [True, True, True, True]),
        ("chr8?", [False, False, True, False]),
        ("chr[!8]*", [False, False, False, True]),
        ("H__F-hg__chr8", [False, True, False, False]),
        ("F-hg*", [False, False, False, False]),
    ],
)
def test_globs_match_whole_and_original_ids(pattern, expected):
    assert matches(pattern, "chr8", "H__F-hg__chr8", "chr80", "H__F-hg__chrX") == expected


@given(st.text("ab*?[]!-^.\\", min_size=1, max_size=6).filter(str.strip), st.lists(st.text("ab[]-.^\\", max_size=6)))
def test_globs_mean_what_they_do_in_shells(pattern, ids):
    ranges = "-" in pattern.partition("[")[2]  # `[b-a]` is empty in fnmatch, and an error in other places
    if not ranges:
        assert matches(pattern, *ids) == [fnmatch.fnmatchcase(one, pattern) for one in ids]


def test_commas_part_patterns():
    patterns = ContigPatterns("--test-contigs", ["chr1, chr2", "chr3", "chr1"])
    assert patterns.patterns == ["chr1", "chr2", "chr3"]


def test_a_pattern_that_names_nothing():
    table = batch(["H__F-hg__chr8", "H__F-hg__chr20", "H__F-hg__scaffold"])
    patterns = ContigPatterns("--test-contigs", ["chr8,chr21"])
    patterns.matches(table.column(0))
    with pytest.raises(InputError, match="--test-contigs 'chr21' names no contig of t.parquet; did you mean chr20"):
        patterns.check("t.parquet", [table])
    with pytest.raises(InputError, match="'zzz'.* there are chr8, chr20"):
        ContigPatterns("--exclude", ["zzz"]).check("t.parquet", [table])


def test_an_empty_class_is_spelt_as_it_stands():
    assert ContigPatterns("--exclude", ["chr[]"]).matches(pa.array(["chr[]", "chr"])).tolist() == [True, False]
