"""`eden optimize`: shards that other programs made become fast to read."""

from pathlib import Path
from typing import Annotated

import typer

from eden_core.cli.executing import ExecutorOption, SchedulerOption, WorkersOption, executor_of
from eden_core.cli.plugin_options import StoreOptions
from eden_core.cli.progress import bar
from eden_core.errors import FormatError
from eden_core.manifest import store_plugin
from eden_core.optimizing import optimize_store


def optimize_command(
    *,
    location: Annotated[Path, typer.Argument(help="Directory of the shards.", metavar="DIR")],
    out: Annotated[
        Path | None, typer.Option(help="Write all shards to another directory, and leave these.", metavar="DIR2")
    ] = None,
    store: Annotated[str | None, typer.Option(help="Store plugin [default: what the folder was made with].")] = None,
    store_options: StoreOptions = None,
    force: Annotated[bool, typer.Option("--force", help="Rewrite fast shards too, and replace other ones in DIR2.")] = False,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
) -> None:
    """Rewrite slow shards so that any window is read in a few pages; what they hold stays the same."""
    factory = executor_of(executor, workers, scheduler)
    with bar("shards") as progress:
        report = optimize_store(
            location,
            factory,
            out=out,
            store=store or store_plugin(location),
            store_options=store_options,
            force=force,
            progress=progress,
        )
    print(f"{out or location}")
    print(f"  shards rewritten  {report.rewritten:>16,}")
    print(f"  fast already      {report.skipped:>16,}")
    print(f"  failed            {len(report.failures):>16,}")
    print(f"  bytes before      {report.bytes_before:>16,}")
    print(f"  bytes after       {report.bytes_after:>16,}")
    print(f"  seconds           {report.seconds:>16.2f}")
    if report.failures:
        told = "".join(f"\n  {sample}: {report.failures[sample]}" for sample in sorted(report.failures))
        count = len(report.failures)
        what = "1 shard is" if count == 1 else f"{count:,} shards are"
        raise FormatError(f"{what} as before, because of errors; mend them, and run the same command again:{told}")
