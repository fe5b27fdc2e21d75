import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from eden_core.mixing import mix
from eden_core.splitting.text_hashes import hash_texts

TEXTS = st.lists(st.text(max_size=40))


def plain(text: str) -> int:
    raw = text.encode()
    state = mix(np.uint64(0), len(raw))
    for begin in range(0, len(raw), 8):
        state = mix(state, np.uint64(int.from_bytes(raw[begin : begin + 8], "little")))
    return int(state[0])


@given(TEXTS)
def test_it_is_the_hash_of_the_bytes(texts):
    assert hash_texts(pa.array(texts, pa.string())).tolist() == [plain(text) for text in texts]


@given(TEXTS, st.integers(0, 5))
def test_slices_and_types_do_not_matter(texts, skipped):
    whole = hash_texts(pa.array(texts, pa.string()))
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        assert hash_texts(pa.array(texts, kind).slice(skipped)).tolist() == whole[skipped:].tolist()
    assert hash_texts(pa.array(texts, pa.string()).dictionary_encode()).tolist() == whole.tolist()


def test_different_texts_differ():
    texts = [f"sample__X-{i}__contig" for i in range(100_000)]
    assert np.unique(hash_texts(pa.array(texts))).size == len(texts)


def test_a_null_is_an_empty_text():
    assert hash_texts(pa.array([None, ""])).tolist() == [plain(""), plain("")]
