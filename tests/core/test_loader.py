import gc
import logging
import multiprocessing
import pickle
import shutil

import pytest
import torch
from in_workers import Triplets

from eden_core import EdenDataset, EdenLoader, Transform, errors, expanded


def dataset(small, **options) -> EdenDataset:
    return EdenDataset(**small.options | {"extra_keys": ("row_ids",), "rc_aug": True} | options)


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


@pytest.mark.parametrize(
    "options",
    [
        {"use_control_tags": True, "loss_weights": {"lower": 0.5}},
        {"count_once": True, "pad_to_multiple_of": 8},
        {"objective": "mlm", "extra_keys": ("row_ids", "source", "token_counts")},
        {"tokenizer": Triplets(), "window_size": 64, "seq_length": 24},
        {"packing": "concat", "seq_length": 256, "create_attention_mask": True},
        {"packing": "thd", "seq_length": 256},
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_outlive_their_blocks(small, monkeypatch, options, workers):
    """Memory in which blocks travel is used again at once; batches must not lie in it."""
    monkeypatch.setattr("eden_core.loader.BLOCK_ROWS", 4)
    made = loader(small, split="validation", num_workers=workers, micro_batch_size=2, dataset_options=options)
    kept = list(made)
    made.close()
    assert len(kept) > 10
    rows = dataset(small, split="validation", **options)
    for batch in kept:
        if (batch["loss_mask"].sum(1) > 0).all():
            again = rows.batch(batch["row_ids"])
            assert all(torch.equal(batch[key], again[key]) for key in again)


def test_each_pass_is_the_next_epoch(small):
    made = loader(small)
    first, second = everything(made)["row_ids"], everything(made)["row_ids"]
    assert second.tolist() == (first + len(made)).tolist()


def test_a_pass_that_was_left_early_is_over(small):
    made = loader(small, num_workers=1)
    next(iter(made))
    assert everything(made)["row_ids"][0] == len(made)
    made.close()


def test_workers_end_with_a_loader_that_is_dropped_in_the_middle_of_a_pass(small):
    before = set(multiprocessing.active_children())
    made = loader(small, num_workers=1)
    batches = iter(made)
    next(batches)
    (worker,) = set(multiprocessing.active_children()) - before
    del made, batches
    gc.collect()
    worker.join(60)
    assert not worker.is_alive()


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
        "left_out": str,
    }


def test_state_of_other_data_is_refused(small):
    state = loader(small, dataset_options={"seed": 1}).state_dict()
    message = "(?s)other data.*changes the order: seed was 1, is 42"
    with pytest.raises(errors.ConfigurationError, match=message + ".*on_mismatch='warn'"):
        loader(small).load_state_dict(state)
    with pytest.warns(UserWarning, match=message):
        loader(small, on_mismatch="warn").load_state_dict(state)


def test_another_way_to_shuffle_is_refused(small):
    state = loader(small).state_dict()
    blocks = {"shuffle": {"block": {"rows": 8, "buffer_blocks": 4}}}
    message = "changes the order: shuffle was True, is blocks of 8 rows, 4 to a buffer"
    with pytest.raises(errors.ConfigurationError, match=message):
        loader(small, dataset_options=blocks).load_state_dict(state)


def test_blocks_go_on_with_other_ranks_sizes_and_workers(small):
    options = {"dataset_options": {"shuffle": {"block": {"rows": 3, "buffer_blocks": 2}}}}
    first = loader(small, micro_batch_size=2, **options)
    batches = iter(first)
    seen = [next(batches)["row_ids"].tolist() for _ in range(5)]
    ranks = [loader(small, data_parallel=(rank, 2), num_workers=rank, **options) for rank in range(2)]
    for rank in ranks:
        rank.load_state_dict(first.state_dict())
    rest = [everything(rank) for rank in ranks]
    ranks[1].close()
    rows = torch.stack([found["row_ids"] for found in rest], 1).flatten().tolist()
    assert sum(seen, []) + rows == list(range(len(seen) * 2 + len(rows)))
    for found in rest:
        assert torch.equal(found["tokens"], dataset(small, **options["dataset_options"]).batch(found["row_ids"])["tokens"])


def test_state_of_other_bytes_is_refused(small):
    state = loader(small, dataset_options={"case": "keep"}).state_dict()
    with pytest.raises(errors.ConfigurationError, match="changes the bytes: case was keep, is upper"):
        loader(small).load_state_dict(state)


def test_a_state_of_other_data_may_lie_behind_the_end(small):
    state = loader(small, dataset_options={"seed": 1}).state_dict()
    state["sources"][0]["consumed"] = 10**6
    made = loader(small, on_mismatch="warn")
    with pytest.warns(UserWarning, match="other data"):
        made.load_state_dict(state)
    assert everything(made)["row_ids"][0] == made.dataset.epoch_rows


@pytest.mark.parametrize(("micro", "ranks", "total"), [(2, 2, 8), (1, 8, 8), (4, 1, 4), (3, 2, 12)])
def test_state_goes_on_with_other_ranks_and_sizes(small, micro, ranks, total):
    first = [loader(small, micro_batch_size=2, global_batch_size=8, data_parallel=(rank, 4)) for rank in range(4)]
    passes = [iter(made) for made in first]
    for batches in passes:
        for _ in range(3):
            next(batches)
    states = [made.state_dict() for made in first]
    assert states[1:] == states[:-1]
    second = [
        loader(small, micro_batch_size=micro, global_batch_size=total, data_parallel=(rank, ranks)) for rank in range(ranks)
    ]
    for made in second:
        made.load_state_dict(states[0])
    rest = [everything(made)["row_ids"].view(-1, micro) for made in second]
    rows = torch.stack(rest, 1).flatten().tolist()
    assert rows == list(range(24, 24 + len(rows)))
    assert len(first[0].dataset) - 24 - len(rows) < total
    after = torch.stack([everything(made)["row_ids"].view(-1, micro) for made in second], 1).flatten().tolist()
    assert after == list(range(80, 80 + 80 - 80 % total))


def test_a_global_batch_that_is_not_complete_counts_as_unread(small):
    made = loader(small, micro_batch_size=2, global_batch_size=8)
    batches = iter(made)
    consumed = []
    for _ in range(9):
        consumed.append(made.state_dict()["sources"][0]["consumed"])
        next(batches)
    assert consumed == [0, 0, 0, 0, 8, 8, 8, 8, 16]


def test_batches_that_were_not_trained_on_count_as_unread(small):
    made = loader(small, micro_batch_size=2)
    trained = 100
    made.trained_batches = lambda: trained
    batches = iter(made)
    next(batches)
    assert made.state_dict()["sources"][0]["consumed"] == 0
    trained += 1
    assert made.state_dict()["sources"][0]["consumed"] == 2


def test_a_limit_ends_each_epoch_early(small):
    made = loader(small, micro_batch_size=2, limit_batches=3)
    passes = [everything(made)["row_ids"].tolist() for _ in range(2)]
    rows = made.dataset.epoch_rows
    assert passes == [list(range(6)), list(range(rows, rows + 6))]
    assert len(made) == rows // 2
    (source,) = made.state_dict()["sources"]
    assert (source["epoch"], source["consumed"]) == (2, 0)


def test_the_first_epoch_can_be_repeated(small):
    made = loader(small, repeat_epoch=True, limit_batches=2)
    assert everything(made)["row_ids"].tolist() == everything(made)["row_ids"].tolist()


def test_an_epoch_can_be_set_and_setting_the_current_one_changes_nothing(small):
    made = loader(small, micro_batch_size=2)
    made.set_epoch(3)
    batches = iter(made)
    assert next(batches)["row_ids"][0] == 3 * made.dataset.epoch_rows
    second = loader(small, micro_batch_size=2)
    second.load_state_dict(made.state_dict())
    second.set_epoch(3)
    assert everything(second)["row_ids"][0] == 3 * made.dataset.epoch_rows + 2


def test_setting_the_epoch_that_is_being_read_does_not_begin_it_anew(small):
    made = loader(small, micro_batch_size=2)
    batches = iter(made)
    next(batches)
    made.set_epoch(0)
    assert next(batches)["row_ids"].tolist() == [2, 3]


def test_skipped_rows_and_excluded_contigs_do_not_come(small, tmp_path):
    name = small.expected_windows()[0][0]
    (tmp_path / "contigs.txt").write_text(f"{name}\n")
    options = {"skip_rows": [(4, 9)], "exclude_contigs": str(tmp_path / "contigs.txt")}
    made = loader(small, dataset_options=options)
    rows = everything(made)["row_ids"]
    assert not set(rows.tolist()) & set(range(4, 9))
    assert name not in made.dataset.locate(rows).sequence_ids
    excluded = sum(window[0] == name for window in small.expected_windows())
    assert 80 - 5 - excluded <= rows.numel() < 80 - excluded


def test_leaving_out_other_rows_than_before_is_warned_about(small, caplog):
    state = loader(small, dataset_options={"skip_rows": [(30, 33)]}).state_dict()
    loader(small, dataset_options={"skip_rows": [(30, 33)]}).load_state_dict(state)
    assert not caplog.records
    loader(small).load_state_dict(state)
    assert "left out rows 30 to 32 until here; from here on it leaves out nothing" in caplog.text


def test_leaving_data_out_on_resume_goes_on_with_the_row_that_follows(small):
    first = loader(small, micro_batch_size=2)
    batches = iter(first)
    for _ in range(3):
        next(batches)
    second = loader(small, micro_batch_size=2, dataset_options={"skip_rows": [(3, 7), (8, 10)]})
    second.load_state_dict(first.state_dict())
    assert everything(second)["row_ids"][:4].tolist() == [7, 10, 11, 12]


def test_rows_that_cannot_be_read_are_masked_counted_and_reported(small, tmp_path, caplog):
    shutil.copytree(small.directory, tmp_path / "copy")
    shard = tmp_path / "copy" / "S1" / "glm_dataset_S1.sqlite"
    shard.write_bytes(shard.read_bytes()[:-4096])
    options = {"sequence_db_dir": str(tmp_path / "copy"), "on_read_error": "mask"}
    seen = everything(loader(small, dataset_options=options))
    lost = [name.startswith("BCR__ECT-S1__") for name in dataset(small).locate(seen["row_ids"]).sequence_ids]
    assert ((seen["loss_mask"].sum(1) == 0) == torch.tensor(lost)).all()
    assert f"{sum(lost)} of the last 80 rows could not be read and were masked" in caplog.text
    with pytest.raises(errors.FormatError, match="S1"):
        everything(loader(small, dataset_options={"sequence_db_dir": str(tmp_path / "copy")}))


def test_repeats_can_be_told_from_rows(small):
    options = {"extra_keys": ("row_ids", "repeated")}
    seen = everything(loader(small, split="validation", micro_batch_size=16, dataset_options=options))
    assert seen["row_ids"][~seen["repeated"]].tolist() == list(range(80))
    assert seen["loss_mask"][seen["repeated"]].sum() == 0


def test_rows_without_weight_are_counted_and_reported(small, caplog):
    with caplog.at_level(logging.WARNING):
        list(loader(small, dataset_options={"loss_weights": dict.fromkeys("ACGTacgt", 0) | {"ambiguous": 0}}))
    assert "had no loss weight at all" in caplog.text


def test_rows_left_out_are_reported(small, caplog):
    with caplog.at_level(logging.INFO):
        made = loader(small, micro_batch_size=50)
    assert f"{made.dataset.epoch_rows % 50} of {made.dataset.epoch_rows} rows" in caplog.text


def test_repeats_are_counted(small, caplog):
    with caplog.at_level(logging.INFO):
        loader(small, split="validation", micro_batch_size=32)
    assert "16 repeats with loss_mask 0 fill the last global batch of each epoch up, behind 80 rows" in caplog.text


def test_an_error_in_a_worker_keeps_its_kind_and_message(small):
    made = loader(small, num_workers=1, dataset_options={"store": "sqlite-shards"})
    made.dataset.sources[0].store.location = "/nowhere"
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


@pytest.mark.parametrize(
    ("name", "value", "least"), [("num_workers", -1, 0), ("num_workers", 1.5, 0), ("prefetch_factor", 0, 1)]
)
def test_what_is_no_number_of_workers_or_blocks(small, name, value, least):
    with pytest.raises(errors.ConfigurationError, match=f"{name} is {value}; expected an integer of {least} or more"):
        loader(small, **{name: value})


def test_a_state_that_is_loaded_ends_the_pass_under_way(small):
    made = loader(small)
    batches = iter(made)
    next(batches)
    made.load_state_dict(made.state_dict())
    with pytest.raises(errors.ConfigurationError, match="this pass is over"):
        next(batches)


@pytest.mark.parametrize("state", [{}, {"sources": []}, {"sources": [{"source": 0}]}, {"sources": [1, 2]}])
def test_what_is_no_state(small, state):
    with pytest.raises(errors.ConfigurationError, match="is no state of an EdenLoader"):
        loader(small).load_state_dict(state)


@pytest.mark.parametrize("limit", [-1, 1.5, True, float("nan")])
def test_what_is_no_limit(small, limit):
    with pytest.raises(errors.ConfigurationError, match="expected a whole number from 0 on, or a share"):
        loader(small, limit_batches=limit)


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


KINDS = [
    {},
    {"use_control_tags": True, "loss_weights": {"ambiguous": 0, "lower": 0.1}},
    {"case": "keep-in-labels"},
    {"packing": "thd", "pad_segments_to": 4},
    {"packing": "concat", "separate_segments": True},
    {"objective": "mlm"},
    {"tokenizer": "byte", "include_eos": False},
    {"pad_to_multiple_of": 16, "extra_keys": ("row_ids", "token_counts")},
]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_batches_that_are_expanded_later_are_the_same(small, options):
    plain = loader(small, dataset_options=options, micro_batch_size=3)
    late = loader(small, dataset_options=options, micro_batch_size=3, expand_on="device")
    for wanted, batch in zip(plain, late, strict=True):
        made = expanded(batch)
        assert batch["tokens"].dtype == torch.uint8
        assert {key: value.dtype for key, value in made.items()} == {key: value.dtype for key, value in wanted.items()}
        assert all(torch.equal(made[key], wanted[key]) for key in wanted)


def test_a_narrow_batch_is_a_ninth_of_the_bytes(small):
    sizes = []
    for place in ("host", "device"):
        batch = next(iter(loader(small, dataset_options={"extra_keys": ()}, micro_batch_size=3, expand_on=place)))
        sizes.append(sum(value.nbytes for value in batch.values()))
    assert sizes[0] == 3 * 64 * 28
    assert sizes[1] == 3 * 64 * 3


def test_a_batch_that_is_expanded_stays_as_it_is(small):
    batch = next(iter(loader(small)))
    assert all(torch.equal(value, batch[key]) for key, value in expanded(batch).items())


def test_late_position_ids_are_as_any_other(small):
    made = expanded(next(iter(loader(small, expand_on="device", micro_batch_size=2))))
    assert made["position_ids"].is_contiguous()
    row = expanded({"tokens": made["tokens"][0], "labels": made["labels"][0], "loss_mask": made["loss_mask"][0]})
    assert torch.equal(row["position_ids"], made["position_ids"][0])


def test_where_to_expand_is_checked(small):
    with pytest.raises(errors.ConfigurationError, match="expected 'host' or 'device'"):
        loader(small, expand_on="gpu")
    with pytest.raises(errors.ConfigurationError, match="attention mask is made on the host"):
        loader(small, expand_on="device", dataset_options={"create_attention_mask": True})
