"""`eden prepare`: from files of sequences to a folder that training reads."""

from pathlib import Path
from typing import Annotated, Any

import typer

from eden_core.cli import import_ as importing
from eden_core.cli import split as splitting
from eden_core.cli.executing import ExecutorOption, SchedulerOption, WorkersOption, executor_of
from eden_core.cli.plugin_options import StoreOptions
from eden_core.cli.precompute import StrideOption
from eden_core.cli.progress import import_bar
from eden_core.importing.source_files import find_source_files
from eden_core.importing.task import ImportOptions
from eden_core.next_steps import data_module_call
from eden_core.preparing import PrepareSettings, PrepareSummary, prepare
from eden_core.records import RecordFields
from eden_core.splitting.rules import SplitRules
from eden_core.tiling import DEFAULT_WINDOW_SIZE, Tiling, default_stride


def prepare_command(
    *,
    sources: importing.SourcesArgument = None,
    out: importing.OutOption,
    sample: importing.SampleOption = None,
    tag: importing.TagOption = None,
    pattern: importing.PatternOption = None,
    manifest: importing.ManifestOption = None,
    sequence_field: importing.SequenceFieldOption = "text",
    id_field: importing.IdFieldOption = "record",
    min_length: importing.MinLengthOption = 0,
    split_at_n: importing.SplitAtNOption = None,
    other_letters: importing.OtherLettersOption = "error",
    dedup: importing.DedupOption = False,
    train: splitting.TrainOption = 0.9,
    validation: splitting.ValidationOption = 0.05,
    test: splitting.TestOption = 0.05,
    by: splitting.ByOption = None,
    clusters: splitting.ClustersOption = None,
    block: splitting.BlockOption = None,
    guard: splitting.GuardOption = None,
    test_contigs: splitting.TestContigsOption = None,
    validation_contigs: splitting.ValidationContigsOption = None,
    exclude: splitting.ExcludeOption = None,
    split_from: splitting.SplitFromOption = None,
    seed: splitting.SeedOption = 42,
    window_size: Annotated[int, typer.Option(help="Bases a window.")] = DEFAULT_WINDOW_SIZE,
    stride: StrideOption = None,
    keep_tail: Annotated[bool, typer.Option(help="Go on until every base is read.")] = True,
    store: importing.StoreOption = "sqlite-shards",
    store_options: StoreOptions = None,
    index: Annotated[str, typer.Option(help="Index plugin.")] = "sqlite",
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    force: importing.ForceOption = False,
) -> None:
    """Import, split and index in one go: `EdenDataModule(data_dir=OUT)` trains from what is made.

    Contigs are divided by bases; where one of them is too long for that, as in a single genome, regions of contigs are. After a
    kill the same command goes on where it stopped.
    """
    files = find_source_files(sources or (), sample=sample, tag=tag, pattern=pattern, manifest=manifest, out=out)
    fields = RecordFields(sequence_field, id_field)
    options = ImportOptions(min_length, split_at_n, None, other_letters, dedup, fields)
    rules = SplitRules(
        train,
        validation,
        test,
        by,
        None if clusters is None else str(clusters),
        block,
        guard,
        tuple(test_contigs or ()),
        tuple(validation_contigs or ()),
        tuple(exclude or ()),
        split_from,
        seed,
    )
    step = default_stride(window_size) if stride is None else stride
    settings = PrepareSettings(options, Tiling(window_size, step, 0, keep_tail), rules, store, index, store_options)
    run = executor_of(executor, workers, scheduler)
    with import_bar() as progress:
        summary = prepare(files, out, settings, executor=run, force=force, progress=progress)
    importing.print_import(summary.imported, other_letters)
    _print(summary, out)


def _print(summary: PrepareSummary, out: Path) -> None:
    print(f"{'split':<12}{'contigs':>12}{'bases':>17}{'share':>9}{'windows':>13}{'never seen':>13}  index")
    for name, part in summary.manifest["splits"].items():
        print(_row(name, part, out))
    split = summary.manifest["split"]
    if split.get("by") == "region":
        print(f"by region: blocks of {split['block']:,} bases, {split['guard']:,} bases left out where splits meet")
    state = "was there already" if summary.unchanged else f"{summary.seconds:.2f} seconds"
    print(f"{out / 'eden.json'}  ({state})")
    manifest = summary.manifest
    made = {"store": manifest["store"], "index": manifest["index"], "seq_length": manifest["tiling"]["window_size"]}
    print(f"next: {data_module_call(data_dir=str(out), **made)}")


def _row(name: str, part: dict[str, Any], out: Path) -> str:
    numbers = f"{part['contigs']:>12,}{part['bases']:>17,}{part['share']:>9.2%}{part['windows']:>13,}"
    return f"{name:<12}{numbers}{part['bases_never_seen']:>13,}  {out / part['index']}"
