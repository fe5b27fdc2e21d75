"""`eden inspect`: what is this?"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from eden_core.assembly import opened_index
from eden_core.cli.descriptions import contig_lines, description_lines
from eden_core.cli.plugin_options import IndexOptions, StoreOptions
from eden_core.errors import ConfigurationError
from eden_core.inspecting import IndexReport, LengthClass, PackingReport, index_files, inspect_index, inspect_packing
from eden_core.inspecting.describing import Lookup, describe
from eden_core.inspecting.recognizing import recognize
from eden_core.manifest import index_plugin, store_plugin
from eden_core.planning import Packing
from eden_core.sources import SourceSettings
from eden_core.window_lengths import LengthSource


def inspect(
    path: Annotated[Path, typer.Argument(help="Whatever it is: a folder or a file.", metavar="PATH")],
    *,
    packing: Annotated[bool, typer.Option("--packing", help="Of indexes: show how full rows are, packed and not.")] = False,
    seq_length: Annotated[int | None, typer.Option(min=1, help="Tokens a row [default: the window size].")] = None,
    pack_by: Annotated[str, typer.Option(help='"length" or "sample".')] = "length",
    pad_segments_to: Annotated[int, typer.Option(help='As of packing="thd".')] = 1,
    separate_segments: Annotated[bool, typer.Option("--separate-segments", help='As of packing="concat".')] = False,
    split_windows: Annotated[bool, typer.Option("--split-windows", help="As of --pack-by sample.")] = False,
    use_control_tags: Annotated[bool, typer.Option("--use-control-tags", help="Leave room for control tags.")] = False,
    all_shards: Annotated[bool, typer.Option("--all", help="List the contigs of every shard where no table does.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    sequence_db_dir: Annotated[str | None, typer.Option(help="Where the store lies [default: beside the index].")] = None,
    contigs: Annotated[str | None, typer.Option(help="Table with the lengths of contigs.", metavar="FILE")] = None,
    store: Annotated[str | None, typer.Option(help="Store plugin [default: what the folder was made with].")] = None,
    store_options: StoreOptions = None,
    index: Annotated[str | None, typer.Option(help="Index plugin [default: what the files say].")] = None,
    index_options: IndexOptions = None,
) -> None:
    """Say what a file or folder is, what it holds and what to do with it next. Bases are not read."""
    kind = "concat" if separate_segments else "thd"
    chosen = Packing(kind, pack_by, pad_segments_to, separate_segments, split_windows)
    if not packing and (seq_length is not None or use_control_tags or chosen != Packing("thd")):
        raise ConfigurationError("the options of rows go with --packing: without it, an index is described as it is")
    folder = Path(sequence_db_dir) if sequence_db_dir is not None else path if path.is_dir() else path.parent
    lookup = Lookup(
        store or store_plugin(folder), index, sequence_db_dir, contigs, all_shards, store_options or {}, index_options or {}
    )
    if packing:
        plugin = index or (index_plugin(path) if path.is_dir() else recognize(path).facts.get("plugin", "sqlite"))
        lookup = replace(lookup, index=plugin)
        reports = {
            split: _packed(place, lookup, chosen, seq_length, use_control_tags=use_control_tags)
            for split, place in index_files(path, plugin).items()
        }
        name = kind if pad_segments_to > 1 or separate_segments else "concat or thd"
        described = {split: asdict(report) | {"packing": asdict(found)} for split, (report, found) in reports.items()}
        lines = [
            line
            for split, (report, found) in reports.items()
            for line in (f"{split}: {report.location}", *contig_lines(report, drawn=False), *_compared(found, name))
        ]
    else:
        description = describe(path, lookup)
        described, lines = asdict(description), description_lines(description)
    print(json.dumps(described, indent=1) if as_json else "\n".join(lines))


def _packed(
    place: str, lookup: Lookup, packing: Packing, seq_length: int | None, *, use_control_tags: bool
) -> tuple[IndexReport, PackingReport]:
    index = opened_index(lookup.index or "sqlite", place, lookup.index_options)
    store = lookup.opened_store(Path(place).parent)
    report = inspect_index(LengthSource(index, store, lookup.contigs))
    settings = SourceSettings(store, index, contigs=lookup.contigs, use_control_tags=use_control_tags)
    return report, inspect_packing(settings, packing, seq_length or index.tiling.window_size)


def _compared(report: PackingReport, packing: str) -> list[str]:
    lines = [f"  rows of {report.seq_length:,} tokens{'rows':>16}{'fill':>9}{'windows a row':>16}{'most':>8}"]
    for name, rows in (("one window a row", report.before), (packing, report.after)):
        counts = f"{rows.rows:>16,}{rows.fill:>9.1%}{rows.mean_segments:>16.2f}{rows.most_segments:>8,}"
        lines.append(f"    {name}".ljust(len(lines[0]) - 49) + counts)
    lines.append(f"  contigs of{'windows':>24}{'bases':>9}{'fill before':>16}{'after':>9}")
    for one in report.classes:
        fills = f"{one.share:>9.1%}{one.fill_before:>16.1%}{one.fill_after:>9.1%}"
        lines.append(f"    {_length_class(one):<16}{one.windows:>14,}{fills}")
    return lines


def _length_class(one: LengthClass) -> str:
    if not one.shortest:
        return f"< {(one.below or 0) / 1000:g} kb"
    if one.below is None:
        return f">= {one.shortest / 1_000_000:g} Mb"
    return f"{one.shortest / 1000:g} - {one.below / 1000:g} kb"
