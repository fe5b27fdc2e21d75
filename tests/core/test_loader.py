import logging
import multiprocessing
import pickle

import pytest
import torch

from eden_core import EdenDataset, EdenLoader, Transform, errors


def dataset(small, **options) -> EdenDataset:
    return EdenDataset(**small.options, **({"extra_keys": ("row_ids",), "rc_aug": True} | options))


def loader(small, split="train", num_workers=0, dataset_options=None, **options) -> EdenLoader:
    rows = dataset(small, split=split, **(dataset_options or {}))
    return EdenLoader(rows, num_workers=num_workers, **options)


def everything(batches) -> dict[str, torch.Tensor]:
    batches = list(batches)
    return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}


def test_micro_batches_are_the_rows_in_order(small):
    seen = everything(loader(small, micro_batch_size=4))
    assert seen["row_ids"].tolist() == list(range(seen["row_ids"].numel()))
    assert torch.equal(seen["tokens"], dataset(small).batch(seen["row_ids"])["tokens"])


@pytest.mark.parametrize("start_method", ["forkserver", "spawn", "fork"])
def test_workers_change_nothing(small, start_method):
    made = loader(small, micro_batch_size=3, num_workers=2, start_method=start_method)
    try:
        ours, alone = everything(made), everything(loader(small, micro_batch_size=3))
    finally:
        made.close()
    assert all(torch.equal(ours[key], alone[key]) for key in alone)


def test_each_pass_is_the_next_epoch(small):
    made = loader(small)
    first, second = everything(made)["row_ids"], everything(made)["row_ids"]
    assert second.tolist() == (first + len(made)).tolist()


def test_a_pass_that_was_left_early_is_over(small):
    made = loader(small, num_workers=1)
    next(iter(made))
    assert everything(made)["row_ids"][0] == len(made)
    made.close()


def test_validation_begins_anew_each_time(small):
    made = loader(small, split="validation")
    assert everything(made)["row_ids"].tolist() == everything(made)["row_ids"].tolist()


def test_length_is_a_whole_epoch(small):
    made = loader(small, micro_batch_size=4)
    assert len(made) == len(list(made)) == made.dataset.epoch_rows // 4


def test_ranks_split_each_global_batch(small):
    whole = everything(loader(small, micro_batch_size=4))["row_ids"]
    parts = [everything(loader(small, micro_batch_size=2, data_parallel=(rank, 2)))["row_ids"] for rank in range(2)]
    together = torch.stack([part.view(-1, 2) for part in parts], 1).flatten()
    assert together.tolist() == whole.tolist()


def test_the_last_batch_of_validation_is_filled_up_and_masked(small):
    made = loader(small, split="validation", micro_batch_size=16)
    rows = made.dataset.epoch_rows
    seen = everything(made)
    assert seen["row_ids"][:rows].tolist() == list(range(rows))
    assert seen["loss_mask"][rows:].sum() == 0
    assert (seen["loss_mask"][:rows].sum(1) > 0).all()


def test_filling_up_does_not_touch_the_shared_masks(small):
    made = loader(small, split="validation", micro_batch_size=16)
    first, second = everything(made), everything(made)
    assert torch.equal(first["loss_mask"], second["loss_mask"])


def test_nothing_starts_before_the_first_batch(small):
    made = loader(small, num_workers=2)
    iter(made)
    assert made._pool is None


def test_state_goes_on_where_it_was_taken(small):
    whole = everything(loader(small, micro_batch_size=2))["row_ids"].tolist()
    first = loader(small, micro_batch_size=2)
    batches = iter(first)
    seen = [next(batches)["row_ids"].tolist() for _ in range(5)]
    second = loader(small, micro_batch_size=2, num_workers=2)
    second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
    rest = everything(second)["row_ids"].tolist()
    assert sum(seen, []) + rest == whole
    assert everything(second)["row_ids"][0] == second.dataset.epoch_rows
    second.close()


def test_state_at_the_end_of_an_epoch_is_the_next_epoch(small):
    first, second = loader(small), loader(small)
    everything(first)
    second.load_state_dict(first.state_dict())
    assert everything(second)["row_ids"][0] == len(first)


def test_state_is_plain(small):
    (source,) = loader(small).state_dict()["sources"]
    assert {key: type(value) for key, value in source.items()} == {
        "source": int,
        "epoch": int,
        "consumed": int,
        "fingerprint": str,
    }


def test_state_of_other_data_is_refused(small):
    state = loader(small, dataset_options={"seed": 1}).state_dict()
    with pytest.raises(errors.ConfigurationError, match="fingerprint"):
        loader(small).load_state_dict(state)
    with pytest.warns(UserWarning, match="fingerprint"):
        loader(small, on_mismatch="warn").load_state_dict(state)


def test_rows_without_weight_are_counted_and_reported(small, caplog):
    with caplog.at_level(logging.WARNING):
        list(loader(small, dataset_options={"loss_weights": dict.fromkeys("ACGTacgt", 0) | {"ambiguous": 0}}))
    assert "had no loss weight at all" in caplog.text


def test_rows_left_out_are_reported(small, caplog):
    with caplog.at_level(logging.INFO):
        made = loader(small, micro_batch_size=50)
    assert f"{made.dataset.epoch_rows % 50} of {made.dataset.epoch_rows} rows" in caplog.text


def test_an_error_in_a_worker_keeps_its_kind_and_message(small):
    made = loader(small, num_workers=1, dataset_options={"store": "sqlite-shards"})
    made.dataset.store.location = "/nowhere"
    with pytest.raises(errors.ShardNotFoundError, match="/nowhere is not a directory"):
        next(iter(made))
    made.close()


class Local(Transform):
    name = "local"

    def __init__(self):
        self.unpicklable = lambda: None

    def apply(self, batch, draws):
        return batch


def test_what_cannot_be_sent_to_workers_is_named(small):
    made = loader(small, num_workers=1, dataset_options={"transforms": [Local()]})
    with pytest.raises(errors.ConfigurationError, match="cannot be sent to worker processes.*must pickle"):
        next(iter(made))


def test_an_unknown_start_method(small):
    with pytest.raises(errors.ConfigurationError, match="'forkserver', 'spawn', 'fork'"):
        next(iter(loader(small, num_workers=1, start_method="thread")))


def test_two_passes_at_once_are_refused(small):
    made = loader(small, num_workers=1)
    first = iter(made)
    next(first)
    next(iter(made))
    with pytest.raises(errors.ConfigurationError, match="another pass of the loader has begun"):
        next(first)
    made.close()


def test_a_loaded_state_does_not_shorten_later_evaluations(small):
    first, second = (loader(small, split="validation", micro_batch_size=4) for _ in range(2))
    batches = iter(first)
    next(batches)
    second.load_state_dict(first.state_dict())
    assert len(list(second)) == len(second) - 1
    assert (
        everything(second)["row_ids"].tolist()
        == everything(loader(small, split="validation", micro_batch_size=4))["row_ids"].tolist()
    )


@pytest.mark.parametrize("persistent", [True, False])
def test_close_stops_the_workers(small, persistent):
    before = set(multiprocessing.active_children())
    made = loader(small, num_workers=1, persistent_workers=persistent)
    batches = iter(made)
    next(batches)
    assert set(multiprocessing.active_children()) > before
    made.close()
    assert set(multiprocessing.active_children()) <= before


def test_workers_leave_the_random_numbers_of_the_trainer_alone(small):
    drawn = []
    for workers in (0, 1):
        torch.manual_seed(0)
        made = loader(small, num_workers=workers)
        next(iter(made))
        drawn.append(torch.rand(1).item())
        made.close()
    assert drawn[0] == drawn[1]


def test_rows_of_a_later_epoch_can_be_located(small):
    made = loader(small)
    list(made)
    batch = next(iter(made))
    assert made.dataset.locate(batch["row_ids"]).sequence_ids


def test_num_samples_is_for_plain_loops(small):
    with pytest.raises(errors.ConfigurationError, match="num_samples is for plain loops"):
        loader(small, dataset_options={"num_samples": 8})


def test_pinning_without_an_accelerator_is_left_out(small):
    if torch.accelerator.is_available():
        pytest.skip("there is an accelerator")
    assert next(iter(loader(small, pin_memory=True)))["tokens"].shape == (1, 64)


def test_an_unknown_way_to_treat_a_mismatch(small):
    with pytest.raises(errors.ConfigurationError, match="'error' or 'warn'"):
        loader(small, on_mismatch="ignore")
