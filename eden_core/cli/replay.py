"""`eden replay`: what a step of a run was trained on."""

import json
import sys
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eden_core.errors import ConfigurationError, FormatError, InputError, StaleIndexError
from eden_core.ledger import RunStart, read_ledger

if TYPE_CHECKING:
    from eden_core.dataset import EdenDataset
    from eden_core.replay import Replayed


def replay(
    *,
    run: Annotated[Path, typer.Option(help="The run's eden-run.jsonl, or the folder that holds it.", metavar="LEDGER")],
    step: Annotated[int | None, typer.Option(min=0, help="Optimizer step, counted from 0 as Lightning's loggers do.")] = None,
    rows: Annotated[
        str | None, typer.Option(help="Rows (of a Megatron run: samples) instead of a step.", metavar="FIRST:STOP")
    ] = None,
    rank: Annotated[int | None, typer.Option(min=0, help="Only what this data-parallel rank read.")] = None,
    start: Annotated[
        int | None, typer.Option(min=0, help="Line of the ledger, from 0, up to which to look, where runs share one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    parquet: Annotated[Path | None, typer.Option(help="Write a Parquet table.", metavar="FILE")] = None,
    fasta: Annotated[Path | None, typer.Option(help="Write the bases as the model saw them.", metavar="FILE")] = None,
    sequence_db_dir: Annotated[str | None, typer.Option(help="Where the store lies now.", metavar="DIR")] = None,
    window_db_path: Annotated[str | None, typer.Option(help="Where the index lies now.", metavar="FILE")] = None,
    on_mismatch: Annotated[str, typer.Option(help='"error", or "warn" to go on when the data have changed since.')] = "error",
) -> None:
    """Read again what a step was made of, without training: rank, row, contig, start, strand, masked share, fill."""
    from eden_core.replay import replay_rows, replay_step, start_of_step

    if (step is None) == (rows is None):
        raise ConfigurationError("give either --step or --rows")
    if rows is not None and rank is not None:
        raise ConfigurationError("--rank goes with --step: rows are the same whatever rank read them")
    starts = _chosen(read_ledger(run), start)
    from_start = starts[-1] if step is None else start_of_step(starts, step)
    for path in (parquet, fasta):
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigurationError(f"{path} cannot be written: there is no folder {path.absolute().parent}")
    dataset, differences = _compared(from_start, sequence_db_dir, window_db_path)
    _check(from_start, differences, on_mismatch)
    wanted = None if step is not None else _row_range(rows)
    found = replay_rows(from_start, dataset, wanted) if wanted else replay_step(from_start, step or 0, dataset, rank)
    if parquet is not None:
        found.write_parquet(parquet)
    if fasta is not None:
        fasta.write_text("".join(found.fasta()), encoding="latin-1")
    _print(found, from_start, step, as_json=as_json)


def _chosen(starts: list[RunStart], last: int | None) -> list[RunStart]:
    if last is None:
        return starts
    if last >= len(starts):
        raise InputError(f"--start is {last}, and the ledger holds {len(starts)} starts, numbered from 0")
    return starts[: last + 1]


def _compared(start: RunStart, sequence_db_dir: str | None, window_db_path: str | None) -> "tuple[EdenDataset, str]":
    """Return the dataset of a start, and what has changed since."""
    from eden_core.replay import dataset_of

    try:
        dataset = dataset_of(start, sequence_db_dir=sequence_db_dir, window_db_path=window_db_path)
        differences = start.fingerprint_recorded.differences(dataset.fingerprint)
    except (FormatError, LookupError, StaleIndexError) as error:
        read = ", ".join(str(start.dataset[name]) for name in ("sequence_db_dir", "window_db_path"))
        raise InputError(
            f"what the run of {start.time} read ({read}) cannot be read any more: {error}\nIf it was moved, say where it lies "
            "now: --sequence-db-dir DIR --window-db-path FILE"
        ) from error
    if start.left_out.get("digest") != dataset.omissions.digest:
        differences += f"\n  left out was {start.left_out.get('text')}, is {dataset.omissions}"
    return dataset, differences


def _check(start: RunStart, differences: str, on_mismatch: str) -> None:
    if not differences:
        return
    message = f"what the run of {start.time} read has changed since, so this is not what it was trained on:{differences}"
    if on_mismatch != "warn":
        raise InputError(f"{message}\nGo on all the same with --on-mismatch warn")
    sys.stderr.write(f"warning: {message}\n")


def _row_range(text: str | None) -> range:
    first, separator, stop = (text or "").partition(":")
    if not separator or not first.isdigit() or not stop.isdigit() or int(first) >= int(stop):
        raise ConfigurationError(f"--rows is {text!r}; expected FIRST:STOP, such as 1000:1016")
    return range(int(first), int(stop))


def _print(found: "Replayed", start: RunStart, step: int | None, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(row) for row in found.rows], indent=1))
        return
    if step is not None:
        print(
            f"step {step} of the run started at {start.time}, {start.data_parallel_size} data-parallel ranks, seed "
            f"{start.seed}, if it got that far"
        )
    table = [tuple(asdict(found.rows[0])), *(tuple("" if v is None else str(v) for v in astuple(row)) for row in found.rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
