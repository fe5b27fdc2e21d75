import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from eden_core.sequence_columns import samples_of, tags_of
from eden_core.sequence_ids import sample_or_empty

TEXTS = st.lists(st.text("_-aé.\n", max_size=14) | st.text(max_size=8).filter(lambda text: text.isprintable()))


@given(TEXTS)
def test_samples_are_those_of_single_ids(ids):
    assert samples_of(pa.array(ids, pa.string())).to_pylist() == [sample_or_empty(one) for one in ids]


@given(TEXTS)
def test_tags_are_what_stands_before_the_first_separator(ids):
    wanted = [one.partition("__")[0] if "__" in one else "" for one in ids]
    assert tags_of(pa.array(ids, pa.string())).to_pylist() == wanted
