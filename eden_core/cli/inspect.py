"""`eden inspect`: what an index holds, and how full packed rows are."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from eden_core.assembly import opened_index, opened_store
from eden_core.errors import ConfigurationError
from eden_core.inspecting import (
    QUANTILES,
    IndexReport,
    LengthClass,
    PackingReport,
    index_files,
    inspect_index,
    inspect_packing,
)
from eden_core.planning import Packing
from eden_core.sources import SourceSettings
from eden_core.window_lengths import LengthSource


def inspect(
    path: Annotated[Path, typer.Argument(help="Folder that eden-precompute wrote indexes to, or an index.", metavar="PATH")],
    *,
    packing: Annotated[bool, typer.Option("--packing", help="Show how full rows are, packed and not.")] = False,
    seq_length: Annotated[int | None, typer.Option(min=1, help="Tokens a row [default: the window size].")] = None,
    pack_by: Annotated[str, typer.Option(help='"length" or "sample".')] = "length",
    pad_segments_to: Annotated[int, typer.Option(help='As of packing="thd".')] = 1,
    separate_segments: Annotated[bool, typer.Option("--separate-segments", help='As of packing="concat".')] = False,
    split_windows: Annotated[bool, typer.Option("--split-windows", help="As of --pack-by sample.")] = False,
    use_control_tags: Annotated[bool, typer.Option("--use-control-tags", help="Leave room for control tags.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    sequence_db_dir: Annotated[str | None, typer.Option(help="Where the store lies [default: beside the index].")] = None,
    contigs: Annotated[str | None, typer.Option(help="Table with the lengths of contigs.", metavar="FILE")] = None,
    store: Annotated[str, typer.Option(help="Store plugin.")] = "sqlite-shards",
    index: Annotated[str, typer.Option(help="Index plugin.")] = "sqlite",
) -> None:
    """Describe indexes: windows, contigs and their lengths; with --packing, how full rows are. Bases are not read."""
    kind = "concat" if separate_segments else "thd"
    chosen = Packing(kind, pack_by, pad_segments_to, separate_segments, split_windows)
    if not packing and (seq_length is not None or use_control_tags or chosen != Packing("thd")):
        raise ConfigurationError("the options of rows go with --packing: without it, an index is described as it is")
    reports: dict[str, dict[str, Any]] = {}
    for split, place in index_files(path).items():
        opened = opened_index(index, place, None)
        beside = opened_store(store, sequence_db_dir or str(Path(place).parent), None)
        report = inspect_index(LengthSource(opened, beside, contigs))
        reports[split] = asdict(report)
        lines = _described(split, report)
        if packing:
            settings = SourceSettings(beside, opened, contigs=contigs, use_control_tags=use_control_tags)
            found = inspect_packing(settings, chosen, seq_length or opened.tiling.window_size)
            reports[split]["packing"] = asdict(found)
            lines += _compared(found, kind if pad_segments_to > 1 or separate_segments else "concat or thd")
        if not as_json:
            print("\n".join(lines))
    if as_json:
        print(json.dumps(reports, indent=1))


def _described(split: str, report: IndexReport) -> list[str]:
    tail = ", tails kept" if report.keep_tail else ""
    shortest = f", of {report.min_length:,} at least" if report.min_length else ""
    lines = [
        f"{split}: {report.location}",
        f"  windows  {report.windows:>16,}  of {report.window_size:,} bases every {report.stride:,}{shortest}{tail}",
        f"  contigs  {report.contigs:>16,}",
    ]
    if report.lengths is None:
        return [*lines, "  bases             unknown: neither the index nor the store nor a contigs.parquet beside them knows"]
    names = ("shortest", *(f"{q:.0%}" for q in QUANTILES[1:-1]), "longest")
    quantiles = ", ".join(f"{name} {length:,}" for name, length in zip(names, report.lengths.quantiles, strict=True))
    return [
        *lines,
        f"  bases    {report.lengths.bases:>16,}",
        f"  N50      {report.lengths.n50:>16,}",
        f"  lengths  {quantiles}",
    ]


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
