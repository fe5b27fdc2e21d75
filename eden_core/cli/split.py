"""`eden split`: contigs are divided into training, validation and test."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from eden_core.cli.base_counts import parse_bases
from eden_core.cli.executing import ExecutorOption, SchedulerOption, WorkersOption, executor_of
from eden_core.cli.plugin_options import StoreOptions
from eden_core.cli.progress import bar
from eden_core.interfaces import ExecutorFactory
from eden_core.leakage import Leakage, check_leakage
from eden_core.leakage.pairs import LeakingPair
from eden_core.manifest import store_plugin
from eden_core.next_steps import precompute_command
from eden_core.splitting import split_contigs
from eden_core.splitting.reports import REPORT, SplitReport
from eden_core.splitting.rules import UNITS, SplitRules
from eden_core.store_at import StoreAt

TrainOption = Annotated[float, typer.Option(help="Share of the bases for training.")]
ValidationOption = Annotated[float, typer.Option(help="Share of the bases for validation.")]
TestOption = Annotated[float, typer.Option(help="Share of the bases for testing.")]
ByOption = Annotated[
    str | None,
    typer.Option(help=f"What goes to one split as a whole: {', '.join(UNITS)} [default: contig].", metavar="UNIT"),
]
ClustersOption = Annotated[
    Path | None, typer.Option(help="Table of (representative, member), without header: --by cluster.", metavar="TSV")
]
BlockOption = Annotated[
    int | None,
    typer.Option(help="With --by region: bases of a block [default: 100k].", metavar="BASES", parser=parse_bases),
]
GuardOption = Annotated[
    int | None,
    typer.Option(
        help="With --by region: bases left out where splits meet, a window's at least [default: 8192].",
        metavar="BASES",
        parser=parse_bases,
    ),
]
TestContigsOption = Annotated[
    list[str] | None, typer.Option(help="Contigs to test on: ids or globs, with commas between.", metavar="GLOBS")
]
ValidationContigsOption = Annotated[
    list[str] | None, typer.Option(help="Contigs to validate on: ids or globs, with commas between.", metavar="GLOBS")
]
ExcludeOption = Annotated[list[str] | None, typer.Option(help="Contigs that go nowhere, likewise.", metavar="GLOBS")]
SplitFromOption = Annotated[
    str | None,
    typer.Option(help="Column that names the split of each contig; filename: the source file does.", metavar="COLUMN"),
]
SeedOption = Annotated[int, typer.Option(help="Another seed gives other splits.")]


def split_command(
    *,
    contigs: Annotated[Path, typer.Argument(help="Parquet table with contig_id and length.", metavar="CONTIGS.parquet")],
    out: Annotated[Path, typer.Option(help="Directory to write to.")],
    train: TrainOption = 0.9,
    validation: ValidationOption = 0.05,
    test: TestOption = 0.05,
    by: ByOption = None,
    clusters: ClustersOption = None,
    block: BlockOption = None,
    guard: GuardOption = None,
    test_contigs: TestContigsOption = None,
    validation_contigs: ValidationContigsOption = None,
    exclude: ExcludeOption = None,
    split_from: SplitFromOption = None,
    check_leakage: Annotated[
        bool, typer.Option("--check-leakage", help="Look for near-identical stretches in different splits.")
    ] = False,
    max_leakage: Annotated[
        float | None,
        typer.Option(help="Fail where more of the held-out windows are like training.", metavar="FRACTION", min=0, max=1),
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Store plugin that has the bases, to look for leakage [default: that of the folder].")
    ] = None,
    store_options: StoreOptions = None,
    sequence_db_dir: Annotated[
        Path | None, typer.Option(help="Where the store lies [default: the folder of CONTIGS.parquet].")
    ] = None,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    seed: SeedOption = 42,
    force: Annotated[bool, typer.Option("--force", help="Replace existing splits.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Divide contigs into training, validation and test, by bases; each contig, or region, goes to one of them."""
    started = time.perf_counter()
    rules = SplitRules(
        train=train,
        validation=validation,
        test=test,
        by=by,
        clusters=None if clusters is None else str(clusters),
        block=block,
        guard=guard,
        test_contigs=tuple(test_contigs or ()),
        validation_contigs=tuple(validation_contigs or ()),
        exclude=tuple(exclude or ()),
        split_from=split_from,
        seed=seed,
    )
    check = check_leakage or max_leakage is not None
    factory = executor_of(executor, workers, scheduler) if check else None
    report = split_contigs(contigs, out, rules, force=force)
    if factory is not None:
        place = sequence_db_dir or contigs.parent
        report = _with_leakage(report, StoreAt(store or store_plugin(place), str(place), store_options or {}), factory)
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        _print(report, out, time.perf_counter() - started)
    if report.leakage is not None and max_leakage is not None and report.leakage.into_training > max_leakage:
        typer.echo(
            f"error: {report.leakage.into_training:.2%} of the held-out windows are like training, more than --max-leakage "
            f"{max_leakage:g}; the splits were written. Split by cluster or sample to keep what is alike together",
            err=True,
        )
        raise typer.Exit(1)


def _with_leakage(report: SplitReport, store: StoreAt, factory: ExecutorFactory) -> SplitReport:
    tables = {name: part.location for name, part in report.splits.items()}
    with bar("bases compared") as progress:
        leakage = check_leakage(tables, store.name, store.location, factory, store_options=store.options, progress=progress)
    report = replace(report, leakage=leakage)
    report.replace(next(iter(tables.values())).parent)
    return report


def _print(report: SplitReport, out: Path, seconds: float) -> None:
    print(f"{'split':<12}{'contigs':>14}{'bases':>18}{'share':>9}{'wanted':>9}{'samples':>10}  file")
    for name, part in report.splits.items():
        wanted = "-" if part.share_wanted is None else f"{part.share_wanted:.2%}"
        print(
            f"{name:<12}{part.contigs:>14,}{part.bases:>18,}{part.share:>9.2%}{wanted:>9}{part.samples:>10,}  {part.location}"
        )
    for line in _left_out(report):
        print(line)
    if report.leakage is not None:
        for line in _leakage_lines(report.leakage):
            print(line)
    print(f"{seconds:.2f} seconds; report: {out / REPORT}")
    print("next:")
    for name, part in report.splits.items():
        print(f"  {precompute_command(part.location, out, name)}")


def _left_out(report: SplitReport) -> Iterator[str]:
    if report.excluded_contigs:
        yield f"excluded: {report.excluded_contigs:,} contigs, {report.excluded_bases:,} bases"
    if report.guarded is not None:
        short = report.guarded.stretches_too_short
        too_short = f"; nothing was left of {short:,} stretches" if short else ""
        yield f"left out where splits meet: {report.guarded.bases:,} bases{too_short}"
    if report.clusters is not None:
        counts = report.clusters
        alone = f"{counts.contigs_alone:,} are in none and stand alone"
        unknown = f"{counts.unknown_members:,} names in the file are no contigs"
        yield f"clusters: {counts.contigs_in_clusters:,} contigs are in one, {alone}; {unknown}"


def _leakage_lines(leakage: Leakage) -> Iterator[str]:
    if leakage.drawn < 1:
        yield f"leakage: {leakage.drawn:.2%} of the held-out bases were drawn to be compared"
    for overlap in leakage.overlaps:
        loud = "LEAKAGE" if overlap.matched else "leakage"
        unchecked = f"; {overlap.unchecked:,} more cannot be told" if overlap.unchecked else ""
        yield (
            f"{loud}: {overlap.matched:,} of {overlap.windows:,} windows of {overlap.held_out} ({overlap.share:.2%}) are like "
            f"{overlap.other}{unchecked}"
        )
    if leakage.worst:
        yield "  worst pairs:"
    for pair in leakage.worst:
        yield f"  {_pair_line(pair)}"


def _pair_line(pair: LeakingPair) -> str:
    held_out = f"{pair.held_out} {pair.contig}:{pair.start}-{pair.end}"
    other = f"{pair.other} {pair.other_contig}:{pair.other_start}-{pair.other_end}"
    return f"{held_out}  {other}  {pair.shared} of {pair.sampled} k-mers, identity {pair.identity:.1%}"
