"""`eden replay`: what a step of a run was trained on."""

import json
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eden_core.cli.recorded import (
    RUN_HELP,
    Moved,
    OnMismatch,
    Rank,
    Recorded,
    Rows,
    SequenceDbDir,
    Start,
    Step,
    WindowDbPath,
    check_writable,
)

if TYPE_CHECKING:
    from eden_core.replay import Replayed


def replay(
    *,
    run: Annotated[Path, typer.Option(help=RUN_HELP, metavar="LEDGER")],
    step: Step = None,
    rows: Rows = None,
    rank: Rank = None,
    start: Start = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    parquet: Annotated[Path | None, typer.Option(help="Write a Parquet table.", metavar="FILE")] = None,
    fasta: Annotated[Path | None, typer.Option(help="Write the bases as the model saw them.", metavar="FILE")] = None,
    sequence_db_dir: SequenceDbDir = None,
    window_db_path: WindowDbPath = None,
    source: Moved = None,
    on_mismatch: OnMismatch = "error",
) -> None:
    """Read again what a step was made of, without training: rank, row, contig, start, strand, masked share, fill."""
    from eden_core.replay import replay_blocks

    recorded = Recorded(run, step, rows, rank, start, sequence_db_dir, window_db_path, source or [], on_mismatch)
    check_writable(parquet, fasta)
    from_start, dataset, blocks = recorded.opened()
    found = replay_blocks(dataset, blocks)
    if parquet is not None:
        found.write_parquet(parquet)
    if fasta is not None:
        fasta.write_text("".join(found.fasta()), encoding="latin-1")
    if as_json:
        print(json.dumps([asdict(row) for row in found.rows], indent=1))
        return
    if step is not None:
        print(recorded.title(from_start))
    _print(found)


def _print(found: "Replayed") -> None:
    from eden_core.replay import ReplayedRow

    table = [
        tuple(field.name for field in fields(ReplayedRow)),
        *(tuple("" if v is None else str(v) for v in astuple(row)) for row in found.rows),
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
