from dataclasses import replace

import numpy as np
import pytest
from plain import plain_reverse_complement

from eden_core import EdenDataset, EdenLoader, errors
from eden_core.ledger import RunStart
from eden_core.replay import dataset_of, replay_rows, replay_step, rows_of_step, start_of_step

EXTRA = {"extra_keys": ("row_ids",), "rc_aug": True, "use_control_tags": True, "loss_weights": {"N": 0}}
SIZES = {"micro_batch_size": 2, "global_batch_size": 8, "num_workers": 0}


def loaders(small, ranks=2, dataset_options=None, **options) -> list[EdenLoader]:
    made = EdenDataset(**small.options | EXTRA | (dataset_options or {}))
    return [EdenLoader(made, **SIZES | options, data_parallel=(rank, ranks)) for rank in range(ranks)]


def steps(group: list[EdenLoader], passes: int) -> list[list[list[int]]]:
    """Step -> rank -> rows, over some passes."""
    found = []
    for _ in range(passes):
        batches, size = list(zip(*group, strict=True)), group[0].rank_sampler.step_batches
        for first in range(0, len(batches), size):
            micro = batches[first : first + size]
            found.append([sum((batch[rank]["row_ids"].tolist() for batch in micro), []) for rank in range(len(group))])
    return found


def replayed_steps(start: RunStart, dataset: EdenDataset, count: int) -> list[list[list[int]]]:
    return [[block.rows.tolist() for block in rows_of_step(start, step, dataset)] for step in range(count)]


@pytest.mark.parametrize(
    ("options", "dataset_options"),
    [
        ({}, {}),
        ({"limit_batches": 3}, {}),
        ({"drop_last": False}, {}),
        ({"global_batch_size": None}, {"skip_rows": [(10, 33), (90, 95)]}),
    ],
)
def test_steps_are_what_the_ranks_read(small, options, dataset_options):
    group = loaders(small, dataset_options=dataset_options, **options)
    start = RunStart.of_loader(group[0], 0)
    expected = steps(group, 3)
    assert replayed_steps(start, dataset_of(start), len(expected)) == expected


def test_a_start_in_the_middle_goes_on_from_its_step(small):
    first = loaders(small)
    start = RunStart.of_loader(first[0], 0)
    expected = steps(first, 2)
    batches = iter(second := loaders(small, ranks=1)[0])
    for _ in range(3 * 4):
        next(batches)
    resumed = loaders(small, ranks=4, micro_batch_size=1)
    for loader in resumed:
        loader.load_state_dict(second.state_dict())
    later = RunStart.of_loader(resumed[0], 3)
    assert later.position == 24
    rows = [sum((block.rows.tolist() for block in rows_of_step(later, step, dataset_of(later))), []) for step in range(3, 20)]
    assert list(map(sorted, rows)) == [sorted(sum(ranks, [])) for ranks in expected[3:20]]
    assert start_of_step([start, later], 2) is start
    assert start_of_step([start, later], 3) is later


def test_the_last_start_that_reached_back_counts(small):
    first = RunStart.of_loader(loaders(small)[0], 0)
    starts = [first, replace(first, step=80), replace(first, step=50)]
    assert [start_of_step(starts, step) for step in (49, 50, 90)] == [starts[0], starts[2], starts[2]]
    with pytest.raises(errors.InputError, match="lies before every start"):
        start_of_step([replace(first, step=5)], 4)


def test_rows_are_described_as_the_model_saw_them(small):
    group = loaders(small)
    start = RunStart.of_loader(group[0], 0)
    found = replay_step(start, 1, dataset_of(start))
    batch = group[0].dataset.batch([row.row for row in found.rows])
    windows = group[0].dataset.locate([row.row for row in found.rows])
    assert [row.rank for row in found.rows] == [0] * 4 + [1] * 4
    assert {row.strand for row in found.rows} == {"+", "-"}
    for i, (row, bases) in enumerate(zip(found.rows, found.bases, strict=True)):
        stored = small.sequences[row.contig][row.start : row.start + row.length]
        assert (row.contig, row.start) == (windows.sequence_ids[i], windows.starts[i])
        assert bases.decode() == (stored if row.strand == "+" else plain_reverse_complement(stored))
        assert row.tag == "<ctrl_bcr>"
        assert row.fill == pytest.approx(float((batch["tokens"][i] != 1).float().mean()))
        assert row.masked == pytest.approx(1 - float(batch["loss_mask"][i].sum()) / row.length, abs=1e-6)


def test_fasta_names_place_and_strand(small):
    start = RunStart.of_loader(loaders(small)[0], 0)
    found = replay_step(start, 0, dataset_of(start), rank=1)
    header, bases = next(found.fasta()).splitlines()
    row = found.rows[0]
    assert header.startswith(f">{row.contig}:{row.start + 1}-{row.start + row.length}({row.strand}) row={row.row} rank=1")
    assert bases.encode() == found.bases[0]


def test_repeats_are_masked(small):
    start = RunStart.of_loader(loaders(small, ranks=1, micro_batch_size=32, global_batch_size=32, drop_last=False)[0], 0)
    found = replay_step(start, 2, dataset_of(start)).rows
    assert [row.masked == 1 for row in found] == [False] * 16 + [True] * 16


def test_rows_by_number(small):
    dataset = EdenDataset(**small.options | EXTRA)
    start = RunStart.of_loader(loaders(small)[0], 0)
    assert [(row.rank, row.row) for row in replay_rows(start, dataset, range(100, 103)).rows] == [
        (None, 100),
        (None, 101),
        (None, 102),
    ]


def test_samples_of_a_megatron_run(small):
    dataset = EdenDataset(**small.options | EXTRA, num_samples=100, skip_rows=[(4, 6)])
    start = RunStart.of_samples(dataset, consumed=0, data_parallel_size=2, micro_batch_size=2, global_batch_size=8)
    samples = [[*range(8, 10), *range(12, 14)], [*range(10, 12), *range(14, 16)]]
    blocks = rows_of_step(start, 1, dataset)
    assert [block.rows.tolist() for block in blocks] == [[sample + 2 for sample in rank] for rank in samples]
    with pytest.raises(errors.InputError, match="100 samples of the run end before step 12"):
        rows_of_step(start, 12, dataset)
    assert [row.row for row in replay_rows(start, dataset, range(3, 6)).rows] == [3, 6, 7]
    unknown = replace(start, global_batch_size=None)
    with pytest.raises(errors.InputError, match="ask for rows"):
        rows_of_step(unknown, 0, dataset)


def test_samples_of_a_megatron_run_whose_batches_changed(small):
    dataset = EdenDataset(**small.options, num_samples=1000)
    sizes = {"data_parallel_size": 1, "micro_batch_size": 4}
    first = RunStart.of_samples(dataset, consumed=0, global_batch_size=4, **sizes)
    second = RunStart.of_samples(dataset, consumed=40, global_batch_size=8, **sizes)
    again = RunStart.of_samples(dataset, consumed=24, global_batch_size=12, **sizes)
    rows = {
        (count, step): rows_of_step(start_of_step([first, second, again][:count], step), step, dataset)[0].rows.tolist()
        for count, step in [(2, 5), (2, 12), (3, 5), (3, 8)]
    }
    assert rows == {
        (2, 5): [*range(20, 24)],
        (2, 12): [*range(56, 64)],
        (3, 5): [*range(20, 24)],
        (3, 8): [*range(48, 60)],
    }
    for unknown in ([replace(first, global_batch_size=None), second], [replace(first, position=None)], [second]):
        with pytest.raises(errors.InputError, match="ask for rows instead"):
            start_of_step(unknown, 12)


def test_an_epoch_that_was_repeated(small):
    group = loaders(small, ranks=1, repeat_epoch=True, limit_batches=2)
    start = RunStart.of_loader(group[0], 0)
    steps = [rows_of_step(start, step, dataset_of(start))[0].rows.tolist() for step in (0, 1)]
    assert steps == [[0, 1, 2, 3], [0, 1, 2, 3]]


def test_a_limit_that_leaves_nothing(small):
    start = RunStart.of_loader(loaders(small, limit_batches=0)[0], 0)
    with pytest.raises(errors.InputError, match="left nothing to train on"):
        rows_of_step(start, 0, dataset_of(start))


def test_a_rank_that_was_not_there(small):
    start = RunStart.of_loader(loaders(small)[0], 0)
    with pytest.raises(errors.InputError, match="no data-parallel rank 2: the run had 2"):
        replay_step(start, 0, dataset_of(start), rank=2)


def test_data_that_moved_are_found_where_they_are_now(small, tmp_path):
    start = RunStart.of_loader(loaders(small)[0], 0)
    moved = replace(start, dataset=start.dataset | {"sequence_db_dir": "/gone"})
    assert dataset_of(moved, sequence_db_dir=str(small.directory)).fingerprint == start.fingerprint_recorded


def test_an_object_cannot_be_replayed(small):
    start = RunStart.of_loader(loaders(small)[0], 0)
    with pytest.raises(errors.ConfigurationError, match=r"tokenizer was a my\.Tokenizer"):
        dataset_of(replace(start, dataset=start.dataset | {"tokenizer": {"object": "my.Tokenizer"}}))


def test_nothing_is_trained_and_draws_are_the_run_s(small):
    start = RunStart.of_loader(loaders(small)[0], 0)
    once, again = (replay_step(start, 5, dataset_of(start)) for _ in range(2))
    assert once.rows == again.rows
    assert np.array_equal(once.bases, again.bases)
