"""`eden convert`: a data folder, or an index, as another store or index plugin has it."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from eden_core.amounts import size_text
from eden_core.assembly import opened_index
from eden_core.cli.executing import ExecutorOption, SchedulerOption, WorkersOption, executor_of
from eden_core.cli.plugin_options import json_option
from eden_core.cli.progress import bar
from eden_core.contigs import CONTIGS
from eden_core.converting import ConversionSummary, ConvertedIndex, IndexTask, StoreAt, convert_folder, convert_index
from eden_core.errors import ConfigurationError
from eden_core.inspecting.recognizing import recognize
from eden_core.manifest import index_place, index_suffix, read_manifest, store_plugin
from eden_core.next_steps import data_module_call
from eden_core.splitting.words import SPLITS
from eden_core.tasks import absolute


def convert_command(
    *,
    source: Annotated[Path, typer.Argument(help="Data folder, or folder of shards; or an index.", metavar="FOLDER|INDEX")],
    out: Annotated[Path, typer.Argument(help="New folder, or new index.", metavar="OUT")],
    store: Annotated[str | None, typer.Option(help="Store plugin to convert to [default: as it is].")] = None,
    index: Annotated[str | None, typer.Option(help="Index plugin to convert to [default: as it is].")] = None,
    from_store: Annotated[
        str | None, typer.Option(help="Store plugin that reads it [default: what the folder was made with].")
    ] = None,
    from_index: Annotated[
        str | None,
        typer.Option(help="Index plugin that reads it [default: as eden.json or the index itself says, else sqlite]."),
    ] = None,
    store_options: Annotated[dict[str, Any] | None, json_option("Options of the new store.")] = None,
    from_store_options: Annotated[dict[str, Any] | None, json_option("Options of the old store.")] = None,
    index_options: Annotated[dict[str, Any] | None, json_option("Of an index: options with which the new one is read.")] = None,
    from_index_options: Annotated[dict[str, Any] | None, json_option("Of an index: options with which it is read.")] = None,
    store_dir: Annotated[
        Path | None, typer.Option(help="Of an index: where its store lies [default: beside it].", metavar="DIR")
    ] = None,
    contigs: Annotated[
        Path | None, typer.Option(help="Of an index: table of contigs that it was built from.", metavar="FILE")
    ] = None,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier conversion left.")] = False,
) -> None:
    """Make another folder that trains the same rows from another store or index; all bases and windows are compared.

    After a kill the same command goes on where it stopped. Of an index alone, windows and tiling are carried over.
    """
    if source.is_dir():
        of_index: dict[str, object] = {
            "--store-dir": store_dir,
            "--contigs": contigs,
            "--index-options": index_options,
            "--from-index-options": from_index_options,
        }
        _refuse_given(of_index, f"{source} is a folder")
        run = executor_of(executor, workers, scheduler)
        with bar("steps") as progress:
            summary = convert_folder(
                source,
                out,
                store=store,
                index=index,
                from_store=from_store,
                from_index=from_index,
                store_options=store_options,
                from_store_options=from_store_options,
                executor=run,
                force=force,
                progress=progress,
            )
        _print_folder(summary, store_options or {})
        return
    _refuse_given({"--store": store, "--store-options": store_options}, f"{source} is no folder")
    if index is None:
        raise ConfigurationError("nothing says what to convert to: give --index")
    folder = source.parent if store_dir is None else store_dir
    place = StoreAt(from_store or store_plugin(folder), absolute(folder), from_store_options or {})
    table = None if contigs is None else absolute(contigs)
    read_by = from_index or _plugin_of(source)
    options = from_index_options or {}, index_options or {}
    _print_index(convert_index(IndexTask(absolute(source), absolute(out), read_by, index, place, table, force, *options)))


def _plugin_of(index: Path) -> str:
    """Return the plugin that reads an index: as the folder was prepared, if its files end so, else as the file itself says."""
    manifest = read_manifest(index.parent)
    if manifest is not None and index_suffix(manifest["index"]) == index.suffix:
        return str(manifest["index"])
    return str(recognize(index).facts.get("plugin", "sqlite"))


def _refuse_given(options: dict[str, object], why: str) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        kind = "an index" if "--contigs" in options else "a folder"
        raise ConfigurationError(f"{' and '.join(given)} go with {kind}, and {why}")


def _print_folder(summary: ConversionSummary, options: dict[str, Any]) -> None:
    there = f", {summary.there_already:,} of them there already" if summary.there_already else ""
    print(f"{summary.out}{': was converted already' if summary.unchanged else ''}")
    print(f"  samples        {summary.samples:>16,}{there}")
    print(f"  contigs        {summary.contigs:>16,}")
    print(f"  bases          {summary.bases:>16,}")
    print(f"  shards before  {size_text(summary.bytes_before):>16}")
    print(f"  shards after   {size_text(summary.bytes_after):>16}")
    print(f"  seconds        {summary.seconds:>16.2f}")
    if summary.tables:
        print(f"  carried over   {', '.join(summary.tables)}")
    for one in summary.indexes:
        _print_index(one)
    read = StoreAt(summary.store, str(summary.out), options)
    check = ["eden", "verify", str(summary.out), *read.words(), "--index", summary.index]
    if CONTIGS in summary.tables:
        print(f"to check it all again: {shlex.join(check)}")
    made = {"store": summary.store, "index": summary.index, "seq_length": _window_size(summary)}
    print(f"next: {data_module_call(data_dir=str(summary.out), **made, store_options=options or None)}")


def _window_size(summary: ConversionSummary) -> int | None:
    """Return the bases of a window of the new folder; None: it has no index."""
    places = (index_place(summary.out, split, summary.index) for split in SPLITS)
    place = next((place for place in places if place.exists()), None)
    if place is None:
        return None
    with opened_index(summary.index, str(place), None) as index:
        return index.tiling.window_size


def _print_index(one: ConvertedIndex) -> None:
    sizes = [size_text(size) for size in (one.bytes_before, one.bytes_after) if size is not None]
    print(f"{one.location}")
    print(f"  windows        {one.windows:>16,}")
    print(f"  size           {' -> '.join(sizes)}")
    print(f"  seconds        {one.seconds:>16.2f}")
    for note in one.notes:
        print(f"  note: {note}")
