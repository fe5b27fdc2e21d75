import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_logs import COLUMNS, batches_of, write_log

from eden_core import EdenDataset, errors
from eden_core.reporting.logs import NEEDED, AccessLog, find_logs

FIELDS = ("windows", "sources", "ranks", "rows", "steps", "times", "in_sequence")


@pytest.fixture(scope="module")
def log(small, tmp_path_factory):
    dataset = EdenDataset(**small.options, seed=5)
    return write_log(tmp_path_factory.mktemp("logs"), dataset, batches_of(dataset, range(10), rank=3, ranks=4), rank=3)


def columns(log: AccessLog) -> dict[str, list]:
    pieces = list(log.accesses(names=True))
    found = {name: np.concatenate([getattr(piece, name) for piece in pieces]).tolist() for name in FIELDS}
    return found | {
        name: [v for piece in pieces for v in getattr(piece, name).to_pylist()] for name in ("samples", "sequence_ids")
    }


def written(path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_windows_come_as_they_were_written(log):
    found, lines = columns(AccessLog(log)), written(log)
    assert found["windows"] == [int(line["window_idx"]) for line in lines]
    assert found["in_sequence"] == [int(line["window_in_seq_idx"]) for line in lines]
    assert (found["rows"], found["steps"]) == ([int(x["row"]) for x in lines], [int(x["step"]) for x in lines])
    assert (found["samples"], found["sequence_ids"]) == ([x["sample_id"] for x in lines], [x["sequence_id"] for x in lines])
    assert set(found["ranks"]) == {3}


def test_batches_come_as_they_were_written(log):
    lines = [json.loads(line) for line in log.with_suffix(".jsonl").read_text().splitlines()[1:]]
    (found,) = AccessLog(log).batches()
    assert [row.tolist() for row in found.rows] == [line["rows"] for line in lines]
    assert found.used.tolist() == [used for line in lines for used in line["used"]]
    assert found.waits.tolist() == [line["waited_ns"] for line in lines]


def test_what_a_log_is_of(log, small):
    found = AccessLog(log)
    lines = written(log)
    assert (found.split, found.rank, found.data_parallel_rank, found.steps) == ("train", 3, 3, (0, 9))
    assert found.span == (int(lines[0]["access_ts"]), int(lines[-1]["access_ts"]))
    assert found.facts.rows == found.facts.sources[0].windows == len(small.expected_windows())
    assert len(found.indexes()[0]) == found.facts.rows


@pytest.mark.parametrize("parts", [0, 3])
def test_parquet_is_read_as_csv_is(log, tmp_path, parts):
    lines = written(log)
    table = pa.table({
        name: [line[name] if name.endswith("_id") else int(line[name]) for line in lines] for name in COLUMNS
    })  # fmt: skip
    path = tmp_path / log.with_suffix(".parquet").name
    if parts:
        path.mkdir()
        for i, places in enumerate(np.array_split(np.arange(len(lines)), parts)):
            pq.write_table(table.take(places), path / f"part-{i:06}.parquet")
    else:
        pq.write_table(table, path)
    (found,) = find_logs([tmp_path])
    assert columns(found) == columns(AccessLog(log))
    assert (found.span, found.steps, found.rank) == (AccessLog(log).span, (0, 9), 3)


@pytest.mark.parametrize("extra", [(), ("first_10_tokens",)])
def test_logs_of_the_older_tool(tmp_path, extra):
    path = tmp_path / "window_access_validation_rank2_0123abcd.csv"
    line = ["7", "A__B-S__c", "S", "2", "2", "1000", *(['"[1, 2]"'] if extra else [])]
    path.write_text(",".join([*NEEDED, *extra]) + "\n" + ",".join(line) + "\n")
    (log,) = find_logs([tmp_path])
    (piece,) = log.accesses(names=True)
    assert (log.split, log.rank, log.steps, piece.rows, piece.steps) == ("validation", 2, None, None, None)
    assert (piece.windows.tolist(), piece.in_sequence.tolist(), piece.times.tolist()) == ([7], [2], [1000])


def test_ids_may_be_anything(tmp_path):
    ids = ["a,b", 'q"uote', "two\nlines", "</script>", "", "1"]
    path = tmp_path / "window_access_train_rank0_0123abcd.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([NEEDED, *([i, name, "", 0, 0, i + 1] for i, name in enumerate(ids))])
    assert columns_of_ids(path) == ids


def columns_of_ids(path) -> list[str]:
    return [name for piece in AccessLog(path).accesses(names=True) for name in piece.sequence_ids.to_pylist()]


def test_damaged_lines_are_counted(log, tmp_path):
    path = tmp_path / log.name
    lines = log.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], "12,half", *lines[5:], lines[5][:9]]))
    found = AccessLog(path)
    assert sum(map(len, found.accesses(names=False))) == len(lines) - 1
    assert found.notes == [f"{log.name}: damaged lines were passed over: 2."]


def test_a_last_line_is_passed_over_wherever_it_was_cut(log, tmp_path):
    whole, path = log.read_bytes(), tmp_path / log.name
    begin = whole.rindex(b"\n", 0, -1) + 1
    for end in range(begin + 1, len(whole)):
        path.write_bytes(whole[:end])
        (found,) = find_logs([path])
        assert found.steps == (0, 9)
        assert columns(found) == {name: values[:-1] for name, values in columns(AccessLog(log)).items()}
        assert found.notes == [f"{log.name}: damaged lines were passed over: 1."]


@pytest.mark.parametrize("text", ["", "window_idx,seque"])
def test_in_folders_files_without_a_whole_first_line_are_passed_over(log, tmp_path, text):
    (tmp_path / log.name).write_text(log.read_text())
    (tmp_path / "window_access_train_rank9_0123abcd.csv").write_text(text)
    notes = []
    (found,) = find_logs([tmp_path], notes.append)
    assert found.name == log.name
    assert [note.split(" was")[0] for note in notes] == ["window_access_train_rank9_0123abcd.csv"]
    (tmp_path / log.name).unlink()
    with pytest.raises(errors.InputError, match="there is no window in a log.*\n.*was passed over"):
        find_logs([tmp_path])


def test_a_log_that_is_named_twice_is_read_once(log, monkeypatch):
    monkeypatch.chdir(log.parent)
    assert len(find_logs([log.parent, log, type(log)(log.name)])) == 1


def test_a_line_may_be_long(tmp_path):
    path = tmp_path / "window_access_train_rank0_0123abcd.csv"
    path.write_text(",".join(NEEDED) + "\n" + f"7,{'A' * 100_000},S,0,2,1000\n")
    (found,) = find_logs([tmp_path])
    assert (found.rank, found.span) == (2, (1000, 1000))


def test_a_window_that_the_index_does_not_have_is_refused(log, tmp_path):
    path = tmp_path / log.name
    lines = log.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "300" + lines[1])
    path.with_suffix(".jsonl").write_text(log.with_suffix(".jsonl").read_text())
    with pytest.raises(errors.InputError, match=r"window_idx is 300\d+ in a line; expected less than \d+ \(its index"):
        list(AccessLog(path).accesses(names=False))


def test_sources_are_those_of_the_batch_lines(tmp_path):
    path = tmp_path / "window_access_train_rank0_0123abcd.csv"
    path.write_text(",".join(COLUMNS) + "\n" + "".join(f"{i},c,S,0,0,{time},0,{i}\n" for i, time in enumerate([9, 9, 7, 7, 5])))
    head = {"eden_access_log": 1, "split": "train", "sources": [{"name": "a"}, {"name": "b"}]}
    batches = [
        {"step": 0, "time_ns": time, "rows": [0, 1], "used": [8, 8], "waited_ns": None, "sources": sources}
        for time, sources in ((9, [0, 1]), (8, [0, 0]), (7, [1, 0]))
    ]
    path.with_suffix(".jsonl").write_text("".join(json.dumps(line) + "\n" for line in (head, *batches)))
    log = AccessLog(path)
    (piece,) = log.accesses(names=False)
    assert piece.sources.tolist() == [0, 1, 1, 0]
    assert "1 windows were left out" in log.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has no column window_idx"),
        (",".join(NEEDED) + "\n1,a,b,0,0,then\n", "cannot be read as an access log"),
        (",".join(NEEDED) + "\n-1,a,b,0,0,1\n", "window_idx is -1"),
        (",".join(NEEDED) + "\n4000000000,a,b,0,0,1\n", "window_idx is 4000000000 .*; expected less than 268435456"),
        (",".join(NEEDED) + "\nx,a,b,0,0,1\n", "cannot be read as an access log"),
        (",".join(NEEDED) + "\n", "there is no window in a log"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, text, message):
    path = tmp_path / "window_access_train_rank0_0123abcd.csv"
    path.write_text(text)
    with pytest.raises(errors.InputError, match=message):
        [list(log.accesses(names=False)) for log in find_logs([path])]


def test_a_jsonl_of_something_else_is_refused(log, tmp_path):
    path = tmp_path / log.name
    path.write_text(log.read_text())
    path.with_suffix(".jsonl").write_text("[1]\n")
    with pytest.raises(errors.InputError, match="does not begin with the description"):
        find_logs([path])


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(errors.InputError, match="there is no window in a log"):
        find_logs([tmp_path])
    with pytest.raises(errors.InputError, match="does not exist"):
        find_logs([tmp_path / "nowhere"])
