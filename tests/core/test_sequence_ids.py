import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import extract_sample_id
from eden_core.errors import InvalidSequenceIdError
from eden_core.sequence_ids import check_sample, compose_sequence_id, control_tag, is_sequence_id_of


@pytest.mark.parametrize(
    ("sequence_id", "sample"),
    [
        ("BCR__ECT-SAMPLE1__CT1-1", "SAMPLE1"),
        ("BCR__ECT-A-B__CT1-1", "A.B"),
        ("BCR__ECT-A.B__CT1-1", "A.B"),
        ("BCR__ECT-S_1__CT1__more-2", "S_1"),
        ("BCR__ECT-SAMPLE1", "SAMPLE1"),
        ("__-S", "S"),
        ("X__Y--S__1", ".S"),
    ],
)
def test_sample(sequence_id, sample):
    assert extract_sample_id(sequence_id) == sample


@pytest.mark.parametrize("sequence_id", ["", "NC_001416.1", "BCR__ECT__CT1-1", "BCR__ECT-__CT1-1", "BCR_ECT-S_CT"])
def test_an_id_without_a_sample_is_named(sequence_id):
    with pytest.raises(InvalidSequenceIdError, match=f"sequence id '{sequence_id}' names no sample"):
        extract_sample_id(sequence_id)


@given(st.text())
def test_the_sample_is_what_the_format_says(sequence_id):
    try:
        expected = ".".join(sequence_id.split("__")[1].split("-")[1:])
    except IndexError:
        expected = ""
    if expected:
        assert extract_sample_id(sequence_id) == expected
    else:
        with pytest.raises(InvalidSequenceIdError):
            extract_sample_id(sequence_id)


@pytest.mark.parametrize(("sequence_id", "tag"), [("BCR__ECT-S__1", "<ctrl_bcr>"), ("Phage_x__y", "<ctrl_phage_x>")])
def test_control_tag(sequence_id, tag):
    assert control_tag(sequence_id) == tag


@pytest.mark.parametrize("sequence_id", ["", "NC_001416.1", "__ECT-S__1"])
def test_an_id_without_a_tag_is_named(sequence_id):
    with pytest.raises(InvalidSequenceIdError, match=f"sequence id '{sequence_id}' has no control tag"):
        control_tag(sequence_id)


@pytest.mark.parametrize("sample", ["", ".", "..", "a/b", "/etc", "../x", "a\0b"])
def test_a_sample_that_would_leave_the_directory_is_refused(sample):
    with pytest.raises(InvalidSequenceIdError, match="cannot be a folder name"):
        check_sample(sample)


@pytest.mark.parametrize("sample", ["SAMPLE1", "A.B", "...", " ", "-rf", "a\\b", "é"])
def test_a_harmless_sample_is_kept(sample):
    assert check_sample(sample) == sample


def test_composed_ids_read_back():
    sequence_id = compose_sequence_id("PHAGE", "s.1", "NC_001416.1__x-2")
    assert sequence_id == "PHAGE__FASTA-s.1__NC_001416.1__x-2"
    assert (extract_sample_id(sequence_id), control_tag(sequence_id)) == ("s.1", "<ctrl_phage>")


@given(st.text(st.sampled_from("aB1._-/ \0\n"), max_size=6), st.text(st.sampled_from("aB1._-/ \0\n"), max_size=6), st.text())
def test_what_is_composed_reads_back_or_is_refused(tag, sample, original):
    try:
        sequence_id = compose_sequence_id(tag, sample, original)
    except InvalidSequenceIdError:
        return
    assert check_sample(extract_sample_id(sequence_id)) == sample
    assert control_tag(sequence_id) == f"<ctrl_{tag.lower()}>"
    assert is_sequence_id_of(compose_sequence_id(tag, sample, "1"), sample)


@pytest.mark.parametrize(
    ("tag", "sample", "suggestion"),
    [
        ("A__B", "s", "'A_B'"),
        ("A", "s-1", "'s.1'"),
        ("A", "s__1", "'s_1'"),
        ("A", "../x", "'x'"),
        ("", "s", "'TAG'"),
        ("A", "", "'sample1'"),
    ],
)
def test_the_suggestion_would_be_accepted(tag, sample, suggestion):
    with pytest.raises(InvalidSequenceIdError, match=f"try {suggestion}"):
        compose_sequence_id(tag, sample, "1")


@given(st.text(max_size=8))
def test_every_suggestion_is_accepted(sample):
    try:
        compose_sequence_id("A", sample, "1")
    except InvalidSequenceIdError as error:
        compose_sequence_id("A", str(error).rpartition("try ")[2].strip("'"), "1")


@pytest.mark.parametrize(
    ("sequence_id", "sample", "expected"),
    [
        ("BCR__ECT-S1__1", "S1", True),
        ("BCR__ECT-S1__1", "S2", False),
        ("BCR__ECT-S1", "S1", False),
        ("__ECT-S1__1", "S1", False),
        ("BCR__ECT-S1__", "S1", False),
        ("NC_001416.1", "S1", False),
        ("BCR__ECT-../x__1", "../x", False),
    ],
)
def test_is_sequence_id_of(sequence_id, sample, expected):
    assert is_sequence_id_of(sequence_id, sample) is expected
