from collections import Counter

import pytest
from report_logs import batches_of, write_log

from eden_core import EdenDataset, EdenLoader
from eden_core.reporting.logs import find_logs
from eden_core.reporting.report import report_of

HOUR = 3_600_000_000_000
BEGUN = 1_750_000_000_000_000_000


def part_of(folder, **changed):
    (part,) = report_of(find_logs([folder]))["parts"]
    return part


@pytest.fixture
def dataset(small) -> EdenDataset:
    return EdenDataset(**small.options, seed=5)


def test_an_epoch_read_once_has_nothing_to_complain_of(dataset, tmp_path):
    steps = len(dataset) // 8
    assert steps * 8 == len(dataset)
    for rank in range(2):
        write_log(tmp_path, dataset, batches_of(dataset, range(steps), rank=rank, ranks=2), rank=rank)
    part = part_of(tmp_path)
    assert (part["reads"], part["read"], part["size"]) == (8 * steps, 8 * steps, len(dataset))
    assert (part["steps"], part["ranks"], part["sessions"]) == (steps, [0, 1], 1)
    assert part["repeats"] == {"windows": 0, "reads": 0, "listed": []}
    assert (part["rows"]["again"], part["rows"]["overlaps"], part["rows"]["missing"]) == (0, 0, 0)
    assert part["coverage"]["times"] == [(1, len(dataset))]
    assert sum(part["order"]["cells"]) == 8 * steps
    assert part["waits"]["count"] == part["fill"]["rows"] / 4 == 2 * steps


def test_a_resume_that_reads_again_is_listed_with_its_steps(dataset, tmp_path):
    write_log(tmp_path, dataset, batches_of(dataset, range(8)))
    write_log(tmp_path, dataset, batches_of(dataset, range(6, 9), begun_ns=BEGUN + HOUR))
    part = part_of(tmp_path)
    again = dataset.locate(list(range(24, 32)), measured=False)
    assert part["sessions"] == 2
    assert part["order"]["begins"] == [0, 6]
    assert (part["rows"]["again"], part["rows"]["overlaps"]) == (8, 0)
    assert {(one["window"], one["contig"], one["start"]) for one in part["repeats"]["listed"]} == set(
        zip(again.window_ids.tolist(), again.sequence_ids, again.starts.tolist(), strict=True)
    )
    assert {one["step"] for repeat in part["repeats"]["listed"] for one in repeat["readings"]} == {6, 7}
    assert {len(repeat["readings"]) for repeat in part["repeats"]["listed"]} == {2}


def test_rows_on_two_ranks_are_listed(dataset, tmp_path):
    for rank in range(2):
        write_log(tmp_path, dataset, batches_of(dataset, range(3)), rank=rank)
    rows = part_of(tmp_path)["rows"]
    assert rows["overlaps"] == 12
    assert [one["row"] for one in rows["overlapping"]] == list(range(12))
    assert [[read["rank"] for read in one["readings"]] for one in rows["overlapping"]] == [[0, 1]] * 12


def test_tensor_parallel_peers_are_counted_once(dataset, tmp_path):
    for rank in range(2):
        write_log(tmp_path, dataset, batches_of(dataset, range(3)), rank=rank, data_parallel_rank=0)
    part = part_of(tmp_path)
    assert (part["reads"], part["lines"], part["rows"]["overlaps"], part["fill"]["rows"]) == (12, 24, 0, 12)
    assert any("Ranks 1 (of 0) are tensor-parallel peers" in note for note in part["notes"])


def test_missing_rows_are_listed(dataset, tmp_path):
    write_log(tmp_path, dataset, [*batches_of(dataset, range(3)), *batches_of(dataset, range(5, 7), begun_ns=BEGUN + HOUR)])
    rows = part_of(tmp_path)["rows"]
    assert (rows["missing"], rows["ranges"]) == (8, [[12, 20, False]])


def test_validation_is_read_anew_on_purpose(small, tmp_path):
    dataset = EdenDataset(**small.options, split="validation")
    passes = [batches_of(dataset, range(5), begun_ns=BEGUN + HOUR * i) for i in range(3)]
    unknown = [batch | {"step": None} for batches in passes for batch in batches]
    write_log(tmp_path, dataset, unknown)
    part = part_of(tmp_path)
    assert part["axis"]["kind"] == "time"
    assert dict(part["coverage"]["times"]) == {0: len(dataset) - 20, 3: 20}
    assert part["repeats"]["windows"] == 0


def test_the_sanity_check_of_each_start_is_no_repeat(small, tmp_path):
    dataset = EdenDataset(**small.options, split="validation")
    for start in range(2):
        passes = [batches_of(dataset, range(n), begun_ns=BEGUN + HOUR * (10 * start + i)) for i, n in enumerate([2, 5, 5])]
        write_log(tmp_path, dataset, sum(passes, []))
    assert part_of(tmp_path)["repeats"]["windows"] == 0
    write_log(tmp_path, dataset, batches_of(dataset, range(1), begun_ns=BEGUN + 13 * HOUR))
    write_log(tmp_path, dataset, batches_of(dataset, range(1), begun_ns=BEGUN + 13 * HOUR))
    assert part_of(tmp_path)["repeats"]["windows"] == 4


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_window_that_goes_on_in_another_row_is_read_once(small, tmp_path, ranks):
    packed = {"packing": "concat", "pack_by": "sample", "split_windows": True}
    dataset = EdenDataset(**small.options, **packed, log_windows=True, log_dir=str(tmp_path))
    loaders = [EdenLoader(dataset, num_workers=0, data_parallel=(rank, ranks)) for rank in range(ranks)]
    for _ in zip(*loaders, strict=True):
        pass
    dataset.close()
    part = part_of(tmp_path)
    assert part["lines"] > part["reads"] == part["read"] == len(small.expected_windows())
    assert (part["repeats"]["windows"], part["rows"]["missing"]) == (0, 0)


def test_a_row_that_is_read_again_at_once_is_read_again(dataset, tmp_path):
    write_log(tmp_path, dataset, [batch | {"rows": [7], "used": [9]} for batch in batches_of(dataset, range(5))])
    part = part_of(tmp_path)
    assert (part["reads"], part["read"], part["repeats"]["reads"]) == (5, 1, 4)


def test_steps_that_go_back_are_drawn_where_they_are(dataset, tmp_path):
    write_log(tmp_path, dataset, batches_of(dataset, range(30)) + batches_of(dataset, range(10), begun_ns=BEGUN + HOUR))
    part = part_of(tmp_path)
    assert (part["axis"]["low"], part["axis"]["high"], part["files"]["rows"][0]["steps"]) == (0, 29, (0, 29))
    cells = part["order"]["cells"]
    rows = len(cells) // 30
    assert [sum(cells[step * rows : (step + 1) * rows]) for step in range(30)] == [8] * 10 + [4] * 20


def test_splits_are_parts_of_their_own(small, dataset, tmp_path):
    other = EdenDataset(**small.options, split="validation")
    write_log(tmp_path, other, batches_of(other, range(2)))
    write_log(tmp_path, dataset, batches_of(dataset, range(2)))
    assert [part["split"] for part in report_of(find_logs([tmp_path]))["parts"]] == ["train", "validation"]


def test_without_a_jsonl_names_come_from_the_log(dataset, tmp_path):
    path = write_log(tmp_path, dataset, [*batches_of(dataset, range(4)), *batches_of(dataset, range(1), begun_ns=BEGUN + HOUR)])
    path.with_suffix(".jsonl").unlink()
    part = part_of(tmp_path)
    located = dataset.locate([*range(16), *range(4)], measured=False)
    reads = Counter(located.sequence_ids)
    assert {row["contig"]: row["reads"] for row in part["contigs"]["rows"]} == reads
    assert {row["sample"] for row in part["samples"]["rows"]} <= {"S0", "S1", "S2"}
    assert sum(row["reads"] for row in part["samples"]["rows"]) == 20
    repeated = set(located.window_ids[:4].tolist())
    assert {one["window"] for one in part["repeats"]["listed"]} == repeated
    assert {one["contig"] for one in part["repeats"]["listed"]} == set(located.sequence_ids[:4])
    assert part["waits"] is part["fill"] is None
    assert part["gaps"]["count"] == 4
    assert not part["epochs_known"]
    assert any("the logs do not name their index" in note for note in part["notes"])


def test_an_index_that_is_another_now_is_not_believed(dataset, tmp_path):
    path = write_log(tmp_path, dataset, batches_of(dataset, range(4)))
    lines = path.with_suffix(".jsonl")
    lines.write_text(lines.read_text().replace(f'"windows": {len(dataset)}', f'"windows": {len(dataset) + 1}', 1))
    part = part_of(tmp_path)
    assert not part["indexed"]
    assert any("cannot be read here, or has changed" in note for note in part["notes"])


def test_several_sources_lie_side_by_side(small, tmp_path):
    entry = {"sequence_db_dir": str(small.directory), "window_db_path": str(small.windows)}
    mixed = EdenDataset(sources=[entry | {"name": "one"}, entry | {"name": "two"}], seq_length=64, seed=1)
    picks = mixed.picks(range(40))
    write_log(tmp_path, mixed, batches_of(mixed, range(10)), sources=True)
    part = part_of(tmp_path)
    size = len(small.expected_windows())
    assert [(one["name"], one["first"]) for one in part["order"]["sources"]] == [("one", 0), ("two", size)]
    read = {(row["source"], row["reads"]) for row in part["contigs"]["rows"] if row["reads"]}
    assert {source for source, _ in read} == {0, 1}
    assert sum(row["reads"] for row in part["contigs"]["rows"] if row["source"] == 1) == int((picks.sources == 1).sum())
