import pytest
from report_logs import write_log

from eden_core import EdenDataset, EdenLoader, errors
from eden_core.ledger import RunStart
from eden_core.replay import dataset_of, rows_of_step
from eden_core.reporting.ledger_steps import ledger_records
from eden_core.reporting.logs import find_logs
from eden_core.reporting.report import report_of


def start_at(dataset, step: int) -> RunStart:
    loader = EdenLoader(dataset, micro_batch_size=2, global_batch_size=8, num_workers=0, data_parallel=(0, 2))
    return RunStart.of_loader(loader, step)


@pytest.fixture
def dataset(small) -> EdenDataset:
    return EdenDataset(**small.options, seed=5)


def test_a_ledger_tells_what_a_log_of_the_same_steps_does(dataset, tmp_path):
    start = start_at(dataset, 0)
    blocks = [(step, rank, block) for step in range(20) for rank, block in enumerate(rows_of_step(start, step, dataset))]
    for rank in range(2):
        batches = [
            {
                "step": step,
                "time_ns": 10**18 + step,
                "rows": block.rows.tolist(),
                "used": [64] * block.rows.size,
                "waited_ns": 1,
            }
            for step, of, block in blocks
            if of == rank
        ]
        write_log(tmp_path, dataset, batches, rank=rank)
    (logged,) = report_of(find_logs([tmp_path]))["parts"]
    (told,) = report_of(ledger_records([start], 20, dataset_of))["parts"]
    for name in ("reads", "read", "size", "steps", "ranks", "coverage", "repeats", "contigs", "samples"):
        assert told[name] == logged[name], name
    assert told["order"]["cells"] == logged["order"]["cells"]
    assert told["rows"] == logged["rows"]
    assert told["waits"] is told["gaps"] is None


def test_steps_until_the_last_start_are_known(dataset):
    records = ledger_records([start_at(dataset, 0), start_at(dataset, 7)], None, dataset_of)
    assert [(one.made.start, one.made.stop) for one in records] == [(0, 7)]
    records = ledger_records([start_at(dataset, 0), start_at(dataset, 7), start_at(dataset, 5)], 9, dataset_of)
    assert [(one.made.start, one.made.stop) for one in records] == [(0, 5), (5, 9)]


def test_a_single_start_needs_the_number_of_steps(dataset):
    with pytest.raises(errors.InputError, match="give --steps N"):
        ledger_records([start_at(dataset, 0)], None, dataset_of)


def test_rows_that_only_go_on_with_a_window_are_read_too(small):
    packed = {"packing": "concat", "pack_by": "sample", "split_windows": True}
    dataset = EdenDataset(**small.options, **packed)
    steps = len(dataset) // 8
    (part,) = report_of(ledger_records([start_at(dataset, 0)], steps, dataset_of))["parts"]
    assert part["lines"] > part["reads"]
    assert (part["rows"]["missing"], part["rows"]["read"], part["repeats"]["windows"]) == (0, 8 * steps, 0)
