"""`eden doctor`: is everything ready for a training job?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from eden_core.cli.executing import ExecutorOption, SchedulerOption, WorkersOption, executor_of
from eden_core.cli.plugin_options import IndexOptions, StoreOptions
from eden_core.doctor import examine
from eden_core.doctor.findings import Finding, Job, Level
from eden_core.manifest import index_plugin, store_plugin

_INDENT = " " * 10


def doctor(
    folder: Annotated[Path, typer.Argument(help="Data folder that training reads.", metavar="DIR")],
    *,
    micro_batch_size: Annotated[int, typer.Option(min=1, help="Rows a batch.")] = 1,
    num_workers: Annotated[int, typer.Option(min=0, help="Worker processes of a rank.")] = 2,
    prefetch_factor: Annotated[int, typer.Option(min=1, help="Batches that a worker reads ahead.")] = 2,
    seq_length: Annotated[int | None, typer.Option(min=1, help="Tokens a row [default: the window size].")] = None,
    ranks: Annotated[int, typer.Option(min=1, help="Processes of the job on this machine.")] = 1,
    store: Annotated[str | None, typer.Option(help="Store plugin [default: what the folder was made with].")] = None,
    store_options: StoreOptions = None,
    index: Annotated[str | None, typer.Option(help="Index plugin [default: what the folder was made with].")] = None,
    index_options: IndexOptions = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
) -> None:
    """Check machine and data before a training job. Exit code 1: something must be mended first."""
    job = Job(micro_batch_size, num_workers, prefetch_factor, ranks, seq_length)
    found = []
    for finding in examine(
        folder,
        job,
        executor_of(executor, workers, scheduler),
        store=store or store_plugin(folder),
        index=index or index_plugin(folder),
        store_options=store_options,
        index_options=index_options,
    ):
        found.append(finding)
        if not as_json:
            print("\n".join(_lines(finding)), flush=True)
    errors, warnings = (sum(one.level is level for one in found) for level in (Level.ERROR, Level.WARNING))
    if as_json:
        print(json.dumps({"ready": not errors, "findings": [asdict(one) for one in found]}, indent=1))
    else:
        print(_verdict(errors, warnings))
    if errors:
        raise typer.Exit(1)


def _lines(one: Finding) -> list[str]:
    first, *more = one.found.splitlines()
    remedy = [f"{_INDENT}-> {one.remedy}"] if one.remedy is not None else []
    return [f"{one.level:<8}  {one.about}: {first}", *(f"{_INDENT}{line}" for line in more), *remedy]


def _verdict(errors: int, warnings: int) -> str:
    counts = [f"{n} {what}{'s' * (n > 1)}" for n, what in ((errors, "error"), (warnings, "warning")) if n]
    return ", ".join(counts) or "ready"
