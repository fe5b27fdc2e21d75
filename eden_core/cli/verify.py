"""`eden verify`: are the shards, tables, splits and indexes of a folder what they should be?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from eden_core.cli.executing import ExecutorOption, SchedulerOption, WorkersOption, executor_of
from eden_core.cli.plugin_options import IndexOptions, StoreOptions
from eden_core.cli.progress import bar
from eden_core.manifest import index_plugin, store_plugin
from eden_core.verifying import Verification, verify


def verify_command(
    *,
    data_dir: Annotated[Path, typer.Argument(help="Folder with shards and their tables.", metavar="DIR")],
    contigs: Annotated[
        Path | None, typer.Option(help="Table of contigs [default: DIR/contigs.parquet].", metavar="FILE")
    ] = None,
    store: Annotated[str | None, typer.Option(help="Store plugin [default: what the folder was made with].")] = None,
    store_options: StoreOptions = None,
    index: Annotated[str | None, typer.Option(help="Index plugin [default: what the folder was made with].")] = None,
    index_options: IndexOptions = None,
    samples: Annotated[int | None, typer.Option(help="Read only so many samples, evenly chosen.", metavar="N", min=1)] = None,
    sample_share: Annotated[
        float | None, typer.Option(help="Read only this share of the samples, evenly chosen.", metavar="F")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
) -> None:
    """Check shards, tables, splits and indexes against each other; exit code 1 when anything is wrong."""
    factory = executor_of(executor, workers, scheduler)
    with bar("groups of samples") as progress:
        result = verify(
            data_dir,
            factory,
            contigs=contigs,
            store=store or store_plugin(data_dir),
            index=index or index_plugin(data_dir),
            store_options=store_options,
            index_options=index_options,
            samples=samples,
            sample_share=sample_share,
            progress=progress,
        )
    print(_json(result) if as_json else _lines(result))
    if result.problems:
        raise typer.Exit(1)


def _json(result: Verification) -> str:
    checked = asdict(result)
    problems, notes = checked.pop("problems"), checked.pop("notes")
    return json.dumps({"checked": checked, "problems": problems, "notes": notes}, indent=2)


def _lines(result: Verification) -> str:
    found = sum(problem.count for problem in result.problems)
    lines = [*(str(problem) for problem in result.problems), *(f"note: {note}" for note in result.notes)]
    lines += [
        "nothing is wrong" if not found else f"{found:,} problem{'s' if found != 1 else ''}",
        f"  samples               {result.samples:>16,}",
        f"  shards                {result.shards:>16,}",
        f"  samples read          {result.samples_read:>16,}",
        f"  contigs read          {result.contigs_read:>16,}",
        f"  bases read            {result.bases_read:>16,}",
        f"  splits                {', '.join(result.splits) or 'none':>16}",
    ]
    if result.splits:
        lines += [f"  contigs in no split   {result.contigs_in_no_split:>16,}"]
    lines += [
        f"  indexes               {len(result.indexes):>16,}",
        f"  windows               {result.windows:>16,}",
        f"  seconds               {result.seconds:>16.2f}",
    ]
    return "\n".join(lines)
