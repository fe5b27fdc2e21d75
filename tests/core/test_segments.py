from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import BOS, EOS, PAD, SEP, plain_row

from eden_core import Picks, Ragged, SequenceBatch, Vocabulary, Windows
from eden_core.encoded import EncodedBatch
from eden_core.layout import Layout
from eden_core.segments import SegmentLayout

NUCLEOTIDE = Vocabulary.of("nucleotide")
PIECES = st.tuples(st.text("ACGTNacgtn", min_size=1, max_size=9), st.sampled_from(["", "<a>", "<bc>"]))
"""bases and tag of a window"""

ROWS = st.lists(st.lists(PIECES, max_size=4), min_size=1, max_size=4)
SEQ_LENGTH, MOST = 96, 4


def batch_of(rows, weights=None) -> SequenceBatch:
    pieces = [piece for row in rows for piece in row]
    numbers = np.arange(len(pieces))
    row_of = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    picks = Picks(numbers, numbers * 0, row_of, np.zeros(numbers.size, np.int16))
    windows = Windows(numbers, ("x",) * numbers.size, numbers * 0, np.array([len(bases) for bases, _ in pieces], np.int64))
    bases = Ragged.from_rows([np.frombuffer(bases.encode(), np.uint8) for bases, _ in pieces], np.uint8)
    prefix = Ragged.from_rows([list(tag.encode()) for _, tag in pieces], np.int64)
    given_weights = None if weights is None else Ragged(np.array(weights, np.float32), bases.offsets)
    return SequenceBatch(picks, windows, bases, prefix, given_weights)


def layout_of(seq_length=SEQ_LENGTH, vocabulary=NUCLEOTIDE, most=MOST, **options) -> SegmentLayout:
    return SegmentLayout(vocabulary, seq_length, most_segments=most, **options)


def expanded(layout: Layout, rows, weights=None, **changes):
    encoded = EncodedBatch(batch_of(rows, weights), len(rows), **changes)
    return {key: array.tolist() for key, array in layout.expand(encoded).items()}


def plain_tokens(piece) -> int:
    bases, tag = piece
    return 2 + len(bases) + (len(tag) + 1 if tag else 0)


def rounded(tokens: int, multiple: int) -> int:
    return -(-tokens // multiple) * multiple


def plain_packed_row(pieces, *, multiple=1, separate=False, restart=False, seq_length=SEQ_LENGTH, most=MOST):
    """Rows of one window each, of exactly the space that the window takes, one behind the other."""
    made = {"tokens": [], "labels": [], "loss_mask": [], "position_ids": []}
    padded, unpadded = [0], [0]
    for number, piece in enumerate(pieces):
        if separate and number:
            for key, value in (("tokens", SEP), ("labels", PAD), ("loss_mask", 0.0), ("position_ids", 0)):
                made[key].append(value)
        part = plain_row(piece[0], rounded(plain_tokens(piece), multiple), piece[1])
        for key in made:
            made[key] += part[key]
        padded.append(len(made["tokens"]))
        unpadded.append(unpadded[-1] + plain_tokens(piece))
    rest = seq_length - len(made["tokens"])
    for key, value in (("tokens", PAD), ("labels", PAD), ("loss_mask", 0.0)):
        made[key] += [value] * rest
    made["position_ids"] += range(rest)
    if not restart:
        return made | {"position_ids": list(range(seq_length))}
    if rest:
        padded.append(seq_length)
        unpadded.append(unpadded[-1] if multiple > 1 else seq_length)
    longest = max(end - begin for begin, end in pairwise(padded))
    fill = [-1] * (most + 2 - len(padded))
    keys = {"cu_seqlens": unpadded + fill, "cu_seqlens_padded": padded + fill, "max_seqlen": longest}
    if multiple == 1:
        keys = {"cu_seqlens": padded + fill, "max_seqlen": longest}
    return made | keys


def check(rows, *, multiple=1, separate=False, restart=False):
    layout = layout_of(pad_segments_to=multiple, separate=separate, restart=restart)
    made = expanded(layout, rows)
    for i, pieces in enumerate(rows):
        expected = plain_packed_row(pieces, multiple=multiple, separate=separate, restart=restart)
        assert {key: values[i] for key, values in made.items()} == expected


@given(ROWS)
def test_concatenated_rows_are_what_plain_code_makes(rows):
    check(rows)


@given(ROWS)
def test_separated_rows_are_what_plain_code_makes(rows):
    check(rows, separate=True)


@given(ROWS)
def test_rows_with_bounds_are_what_plain_code_makes(rows):
    check(rows, restart=True)


@given(ROWS, st.sampled_from([2, 8, 24]))
def test_padded_segments_are_what_plain_code_makes(rows, multiple):
    check(rows, multiple=multiple, restart=True)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("lengths", [[62], [30, 30], [14, 14, 14, 14]])
def test_rows_that_are_full(lengths, restart):
    rows = [[("A" * length, "") for length in lengths]] * 2
    made = expanded(layout_of(64, restart=restart), rows)
    for i in range(2):
        assert {key: values[i] for key, values in made.items()} == plain_packed_row(rows[0], restart=restart, seq_length=64)


def test_no_label_crosses_a_segment():
    made = expanded(layout_of(12), [[("AC", ""), ("GT", "")]])
    assert made["tokens"][0] == [BOS, 65, 67, EOS, BOS, 71, 84, EOS, PAD, PAD, PAD, PAD]
    assert made["labels"][0] == [65, 67, EOS, PAD, 71, 84, EOS, PAD, PAD, PAD, PAD, PAD]


def test_no_label_crosses_a_segment_without_specials():
    made = expanded(layout_of(6, include_bos=False, include_eos=False), [[("AC", ""), ("GT", "")]])
    assert made["tokens"][0] == [65, 67, 71, 84, PAD, PAD]
    assert made["labels"][0] == [67, PAD, 84, PAD, PAD, PAD]
    assert made["loss_mask"][0] == [1, 0, 1, 0, 0, 0]


def test_rows_without_windows_are_padding():
    made = expanded(layout_of(8, restart=True, pad_segments_to=2), [[], [("A", "")], []])
    assert made["tokens"] == [[PAD] * 8, [BOS, 65, EOS, PAD, PAD, PAD, PAD, PAD], [PAD] * 8]
    assert made["labels"][0] == made["labels"][2] == [PAD] * 8
    assert [sum(row) for row in made["loss_mask"]] == [0, 1, 0]
    assert made["cu_seqlens_padded"] == [[0, 8, -1, -1, -1, -1], [0, 4, 8, -1, -1, -1], [0, 8, -1, -1, -1, -1]]
    assert made["cu_seqlens"] == [[0, 0, -1, -1, -1, -1], [0, 3, 3, -1, -1, -1], [0, 0, -1, -1, -1, -1]]
    assert made["max_seqlen"] == [8, 4, 8]


def test_no_rows():
    assert layout_of().expand(EncodedBatch(batch_of([]), 0))["tokens"].shape == (0, SEQ_LENGTH)


def test_windows_that_could_not_be_read_have_no_loss_weight():
    rows = [[("AC", ""), ("N", ""), ("G", "")]]
    made = expanded(layout_of(12), rows, unread=np.array([False, True, False]))
    assert made["loss_mask"][0] == [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]


OPTIONS = st.fixed_dictionaries(
    {
        "vocabulary": st.sampled_from([NUCLEOTIDE, Vocabulary.of("byte")]),
        "include_bos": st.booleans(),
        "include_eos": st.booleans(),
        "case": st.sampled_from(["upper", "keep", "keep-in-labels"]),
        "loss_weights": st.sampled_from([None, {"ambiguous": 0, "lower": 0.5}]),
    }
)


def alone(piece, weights, options, seq_length: int | None = None):
    """What `Layout` makes of a window in a row of its own, which is as long as the window if nothing else is said."""
    options = dict(options)
    vocabulary = options.pop("vocabulary")
    encoded = EncodedBatch(batch_of([[piece]], weights), 1)
    used = int(Layout(vocabulary, SEQ_LENGTH, **options).used(encoded)[0])
    return {k: v[0].tolist() for k, v in Layout(vocabulary, seq_length or used, **options).expand(encoded).items()}


@given(PIECES, OPTIONS, st.data())
def test_one_window_a_row_is_laid_out_as_ever(piece, options, data):
    weights = data.draw(st.none() | st.lists(st.sampled_from([0, 0.5, 2]), min_size=len(piece[0]), max_size=len(piece[0])))
    made = expanded(layout_of(**options), [[piece]], weights)
    assert {key: values[0] for key, values in made.items()} == alone(piece, weights, options, SEQ_LENGTH)


@given(st.lists(PIECES, min_size=1, max_size=4), OPTIONS)
def test_segments_are_rows_one_behind_the_other(pieces, options):
    made = expanded(layout_of(**options), [pieces])
    parts = [alone(piece, None, options) for piece in pieces]
    for key, fill in (("tokens", PAD), ("labels", PAD), ("loss_mask", 0)):
        together = [value for part in parts for value in part[key]]
        assert made[key][0] == together + [fill] * (SEQ_LENGTH - len(together))


class Pairs:
    """Two bases a token."""

    pad_id, eos_id = 0, 1

    def tokenize(self, text):
        return [10 + len(text[i : i + 2]) for i in range(0, len(text), 2)]


def test_tokens_of_a_tokenizer_that_is_called_per_row():
    layout = layout_of(6, vocabulary=Vocabulary.of(Pairs()), most=1)
    encoded = layout.encode(batch_of([[("ACGTA", "")], [("AC", "")]]), 2)
    made = layout.expand(encoded)
    assert made["tokens"].tolist() == [[12, 12, 11, 1, 0, 0], [12, 1, 0, 0, 0, 0]]
    assert made["loss_mask"].tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]


@given(ROWS.filter(any), st.data())
def test_what_is_shown_and_what_is_predicted_lie_in_their_places(rows, data):
    batch = batch_of(rows)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=batch.bases.values.size, max_size=batch.bases.values.size)))
    true = np.frombuffer(batch.bases.values.tobytes().upper(), np.uint8)
    shown = np.where(chosen, 5, true).astype(np.uint8)
    made = expanded(layout_of(shifted=False), rows, shown=shown, chosen=chosen)
    places = iter(chosen.tolist())
    for i, pieces in enumerate(rows):
        labels = plain_packed_row(pieces)["tokens"]
        is_base = [x for piece in pieces for x in [0] * (plain_tokens(piece) - 1 - len(piece[0])) + [1] * len(piece[0]) + [0]]
        is_base += [0] * (SEQ_LENGTH - len(is_base))
        predicted = [bool(there) and next(places) for there in is_base]
        assert made["labels"][i] == labels
        assert made["tokens"][i] == [5 if here else token for token, here in zip(labels, predicted, strict=True)]
        assert made["loss_mask"][i] == [float(here) for here in predicted]


def test_weights_hold_where_bases_are_predicted():
    layout = layout_of(6, shifted=False, loss_weights={"ambiguous": 0.25})
    chosen = np.array([True, True, False])
    made = expanded(layout, [[("ANC", "")]], shown=np.frombuffer(b"ANC", np.uint8), chosen=chosen)
    assert made["loss_mask"][0] == [0, 1, 0.25, 0, 0, 0]


def test_a_first_base_without_specials_can_be_predicted():
    layout = layout_of(4, shifted=False, include_bos=False, include_eos=False)
    made = expanded(layout, [[("AC", ""), ("G", "")]], shown=np.frombuffer(b"ACG", np.uint8), chosen=np.ones(3, bool))
    assert made["loss_mask"][0] == [1, 1, 1, 0]


@given(ROWS, st.booleans())
def test_used_is_what_is_no_padding(rows, separate):
    layout = layout_of(separate=separate)
    tokens = [plain_packed_row(row, separate=separate)["tokens"] for row in rows]
    used = layout.used(EncodedBatch(batch_of(rows), len(rows))).tolist()
    assert used == [sum(token != PAD for token in row) for row in tokens]


@given(ROWS, st.booleans())
def test_windows_lie_where_their_tokens_are(rows, separate):
    layout = layout_of(separate=separate)
    encoded = EncodedBatch(batch_of(rows), len(rows))
    tokens = layout.expand(encoded)["tokens"].reshape(-1)
    for piece, start, stop in zip((p for row in rows for p in row), *(a.tolist() for a in layout.places(encoded)), strict=True):
        assert tokens[start:stop].tolist() == plain_row(piece[0], plain_tokens(piece), piece[1])["tokens"]


def plain_segment_numbers(pieces, multiple: int, separate: bool) -> list[str]:
    """A name for what each place belongs to."""
    names = []
    for number, piece in enumerate(pieces):
        names += [f"sep {number}"] * bool(separate and number)
        names += [f"window {number}"] * rounded(plain_tokens(piece), multiple)
    return names + ["padding"] * (SEQ_LENGTH - len(names))


@given(ROWS, st.sampled_from([(1, False), (1, True), (8, False), (24, False)]))
def test_places_of_one_segment_have_one_number(rows, kind):
    multiple, separate = kind
    layout = layout_of(pad_segments_to=multiple, separate=separate)
    numbers = layout.segment_numbers(EncodedBatch(batch_of(rows), len(rows)))
    for i, pieces in enumerate(rows):
        names = np.array(plain_segment_numbers(pieces, multiple, separate))
        assert ((names[:, None] == names) == (numbers[i][:, None] == numbers[i])).all()


def test_recycled_memory_is_written_over():
    encoded = EncodedBatch(batch_of([[("AC", ""), ("G", "")], []]), 2)
    layout = layout_of(16, restart=True, pad_segments_to=2)
    dirty = lambda shape, dtype: np.full(shape, 99, dtype)  # noqa: E731
    fresh, written_over = layout.expand(encoded), layout.expand(encoded, dirty)
    assert {key: array.tolist() for key, array in fresh.items()} == {key: array.tolist() for key, array in written_over.items()}


def test_dtypes():
    made = layout_of(restart=True, pad_segments_to=2).expand(EncodedBatch(batch_of([[("AC", "")]]), 1))
    assert {key: array.dtype.name for key, array in made.items()} == {
        "tokens": "int64",
        "labels": "int64",
        "loss_mask": "float32",
        "position_ids": "int64",
        "cu_seqlens": "int32",
        "cu_seqlens_padded": "int32",
        "max_seqlen": "int32",
    }


def test_large_token_ids():
    table = np.full(256, -1, np.int64)
    table[list(b"ACGT")] = np.arange(4) + 100_000
    vocabulary = Vocabulary("large", lambda text: [], pad=5, table=table)
    made = expanded(layout_of(5, vocabulary=vocabulary), [[("ACG", ""), ("T", "")]])
    assert made["tokens"][0] == [100_000, 100_001, 100_002, 100_003, 5]


def test_large_special_ids_beside_small_ones_of_bases():
    vocabulary = Vocabulary("mixed", lambda text: [], pad=1, eos=70_000, table=np.arange(256))
    made = expanded(layout_of(4, vocabulary=vocabulary), [[("A", ""), ("C", "")]])
    assert made["tokens"][0] == [65, 70_000, 67, 70_000]
