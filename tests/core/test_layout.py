from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import plain_row

from eden_core import Picks, Ragged, SequenceBatch, Vocabulary, Windows, errors, kernels
from eden_core.encoded import InvalidRowError
from eden_core.layout import Layout

NUCLEOTIDE = Vocabulary.of("nucleotide")


def batch_of(rows: list[str], prefixes: list[str] | None = None, weights=None) -> SequenceBatch:
    count = len(rows)
    numbers = np.arange(count)
    picks = Picks(numbers, np.zeros(count, np.int64), numbers, np.zeros(count, np.int16))
    windows = Windows(numbers, ("x",) * count, numbers * 0, np.array([len(row) for row in rows], np.int64))
    bases = Ragged.from_rows([np.frombuffer(row.encode(), np.uint8) for row in rows], np.uint8)
    prefix = Ragged.from_rows([list(p.encode()) for p in (prefixes or [""] * count)], np.int64)
    given_weights = None if weights is None else Ragged(np.array(weights, np.float32), bases.offsets)
    return SequenceBatch(picks, windows, bases, prefix, given_weights)


def laid_out(rows, prefixes=None, weights=None, seq_length=16, vocabulary=NUCLEOTIDE, **options):
    layout = Layout(vocabulary, seq_length, **options)
    return layout.expand(layout.encode(batch_of(rows, prefixes, weights), len(rows)))


@given(
    st.lists(st.tuples(st.text("ACGTNacgtn", min_size=1, max_size=8), st.sampled_from(["", "<a>", "<bc>"])), min_size=1),
    st.integers(20, 30),
)
def test_rows_are_what_plain_code_makes(rows, seq_length):
    made = laid_out([bases for bases, _ in rows], [tag for _, tag in rows], seq_length=seq_length)
    for i, (bases, tag) in enumerate(rows):
        for key, expected in plain_row(bases, seq_length, tag).items():
            assert made[key][i].tolist() == expected, key


def test_dtypes_and_shapes():
    made = laid_out(["ACGT", "A"])
    assert {key: (value.shape, value.dtype.name) for key, value in made.items()} == {
        "tokens": ((2, 16), "int64"),
        "labels": ((2, 16), "int64"),
        "loss_mask": ((2, 16), "float32"),
        "position_ids": ((2, 16), "int64"),
    }


def test_no_rows():
    assert laid_out([])["tokens"].shape == (0, 16)


def test_case_keep_keeps_it_in_both():
    made = laid_out(["aCg"], case="keep")
    assert bytes(made["tokens"][0, 1:4].tolist()) == b"aCg"
    assert bytes(made["labels"][0, :3].tolist()) == b"aCg"


def test_case_keep_in_labels_folds_the_tokens_only():
    made = laid_out(["aCg", "ac"], case="keep-in-labels")
    assert bytes(made["tokens"][0, 1:4].tolist()) == b"ACG"
    assert bytes(made["labels"][0, :3].tolist()) == b"aCg"
    assert made["labels"][0, 3:5].tolist() == [0, 1]


def test_without_specials_the_first_base_is_no_label():
    made = laid_out(["aCGT"], include_bos=False, include_eos=False, case="keep-in-labels", seq_length=6)
    assert bytes(made["tokens"][0, :4].tolist()) == b"ACGT"
    assert bytes(made["labels"][0, :3].tolist()) == b"CGT"
    assert made["loss_mask"][0].tolist() == [1, 1, 1, 0, 0, 0]


def test_weights_without_specials():
    made = laid_out(["NAN"], include_bos=False, include_eos=False, loss_weights={"ambiguous": 0.25}, seq_length=4)
    assert made["loss_mask"][0].tolist() == [1, 0.25, 0, 0]


def test_a_vocabulary_without_bos_leaves_it_out():
    made = laid_out(["ACG"], vocabulary=Vocabulary.of("byte"), seq_length=6)
    assert made["tokens"][0].tolist() == [65, 67, 71, 0, 1, 1]


def test_a_separator_stands_only_behind_a_prefix():
    made = laid_out(["A", "A"], ["<a>", ""], seq_length=8)
    assert made["tokens"].tolist() == [[2, 60, 97, 62, 3, 65, 0, 1], [2, 65, 0, 1, 1, 1, 1, 1]]


def test_a_tag_in_letters_does_not_mask_bases_of_the_same_ids():
    made = laid_out(["act"], ["<act>"], case="keep", seq_length=12)
    assert made["loss_mask"][0].tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0]


def test_loss_weights_by_class():
    made = laid_out(["ANan"], loss_weights={"ambiguous": 0.5, "lower": 0.1})
    assert made["loss_mask"][0, :5].tolist() == pytest.approx([1, 0.5, 0.1, 0.05, 0])


def test_loss_weights_by_letter():
    made = laid_out(["ANana"], loss_weights={"ambiguous": 0, "N": 0.5, "lower": 0.5, "a": 2})
    assert made["loss_mask"][0, :5].tolist() == [1, 0.5, 2, 0.25, 2]


def test_weights_of_a_transform_multiply():
    made = laid_out(["AN", "A"], weights=[0.5, 0.5, 2], loss_weights={"ambiguous": 0.5})
    assert made["loss_mask"][:, :3].tolist() == [[0.5, 0.25, 0], [2, 0, 0]]


def test_an_invalid_byte_is_found():
    with pytest.raises(InvalidRowError) as found:
        laid_out(["ACGT", "AC-T"])
    assert (found.value.row, found.value.position, found.value.byte) == (1, 2, ord("-"))


def test_an_invalid_byte_can_be_unknown_with_weight_zero():
    made = laid_out(["A-C"], invalid_bases="unk")
    assert made["tokens"][0, :5].tolist() == [2, 65, 4, 67, 0]
    assert made["loss_mask"][0, :3].tolist() == [1, 0, 1]


def test_a_zero_byte_is_always_an_error():
    with pytest.raises(InvalidRowError):
        laid_out(["A\0C"], invalid_bases="unk")


def test_large_token_ids():
    table = np.full(256, -1, np.int64)
    table[list(b"ACGTacgt")] = np.arange(8) + 100_000
    vocabulary = Vocabulary("large", lambda text: [], pad=5, table=table)
    made = laid_out(["ACG"], vocabulary=vocabulary, seq_length=4)
    assert made["tokens"][0].tolist() == [100_000, 100_001, 100_002, 5]
    with pytest.raises(InvalidRowError):
        laid_out(["ACN"], vocabulary=vocabulary)


def test_constant_masks_and_positions_are_shared():
    layout = Layout(NUCLEOTIDE, 8)
    first, second = (layout.expand(layout.encode(batch_of(["ACGTAC"] * 2), 2)) for _ in range(2))
    assert np.shares_memory(first["loss_mask"], second["loss_mask"])
    assert np.shares_memory(first["position_ids"], second["position_ids"])


def test_recycled_memory_is_written_over():
    layout = Layout(NUCLEOTIDE, 8)
    dirty = lambda shape, dtype: np.full(shape, 99, dtype)  # noqa: E731
    made = layout.expand(layout.encode(batch_of(["AC", "ACGT"]), 2), dirty)
    assert made["tokens"].tolist() == [[2, 65, 67, 0, 1, 1, 1, 1], [2, 65, 67, 71, 84, 0, 1, 1]]
    assert made["loss_mask"].tolist() == [[1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0]]


class Pairs:
    """Two bases a token."""

    pad_id, eos_id = 0, 1

    def tokenize(self, text):
        return [10 + len(text[i : i + 2]) for i in range(0, len(text), 2)]


def test_a_tokenizer_of_many_bases_is_called_per_row():
    made = laid_out(["ACGTA", "AC"], vocabulary=Vocabulary.of(Pairs()), seq_length=6)
    assert made["tokens"].tolist() == [[12, 12, 11, 1, 0, 0], [12, 1, 0, 0, 0, 0]]
    assert made["loss_mask"].tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]


def test_a_tokenizer_of_many_bases_is_cut_at_the_row():
    assert laid_out(["ACGTACGT"], vocabulary=Vocabulary.of(Pairs()), seq_length=4)["tokens"].tolist() == [[12, 12, 12, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"case": "lower"}, "expected one of 'upper', 'keep', 'keep-in-labels'"),
        ({"invalid_bases": "skip"}, "expected one of 'error', 'unk'"),
        ({"loss_weights": {"soft": 1}}, "'ambiguous', 'lower'"),
        ({"loss_weights": {"N": -1}}, "must be a number >= 0"),
        ({"vocabulary": Vocabulary.of("byte"), "invalid_bases": "unk"}, "needs an unknown token"),
        ({"vocabulary": Vocabulary.of(Pairs()), "loss_weights": {"N": 0}}, "need one token a base"),
    ],
)
def test_options_that_cannot_be_served(options, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        laid_out(["A"], **options)


def test_a_row_without_room():
    with pytest.raises(errors.ConfigurationError, match="leaves no room for bases: special and tag tokens alone take 6"):
        Layout(NUCLEOTIDE, 6).room(np.array([3]))


def test_letters_read_as_unknown_weigh_nothing():
    table = np.full(256, -1, np.int64)
    table[list(b"ACGT")] = range(10, 14)
    vocabulary = Vocabulary("four", lambda text: [], pad=0, unk=1, table=table)
    made = laid_out(["ANC"], vocabulary=vocabulary, invalid_bases="unk", seq_length=4)
    assert made["tokens"][0].tolist() == [10, 1, 11, 0]
    assert made["loss_mask"][0].tolist() == [0, 1, 0, 0]


def test_a_row_without_bases_and_specials_has_no_labels():
    made = laid_out([""], vocabulary=Vocabulary.of("byte"), include_eos=False, seq_length=4)
    assert made["loss_mask"].sum() == 0
    assert made["tokens"].tolist() == made["labels"].tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("rows", [["", "ACG", ""], ["ACG", ""], [""]])
def test_empty_rows_without_specials_write_nothing_beside_the_mask(rows, narrow):
    layout = Layout(Vocabulary.of("byte"), 4, include_eos=False)
    guarded = []

    def empty(shape, dtype):
        memory = np.full(int(np.prod(shape)) + 16, 7, dtype)
        guarded.append(memory)
        return memory[8:-8].reshape(shape)

    made = layout.expand(layout.encode(batch_of(rows), len(rows)), empty, narrow=narrow)
    assert made["loss_mask"].tolist() == [[1, 1, 0, 0] if bases else [0] * 4 for bases in rows]
    assert all((memory[:8] == 7).all() and (memory[-8:] == 7).all() for memory in guarded)


def test_labels_in_the_stored_case_with_large_ids():
    table = np.full(256, -1, np.int64)
    table[list(b"ACGTacgt")] = np.arange(8) + 250
    vocabulary = Vocabulary("large", lambda text: [], pad=5, table=table)
    made = laid_out(["aCg"], vocabulary=vocabulary, seq_length=4, case="keep-in-labels")
    assert made["tokens"][0].tolist() == [250, 251, 252, 5]
    assert made["labels"][0].tolist() == [251, 256, 5, 5]


def test_what_is_shown_may_have_the_id_255():
    encoded = replace(Layout(NUCLEOTIDE, 8).encode(batch_of(["ACG"]), 1), shown=np.array([65, 255, 71], np.uint8))
    assert Layout(NUCLEOTIDE, 8).expand(encoded)["tokens"][0].tolist()[:5] == [2, 65, 255, 71, 0]


@pytest.mark.parametrize("compiled", [True, False])
def test_letter_weights_where_the_last_window_could_not_be_read(compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(kernels, "_compiled", None)
    layout = Layout(NUCLEOTIDE, 8, loss_weights={"N": 0})
    encoded = replace(layout.encode(batch_of(["ANG", "NA"]), 2), unread=np.array([False, True]))
    assert layout.expand(encoded)["loss_mask"].tolist() == [[1, 0, 1, 0, 0, 0, 0, 0], [0] * 8]


def test_weights_by_base_need_one_token_a_base():
    with pytest.raises(errors.ConfigurationError, match="one token a base"):
        laid_out(["AC"], weights=[1, 1], vocabulary=Vocabulary.of(Pairs()))
