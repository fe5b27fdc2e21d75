from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from plain import plain_reverse_complement, plain_row, write_seed_index, write_seed_shard

from eden_core import EdenDataset, Objective, Ragged, Tiling, Transform, errors
from eden_sqlite.index import SqliteIndex

NAME = "BCR__ECT-S1__CT1"


def dataset(tmp_path, bases: str, **options) -> EdenDataset:
    write_seed_shard(tmp_path, "S1", {NAME: bases})
    index = write_seed_index(tmp_path / "w.db", {NAME: len(bases)}, 16, 10)
    options = {"seq_length": 16, "shuffle": False} | options
    return EdenDataset(sequence_db_dir=str(tmp_path), window_db_path=str(index), **options)


def test_exactly_as_many_bases_are_read_as_fit_before_they_are_flipped(tmp_path):
    """A row that reads a whole window and is cut afterwards would lose the wrong end of a flipped one."""
    bases = "ACGTTGCATTGACCAGTTAA"
    made = dataset(tmp_path, bases, transforms=[{"reverse-complement": {"probability": 1.0}}])
    assert made[0]["tokens"].tolist() == plain_row(plain_reverse_complement(bases[:14]), 16)["tokens"]


def test_tags_leave_room_for_fewer_bases(tmp_path):
    write_seed_shard(tmp_path, "S1", {NAME: "ACGT" * 10})
    index = write_seed_index(tmp_path / "w.db", {NAME: 40}, 32, 10)
    rows = EdenDataset(
        sequence_db_dir=str(tmp_path), window_db_path=str(index), seq_length=32, use_control_tags=True, shuffle=False
    )
    assert rows[0]["tokens"].tolist() == plain_row(("ACGT" * 10)[:19], 32, "<ctrl_bcr>")["tokens"]
    assert rows.locate([0]).lengths.tolist() == [19]


def test_an_invalid_base_is_named_with_its_place(tmp_path):
    with pytest.raises(errors.InvalidBaseError, match=rf"'{NAME}' holds the byte 45 \('-'\) at position 23 "):
        dataset(tmp_path, "ACGTTGCATTGACCAGTTAACC-GTACGTACGTACGT").batch([0, 2])


def test_the_place_is_right_for_a_flipped_row(tmp_path):
    flipped = dataset(tmp_path, "ACG-TGCATTGACCAGTTAACC", transforms=[{"reverse-complement": {"probability": 1.0}}])
    with pytest.raises(errors.InvalidBaseError, match="at position 4 "):
        flipped.batch([0])


def test_a_zeroed_hole_is_named_as_such(tmp_path):
    rows = dataset(tmp_path, "ACGTTGCATTGACCAGTTAACC")
    path = tmp_path / "S1" / "glm_dataset_S1.sqlite"
    path.write_bytes(path.read_bytes().replace(b"TTGACC", b"TT\0\0\0\0"))
    with pytest.raises(errors.InvalidBaseError, match="the byte 0 .* at position 11 .*zeroed hole"):
        rows.batch([0])


def test_an_index_of_other_sequences_is_stale(tmp_path):
    rows = dataset(tmp_path, "ACGT" * 10)
    rows.close()
    (tmp_path / "S1" / "glm_dataset_S1.sqlite").unlink()
    write_seed_shard(tmp_path, "S1", {NAME: "ACGT"})
    with pytest.raises(errors.StaleIndexError, match="base 10 .* has 4"):
        rows.batch([1])


def test_tags_that_outgrow_the_reserve_of_a_kept_tail_are_refused(tmp_path):
    batches = [pa.RecordBatch.from_pydict({"contig_id": [NAME], "length": [100]})]
    SqliteIndex.build(str(tmp_path / "t.db"), batches, Tiling(32, 10, keep_tail=True, reserve=4))
    write_seed_shard(tmp_path, "S1", {NAME: "ACGT" * 25})
    rows = EdenDataset(
        sequence_db_dir=str(tmp_path), window_db_path=str(tmp_path / "t.db"), seq_length=32, use_control_tags=True
    )
    with pytest.raises(errors.ConfigurationError, match="take 13 of a row.*--reserve 13"):
        rows.batch([0])


def test_a_row_does_not_depend_on_its_company(small):
    rows = EdenDataset(**small.options, rc_aug=True)
    together = rows.batch(np.arange(20))["tokens"]
    assert all((rows[i]["tokens"] == together[i]).all() for i in range(20))


def test_a_transform_that_lengthens_is_caught(small):
    class Doubling(Transform):
        name = "doubling"

        def apply(self, batch, draws):
            return replace(batch, bases=Ragged.from_rows([np.concatenate([row, row]) for row in batch.bases], np.uint8))

    with pytest.raises(errors.PluginContractError, match=r"\(doubling\) made a row longer"):
        EdenDataset(**small.options, transforms=[Doubling()]).batch([0])


def weighing(bases, last):
    """Weights of 1 and, for the last base, another one."""
    weights = np.ones(bases.values.size, np.float32)
    weights[-1] = last
    return {"weights": Ragged(weights, bases.offsets)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda bases: {"bases": Ragged(bases.values, bases.offsets.astype(np.int32))}, "bases of uint8 with int32 offsets"),
        (lambda bases: {"bases": Ragged(bases.values.astype(np.int64), bases.offsets)}, "bases of int64"),
        (lambda bases: {"bases": Ragged(bases.values[:-1], bases.offsets)}, "over .* values"),
        (lambda bases: {"weights": Ragged(np.ones(bases.values.size), bases.offsets)}, "loss weights of float64"),
        (lambda bases: {"weights": Ragged(np.ones(2 * bases.values.size, np.float32)[::2], bases.offsets)}, "contiguous"),
        (lambda bases: weighing(bases, np.nan), "the loss weight nan; expected finite"),
        (lambda bases: weighing(bases, np.inf), "the loss weight inf"),
        (lambda bases: weighing(bases, -0.5), "the loss weight -0.5"),
    ],
    ids=["offsets", "values", "short", "weights", "strides", "nan", "inf", "negative"],
)
def test_arrays_of_another_kind_are_refused_before_others_read_them(small, change, message):
    class Odd(Transform):
        name = "odd"

        def apply(self, batch, draws):
            return replace(batch, **change(batch.bases))

    with pytest.raises(errors.PluginContractError, match=f"'odd' gave .*{message}"):
        EdenDataset(**small.options, transforms=[Odd(), "reverse-complement"]).batch([0, 1])


def test_a_weight_of_minus_zero_is_none(small):
    class Odd(Transform):
        name = "odd"

        def apply(self, batch, draws):
            return replace(batch, **weighing(batch.bases, -0.0))

    assert EdenDataset(**small.options, transforms=[Odd()]).batch([0])["loss_mask"].sum() > 0


def test_prefixes_must_be_token_ids(small):
    class Odd(Transform):
        name = "odd"

        def prefix_lengths(self, windows):
            return np.ones(len(windows), np.int64)

        def apply(self, batch, draws):
            return replace(batch, prefix=Ragged.from_rows([[-7]] * len(batch.windows), np.int64))

    with pytest.raises(errors.PluginContractError, match="transform 'odd' put the token -7 in front of bases; expected"):
        EdenDataset(**small.options, transforms=[Odd()]).batch([0])


def test_an_objective_must_answer_every_token(small):
    class Short(Objective):
        name = "short"
        predicts_all = False

        def choose(self, tokens, draws):
            return tokens.values[:3], np.ones(3, bool)

    with pytest.raises(errors.PluginContractError, match="objective 'short' answered .* tokens with uint8 of \\(3,\\)"):
        EdenDataset(**small.options, objective=Short()).batch([0])
