import sys
from itertools import islice

import pytest
import torch
from datasets.distributed import split_dataset_by_node
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from eden_core import EdenDataset, EdenLoader, errors
from eden_core.hugging_face import iterable_dataset, model_inputs

ROWS = 80
PACKED = {"packing": "thd", "seq_length": 256}
MASKED = {"objective": "mlm", "extra_keys": ("token_counts",)}


def dataset(small, **options) -> EdenDataset:
    return EdenDataset(**small.options | {"extra_keys": ("row_ids",), "rc_aug": True} | options)


def stream(small, dataset_options=None, **options):
    return iterable_dataset(dataset(small, **(dataset_options or {})), **options)


def rows_of(examples) -> list[int]:
    return [int(example["row_ids"]) for example in examples]


def take(batches, count) -> list:
    return [*islice(batches, count)]


def test_examples_are_the_rows_of_eden_loader_epoch_after_epoch(small):
    rows = dataset(small)
    loader = EdenLoader(rows, num_workers=0)
    expected = [model_inputs(batch, rows) | {"row_ids": batch["row_ids"]} for _ in range(2) for batch in loader]
    examples = [*stream(small, epochs=2)]
    assert len(examples) == len(expected) == 2 * ROWS
    for example, batch in zip(examples, expected, strict=True):
        assert example.keys() == batch.keys()
        assert all(example[key].tolist() == batch[key][0].tolist() for key in batch)


@pytest.mark.parametrize("seen", [0, 1, 70, ROWS, ROWS + 7, 2 * ROWS])
def test_a_state_goes_on_with_the_very_next_row(small, seen):
    before, after = (stream(small, epochs=2) for _ in range(2))
    take(before, seen)
    after.load_state_dict(before.state_dict())
    assert rows_of(after) == [*range(seen, 2 * ROWS)]


def test_a_split_that_is_not_shuffled_streams_its_windows_in_order_and_ends_once(small):
    test = dataset(small, split="test")
    before, after = (iterable_dataset(test) for _ in range(2))
    assert [example["input_ids"].tolist() for example in before] == test.batch(range(ROWS))["tokens"].tolist()
    after.load_state_dict(before.state_dict())
    assert not [*after]


def test_of_workers_one_reads_so_that_their_number_changes_nothing(small):
    alone, shared = ([*DataLoader(stream(small), batch_size=8, num_workers=workers)] for workers in (0, 2))
    assert len(alone) == len(shared) == ROWS // 8
    assert all(torch.equal(one[key], other[key]) for one, other in zip(alone, shared, strict=True) for key in one)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_dataloader_goes_on_with_the_very_next_row(small, workers):
    before, after = (StatefulDataLoader(stream(small, epochs=2), batch_size=8, num_workers=workers) for _ in range(2))
    take(before, 3)
    after.load_state_dict(before.state_dict())
    assert sum((batch["row_ids"].tolist() for batch in after), []) == [*range(24, 2 * ROWS)]


@pytest.mark.parametrize("rank", [0, 1])
def test_either_side_splits_rows_between_ranks(small, rank):
    ours, theirs = stream(small, data_parallel=(rank, 2)), split_dataset_by_node(stream(small), rank, 2)
    assert rows_of(ours) == rows_of(theirs) == [*range(rank, ROWS, 2)]


def test_a_state_of_one_rank_is_that_of_all(small):
    before, after = stream(small, data_parallel=(0, 2)), stream(small, data_parallel=(2, 4))
    take(before, 3)
    after.load_state_dict(before.state_dict())
    assert rows_of(after)[:2] == [8, 12]


def test_the_access_log_has_the_rows_that_were_given(small, tmp_path):
    rows = dataset(small, log_windows=True, log_dir=str(tmp_path))
    take(iterable_dataset(rows), 5)
    rows.close()
    (log,) = tmp_path.glob("*.csv")
    assert len(log.read_text().splitlines()) == 1 + 5


def test_columns_are_known_and_mapped_examples_keep_the_state(small):
    streams = [stream(small, {"extra_keys": ("row_ids", "token_counts")}) for _ in range(2)]
    assert streams[0].column_names == ["input_ids", "labels", "attention_mask", "row_ids"]
    before, after = (one.map(lambda example: {"first": example["input_ids"][0]}) for one in streams)
    assert {example["first"] for example in take(before, 5)} == {2}
    after.load_state_dict(before.state_dict())
    assert rows_of(after)[0] == 5


def shuffled(rows):
    return rows.shuffle(seed=1)


def at_epoch_1(rows):
    rows.set_epoch(1)
    return rows


@pytest.mark.parametrize("change", [shuffled, at_epoch_1])
def test_another_order_than_edens_is_refused(small, change):
    with pytest.raises(errors.ConfigurationError, match="as many epochs"):
        next(iter(change(stream(small))))


def test_shards_are_refused(small):
    with pytest.raises(errors.ConfigurationError, match="data_parallel"):
        stream(small).shard(2, 1)


def test_a_state_of_other_data_is_refused(small):
    before, after = stream(small), stream(small, {"seed": 43})
    next(iter(before))
    after.load_state_dict(before.state_dict())
    with pytest.raises(errors.ConfigurationError, match="seed was 42, is 43"):
        next(iter(after))


OTHER_STATES = [{}, None, {"sources": []}, {"epoch": 0, "examples_iterable": {"shard_idx": 1, "type": "ArrowExamplesIterable"}}]


@pytest.mark.parametrize("state", OTHER_STATES, ids=["empty", "none", "of a loader", "of another stream"])
def test_a_state_of_something_else_is_refused(small, state):
    rows = stream(small)
    with pytest.raises(errors.ConfigurationError, match="is no state of a stream"):
        rows.load_state_dict(state), next(iter(rows))


def test_epochs_are_counted_from_1(small):
    with pytest.raises(errors.ConfigurationError, match="epochs is 0"):
        stream(small, epochs=0)


def test_what_is_not_installed_is_named(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ModuleNotFoundError, match="pip install datasets"):
        stream(small)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss_weights": {"ambiguous": 0, "lower": 0}, "case": "keep-in-labels", "use_control_tags": True},
        {"packing": "concat", "seq_length": 256, "include_bos": False},
        PACKED,
        MASKED,
    ],
)
def test_the_loss_of_a_model_is_that_of_the_batch(small, options):
    rows = dataset(small, **options)
    batch = rows.batch(range(7))
    inputs = model_inputs(batch, rows)
    logits = torch.randn(*batch["tokens"].shape, 256, generator=torch.Generator().manual_seed(1))
    losses = cross_entropy(logits.transpose(1, 2), batch["labels"], reduction="none")
    expected = (losses * batch["loss_mask"]).sum() / batch["loss_mask"].sum()
    causal = rows.reader.objective.shifted  # as transformers.loss.loss_utils.ForCausalLMLoss and ForMaskedLMLoss do
    shown, labels = (logits[:, :-1], inputs["labels"][:, 1:]) if causal else (logits, inputs["labels"])
    torch.testing.assert_close(cross_entropy(shown.flatten(0, 1), labels.flatten(), ignore_index=-100), expected)
    assert torch.equal(inputs["input_ids"], batch["tokens"])


def test_position_ids_of_packed_rows_begin_anew_in_each_window(small):
    rows = dataset(small, **PACKED)
    batch = rows.batch(range(3))
    assert model_inputs(batch, rows).keys() == {"input_ids", "labels", "position_ids"}
    assert (model_inputs(batch, rows)["position_ids"] == 0).sum() == (batch["cu_seqlens"] >= 0).sum() - 3


def test_the_attention_mask_ends_where_padding_begins(small):
    rows = dataset(small, extra_keys=("token_counts",))
    inputs = model_inputs(rows.batch(range(9)), rows)
    assert torch.equal(inputs["attention_mask"], (inputs["input_ids"] != 1).long())
    assert torch.equal(model_inputs(rows[4], rows)["attention_mask"], inputs["attention_mask"][4])


def test_a_model_that_looks_to_both_sides_must_know_the_padding(small):
    rows = dataset(small, **MASKED | {"extra_keys": ()})
    with pytest.raises(errors.ConfigurationError, match="token_counts"):
        model_inputs(rows.batch([0]), rows)


def test_a_weight_that_labels_cannot_say_is_refused(small):
    rows = dataset(small, loss_weights={"lower": 0.5})
    with pytest.raises(errors.ConfigurationError, match=r"weight 0\.5"):
        model_inputs(rows.batch([0, 1, 2, 3]), rows)


def test_narrow_batches_are_expanded(small):
    rows = dataset(small)
    narrow, wide = (next(iter(EdenLoader(rows, num_workers=0, expand_on=where))) for where in ("device", "host"))
    ours, theirs = model_inputs(narrow, rows), model_inputs(wide, rows)
    assert all(torch.equal(ours[key], theirs[key]) and ours[key].dtype == theirs[key].dtype for key in theirs)
