"""Reading the window access logs of a folder."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

COLUMNS = ["window_idx", "sequence_id", "sample_id", "window_in_seq_idx", "rank", "access_ts", "step", "row"]
_TEXTS = {"sequence_id", "sample_id"}


@dataclass
class Log:
    name: str
    windows: list[dict]
    reading: dict
    batches: list[dict]

    @property
    def rows(self) -> list[int]:
        return [row for batch in self.batches for row in batch["rows"]]


def windows_of_csv(path: Path) -> list[dict]:
    text = path.read_text()
    assert text.endswith("\n")
    lines = list(csv.DictReader(text.splitlines()))
    return [{k: v if k in _TEXTS else int(v) if v else None for k, v in line.items()} for line in lines]


def read_log(sidecar: Path) -> Log:
    table = sidecar.with_suffix(".parquet")
    windows = pq.read_table(table).to_pylist() if table.exists() else windows_of_csv(sidecar.with_suffix(".csv"))
    text = sidecar.read_text()
    assert text.endswith("\n")
    reading, *batches = map(json.loads, text.splitlines())
    assert {tuple(window) for window in windows} <= {tuple(COLUMNS)}
    return Log(sidecar.stem, windows, reading, batches)


def logs_in(folder: Path, split: str = "*") -> list[Log]:
    return [read_log(path) for path in sorted(Path(folder).glob(f"window_access_{split}_rank*_*.jsonl"))]
