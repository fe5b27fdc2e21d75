"""`eden import`: files of sequences become a store."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from eden_core.cli.executing import ExecutorOption, SchedulerOption, WorkersOption, executor_of
from eden_core.cli.plugin_options import StoreOptions
from eden_core.cli.progress import import_bar
from eden_core.importing import ImportSummary, import_files
from eden_core.importing.source_files import find_source_files
from eden_core.importing.task import Counts, ImportOptions
from eden_core.manifest import index_plugin, index_suffix
from eden_core.next_steps import precompute_command
from eden_core.records import RecordFields

_LISTED_SAMPLES = 20
_ENOUGH_TO_SPLIT = 40  # contigs
_ENOUGH_FOR_REGIONS = 2_000_000  # bases

SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Files: FASTA or JSON Lines (plain, gzip, bgzip, zstd), Parquet or Arrow tables, SQLite shards; directories, glob "
        "patterns; - for standard input.",
        metavar="SOURCES",
    ),
]
OutOption = Annotated[Path, typer.Option(help="Directory to write to.")]
SampleOption = Annotated[str | None, typer.Option(help="Sample of a single file [default: from its name].")]
TagOption = Annotated[str | None, typer.Option(help="Control tag of sequences whose ids have none [default: from the name].")]
PatternOption = Annotated[
    str | None, typer.Option(help="Searched in each path; its groups (?P<sample>…) and (?P<tag>…) name them.", metavar="REGEX")
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(help="Table of files: path, and sample and tag where wanted (.tsv, .csv, Parquet).", metavar="TABLE"),
]
SequenceFieldOption = Annotated[str, typer.Option(help="Field or column of sequences, in JSON Lines and tables.")]
IdFieldOption = Annotated[str, typer.Option(help="Field or column of their ids.")]
MinLengthOption = Annotated[int, typer.Option(help="Leave shorter sequences out.", metavar="BASES", min=0)]
SplitAtNOption = Annotated[
    int | None, typer.Option(help="Cut sequences at stretches of N this long or longer.", metavar="RUN", min=1)
]
CutEveryOption = Annotated[
    int | None, typer.Option(help="Cut longer sequences into pieces of so many bases.", metavar="BASES", min=1)
]
OtherLettersOption = Annotated[
    str, typer.Option(help="Sequences with letters that are no IUPAC nucleotides: error, skip or keep.", metavar="WHAT")
]
DedupOption = Annotated[bool, typer.Option("--dedup", help="Keep one of equal sequences, read from either strand.")]
StoreOption = Annotated[str, typer.Option(help="Store plugin.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def import_command(
    *,
    sources: SourcesArgument = None,
    out: OutOption,
    sample: SampleOption = None,
    tag: TagOption = None,
    pattern: PatternOption = None,
    manifest: ManifestOption = None,
    sequence_field: SequenceFieldOption = "text",
    id_field: IdFieldOption = "record",
    min_length: MinLengthOption = 0,
    split_at_n: SplitAtNOption = None,
    cut_every: CutEveryOption = None,
    other_letters: OtherLettersOption = "error",
    dedup: DedupOption = False,
    store: StoreOption = "sqlite-shards",
    store_options: StoreOptions = None,
    executor: ExecutorOption = "local",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    force: ForceOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write sequences into a store, each file as the shard of one sample, and list them in contigs.parquet.

    After a kill the same command goes on where it stopped.
    """
    files = find_source_files(sources or (), sample=sample, tag=tag, pattern=pattern, manifest=manifest, out=out)
    fields = RecordFields(sequence_field, id_field)
    options = ImportOptions(min_length, split_at_n, cut_every, other_letters, dedup, fields)
    run = executor_of(executor, workers, scheduler)
    with import_bar() as progress:
        summary = import_files(
            files,
            out,
            options=options,
            store=store,
            store_options=store_options,
            executor=run,
            force=force,
            progress=progress,
        )
    if as_json:
        print(json.dumps({"contigs": str(summary.contigs), "seconds": summary.seconds} | asdict(summary.counts)))
        return
    print_import(summary, other_letters)
    if force:
        for index in sorted(out.glob(f"*_windows{index_suffix(index_plugin(out))}")):
            print(f"  if {index} was built for what is now replaced, build it again")
    print(f"next: {_next_command(summary)}")


def print_import(summary: ImportSummary, other_letters: str) -> None:
    """Print what an import wrote and left out."""
    receipts = summary.receipts
    if len(receipts) <= _LISTED_SAMPLES:
        width = max(len("sample"), *(len(receipt.source.sample) for receipt in receipts))
        print(f"{'sample':<{width}}  {'sequences':>12}  {'bases':>16}  shard")
        for receipt in receipts:
            counts = receipt.counts
            place = summary.out / receipt.location
            print(f"{receipt.source.sample:<{width}}  {counts.contigs:>12,}  {counts.bases:>16,}  {place}")
    unchanged = f", {summary.unchanged:,} of them there already" if summary.unchanged else ""
    print(f"{summary.contigs}")
    print(f"  files      {len(receipts):>16,}{unchanged}")
    print(f"  sequences  {summary.counts.contigs:>16,}")
    print(f"  bases      {summary.counts.bases:>16,}")
    print(f"  seconds    {summary.seconds:>16.2f}")
    for line in _notes(summary.counts, other_letters):
        print(f"  {line}")


_FATES = {"error": "were refused", "skip": "were left out", "keep": "were kept: train with invalid_bases='unk'"}


def _notes(counts: Counts, other_letters: str) -> list[str]:
    foreign = f"sequences have letters that are no IUPAC nucleotides, and {_FATES[other_letters]}"
    notes = {
        f"{counts.without_id:,} sequences have no id, and got one from their place in the file": counts.without_id,
        f"{counts.other_letters:,} {foreign}": counts.other_letters,
        f"{counts.n_bases:,} bases lay in stretches of N, and were cut out": counts.n_bases,
        f"{counts.short:,} sequences ({counts.short_bases:,} bases) are too short, and were left out": counts.short,
        f"{counts.duplicates:,} sequences ({counts.duplicate_bases:,} bases) repeat others, and are out": counts.duplicates,
    }
    return [note for note, count in notes.items() if count]


def _next_command(summary: ImportSummary) -> str:
    contigs, bases = summary.counts.contigs, summary.counts.bases
    if contigs < _ENOUGH_TO_SPLIT and bases < _ENOUGH_FOR_REGIONS:
        command = precompute_command(summary.contigs, summary.out, "train")
        return f"{command}   (to hold a part out, before that: eden split --by region --block BASES)"
    by_region = ["--by", "region"] if contigs < _ENOUGH_TO_SPLIT else []
    return shlex.join(["eden", "split", str(summary.contigs), "--out", str(summary.out), *by_region])
