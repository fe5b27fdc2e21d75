import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain import PAD, plain_row, write_seed_index, write_seed_shard

from eden_core import EdenDataset, Picks, Ragged, SequenceBatch, Vocabulary, Windows, errors
from eden_core.encoded import EncodedBatch
from eden_core.layout import Layout
from eden_core.segments import SegmentLayout
from eden_core.tensors import BatchTensors, token_counts

NUCLEOTIDE = Vocabulary.of("nucleotide")
LETTERS = st.text("ACGTNRUacgtnru", max_size=12)


def encoded_rows(rows: list[list[str]]) -> EncodedBatch:
    windows = [bases for row in rows for bases in row]
    numbers = np.arange(len(windows))
    row_of = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    batch = SequenceBatch(
        Picks(numbers, numbers * 0, row_of, np.zeros(numbers.size, np.int16)),
        Windows(numbers, ("x",) * numbers.size, numbers * 0, np.array([len(bases) for bases in windows], np.int64)),
        Ragged.from_rows([np.frombuffer(bases.encode(), np.uint8) for bases in windows], np.uint8),
        Ragged.empty(numbers.size, np.int64),
    )
    return EncodedBatch(batch, len(rows))


def plainly_counted(row: list[str], tokens: list[int], loss_mask: list[float]) -> list[int]:
    bases = "".join(row)
    ambiguous = sum(base.upper() in "RYSWKMBDHVN" for base in bases)
    lower = sum(base.islower() for base in bases)
    return [tokens.count(PAD), len(bases), ambiguous, lower, len(bases) - sum(weight > 0 for weight in loss_mask)]


@given(st.lists(LETTERS, min_size=1, max_size=5), st.sampled_from([None, {"ambiguous": 0}, {"lower": 0, "N": 0.5}]))
def test_tokens_are_counted_as_plain_code_counts_them(rows, loss_weights):
    layout = Layout(NUCLEOTIDE, 20, loss_weights=loss_weights)
    encoded = encoded_rows([[bases] for bases in rows])
    made = layout.expand(encoded)
    expected = [
        plainly_counted([bases], made["tokens"][i].tolist(), made["loss_mask"][i].tolist()) for i, bases in enumerate(rows)
    ]
    assert token_counts(layout, encoded, made["loss_mask"]).tolist() == expected


@given(st.lists(st.lists(LETTERS, max_size=4), min_size=1, max_size=4), st.sampled_from([(1, False), (1, True), (8, False)]))
def test_tokens_of_packed_rows_are_counted_as_plain_code_counts_them(rows, kind):
    layout = SegmentLayout(
        NUCLEOTIDE, 64, most_segments=4, loss_weights={"N": 0}, pad_segments_to=kind[0], separate=kind[1], restart=not kind[1]
    )
    encoded = encoded_rows(rows)
    made = layout.expand(encoded)
    expected = [plainly_counted(row, made["tokens"][i].tolist(), made["loss_mask"][i].tolist()) for i, row in enumerate(rows)]
    assert token_counts(layout, encoded, made["loss_mask"]).tolist() == expected


@pytest.fixture
def contigs() -> dict[str, str]:
    return {"X__Y-S1__a": "ACGTACGT", "X__Y-S1__b": "AC", "X__Y-S1__c": "N" * 14, "X__Y-S1__d": "acgtn"}


@pytest.fixture
def options(tmp_path, contigs) -> dict:
    write_seed_shard(tmp_path, "S1", contigs)
    index = write_seed_index(tmp_path / "w.db", {name: len(bases) for name, bases in contigs.items()}, 16, 16)
    return {"sequence_db_dir": str(tmp_path), "window_db_path": str(index), "seq_length": 16, "shuffle": False}


def test_counts_come_with_a_batch(options, contigs):
    rows = EdenDataset(**options, extra_keys=["token_counts"], loss_weights={"ambiguous": 0})
    counts = rows.batch([0, 1, 2, 3])["token_counts"]
    assert counts.dtype == torch.int64
    assert counts.tolist() == [[6, 8, 0, 0, 0], [12, 2, 0, 0, 0], [0, 14, 14, 0, 14], [9, 5, 1, 5, 1]]


@pytest.mark.parametrize(
    ("multiple", "rows", "width"),
    [(1, [0, 1], 10), (4, [0, 1], 12), (8, [1, 3], 8), (8, [0], 16), (5, [2], 16), (16, [1], 16), (1, [1], 4), (3, [], 3)],
)
def test_batches_are_as_wide_as_their_longest_row_needs(options, multiple, rows, width):
    batch = EdenDataset(**options, pad_to_multiple_of=multiple).batch(rows)
    assert {key: value.shape for key, value in batch.items()} == dict.fromkeys(batch, (len(rows), width))


def test_what_is_left_of_a_row_is_as_it_was(options, contigs):
    batch = EdenDataset(**options, pad_to_multiple_of=2).batch([1, 3])
    for i, name in enumerate(["X__Y-S1__b", "X__Y-S1__d"]):
        expected = plain_row(contigs[name], 8)
        assert {key: value[i].tolist() for key, value in batch.items()} == expected


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("multiple", [1, 2, 16])
def test_nothing_but_padding_is_cut_off_packed_rows(options, separate, multiple):
    packed = {**options, "packing": "concat", "separate_segments": separate}
    whole = EdenDataset(**packed)
    trimmed = EdenDataset(**packed, pad_to_multiple_of=multiple)
    for row in range(whole.epoch_rows):
        tokens = whole.batch([row])["tokens"][0].tolist()
        used = 16 - next(i for i, token in enumerate([*reversed(tokens), 0]) if token != PAD)
        assert trimmed.batch([row])["tokens"][0].tolist() == tokens[: -(-used // multiple) * multiple]


def test_masks_and_other_keys_of_a_narrow_batch(options):
    rows = EdenDataset(**options, pad_to_multiple_of=4, create_attention_mask=True, extra_keys=["row_ids", "token_counts"])
    batch = rows.batch([1, 3])
    assert batch["attention_mask"].shape == (2, 1, 8, 8)
    assert batch["row_ids"].tolist() == [1, 3]
    assert batch["token_counts"].shape == (2, 5)


def hidden(attention_mask, row: int) -> list[list[bool]]:
    return attention_mask[row, 0].tolist()


def test_a_plain_mask_hides_what_comes_later(options):
    mask = EdenDataset(**options, create_attention_mask=True).batch([0, 1])["attention_mask"]
    assert (mask.dtype, mask.shape) == (torch.bool, (2, 1, 16, 16))
    assert hidden(mask, 1) == [[j > i for j in range(16)] for i in range(16)]


def test_a_mask_of_masked_language_modelling_hides_nothing(options):
    mask = EdenDataset(**options, create_attention_mask=True, objective="mlm").batch([0])["attention_mask"]
    assert not mask.any()


def segments_of(row_tokens: list[int], separate: bool) -> list[int]:
    """The number of the segment of each token: a bos, a separator, and the padding begin one."""
    numbers, number = [], -1
    for place, token in enumerate(row_tokens):
        begins = token == 2 or (separate and token == 3) or (token == PAD and (place == 0 or row_tokens[place - 1] != PAD))
        number += begins
        numbers.append(number)
    return numbers


@pytest.mark.parametrize("objective", ["causal", "mlm"])
@pytest.mark.parametrize(
    "packing", [{"packing": "concat"}, {"packing": "concat", "separate_segments": True}, {"packing": "thd"}]
)
def test_a_mask_of_packed_rows_hides_other_segments(options, objective, packing):
    rows = EdenDataset(**options, **packing, create_attention_mask=True, objective=objective)
    plain = EdenDataset(**options, **packing)
    mask = rows.batch(np.arange(rows.epoch_rows))["attention_mask"]
    assert rows.order.most_windows > 1
    for row in range(rows.epoch_rows):
        numbers = segments_of(plain[row]["tokens"].tolist(), "separate_segments" in packing)
        later = (lambda i, j: j > i) if objective == "causal" else (lambda i, j: False)
        assert hidden(mask, row) == [[numbers[i] != numbers[j] or later(i, j) for j in range(16)] for i in range(16)]


def test_the_source_of_each_row(options):
    sources = [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]
    rows = EdenDataset(**options, sources=sources, extra_keys=["source"])
    batch = rows.batch([0, 1, 2, 1])
    assert batch["source"].dtype == torch.int64
    assert batch["source"].tolist() == [0, 1, 0, 1]


def test_one_source_is_number_zero(options):
    assert EdenDataset(**options, extra_keys=["source"]).batch([0, 3])["source"].tolist() == [0, 0]


def test_a_row_that_lost_its_windows_has_no_source(options, tmp_path):
    (tmp_path / "bad.txt").write_text("X__Y-S1__c\n")
    rows = EdenDataset(**options, packing="concat", exclude_contigs=str(tmp_path / "bad.txt"), extra_keys=["source"])
    batch = rows.batch(np.arange(rows.epoch_rows))
    assert sorted(batch["source"].tolist()) == [-1, *[0] * (rows.epoch_rows - 1)]
    assert batch["tokens"][batch["source"] == -1].unique().tolist() == [PAD]


def test_rows_that_are_repeated_have_no_loss_weight(options):
    rows = EdenDataset(**options, extra_keys=["repeated", "token_counts"])
    numbers = np.array([0, 1])
    batch = rows.tensors(rows.reader.fetch(numbers), numbers, np.array([False, True]))
    assert batch["repeated"].tolist() == [False, True]
    assert batch["loss_mask"].sum(1).tolist() == [8, 0]
    assert batch["token_counts"][:, 4].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((("rows",), False, None), "extra_keys has rows; known keys are row_ids, repeated, source, token_counts"),
        (((), True, None), "an attention mask for seq_length 40000 takes"),
        (((), False, 0), "pad_to_multiple_of is 0; expected 1 to seq_length 40000"),
        (((), False, 40_001), "pad_to_multiple_of is 40001; expected 1 to"),
    ],
)
def test_what_cannot_be_made(settings, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        BatchTensors(*settings).check(40_000)
