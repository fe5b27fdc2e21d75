from operator import attrgetter

import pytest
import torch
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from eden_core import EdenBatchSampler, EdenDataset, EdenLoader, errors

BATCHES = 20
"""of an epoch, in batches of 4"""


def dataset(small, **options) -> EdenDataset:
    return EdenDataset(**small.options | {"extra_keys": ("row_ids",), "rc_aug": True} | options)


def of_sampler(small, kind=DataLoader, num_workers=0, dataset_options=None, **options):
    rows = dataset(small, **(dataset_options or {}))
    sampler = EdenBatchSampler(rows, **{"micro_batch_size": 4} | options)
    return kind(rows, batch_sampler=sampler, collate_fn=rows.collate_fn, num_workers=num_workers)


def of_loader(small, dataset_options=None, **options) -> EdenLoader:
    return EdenLoader(dataset(small, **(dataset_options or {})), **{"micro_batch_size": 4, "num_workers": 0} | options)


def take(loader, count) -> list[dict[str, torch.Tensor]]:
    """So many batches, pass after pass; the last pass is left in the middle, unless it ends there."""
    taken = []
    while len(taken) < count:
        for batch in loader:
            taken.append(batch)
            if len(taken) == count:
                break
    return taken


def assert_same(ours, theirs) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def rows_of(batches) -> list[int]:
    return sum((batch["row_ids"].tolist() for batch in batches), [])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataloader_gives_the_batches_of_eden_loader_epoch_after_epoch(small, workers):
    ours, theirs = of_sampler(small, num_workers=workers), of_loader(small)
    assert len(ours) == len(theirs) == BATCHES
    assert_same([*ours, *ours], [*theirs, *theirs])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("saved", [0, 3, BATCHES - 1, BATCHES, BATCHES + 2])
def test_a_stateful_dataloader_goes_on_with_the_very_next_batch(small, workers, saved):
    before = of_sampler(small, StatefulDataLoader, workers)
    seen = take(before, saved)
    after = of_sampler(small, StatefulDataLoader, workers)
    after.load_state_dict(before.state_dict())
    assert_same(seen + take(after, 2 * BATCHES + 5 - saved), take(of_loader(small), 2 * BATCHES + 5))


@pytest.mark.parametrize("workers", [0, 2])
def test_saved_behind_the_end_of_an_epoch_a_stateful_dataloader_begins_the_next(small, workers):
    before, after = (of_sampler(small, StatefulDataLoader, workers) for _ in range(2))
    assert len([*before]) == BATCHES
    after.load_state_dict(before.state_dict())
    assert rows_of(after) == list(range(80, 160))


def test_saved_with_the_last_batch_nothing_is_left_of_the_epoch_however_often_it_is_saved(small):
    before, between, after = (of_sampler(small, StatefulDataLoader, 2) for _ in range(3))
    take(before, BATCHES)
    between.load_state_dict(before.state_dict())
    assert not [*between]
    after.load_state_dict(between.state_dict())
    assert rows_of(after) == list(range(80, 160))


def test_ranks_share_an_epoch_as_those_of_eden_loader_do(small):
    options = {"micro_batch_size": 3, "dataset_options": {"split": "validation"}}
    for rank in range(2):
        ours = [*of_sampler(small, data_parallel=(rank, 2), **options)]
        assert_same(ours, [*of_loader(small, data_parallel=(rank, 2), **options)])
    assert not ours[-1]["loss_mask"].any()  # 80 rows: repeats fill the last batch up


def test_rows_that_are_left_out_are_those_of_eden_loader(small):
    options = {"dataset_options": {"skip_rows": [(2, 9), (90, 95)]}}
    assert_same(take(of_sampler(small, **options), 30), take(of_loader(small, **options), 30))


def test_with_workers_a_plain_dataloader_says_how_many_batches_were_used(small):
    before, after = of_sampler(small, num_workers=2), of_sampler(small)
    take(before, 3)
    after.batch_sampler.load_state_dict(before.batch_sampler.state_dict(batches=3))
    assert rows_of(after)[:2] == [12, 13]


def test_its_state_is_that_of_eden_loader_and_fits_other_ranks(small):
    ours, theirs = of_sampler(small), of_loader(small)
    take(ours, 3), take(theirs, 3)
    state = ours.batch_sampler.state_dict()
    assert state == theirs.state_dict()
    loader = of_loader(small, micro_batch_size=2, data_parallel=(1, 2))
    loader.load_state_dict(state)
    assert next(iter(loader))["row_ids"].tolist() == [14, 15]
    sampled = of_sampler(small, micro_batch_size=2, data_parallel=(1, 2))
    sampled.batch_sampler.load_state_dict(state)
    assert next(iter(sampled))["row_ids"].tolist() == [14, 15]


def test_rows_of_an_unfinished_global_batch_count_as_unread(small):
    sampled = of_sampler(small, global_batch_size=8)
    take(sampled, 3)
    assert sampled.batch_sampler.state_dict()["sources"][0]["consumed"] == 8


def test_workers_mix_as_the_state_says_that_was_loaded(small):
    """They have a copy of the dataset that was made before."""

    def mixed(**weights):
        return {"sources": [{"name": name, "weight": weight} for name, weight in weights.items()], "extra_keys": ("source",)}

    before = of_sampler(small, StatefulDataLoader, 2, mixed(a=3, b=1))
    take(before, 5)
    plain, after = (of_sampler(small, kind, 2, mixed(a=1, b=1)) for kind in (DataLoader, StatefulDataLoader))
    expected = of_loader(small, mixed(a=1, b=1))
    expected.load_state_dict(before.batch_sampler.state_dict(batches=5))
    after.load_state_dict(before.state_dict())
    resumed = take(after, 8)
    assert_same(resumed, take(expected, 8))
    assert not torch.equal(resumed[0]["tokens"], take(plain, 6)[5]["tokens"])


def test_an_epoch_can_be_set_but_not_under_way(small):
    sampled = of_sampler(small)
    sampled.batch_sampler.set_epoch(2)
    batches = iter(sampled)
    assert next(batches)["row_ids"].tolist() == [160, 161, 162, 163]
    sampled.batch_sampler.set_epoch(2)
    assert sampled.batch_sampler.epoch == 2
    assert next(batches)["row_ids"].tolist() == [164, 165, 166, 167]
    sampled.batch_sampler.set_epoch(0)
    assert next(iter(sampled))["row_ids"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("made", "sets"), [(of_loader, lambda loader: loader), (of_sampler, attrgetter("batch_sampler"))])
def test_evaluation_begins_anew_whatever_epoch_is_set(small, made, sets):
    loader = made(small, dataset_options={"split": "validation"})
    before = take(loader, BATCHES)
    sets(loader).set_epoch(3)
    assert_same(take(loader, BATCHES), before)


@pytest.mark.parametrize("number", [-1, 1.5, "3", True])
def test_epochs_and_batches_are_whole_numbers(small, number):
    loader, sampler = of_loader(small), of_sampler(small).batch_sampler
    for call in (loader.set_epoch, sampler.set_epoch, lambda batches: sampler.state_dict(batches=batches)):
        with pytest.raises(errors.ConfigurationError, match="expected an integer of 0 or more"):
            call(number)


def test_one_pass_at_a_time(small):
    sampled = of_sampler(small)
    first = iter(sampled)
    next(first)
    next(iter(sampled))
    with pytest.raises(errors.ConfigurationError, match="another pass"):
        next(first)


def test_batches_of_one_rank_are_not_dealt_to_ranks_once_more(small):
    """accelerate asks for the batch size before it deals batches to processes."""
    assert of_sampler(small, data_parallel=(0, 1)).batch_sampler.batch_size is None
    with pytest.raises(errors.ConfigurationError, match=r"rank 1 of 2 already.*data_parallel=\(0, 1\)"):
        of_sampler(small, data_parallel=(1, 2)).batch_sampler.batch_size  # noqa: B018


def test_a_state_of_other_data_is_refused(small):
    state = of_sampler(small).batch_sampler.state_dict()
    with pytest.raises(errors.ConfigurationError, match="seed was 42, is 43"):
        of_sampler(small, dataset_options={"seed": 43}).batch_sampler.load_state_dict(state)
