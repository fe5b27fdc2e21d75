"""`eden contigs`: the table of contigs of shards that are there already."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from eden_core.cli.executing import ExecutorOption, SchedulerOption, WorkersOption, executor_of
from eden_core.cli.plugin_options import StoreOptions
from eden_core.cli.progress import bar
from eden_core.listing import ListingSummary, list_contigs, listed_at
from eden_core.manifest import store_plugin
from eden_core.preparing import chosen_rules
from eden_core.splitting.rules import SplitRules
from eden_core.tiling import Tiling


def contigs_command(
    *,
    location: Annotated[Path, typer.Argument(help="Directory of the shards, or the file.", metavar="STORE")],
    out: Annotated[
        Path | None, typer.Option(help="Table to write [default: contigs.parquet in that directory].", metavar="FILE")
    ] = None,
    store: Annotated[str | None, typer.Option(help="Store plugin [default: what the folder was made with].")] = None,
    store_options: StoreOptions = None,
    digests: Annotated[bool, typer.Option("--digests", help="Read all bases, for digests and counts of letters.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing table.")] = False,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
) -> None:
    """List the contigs of a store without copying it, so that shards need no import."""
    table = listed_at(location) if out is None else out
    factory = executor_of(executor, workers, scheduler)
    with bar("samples") as progress:
        summary = list_contigs(
            location,
            factory,
            out=table,
            store=store or store_plugin(location),
            store_options=store_options,
            digests=digests,
            force=force,
            progress=progress,
        )
    print(f"{table}")
    print(f"  samples  {summary.samples:>16,}")
    print(f"  contigs  {summary.contigs:>16,}")
    print(f"  bases    {summary.bases:>16,}")
    print(f"  seconds  {summary.seconds:>16.2f}")
    command = ["eden", "split", str(table), "--out", str(table.parent)]
    print(f"next: {shlex.join([*command, '--train', '0.9', '--validation', '0.05', '--test', '0.05', *_by_region(summary)])}")


def _by_region(summary: ListingSummary) -> list[str]:
    """Return what `eden split` needs where one contig is too long to go to one split as a whole."""
    rules = chosen_rules(SplitRules(), summary.bases, summary.longest, Tiling())
    if rules.by != "region":
        return []
    usual = rules.block_bases == SplitRules(by="region").block_bases
    return ["--by", "region", *([] if usual else ["--block", str(rules.block_bases)])]
